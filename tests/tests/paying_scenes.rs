//! Every way to pay, through `feat api` and `feat worker` as processes of their own: what the
//! client is given has the documented fields and satisfies the provider's own library or page;
//! the payer pays with it, the notice arrives, the bill is paid, and a part is paid back.

use std::collections::BTreeMap;

use futures::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sim::{Effect, Provider};
use tests::{
    payer::{Payer, Pays},
    shop::{ORDERS, Shop},
};

/// A documented way to pay, and what its client finds in the reply.
struct Scene {
    name: &'static str,
    method: i64,
    end: i64,
    extra: Value,
    /// Names and types, at the top for the one reply that is documented so.
    fields: &'static [(&'static str, &'static str)],
    wrapped: bool,
    pays: Pays,
}

/// Walks on top of a shop.
struct Walks(Shop);

impl std::ops::Deref for Walks {
    type Target = Shop;

    fn deref(&self) -> &Shop {
        &self.0
    }
}

impl Walks {
    /// Pays one bill in this way, and pays a part of it back.
    async fn walk(&self, scene: &Scene) {
        let name = scene.name;
        let sn = self.bill().await;
        let wish = json!({
            "pay_method": scene.method, "end_type": scene.end, "extra_params": scene.extra,
        });
        let (status, reply) = self.post(&format!("{ORDERS}{sn}/pay/"), &wish).await;
        assert_eq!(status, StatusCode::OK, "{name}: {reply}");
        let given = if scene.wrapped { &reply["data"] } else { &reply };
        assert_eq!(shape(given), shape_of(scene.fields), "{name}: {reply}");
        if scene.wrapped {
            assert_eq!(shape(&reply), shape_of(&[("data", "object")]), "{name}");
        }

        Payer::new(&self.sim).pay(scene.pays, given).await;
        let bill = self.bill_becomes(&sn, name, |bill| bill["status"] == 200).await;
        assert_eq!(bill["data"]["pay_method"], scene.method, "{name}");

        let refund = format!("{ORDERS}{sn}/refund/");
        let (status, reply) = self.post(&refund, &json!({ "amount": 250 })).await;
        assert_eq!(status, StatusCode::OK, "{name}: {reply}");
        self.bill_becomes(&sn, name, |bill| bill["refunded"] == 250).await;
        self.assert_moved_once(&sn, name);
    }

    /// 1250 came for the bill and 250 went back, once, and a notice told of it.
    fn assert_moved_once(&self, sn: &str, name: &str) {
        let ledger = self.sim.ledger();
        let ours = ledger.entries.iter().filter(|entry| entry.key.starts_with(sn));
        let moved: Vec<_> = ours.map(|entry| (entry.effect, entry.amount)).collect();
        assert_eq!(moved, [(Effect::Paid, 1250), (Effect::Refunded, 250)], "{name}");
        let notices = self.sim.notifies();
        let told = notices.iter().any(|one| one.trade.starts_with(sn) && one.accepted);
        assert!(told, "{name}: no notice was taken");
    }
}

/// Names and types of the members of an object.
fn shape(value: &Value) -> BTreeMap<String, &'static str> {
    let members = value.as_object().into_iter().flatten();
    let kind = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    members.map(|(name, value)| (name.clone(), kind(value))).collect()
}

fn shape_of(fields: &[(&str, &'static str)]) -> BTreeMap<String, &'static str> {
    fields.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect()
}

const APP: &[(&str, &str)] = &[
    ("package", "string"),
    ("timestamp", "integer"),
    ("prepayid", "string"),
    ("appid", "string"),
    ("partnerid", "string"),
    ("noncestr", "string"),
    ("sign", "string"),
];
const JSAPI: &[(&str, &str)] = &[
    ("appId", "string"),
    ("timeStamp", "integer"),
    ("nonceStr", "string"),
    ("package", "string"),
    ("signType", "string"),
    ("paySign", "string"),
];
const PAGE: &[(&str, &str)] = &[("html", "string"), ("redirect_url", "string")];
const CODE: &[(&str, &str)] = &[("qr_code", "string")];

fn scene(
    name: &'static str,
    (method, end): (i64, i64),
    extra: Value,
    fields: &'static [(&'static str, &'static str)],
    pays: Pays,
) -> Scene {
    Scene { name, method, end, extra, fields, wrapped: fields[0].0 != "appId", pays }
}

fn wechat_scenes() -> [Scene; 8] {
    let person = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o";
    let library = Pays::Library(Provider::Wechat, "");
    [
        scene(
            "WeChat v2 code",
            (200, 0),
            json!({}),
            &[("trade_type", "string"), ("code_url", "string"), ("prepay_id", "string")],
            Pays::Code("code_url"),
        ),
        scene("WeChat v2 app", (200, 100), json!({ "wx_app_type": "feat_ios_app" }), APP, library),
        scene("WeChat v2 page inside", (200, 200), json!({ "open_id": person }), JSAPI, library),
        scene(
            "WeChat v2 phone page",
            (200, 300),
            json!({}),
            &[("trade_type", "string"), ("mweb_url", "string"), ("prepay_id", "string")],
            Pays::Page("mweb_url"),
        ),
        scene(
            "WeChat v3 code",
            (200, 0),
            json!({ "wx_app_type": "official_account_v3" }),
            &[("trade_type", "string"), ("code_url", "string")],
            Pays::Code("code_url"),
        ),
        scene(
            "WeChat v3 app",
            (200, 100),
            json!({ "wx_app_type": "feat_ios_app_v3" }),
            APP,
            library,
        ),
        scene(
            "WeChat v3 page inside",
            (200, 200),
            json!({ "wx_app_type": "official_account_v3", "open_id": person }),
            JSAPI,
            library,
        ),
        scene(
            "WeChat v3 phone page",
            (200, 300),
            json!({ "wx_app_type": "official_account_v3" }),
            &[("trade_type", "string"), ("mweb_url", "string")],
            Pays::Page("mweb_url"),
        ),
    ]
}

fn other_scenes() -> [Scene; 10] {
    let code = || json!({ "presentation": "code" });
    let person = json!({ "open_id": "2088102146225135" });
    let order = Pays::Library(Provider::Alipay, "order_string");
    let number = Pays::Library(Provider::UnionPay, "");
    [
        scene("Alipay page, as a form", (100, 0), json!({}), PAGE, Pays::Form),
        scene("Alipay page, by address", (100, 0), json!({}), PAGE, Pays::Page("redirect_url")),
        scene("Alipay code", (100, 0), code(), CODE, Pays::Code("qr_code")),
        scene("Alipay app", (100, 100), json!({}), &[("order_string", "string")], order),
        scene(
            "Alipay inside",
            (100, 200),
            person,
            &[("trade_no", "string")],
            Pays::Number("trade_no"),
        ),
        scene("Alipay phone page", (100, 300), json!({}), PAGE, Pays::Page("redirect_url")),
        scene("UnionPay page", (0, 0), json!({}), &[("html", "string")], Pays::Form),
        scene("UnionPay code", (0, 0), code(), CODE, Pays::Code("qr_code")),
        scene("UnionPay app", (0, 100), json!({}), &[("tn", "string")], number),
        scene("UnionPay phone page", (0, 300), json!({}), &[("html", "string")], Pays::Form),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_to_pay_is_walked_from_the_bill_to_the_refund() {
    let shop = Walks(Shop::open().await);
    let _workers = [shop.cluster.worker(None).await, shop.cluster.worker(None).await];
    let scenes: Vec<_> = wechat_scenes().into_iter().chain(other_scenes()).collect();
    join_all(scenes.iter().map(|scene| shop.walk(scene))).await;
    assert_eq!(shop.sim.trades().len(), scenes.len(), "a trade for each bill");

    let sn = shop.bill().await;
    let cases = [
        ("UnionPay inside an app", json!({ "pay_method": 0, "end_type": 200 }), "end_type"),
        ("no such end", json!({ "pay_method": 100, "end_type": 400 }), "end_type"),
        ("credit card", json!({ "pay_method": 300, "end_type": 0 }), "pay_method"),
        ("WeChat, nobody named", json!({ "pay_method": 200, "end_type": 200 }), "open_id"),
        ("Alipay, nobody named", json!({ "pay_method": 100, "end_type": 200 }), "open_id"),
    ];
    for (name, wish, field) in cases {
        let (status, reply) = shop.post(&format!("{ORDERS}{sn}/pay/"), &wish).await;
        assert_eq!(
            (status, &reply["code"]),
            (StatusCode::BAD_REQUEST, &json!("VALIDATION_EXCEPTION")),
            "{name}: {reply}"
        );
        assert!(reply["data"][field].is_array(), "{name}: {reply}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_about_a_bill_have_the_documented_fields() {
    let shop = Shop::open().await;
    let _worker = shop.cluster.worker(None).await;
    let sn = shop.bill().await;
    let wish = json!({ "pay_method": 200, "end_type": 0 });
    let (_, reply) = shop.post(&format!("{ORDERS}{sn}/pay/"), &wish).await;
    let refresh = format!("{ORDERS}{sn}/refresh_order_status/");
    let (_, before) = shop.post(&refresh, &json!({})).await;
    assert_eq!(before["data"]["status"], 0);
    Payer::new(&shop.sim).pay(Pays::Code("code_url"), &reply["data"]).await;
    shop.bill_becomes(&sn, "paid", |bill| bill["status"] == 200).await;
    let (_, refreshed) = shop.post(&refresh, &json!({})).await;
    let (_, refund) = shop.post(&format!("{ORDERS}{sn}/refund/"), &json!({ "amount": 1 })).await;

    let documented = shape_of(&[
        ("sn", "string"),
        ("query_id", "string"),
        ("pay_method", "integer"),
        ("user", "integer"),
        ("inbound", "integer"),
        ("outbound", "integer"),
        ("currency", "string"),
        ("amount", "integer"),
        ("type", "integer"),
        ("status", "integer"),
        ("created_at", "string"),
        ("fee", "integer"),
    ]);
    let list = shop.get(ORDERS).await;
    let detail = shop.get(&format!("{ORDERS}{sn}/")).await;
    for bill in [&refreshed["data"], &detail["data"], &list["data"][0]] {
        let shown = shape(bill);
        for (name, kind) in &documented {
            assert_eq!(shown.get(name), Some(kind), "{name} of {bill}");
        }
    }
    let expected = [
        ("sn", "string"),
        ("refund", "integer"),
        ("refund_sn", "string"),
        ("amount", "integer"),
        ("state", "string"),
    ];
    assert_eq!(shape(&refund["data"]), shape_of(&expected), "{refund}");
}
