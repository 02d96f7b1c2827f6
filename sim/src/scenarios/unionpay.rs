//! UnionPay.

use std::io::Read;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::json;

use super::{
    Fields, MINUTE, World, fields,
    shop::{FORM, read_unionpay},
};
use crate::{
    Provider,
    crypto::{Certificate, Hash, sha256},
    http::write_form,
    unionpay::signed_text,
};

const APP: &str = "/gateway/api/appTransReq.do";
const BACK: &str = "/gateway/api/backTransReq.do";
const QUERY: &str = "/gateway/api/queryTrans.do";

/// Whether a strict merchant takes the message.
pub(super) fn is_genuine(world: &World, message: &Fields) -> bool {
    let ours = &world.shop.merchant.unionpay;
    let certificate = Certificate::from_pem(&message["signPubKeyCert"]).unwrap();
    let middle = Certificate::from_pem(&ours.middle_certificate).unwrap();
    let digest = sha256(signed_text(message).as_bytes());
    let signature = message.get("signature").map_or("", String::as_str);
    certificate.is_valid_at(world.sim.now())
        && certificate.is_issued_by(&middle)
        && certificate.common_name.split('@').nth(2) == Some(ours.owner.as_str())
        && certificate.key.verifies(Hash::Sha256, digest.as_bytes(), signature)
}

async fn ask(world: &World, number: &str, time: &str) -> Fields {
    let question = fields([
        ("txnType", "00"),
        ("txnSubType", "00"),
        ("bizType", "000201"),
        ("orderId", number),
        ("txnTime", time),
    ]);
    world.unionpay(QUERY, question).await
}

fn give_back(kind: &str, number: &str, original: &str, fen: &str, world: &World) -> Fields {
    let mut request = world.unionpay_order(number, fen);
    request.extend(fields([("txnType", kind), ("txnSubType", "00"), ("origQryId", original)]));
    request
}

#[tokio::test]
async fn an_order_lives_from_its_creation_to_its_refund() {
    let world = World::start().await;
    let order = world.unionpay_order("20261124000001", "888");
    let made = world.unionpay(APP, order.clone()).await;
    assert_eq!(made["respCode"], "00", "{made:?}");
    assert!(is_genuine(&world, &made));
    assert_eq!(world.unionpay(APP, order).await["respCode"], "12", "the same again");
    let time = made["txnTime"].clone();
    assert_eq!(ask(&world, "20261124000001", &time).await["origRespCode"], "05");
    assert_eq!(ask(&world, "20261124000009", &time).await["respCode"], "34");

    world.sim.pay_in_app(Provider::UnionPay, &json!({ "tn": made["tn"] })).unwrap();
    world.sim.settled().await;
    let notice: Fields =
        form_urlencoded::parse(world.shop.heard()[0].body.as_bytes()).into_owned().collect();
    assert!(is_genuine(&world, &notice));
    assert_eq!((notice["respCode"].as_str(), notice["settleAmt"].as_str()), ("00", "888"));
    let told = ask(&world, "20261124000001", &time).await;
    assert_eq!((told["origRespCode"].as_str(), told["settleAmt"].as_str()), ("00", "888"));

    let original = told["queryId"].clone();
    let part =
        world.unionpay(BACK, give_back("04", "20261124R001", &original, "300", &world)).await;
    assert_eq!(part["respCode"], "00", "{part:?}");
    assert_eq!(ask(&world, "20261124R001", &time).await["origRespCode"], "05");
    world.sim.advance(MINUTE).await.unwrap();
    assert_eq!(ask(&world, "20261124R001", &time).await["origRespCode"], "00");
    let much =
        world.unionpay(BACK, give_back("04", "20261124R002", &original, "589", &world)).await;
    assert_eq!(much["respCode"], "36");
    let rest =
        world.unionpay(BACK, give_back("04", "20261124R003", &original, "588", &world)).await;
    assert_eq!(rest["respCode"], "00");
    let more = world.unionpay(BACK, give_back("04", "20261124R004", &original, "1", &world)).await;
    assert_eq!(more["respCode"], "45");
    assert_eq!(world.sums(), (888, 888));
}

#[tokio::test]
async fn wrong_messages_are_refused_by_code_and_field() {
    let world = World::start().await;
    let cases = [
        ("no version", ("version", ""), "13", "version"),
        ("old version", ("version", "5.0.0"), "10", "version"),
        ("another encoding", ("encoding", "latin1"), "10", "encoding"),
        ("another signature", ("signMethod", "11"), "10", "signMethod"),
        ("no certificate", ("certId", ""), "13", "certId"),
        ("unknown certificate", ("certId", "1"), "11", "certId"),
        ("unknown merchant", ("merId", "777290058110000"), "31", "merId"),
        ("no number", ("orderId", ""), "13", "orderId"),
        ("short number", ("orderId", "1234567"), "10", "orderId"),
        ("long number", ("orderId", &"1".repeat(41)), "10", "orderId"),
        ("number with a dash", ("orderId", "2026-1124"), "10", "orderId"),
        ("no time", ("txnTime", ""), "13", "txnTime"),
        ("odd time", ("txnTime", "2026112410153"), "10", "txnTime"),
        ("old time", ("txnTime", "20261124090000"), "10", "txnTime"),
        ("no amount", ("txnAmt", ""), "13", "txnAmt"),
        ("amount in yuan", ("txnAmt", "8.88"), "10", "txnAmt"),
        ("amount of nothing", ("txnAmt", "0"), "10", "txnAmt"),
        ("long amount", ("txnAmt", &"1".repeat(13)), "10", "txnAmt"),
        ("foreign currency", ("currencyCode", "840"), "10", "currencyCode"),
        ("no address", ("backUrl", ""), "13", "backUrl"),
        ("relative address", ("backUrl", "/unionpay"), "10", "backUrl"),
        ("another channel", ("channelType", "07"), "10", "channelType"),
        ("another business", ("bizType", "000000"), "14", "txnType"),
        ("reserved with a bracket", ("reqReserved", "{a}"), "10", "reqReserved"),
        ("timed out", ("payTimeout", "20261124101529"), "10", "payTimeout"),
    ];
    for (name, (field, value), code, named) in cases {
        let mut order = world.unionpay_order("20261124000002", "888");
        order.insert(field.to_owned(), value.to_owned());
        let answer = world.unionpay(APP, order).await;
        assert_eq!(answer["respCode"], code, "{name}: {answer:?}");
        assert!(answer["respMsg"].contains(named), "{name}: {answer:?}");
        assert!(is_genuine(&world, &answer), "{name}: refusals are signed");
    }
    let good = world.unionpay_request(world.unionpay_order("20261124000002", "888"));
    let good = write_form(good.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let forged = world.post(APP, FORM, good.replace("txnAmt=888", "txnAmt=1")).await.unwrap();
    assert_eq!(read_unionpay(&forged.text())["respCode"], "11");
    for (name, body, kind) in
        [("twice", format!("{good}&txnAmt=1"), FORM), ("no form", good.clone(), "application/json")]
    {
        let answer = world.post(APP, kind, body).await.unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (400, "Invalid request."), "{name}");
    }
    assert!(world.sim.trades().is_empty());
}

#[tokio::test]
async fn a_cancellation_is_whole_and_of_the_same_day() {
    let world = World::start().await;
    let mut query_ids = Vec::new();
    for number in ["20261124000003", "20261124000004"] {
        world.unionpay(APP, world.unionpay_order(number, "888")).await;
        query_ids.push(world.sim.approve(number).unwrap().number);
    }
    let part =
        world.unionpay(BACK, give_back("31", "20261124C001", &query_ids[0], "300", &world)).await;
    assert_eq!(part["respCode"], "36");
    let whole =
        world.unionpay(BACK, give_back("31", "20261124C002", &query_ids[0], "888", &world)).await;
    assert_eq!(whole["respCode"], "00");
    let again =
        world.unionpay(BACK, give_back("31", "20261124C003", &query_ids[0], "888", &world)).await;
    assert_eq!(again["respCode"], "45");
    world.sim.advance(MINUTE * 60 * 13).await.unwrap();
    let late =
        world.unionpay(BACK, give_back("31", "20261124C004", &query_ids[1], "888", &world)).await;
    assert_eq!(late["respCode"], "39", "after 23:00");
    let refund =
        world.unionpay(BACK, give_back("04", "20261124R005", &query_ids[1], "888", &world)).await;
    assert_eq!(refund["respCode"], "00");
    assert_eq!(world.sums(), (1776, 1776));
}

#[tokio::test]
async fn the_cashier_brings_the_browser_back() {
    let world = World::start().await;
    let mut order = world.unionpay_order("20261124000005", "888");
    order.insert("frontUrl".to_owned(), "http://127.0.0.1:1/back".to_owned());
    let order = world.unionpay_request(order);
    let form = write_form(order.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let page = world.post("/gateway/api/frontTransReq.do", FORM, form).await.unwrap();
    assert!(page.text().contains("value=\"approve\""), "{}", page.text());
    let trade = world.sim.trade("20261124000005").unwrap();
    let pay = format!("/_sim/pay/unionpay/{}", trade.id);
    world.post(&pay, FORM, "answer=decline".to_owned()).await.unwrap();
    let time = order["txnTime"].clone();
    assert_eq!(ask(&world, "20261124000005", &time).await["origRespCode"], "60");
    world.post(&pay, FORM, "answer=approve".to_owned()).await.unwrap();
    let page = world.get(&format!("{}{pay}", world.sim.url())).await.text();
    assert!(
        page.contains("action=\"http://127.0.0.1:1/back\"") && page.contains("respCode"),
        "{page}"
    );
    assert_eq!(world.sums(), (888, 0));
}

#[tokio::test]
async fn tokens_are_refused_by_name_and_codes_lead_to_a_page() {
    let world = World::start().await;
    for (kind, sub, business) in [
        ("74", "01", "000902"),
        ("77", "02", "000902"),
        ("78", "02", "000902"),
        ("79", "00", "000902"),
        ("79", "03", "000902"),
        ("79", "05", "000902"),
        ("01", "01", "000902"),
        ("78", "02", "000301"),
    ] {
        let mut token = world.unionpay_order("20261124000006", "888");
        token.extend(fields([("txnType", kind), ("txnSubType", sub), ("bizType", business)]));
        let refused = world.unionpay(BACK, token).await;
        assert_eq!(refused["respCode"], "32", "{kind} {sub} {business}: {refused:?}");
        assert!(refused["respMsg"].contains("[bizType]"), "{refused:?}");
    }
    let mut code = world.unionpay_order("20261124000007", "888");
    code.extend(fields([("txnSubType", "07"), ("bizType", "000000")]));
    let made = world.unionpay(BACK, code).await;
    let page = world.get(&made["qrCode"]).await;
    assert!(page.text().contains("¥8.88"), "{}", page.text());
}

#[tokio::test]
async fn the_settlement_file_lists_the_day() {
    let world = World::start().await;
    world.unionpay(APP, world.unionpay_order("20261124000008", "888")).await;
    world.sim.approve("20261124000008").unwrap();
    let question = fields([
        ("txnType", "76"),
        ("txnSubType", "01"),
        ("bizType", "000000"),
        ("fileType", "00"),
        ("settleDate", "1124"),
    ]);
    assert_eq!(world.unionpay("/", question.clone()).await["respCode"], "98");
    world.sim.advance(MINUTE * 60 * 24).await.unwrap();
    let answer = world.unionpay("/", question).await;
    let packed = BASE64_STANDARD.decode(&answer["fileContent"]).unwrap();
    let mut archive = Vec::new();
    flate2::read::ZlibDecoder::new(packed.as_slice()).read_to_end(&mut archive).unwrap();
    let text = String::from_utf8_lossy(&archive).into_owned();
    assert!(text.contains("INN26112488ZM_777290058110048"), "{text}");
    assert!(text.contains("000000000888") && text.contains("20261124000008"), "{text}");
}
