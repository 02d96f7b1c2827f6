//! WeChat Pay v2.

use secrecy::ExposeSecret;

use super::{Fields, MINUTE, World, fields};
use crate::{
    crypto::{aes_ecb_open, md5},
    wechat::{read_xml, sign_v2, write_xml},
};

fn code(answer: &Fields) -> &str {
    answer.get("err_code").or_else(|| answer.get("return_msg")).map_or("", String::as_str)
}

#[tokio::test]
async fn an_order_lives_from_its_creation_to_its_refund() {
    let world = World::start().await;
    let order = world.v2_order("20261124000001", "888");
    let made = world.v2("/pay/unifiedorder", order.clone()).await;
    assert_eq!(made["result_code"], "SUCCESS", "{made:?}");
    assert!(made["code_url"].starts_with("weixin://wxpay/bizpayurl?pr="), "{made:?}");
    let key = world.shop.merchant.wechat.api_key.clone();
    assert_eq!(made["sign"], sign_v2(&made, key.expose_secret(), false), "the answer is signed");

    let by_number = fields([("out_trade_no", "20261124000001")]);
    let asked = world.v2("/pay/orderquery", by_number.clone()).await;
    assert_eq!(asked["trade_state"], "NOTPAY");
    assert!(!asked.contains_key("transaction_id"));

    world.sim.approve(&made["code_url"]).unwrap();
    world.sim.settled().await;
    let heard = world.shop.heard();
    let notice = read_xml(heard[0].body.as_bytes()).unwrap();
    assert_eq!(notice["sign"], sign_v2(&notice, key.expose_secret(), false));
    assert_eq!((notice["total_fee"].as_str(), heard.len()), ("888", 1));
    let asked = world.v2("/pay/orderquery", by_number.clone()).await;
    assert_eq!(asked["trade_state"], "SUCCESS");
    assert_eq!(asked["transaction_id"], notice["transaction_id"]);
    assert_eq!(code(&world.v2("/pay/unifiedorder", order).await), "ORDERPAID");
    assert_eq!(code(&world.v2("/pay/closeorder", by_number.clone()).await), "ORDERPAID");

    let mut refund = by_number.clone();
    refund.extend(fields([
        ("out_refund_no", "R1"),
        ("total_fee", "888"),
        ("refund_fee", "300"),
        ("notify_url", &world.shop.url("v2")),
    ]));
    let taken = world.v2("/secapi/pay/refund", refund.clone()).await;
    assert_eq!(taken["result_code"], "SUCCESS", "{taken:?}");
    let again = world.v2("/secapi/pay/refund", refund).await;
    assert_eq!(again["refund_id"], taken["refund_id"], "the same number is the same refund");
    world.sim.advance(MINUTE).await.unwrap();
    let told = world.v2("/pay/refundquery", fields([("out_refund_no", "R1")])).await;
    assert_eq!(told["refund_status_0"], "SUCCESS");

    let notice = read_xml(world.shop.heard()[1].body.as_bytes()).unwrap();
    assert!(!notice.contains_key("sign"));
    let opened = aes_ecb_open(md5(key.expose_secret().as_bytes()).as_bytes(), &notice["req_info"]);
    let opened = read_xml(opened.unwrap().as_bytes()).unwrap();
    assert_eq!(
        (opened["refund_fee"].as_str(), opened["refund_status"].as_str()),
        ("300", "SUCCESS")
    );
    assert_eq!(world.sums(), (888, 300));
}

#[tokio::test]
async fn wrong_requests_are_refused_by_name() {
    let world = World::start().await;
    let order = world.v2_order("20261124000002", "888");
    let cases = [
        ("no body", ("body", ""), "LACK_PARAMS"),
        ("no number", ("out_trade_no", ""), "LACK_PARAMS"),
        ("no amount", ("total_fee", ""), "LACK_PARAMS"),
        ("no address", ("notify_url", ""), "LACK_PARAMS"),
        ("no IP", ("spbill_create_ip", ""), "LACK_PARAMS"),
        ("no kind", ("trade_type", ""), "LACK_PARAMS"),
        ("no product", ("product_id", ""), "LACK_PARAMS"),
        ("no nonce", ("nonce_str", ""), "LACK_PARAMS"),
        ("JSAPI without openid", ("trade_type", "JSAPI"), "LACK_PARAMS"),
        ("MWEB without scene", ("trade_type", "MWEB"), "LACK_PARAMS"),
        ("unknown kind", ("trade_type", "CASH"), "PARAM_ERROR"),
        ("amount of nothing", ("total_fee", "0"), "PARAM_ERROR"),
        ("amount in yuan", ("total_fee", "8.88"), "PARAM_ERROR"),
        ("negative amount", ("total_fee", "-1"), "PARAM_ERROR"),
        ("long body", ("body", &"b".repeat(128)), "PARAM_ERROR"),
        ("long number", ("out_trade_no", &"1".repeat(33)), "PARAM_ERROR"),
        ("number with a dot", ("out_trade_no", "2026.1"), "PARAM_ERROR"),
        ("address with a query", ("notify_url", "http://127.0.0.1/v2?a=1"), "PARAM_ERROR"),
        ("relative address", ("notify_url", "/v2"), "PARAM_ERROR"),
        ("no such IP", ("spbill_create_ip", "here"), "PARAM_ERROR"),
        ("foreign currency", ("fee_type", "USD"), "PARAM_ERROR"),
        ("too late", ("time_expire", "20261124101600"), "PARAM_ERROR"),
        ("no time", ("time_expire", "tomorrow"), "PARAM_ERROR"),
        ("unknown application", ("appid", "wx0000000000000000"), "APPID_NOT_EXIST"),
        ("unknown merchant", ("mch_id", "1900000000"), "商户号不存在"),
        ("unknown signature", ("sign_type", "SM3"), "签名错误"),
    ];
    for (name, (field, value), expected) in cases {
        let mut order = order.clone();
        order.insert(field.to_owned(), value.to_owned());
        let answer = world.v2("/pay/unifiedorder", order).await;
        assert_eq!(code(&answer), expected, "{name}: {answer:?}");
        let signed = answer.contains_key("sign");
        assert_eq!(signed, answer["return_code"] == "SUCCESS", "{name}: {answer:?}");
    }
    assert!(world.sim.trades().is_empty());
}

#[tokio::test]
async fn what_is_no_signed_xml_is_refused_without_a_signature() {
    let world = World::start().await;
    let good = world.v2_request(world.v2_order("20261124000003", "888"));
    let tampered = write_xml("xml", &good).replace("<total_fee>888", "<total_fee>1");
    let mut unsigned = good.clone();
    unsigned.remove("sign");
    let mut lower = good.clone();
    lower.insert("sign".to_owned(), good["sign"].to_lowercase());
    let cases = [
        ("tampered", tampered, "签名错误"),
        ("unsigned", write_xml("xml", &unsigned), "签名错误"),
        ("lower case", write_xml("xml", &lower), "签名错误"),
        ("empty", String::new(), "post数据为空"),
        ("JSON", "{}".to_owned(), "XML格式错误"),
        ("doctype", "<!DOCTYPE xml><xml></xml>".to_owned(), "XML格式错误"),
    ];
    for (name, body, expected) in cases {
        let answer = world.post("/pay/unifiedorder", "text/xml", body).await.unwrap();
        let fields = read_xml(&answer.body).unwrap();
        assert_eq!(fields["return_msg"], expected, "{name}");
        assert!(
            !fields.contains_key("sign") && !answer.header("x-sim-reason").is_empty(),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_number_belongs_to_its_first_data_and_a_closed_one_is_spent() {
    let world = World::start().await;
    let order = world.v2_order("20261124000004", "888");
    let first = world.v2("/pay/unifiedorder", order.clone()).await;
    let second = world.v2("/pay/unifiedorder", order.clone()).await;
    assert_ne!(first["prepay_id"], second["prepay_id"], "a fresh prepay result");
    assert_eq!(world.sim.trades().len(), 1, "for the same order");

    let other = world.v2_order("20261124000004", "889");
    assert_eq!(code(&world.v2("/pay/unifiedorder", other).await), "OUT_TRADE_NO_USED");
    let number = fields([("out_trade_no", "20261124000004")]);
    for round in ["closed", "closed again"] {
        let closed = world.v2("/pay/closeorder", number.clone()).await;
        assert_eq!(closed["result_code"], "SUCCESS", "{round}");
    }
    assert_eq!(code(&world.v2("/pay/unifiedorder", order).await), "ORDERCLOSED");
    assert!(world.sim.approve("20261124000004").is_err());
    let unknown = fields([("out_trade_no", "nothing")]);
    assert_eq!(code(&world.v2("/pay/orderquery", unknown.clone()).await), "ORDERNOTEXIST");
    assert_eq!(code(&world.v2("/pay/closeorder", unknown.clone()).await), "ORDERNOTEXIST");
    assert_eq!(code(&world.v2("/pay/refundquery", unknown).await), "REFUNDNOTEXIST");
    assert_eq!(world.sums(), (0, 0));
}

#[tokio::test]
async fn hmac_orders_are_answered_and_notified_with_hmac() {
    let world = World::start().await;
    let mut order = world.v2_order("20261124000005", "888");
    order.insert("sign_type".to_owned(), "HMAC-SHA256".to_owned());
    let made = world.v2("/pay/unifiedorder", order).await;
    let key = world.shop.merchant.wechat.api_key.clone();
    assert_eq!(made["sign"], sign_v2(&made, key.expose_secret(), true));
    world.sim.approve("20261124000005").unwrap();
    world.sim.settled().await;
    let notice = read_xml(world.shop.heard()[0].body.as_bytes()).unwrap();
    assert_eq!(notice["sign_type"], "HMAC-SHA256");
    assert_eq!(notice["sign"], sign_v2(&notice, key.expose_secret(), true));
}
