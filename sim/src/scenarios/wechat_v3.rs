//! WeChat Pay v3.

use std::io::Read;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{
    MINUTE, World,
    shop::{Answer, Heard},
};
use crate::{
    Merchant, Provider, WechatKeys,
    crypto::{Certificate, Hash, PublicKey, open, sha1},
    merchant::{PLATFORM_A, PLATFORM_B},
};

const NATIVE: &str = "/v3/pay/transactions/native";

/// Whether the headers prove that WeChat Pay sent `body`.
pub(super) fn proves(merchant: &Merchant, header: impl Fn(&str) -> String, body: &[u8]) -> bool {
    let serial = header("wechatpay-serial");
    let mut keys = vec![(
        merchant.wechat.public_key_id.clone(),
        PublicKey::from_pem(&merchant.wechat.public_key).unwrap(),
    )];
    for pem in [PLATFORM_A, PLATFORM_B] {
        let read = Certificate::from_pem(pem).unwrap();
        keys.push((read.serial_hex, read.key));
    }
    let key = keys.into_iter().find(|(known, _)| *known == serial);
    let (time, nonce) = (header("wechatpay-timestamp"), header("wechatpay-nonce"));
    let mut text = format!("{time}\n{nonce}\n").into_bytes();
    text.extend_from_slice(body);
    text.push(b'\n');
    key.is_some_and(|(_, key)| key.verifies(Hash::Sha256, &text, &header("wechatpay-signature")))
}

fn answer_proves(world: &World, answer: &Answer) -> bool {
    proves(&world.shop.merchant, |name| answer.header(name).to_owned(), &answer.body)
}

/// The plain resource of a notification whose signature is right.
pub(super) fn resource(world: &World, heard: &Heard) -> Option<Value> {
    let header = |name: &str| {
        heard.headers.get(name).map_or(String::new(), |value| value.to_str().unwrap().to_owned())
    };
    if !proves(&world.shop.merchant, header, heard.body.as_bytes()) {
        return None;
    }
    let body: Value = serde_json::from_str(&heard.body).unwrap();
    let part = |name: &str| body["resource"][name].as_str().unwrap();
    let key = world.shop.merchant.wechat.apiv3_key.expose_secret().as_bytes();
    let plain = open(key, part("nonce"), part("associated_data"), part("ciphertext")).unwrap();
    serde_json::from_str(&plain).ok()
}

#[tokio::test]
async fn an_order_lives_from_its_creation_to_its_refund() {
    let world = World::start().await;
    let made = world.v3("POST", NATIVE, world.v3_order("20261124000001", 888)).await;
    assert_eq!(made.status, 200, "{}", made.text());
    assert!(answer_proves(&world, &made));
    let missing = world.v3_query("20261124000009").await;
    assert_eq!((missing.status, &missing.json()["code"]), (404, &json!("ORDER_NOT_EXIST")));
    assert_eq!(world.v3_query("20261124000001").await.json()["trade_state"], "NOTPAY");

    world.sim.approve(made.json()["code_url"].as_str().unwrap()).unwrap();
    world.sim.settled().await;
    let paid = resource(&world, &world.shop.heard()[0]).unwrap();
    assert_eq!((&paid["trade_state"], &paid["amount"]["total"]), (&json!("SUCCESS"), &json!(888)));
    let id = paid["transaction_id"].as_str().unwrap();
    let mchid = &world.shop.merchant.wechat.mchid;
    let asked =
        world.v3("GET", &format!("/v3/pay/transactions/id/{id}?mchid={mchid}"), Value::Null).await;
    assert_eq!(asked.json()["out_trade_no"], "20261124000001");

    let taken = world.v3_refund("20261124000001", "R1", 300, 888).await;
    assert_eq!((taken.status, &taken.json()["status"]), (200, &json!("PROCESSING")));
    let again = world.v3_refund("20261124000001", "R1", 300, 888).await;
    assert_eq!(again.json()["refund_id"], taken.json()["refund_id"]);
    let other = world.v3_refund("20261124000001", "R1", 301, 888).await;
    assert_eq!((other.status, &other.json()["code"]), (400, &json!("INVALID_REQUEST")));
    world.sim.advance(MINUTE).await.unwrap();
    let told = world.v3("GET", "/v3/refund/domestic/refunds/R1", Value::Null).await;
    assert_eq!(told.json()["status"], "SUCCESS");
    let heard = world.shop.heard();
    let refunded = resource(&world, heard.last().unwrap()).unwrap();
    assert_eq!(refunded["refund_status"], "SUCCESS");
    assert_eq!(world.v3_query("20261124000001").await.json()["trade_state"], "REFUND");
    assert_eq!(world.sums(), (888, 300));
}

#[tokio::test]
async fn who_does_not_prove_itself_gets_401() {
    let world = World::start().await;
    let body = world.v3_order("20261124000002", 888).to_string();
    let now = world.sim.now().timestamp();
    let good = world.v3_authorization("POST", NATIVE, &body, now);
    let serial = &world.shop.merchant.wechat.serial_no;
    let cases = [
        ("nothing", String::new(), 401),
        ("another scheme", good.replace("WECHATPAY2", "WECHATPAY3"), 401),
        ("no timestamp", good.replace("timestamp", "time"), 401),
        ("a pair twice", good.replace("serial_no", "mchid"), 401),
        ("unquoted", good.replace('"', ""), 401),
        ("a blank between pairs", good.replace(",nonce_str", ", nonce_str"), 401),
        ("unknown serial", good.replace(serial.as_str(), &"0F".repeat(20)), 401),
        ("unknown merchant", good.replace("1900000109", "1900000110"), 401),
        ("another nonce", good.replace("593BEC0C", "693BEC0C"), 401),
        (
            "another path",
            world.v3_authorization("POST", "/v3/pay/transactions/app", &body, now),
            401,
        ),
        ("another body", world.v3_authorization("POST", NATIVE, "{}", now), 401),
        ("too old", world.v3_authorization("POST", NATIVE, &body, now - 301), 401),
        ("too early", world.v3_authorization("POST", NATIVE, &body, now + 301), 401),
        ("old enough", world.v3_authorization("POST", NATIVE, &body, now - 299), 200),
    ];
    for (name, authorization, expected) in cases {
        let request = Request::post(NATIVE)
            .header("host", "sim")
            .header("user-agent", "shop")
            .header("accept", "*/*")
            .header("content-type", "application/json")
            .header("authorization", authorization);
        let request = request.body(Full::new(Bytes::from(body.clone()))).unwrap();
        let answer = world.send(request).await.unwrap();
        assert_eq!(answer.status, expected, "{name}: {}", answer.text());
        if expected == 401 {
            assert_eq!(answer.json()["code"], "SIGN_ERROR", "{name}");
            assert!(answer.header("wechatpay-signature").is_empty(), "{name}");
        }
    }
    let method = world.v3("GET", NATIVE, Value::Null).await;
    assert_eq!((method.status, method.body.len()), (405, 0));
    let path = world.v3("GET", "/v3/pay/nothing", Value::Null).await;
    assert_eq!((path.status, path.body.len()), (404, 0));
}

#[tokio::test]
async fn wrong_fields_are_refused_by_name() {
    let world = World::start().await;
    let cases = [
        ("no app", "/appid", Value::Null, 400, "PARAM_ERROR"),
        ("foreign app", "/appid", json!("wx0000000000000000"), 400, "APPID_MCHID_NOT_MATCH"),
        ("no merchant", "/mchid", Value::Null, 400, "PARAM_ERROR"),
        ("another merchant", "/mchid", json!("1900000110"), 400, "PARAM_ERROR"),
        ("no description", "/description", Value::Null, 400, "PARAM_ERROR"),
        ("long description", "/description", json!("d".repeat(128)), 400, "PARAM_ERROR"),
        ("no number", "/out_trade_no", Value::Null, 400, "PARAM_ERROR"),
        ("short number", "/out_trade_no", json!("12345"), 400, "PARAM_ERROR"),
        ("long number", "/out_trade_no", json!("1".repeat(33)), 400, "PARAM_ERROR"),
        ("number as a number", "/out_trade_no", json!(123_456), 400, "PARAM_ERROR"),
        ("address with a query", "/notify_url", json!("https://a.test/b?c=d"), 400, "PARAM_ERROR"),
        ("plain http elsewhere", "/notify_url", json!("http://a.test/b"), 400, "PARAM_ERROR"),
        ("no amount", "/amount/total", Value::Null, 400, "PARAM_ERROR"),
        ("amount of nothing", "/amount/total", json!(0), 400, "PARAM_ERROR"),
        ("amount as text", "/amount/total", json!("888"), 400, "PARAM_ERROR"),
        ("foreign currency", "/amount/currency", json!("USD"), 400, "PARAM_ERROR"),
    ];
    for (name, field, value, status, code) in cases {
        let mut order = world.v3_order("20261124000003", 888);
        *order.pointer_mut(field).unwrap() = value;
        let answer = world.v3("POST", NATIVE, order).await;
        let body = answer.json();
        assert_eq!((answer.status, body["code"].as_str()), (status, Some(code)), "{name}: {body}");
        if code == "PARAM_ERROR" {
            assert_eq!(body["detail"]["field"], field, "{name}");
        }
    }
    let order = world.v3_order("20261124000003", 888);
    let jsapi = world.v3("POST", "/v3/pay/transactions/jsapi", order.clone()).await;
    assert_eq!(jsapi.json()["detail"]["field"], "/payer/openid");
    let h5 = world.v3("POST", "/v3/pay/transactions/h5", order.clone()).await;
    assert_eq!(h5.json()["detail"]["field"], "/scene_info/payer_client_ip");
    let mut late = order;
    late["time_expire"] = json!("2026-11-24T10:16:00+08:00");
    assert_eq!(world.v3("POST", NATIVE, late).await.json()["detail"]["field"], "/time_expire");
    assert!(world.sim.trades().is_empty());
}

#[tokio::test]
async fn states_are_kept_as_strictly_as_signatures() {
    let world = World::start().await;
    let close = |number: &str| {
        (
            format!("/v3/pay/transactions/out-trade-no/{number}/close"),
            json!({ "mchid": "1900000109" }),
        )
    };
    let order = world.v3_order("20261124000004", 888);
    world.v3("POST", NATIVE, order.clone()).await;
    let other = world.v3("POST", NATIVE, world.v3_order("20261124000004", 889)).await;
    assert_eq!((other.status, &other.json()["code"]), (403, &json!("OUT_TRADE_NO_USED")));
    let unpaid = world.v3_refund("20261124000004", "R1", 1, 888).await;
    assert_eq!((unpaid.status, &unpaid.json()["code"]), (404, &json!("RESOURCE_NOT_EXISTS")));
    let (path, body) = close("20261124000004");
    for round in ["closed", "closed again"] {
        let closed = world.v3("POST", &path, body.clone()).await;
        assert_eq!(closed.status, 204, "{round}");
        assert!(answer_proves(&world, &closed), "{round}: 204 is signed too");
    }
    let spent = world.v3("POST", NATIVE, order).await;
    assert_eq!((spent.status, &spent.json()["code"]), (400, &json!("ORDER_CLOSED")));

    world.v3("POST", NATIVE, world.v3_order("20261124000005", 888)).await;
    world.sim.approve("20261124000005").unwrap();
    let (path, body) = close("20261124000005");
    let paid = world.v3("POST", &path, body).await;
    assert_eq!((paid.status, &paid.json()["code"]), (403, &json!("ORDERPAID")));
    let total = world.v3_refund("20261124000005", "R2", 1, 889).await;
    assert_eq!((total.status, &total.json()["code"]), (400, &json!("INVALID_REQUEST")));
    assert_eq!(world.sim.withdraw(crate::Provider::Wechat, "1900000109", 888), 888);
    let poor = world.v3_refund("20261124000005", "R3", 1, 888).await;
    assert_eq!((poor.status, &poor.json()["code"]), (403, &json!("NOT_ENOUGH")));
    assert_eq!(world.sums(), (888, 0));
}

#[tokio::test]
async fn certificates_open_and_rotate() {
    let world = World::start().await;
    let list = world.v3("GET", "/v3/certificates", Value::Null).await;
    let before = list.header("wechatpay-serial").to_owned();
    let item = &list.json()["data"][0];
    let part = |name: &str| item["encrypt_certificate"][name].as_str().unwrap();
    let key = world.shop.merchant.wechat.apiv3_key.expose_secret().as_bytes();
    let pem = open(key, part("nonce"), part("associated_data"), part("ciphertext")).unwrap();
    assert_eq!(Certificate::from_pem(&pem).unwrap().serial_hex, before);

    world.sim.rotate_keys(Provider::Wechat);
    let list = world.v3("GET", "/v3/certificates", Value::Null).await;
    assert_eq!(list.json()["data"].as_array().unwrap().len(), 2, "old and new, side by side");
    assert_ne!(list.header("wechatpay-serial"), before);
    assert!(answer_proves(&world, &list));

    let world = World::with(|settings| {
        settings.merchants[0].wechat.keys = WechatKeys::PublicKey;
    })
    .await;
    let made = world.v3("POST", NATIVE, world.v3_order("20261124000008", 888)).await;
    assert_eq!(made.header("wechatpay-serial"), world.shop.merchant.wechat.public_key_id);
    assert!(answer_proves(&world, &made));
    let none = world.v3("GET", "/v3/certificates", Value::Null).await;
    assert_eq!((none.status, &none.json()["code"]), (404, &json!("RESOURCE_NOT_EXISTS")));
}

#[tokio::test]
async fn a_bill_is_there_the_next_morning() {
    let world = World::start().await;
    world.v3("POST", NATIVE, world.v3_order("20261124000006", 888)).await;
    world.sim.approve("20261124000006").unwrap();
    let ask = "/v3/bill/tradebill?bill_date=2026-11-24&bill_type=ALL&tar_type=GZIP";
    assert_eq!(world.v3("GET", ask, Value::Null).await.json()["code"], "INVALID_REQUEST");
    world.sim.advance(MINUTE * 60 * 20).await.unwrap();
    assert_eq!(world.v3("GET", ask, Value::Null).await.json()["code"], "STATEMENT_CREATING");
    world.sim.advance(MINUTE * 60 * 4).await.unwrap();
    let empty = "/v3/bill/tradebill?bill_date=2026-11-23";
    assert_eq!(world.v3("GET", empty, Value::Null).await.json()["code"], "NO_STATEMENT_EXIST");

    let offered = world.v3("GET", ask, Value::Null).await.json();
    let url = offered["download_url"].as_str().unwrap();
    let target = url.strip_prefix(world.sim.url()).unwrap();
    assert_eq!(world.get(url).await.status, 400, "without headers");
    let file = world.v3("GET", target, Value::Null).await;
    assert!(file.header("wechatpay-signature").is_empty(), "files are not signed");
    let mut text = String::new();
    flate2::read::GzDecoder::new(file.body.as_slice()).read_to_string(&mut text).unwrap();
    assert_eq!(offered["hash_value"], sha1(text.as_bytes()));
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0].split(',').count(), 27);
    assert!(lines[1].contains("`20261124000006") && lines[1].contains("`8.88"), "{}", lines[1]);
    assert_eq!(lines[3], "`1,`8.88,`0.00,`0.00,`0.05328,`8.88,`0.00");
    world.sim.advance(MINUTE * 5).await.unwrap();
    assert_eq!(
        world.v3("GET", target, Value::Null).await.status,
        400,
        "the address lived 5 minutes"
    );
}

#[tokio::test]
async fn client_parameters_are_checked_before_the_payer_pays() {
    let world = World::start().await;
    let wechat = world.shop.merchant.wechat.clone();
    let made =
        world.v3("POST", "/v3/pay/transactions/app", world.v3_order("20261124000007", 888)).await;
    let prepay_id = made.json()["prepay_id"].as_str().unwrap().to_owned();
    let key = crate::crypto::PrivateKey::from_pem(wechat.private_key.expose_secret()).unwrap();
    let text = format!("{}\n1795486530\nabc\n{prepay_id}\n", wechat.apps[0]);
    let good = json!({
        "appid": wechat.apps[0], "partnerid": wechat.mchid, "prepayid": prepay_id,
        "package": "Sign=WXPay", "noncestr": "abc", "timestamp": 1_795_486_530,
        "sign": key.sign(text.as_bytes()).unwrap(),
    });
    for (name, field) in
        [("nonce", "noncestr"), ("merchant", "partnerid"), ("application", "appid")]
    {
        let mut bad = good.clone();
        bad[field] = json!("other");
        assert!(world.sim.pay_in_app(crate::Provider::Wechat, &bad).is_err(), "{name}");
    }
    assert_eq!(world.sums(), (0, 0));
    let paid = world.sim.pay_in_app(crate::Provider::Wechat, &good).unwrap();
    assert_eq!((paid.state.as_str(), world.sums()), ("paid", (888, 0)));
}
