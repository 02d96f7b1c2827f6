//! Alipay.

use serde_json::{Value, json};

use super::{Fields, MINUTE, World, fields, shop::FORM};
use crate::{
    AlipayKeys, Provider,
    crypto::{Hash, PublicKey},
};

fn sub(node: &Value) -> &str {
    node["sub_code"].as_str().unwrap_or_else(|| node["code"].as_str().unwrap_or_default())
}

async fn refund(world: &World, number: &str, request: &str, yuan: &str) -> Value {
    let biz = json!({ "out_trade_no": number, "out_request_no": request, "refund_amount": yuan });
    world.alipay("alipay.trade.refund", biz).await
}

#[tokio::test]
async fn a_code_is_no_trade_until_it_is_scanned() {
    let world = World::start().await;
    let query = json!({ "out_trade_no": "20261124000001" });
    let made =
        world.alipay("alipay.trade.precreate", World::alipay_order("20261124000001", "8.88")).await;
    assert_eq!(made["code"], "10000", "{made}");
    assert_eq!(
        sub(&world.alipay("alipay.trade.query", query.clone()).await),
        "ACQ.TRADE_NOT_EXIST"
    );
    let closed = world.alipay("alipay.trade.close", query.clone()).await;
    assert_eq!(sub(&closed), "ACQ.TRADE_NOT_EXIST");

    let page = world.get(made["qr_code"].as_str().unwrap()).await;
    assert!(page.text().contains("¥8.88"), "{}", page.text());
    let asked = world.alipay("alipay.trade.query", query.clone()).await;
    assert_eq!(asked["trade_status"], "WAIT_BUYER_PAY");
    world.sim.approve(made["qr_code"].as_str().unwrap()).unwrap();
    world.sim.settled().await;
    let asked = world.alipay("alipay.trade.query", query).await;
    assert_eq!(
        (&asked["trade_status"], &asked["total_amount"]),
        (&json!("TRADE_SUCCESS"), &json!("8.88"))
    );

    let mut notice: Fields =
        form_urlencoded::parse(world.shop.heard()[0].body.as_bytes()).into_owned().collect();
    let (sign, _) = (notice.remove("sign").unwrap(), notice.remove("sign_type"));
    assert!(notice.values().all(|value| !value.is_empty()));
    let pairs: Vec<_> = notice.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let key = PublicKey::from_pem(&world.shop.merchant.alipay.alipay_public_key).unwrap();
    assert!(key.verifies(Hash::Sha256, pairs.join("&").as_bytes(), &sign));
    assert_eq!(notice["seller_id"], world.shop.merchant.alipay.seller_id);
    assert_eq!(world.sums(), (888, 0));
}

#[tokio::test]
async fn refunds_add_up_and_repeat_without_moving_money() {
    let world = World::start().await;
    world.alipay("alipay.trade.precreate", World::alipay_order("20261124000002", "8.88")).await;
    world.sim.approve("20261124000002").unwrap();
    let first = refund(&world, "20261124000002", "R1", "3.00").await;
    assert_eq!((&first["fund_change"], &first["refund_fee"]), (&json!("Y"), &json!("3.00")));
    let hasty = refund(&world, "20261124000002", "R2", "1.00").await;
    assert_eq!((sub(&hasty), &hasty["code"]), ("isv.app-call-limited", &json!("40005")));
    let again = refund(&world, "20261124000002", "R1", "3.00").await;
    assert_eq!((&again["fund_change"], &again["refund_fee"]), (&json!("N"), &json!("3.00")));
    let other = refund(&world, "20261124000002", "R1", "3.01").await;
    assert_eq!(sub(&other), "ACQ.DISCORDANT_REPEAT_REQUEST");
    world.sim.advance(MINUTE).await.unwrap();
    let much = refund(&world, "20261124000002", "R2", "5.89").await;
    assert_eq!(sub(&much), "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL");
    let rest = refund(&world, "20261124000002", "R2", "5.88").await;
    assert_eq!((&rest["fund_change"], &rest["refund_fee"]), (&json!("Y"), &json!("8.88")));
    let query = json!({ "out_trade_no": "20261124000002" });
    let asked = world.alipay("alipay.trade.query", query).await;
    assert_eq!(asked["trade_status"], "TRADE_CLOSED", "refunded in full");
    assert_eq!(sub(&refund(&world, "20261124000002", "R3", "0.01").await), "ACQ.TRADE_HAS_CLOSE");

    let ask =
        |request: &str| json!({ "out_trade_no": "20261124000002", "out_request_no": request });
    let known = world.alipay("alipay.trade.fastpay.refund.query", ask("R1")).await;
    assert_eq!(
        (&known["refund_status"], &known["refund_amount"]),
        (&json!("REFUND_SUCCESS"), &json!("3.00"))
    );
    let unknown = world.alipay("alipay.trade.fastpay.refund.query", ask("R9")).await;
    assert_eq!((&unknown["code"], unknown.get("refund_status")), (&json!("10000"), None));
    assert_eq!(world.sums(), (888, 888));
}

#[tokio::test]
async fn wrong_business_is_refused_by_name() {
    let world = World::start().await;
    let cases = [
        ("no number", "out_trade_no", Value::Null, "ACQ.INVALID_PARAMETER"),
        ("long number", "out_trade_no", json!("1".repeat(65)), "ACQ.INVALID_PARAMETER"),
        ("number with a dash", "out_trade_no", json!("2026-1"), "ACQ.INVALID_PARAMETER"),
        ("no amount", "total_amount", Value::Null, "ACQ.INVALID_PARAMETER"),
        ("nothing", "total_amount", json!("0.00"), "ACQ.INVALID_PARAMETER"),
        ("three decimals", "total_amount", json!("1.001"), "ACQ.INVALID_PARAMETER"),
        ("too much", "total_amount", json!("100000000.01"), "ACQ.INVALID_PARAMETER"),
        ("no subject", "subject", Value::Null, "ACQ.INVALID_PARAMETER"),
        ("subject with a slash", "subject", json!("a/b"), "ACQ.INVALID_PARAMETER"),
        ("long subject", "subject", json!("s".repeat(257)), "ACQ.INVALID_PARAMETER"),
        ("another product", "product_code", json!("JSAPI_PAY"), "ACQ.INVALID_PARAMETER"),
        ("another seller", "seller_id", json!("2088000000000000"), "ACQ.PARTNER_ERROR"),
        ("no span", "timeout_express", json!("16d"), "ACQ.INVALID_PARAMETER"),
        (
            "over",
            "time_expire",
            json!("2026-11-24 10:00:00"),
            "ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR",
        ),
    ];
    for (name, field, value, expected) in cases {
        let mut order = World::alipay_order("20261124000003", "8.88");
        order[field] = value;
        let node = world.alipay("alipay.trade.precreate", order).await;
        assert_eq!((sub(&node), &node["code"]), (expected, &json!("40004")), "{name}: {node}");
    }
    let order = World::alipay_order("20261124000003", "8.88");
    world.alipay("alipay.trade.precreate", order.clone()).await;
    let states = [
        ("the same", order.clone(), "ACQ.APPLY_PC_MERCHANT_CODE_ERROR"),
        ("other data", World::alipay_order("20261124000003", "8.89"), "ACQ.CONTEXT_INCONSISTENT"),
    ];
    for (name, again, expected) in states {
        let node = world.alipay("alipay.trade.precreate", again).await;
        assert_eq!(sub(&node), expected, "{name}");
    }
    assert_eq!(sub(&refund(&world, "20261124000003", "R", "1.00").await), "ACQ.TRADE_NOT_EXIST");
    world.sim.approve("20261124000003").unwrap();
    let node = world.alipay("alipay.trade.precreate", order).await;
    assert_eq!(sub(&node), "ACQ.TRADE_HAS_SUCCESS");
    let closed =
        world.alipay("alipay.trade.close", json!({ "out_trade_no": "20261124000003" })).await;
    assert_eq!(sub(&closed), "ACQ.TRADE_STATUS_ERROR");
}

#[tokio::test]
async fn the_gateway_refuses_without_a_signature() {
    let world = World::start().await;
    let biz = json!({ "out_trade_no": "20261124000004" });
    let request = |more: Fields| world.alipay_request("alipay.trade.query", &biz, more);
    let good = request(Fields::new());
    let app = world.shop.merchant.alipay.app_id.clone();
    let cases = [
        ("no application", request(fields([("app_id", "")])), "isv.missing-app-id"),
        ("unknown application", good.replace(&app, "2021000000000000"), "isv.invalid-app-id"),
        ("no version", request(fields([("version", "")])), "isv.missing-version"),
        (
            "no kind of signature",
            request(fields([("sign_type", "")])),
            "isv.missing-signature-type",
        ),
        ("an old kind", request(fields([("sign_type", "RSA")])), "isv.invalid-signature-type"),
        ("no time", request(fields([("timestamp", "")])), "isv.missing-timestamp"),
        ("another time", request(fields([("timestamp", "2026-11-24")])), "isv.invalid-timestamp"),
        ("another charset", request(fields([("charset", "latin1")])), "isv.invalid-charset"),
        ("another form", request(fields([("format", "XML")])), "isv.invalid-format"),
        ("tampered", good.replace("20261124000004", "20261124000005"), "isv.invalid-signature"),
        ("twice", format!("{good}&method=alipay.trade.close"), "isv.invalid-parameter"),
    ];
    for (name, body, expected) in cases {
        let answer = world.post("/gateway.do", FORM, body).await.unwrap();
        let parsed = answer.json();
        let node = parsed.as_object().unwrap().iter().find(|(name, _)| name.ends_with("_response"));
        let (_, node) = node.unwrap();
        assert_eq!((sub(node), parsed.get("sign")), (expected, None), "{name}: {parsed}");
    }
    let unknown = world.alipay("alipay.trade.nothing", Value::Null).await;
    assert_eq!(sub(&unknown), "isv.invalid-method");
    let bad = fields([("biz_content", "{")]);
    let answer = world.post("/gateway.do", FORM, request(bad)).await.unwrap();
    assert_eq!(sub(&answer.json()["alipay_trade_query_response"]), "isv.illegal-json");
}

#[tokio::test]
async fn certificate_mode_asks_for_both_fingerprints() {
    let world =
        World::with(|settings| settings.merchants[0].alipay.keys = AlipayKeys::Certificate).await;
    let node =
        world.alipay("alipay.trade.query", json!({ "out_trade_no": "20261124000005" })).await;
    assert_eq!(sub(&node), "isv.missing-app-cert-sn");
}

#[tokio::test]
async fn pages_and_order_strings_make_trades() {
    let world = World::start().await;
    let mut order = World::alipay_order("20261124000006", "8.88");
    order["product_code"] = json!("FAST_INSTANT_TRADE_PAY");
    let back = fields([("return_url", "http://127.0.0.1:1/back")]);
    let query = world.alipay_request("alipay.trade.page.pay", &order, back);
    let page = world.get(&format!("{}/gateway.do?{query}", world.sim.url())).await;
    assert!(page.text().contains("value=\"approve\""), "{}", page.text());
    let trade = world.sim.trade("20261124000006").unwrap();
    let pay = format!("/_sim/pay/alipay/{}", trade.id);
    let answer = world.post(&pay, FORM, "answer=approve".to_owned()).await.unwrap();
    assert_eq!(answer.status, 303);
    let page = world.get(&format!("{}{pay}", world.sim.url())).await.text();
    assert!(page.contains("http://127.0.0.1:1/back?app_id="), "{page}");
    let wrong = world.get(&format!("{}/gateway.do?{query}0", world.sim.url())).await;
    assert!(wrong.text().contains("isv.invalid-"), "{}", wrong.text());

    order["product_code"] = json!("QUICK_MSECURITY_PAY");
    order["out_trade_no"] = json!("20261124000007");
    let order_string = world.alipay_request("alipay.trade.app.pay", &order, Fields::new());
    let tampered = order_string.replace("8.88", "0.01");
    assert!(world.sim.pay_in_app(Provider::Alipay, &json!(tampered)).is_err());
    let paid =
        world.sim.pay_in_app(Provider::Alipay, &json!({ "orderStr": order_string })).unwrap();
    assert_eq!((paid.state.as_str(), world.sums()), ("paid", (1776, 0)));
}

#[tokio::test]
async fn a_bill_address_lives_half_a_minute() {
    let world = World::start().await;
    world.alipay("alipay.trade.precreate", World::alipay_order("20261124000008", "8.88")).await;
    world.sim.approve("20261124000008").unwrap();
    let ask = json!({ "bill_type": "trade", "bill_date": "2026-11-24" });
    let method = "alipay.data.dataservice.bill.downloadurl.query";
    assert_eq!(sub(&world.alipay(method, ask.clone()).await), "BILL_NOT_EXIST");
    world.sim.advance(MINUTE * 60 * 24).await.unwrap();
    let node = world.alipay(method, ask).await;
    let url = node["bill_download_url"].as_str().unwrap();
    let file = world.get(url).await;
    assert_eq!(&file.body[..2], b"PK");
    let text = encoding_rs::GBK.decode(&file.body).0.into_owned();
    assert!(text.contains("20261124000008\t,交易"), "{text}");
    world.sim.advance(MINUTE).await.unwrap();
    assert_eq!(world.get(url).await.status, 403);
}
