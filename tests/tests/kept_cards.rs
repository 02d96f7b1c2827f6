//! Cards that a user keeps: the code that shows whose they are, and paying with them.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use futures::future::join_all;
use reqwest::{Method, StatusCode};
use schemas::{
    AccountId, BillStatus, Timestamp,
    job::CallNote,
    wallet::{MAX_CARDS, WalletRecord},
};
use serde_json::{Value, json};
use sim::{Act, Effect, Fault};
use store::Save;
use tests::{
    desk::{Desk, Person},
    rig::Engine,
};

/// Open from the start, and always pays.
const GOOD: &str = "6216261000000000018";
/// As good, with another telephone number and a bank that declines.
const OTHER: &str = "6200000000000000026";
/// Its holder has not opened it.
const CLOSED: &str = "6221558812340000";
const PHONE: &str = "13552535506";
const CODE: &str = "111111";

const ACCOUNTS: &str = "/api/pay/account/";
const SEND: &str = "/api/pay/account/bind-unpay-account/send-vcode/";
const BIND: &str = "/api/pay/account/bind-unpay-account/";

struct Wallets {
    desk: Desk,
    ada: Person,
}

impl Wallets {
    async fn open(engine: Engine) -> Self {
        let desk = Desk::open(engine).await;
        let ada = desk.person("ada").await;
        Self { desk, ada }
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.desk.post(path, &body, &self.ada).await
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.desk.get(path, &self.ada).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    async fn forget(&self, id: &Value) -> StatusCode {
        let path = format!("{ACCOUNTS}{id}/");
        self.desk.call((Method::DELETE, &path), &json!({}), &self.ada).await.status()
    }

    async fn send_code(&self, card: &str) -> (StatusCode, Value) {
        self.post(SEND, json!({ "account_no": card, "phone": PHONE })).await
    }

    async fn bind(&self, card: &str, code: &str) -> (StatusCode, Value) {
        self.post(BIND, json!({ "account_no": card, "phone": PHONE, "vcode": code })).await
    }

    /// A card that is kept: its account.
    async fn kept(&self) -> Value {
        assert_eq!(self.send_code(GOOD).await.0, StatusCode::OK);
        let (status, body) = self.bind(GOOD, CODE).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body["data"].clone()
    }

    async fn wallet(&self) -> WalletRecord {
        self.desk.at.rig.store.wallets.get(self.ada.id).await.expect("store")
    }

    /// How often UnionPay was asked to send a text message.
    async fn messages(&self) -> usize {
        let filter = store::JobFilter::default();
        let jobs = self.desk.at.rig.store.jobs.list(&filter, None, 100).await.expect("store");
        let calls = jobs.iter().flat_map(|job| &job.calls);
        let sends = |call: &&CallNote| {
            let sent = call.exchange["sent"].as_array().expect("fields");
            sent.contains(&json!({ "name": "txnType", "value": "77" }))
        };
        calls.filter(sends).count()
    }
}

async fn a_card_is_kept_preferred_charged_and_forgotten(engine: Engine) {
    let at = Wallets::open(engine).await;
    let none =
        json!({ "data": { "accounts": [], "default_payment": null, "default_receipt": null } });
    assert_eq!(at.get(ACCOUNTS).await, none);
    let (status, body) = at.send_code(GOOD).await;
    assert_eq!((status, &body["code"]), (StatusCode::OK, &json!("SEND_VCODE")), "{body}");
    assert!(body["message"].is_string());
    let (status, body) = at.bind(GOOD, CODE).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let account = body["data"].clone();
    let id = account["id"].clone();
    let shown = json!({
        "id": id, "pay_method": 0, "account_no": "621626*********0018",
        "default_payment": false, "default_receipt": false,
    });
    assert_eq!(account, shown);

    for (preference, other) in
        [("default_payment", "default_receipt"), ("default_receipt", "default_payment")]
    {
        let path = format!("{ACCOUNTS}{preference}/");
        let (status, body) = at.post(&path, json!({ "account_id": id })).await;
        assert_eq!((status, &body["data"][preference]), (StatusCode::OK, &json!(true)), "{body}");
        let listed = at.get(ACCOUNTS).await;
        assert_eq!(listed["data"][preference], id);
        let both = preference == "default_receipt";
        assert_eq!(listed["data"]["accounts"][0][other], json!(both), "{listed}");
    }

    let order = json!({ "amount": 1_250, "subject": "tea" });
    let (_, bill) = at.post("/api/pay/order/", order).await;
    let sn = bill["data"]["sn"].as_str().expect("number");
    let path = format!("/api/pay/order/{sn}/send_vcode/");
    let (status, body) = at.post(&path, json!({ "account_id": id })).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let payment = json!({ "pay_method": 0, "end_type": 0, "vcode": CODE, "account_id": id });
    let (status, body) = at.post(&format!("/api/pay/order/{sn}/unpay/"), payment).await;
    assert_eq!((status, &body["data"]["status"]), (StatusCode::OK, &json!(200)), "{body}");
    let paid = at.desk.at.read(&sn.parse().expect("number")).await;
    assert_eq!(paid.status, BillStatus::Paid);

    assert_eq!(at.forget(&id).await, StatusCode::NO_CONTENT);
    assert_eq!(at.get(ACCOUNTS).await, none);
    assert_eq!(at.forget(&id).await, StatusCode::NOT_FOUND);
    let (status, body) = at.post(&path, json!({ "account_id": id })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body["data"]["account_id"].is_array(), "{body}");
    at.desk.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_is_kept_preferred_charged_and_forgotten_on_sqlite() {
    a_card_is_kept_preferred_charged_and_forgotten(Engine::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_is_kept_preferred_charged_and_forgotten_on_mongodb() {
    a_card_is_kept_preferred_charged_and_forgotten(Engine::Distributed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_that_is_not_the_callers_to_keep_gets_no_code() {
    let at = Wallets::open(Engine::Embedded).await;
    let (status, body) = at.send_code(CLOSED).await;
    assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!("ACCOUNT_INACTIVE")));
    let page = body["data"].as_str().expect("a page");
    assert!(page.contains("<form") && !page.contains(CLOSED), "{page}");
    let (status, body) = at.send_code(OTHER).await;
    assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!("INCONSISTENT_PHONE")));
    assert_eq!(at.messages().await, 0);
    // UnionPay shows the number masked, and only it knows the rest.
    let alike = json!({ "account_no": GOOD, "phone": "13500005506" });
    let (status, body) = at.post(SEND, alike).await;
    assert_eq!((status, &body["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("JOB_FAILED")));
    assert_eq!(body["data"]["job"]["error"]["code"], json!("card_refused"), "{body}");
    assert_eq!(at.messages().await, 1);
    assert_eq!(at.send_code(GOOD).await.0, StatusCode::OK);
    assert_eq!(at.messages().await, 2, "what was refused stands in nobody's way");
    let (status, body) = at.bind(CLOSED, CODE).await;
    assert_eq!((status, &body["data"]["reason"]), (StatusCode::CONFLICT, &json!("no_code")));
    at.desk.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_tried_once_and_sent_once_a_minute() {
    let at = Wallets::open(Engine::Embedded).await;
    let sent = join_all((0..8).map(|_| at.send_code(GOOD))).await;
    assert!(sent.iter().all(|reply| reply.0 == StatusCode::OK), "{sent:?}");
    assert_eq!(at.messages().await, 1);

    let (status, body) = at.bind(GOOD, "654321").await;
    assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!("INVALID_VCODE")));
    let (status, body) = at.bind(GOOD, CODE).await;
    assert_eq!((status, &body["data"]["reason"]), (StatusCode::CONFLICT, &json!("no_code")));
    assert_eq!(at.send_code(GOOD).await.0, StatusCode::OK, "a new one at once");
    assert_eq!(at.messages().await, 2);
    let kept = join_all((0..8).map(|_| at.bind(GOOD, CODE))).await;
    assert!(kept.iter().any(|reply| reply.0 == StatusCode::OK), "{kept:?}");
    assert_eq!(at.wallet().await.cards.len(), 1);

    // Ten minutes later a code does not count any more.
    assert_eq!(at.send_code(GOOD).await.0, StatusCode::OK);
    let mut wallet = at.wallet().await;
    let asked = wallet.asked.as_mut().expect("a code");
    asked.at = Timestamp::now() - Duration::from_mins(11);
    wallet.version += 1;
    assert_eq!(at.desk.at.rig.store.wallets.save(&wallet).await, Ok(Save::Stored));
    let (status, body) = at.bind(GOOD, CODE).await;
    assert_eq!((status, &body["data"]["reason"]), (StatusCode::CONFLICT, &json!("no_code")));
    at.desk.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_stands_for_one_try_although_its_code_is_spent() {
    let at = Wallets::open(Engine::Embedded).await;
    for code in [CODE, "654321"] {
        assert_eq!(at.send_code(GOOD).await.0, StatusCode::OK);
        let body = json!({ "account_no": GOOD, "phone": PHONE, "vcode": code });
        let first = at.desk.post_as(code, BIND, &body, &at.ada).await;
        let again = at.desk.post_as(code, BIND, &body, &at.ada).await;
        assert_eq!(again, first);
        let expected = if code == CODE { StatusCode::OK } else { StatusCode::BAD_REQUEST };
        assert_eq!(first.0, expected, "{}", first.1);
    }
    at.desk.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_wallet_has_no_code_sent_for_another_card() {
    let at = Wallets::open(Engine::Embedded).await;
    at.kept().await;
    let kept = at.wallet().await;
    let others = (0..MAX_CARDS).map(|number| {
        let mut other = kept.cards[0].clone();
        other.id = AccountId::generate();
        other.card.digest = number.to_string();
        other
    });
    let version = kept.version + 1;
    let full = WalletRecord { version, cards: others.collect(), ..kept };
    assert_eq!(at.desk.at.rig.store.wallets.save(&full).await, Ok(Save::Stored));
    let (status, body) = at.send_code(GOOD).await;
    assert_eq!((status, &body["data"]["reason"]), (StatusCode::CONFLICT, &json!("wallet_full")));
    assert_eq!(at.messages().await, 1, "the one that kept the first card");
    at.desk.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_whose_answer_is_lost_is_asked_for() {
    let at = Wallets::open(Engine::Embedded).await;
    let mut id = None;
    for act in [Act::DropAfter, Act::ErrorAfter, Act::BadSignature, Act::Garbage] {
        let name = format!("{act:?}");
        assert_eq!(at.send_code(GOOD).await.0, StatusCode::OK, "{name}");
        at.desk.at.sim.fault(Fault::once("unionpay.back.card_open", act)).expect("script");
        let (status, body) = at.bind(GOOD, CODE).await;
        assert_eq!(status, StatusCode::OK, "{name}: {body}");
        let known = id.get_or_insert_with(|| body["data"]["id"].clone());
        assert_eq!(*known, body["data"]["id"], "{name}: the same card has the same id");
    }
    assert_eq!(at.wallet().await.cards.len(), 1);

    assert_eq!(at.send_code(GOOD).await.0, StatusCode::OK);
    let lost = Fault::once("unionpay.back.card_open", Act::DropAfter);
    at.desk.at.sim.fault(lost).expect("script");
    let (status, body) = at.bind(GOOD, "654321").await;
    assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!("INVALID_VCODE")));
    at.desk.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_of_a_card_is_sealed_and_moves_nothing() {
    let at = Wallets::open(Engine::Embedded).await;
    at.kept().await;
    let store = &at.desk.at.rig.store;
    let jobs = store.jobs.list(&store::JobFilter::default(), None, 100).await.expect("store");
    assert!(jobs.iter().any(|job| !job.calls.is_empty()), "there is a trail");
    let kept = format!(
        "{}{}",
        serde_json::to_string(&jobs).expect("JSON"),
        serde_json::to_string(&at.wallet().await).expect("JSON"),
    );
    for secret in [GOOD, PHONE, CODE] {
        assert!(!kept.contains(secret), "{secret} is readable");
    }
    let moved = |effect: Effect| effect == Effect::Paid;
    assert!(!at.desk.at.sim.ledger().entries.iter().any(|entry| moved(entry.effect)));
    at.desk.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_bound_is_listed_and_not_forgotten_here() {
    let at = Wallets::open(Engine::Embedded).await;
    at.desk.bind_wechat(&at.ada, "official_account").await;
    let listed = at.get(ACCOUNTS).await;
    assert_eq!(listed["data"]["accounts"][0]["pay_method"], json!(200), "{listed}");
    let id = listed["data"]["accounts"][0]["id"].clone();
    let path = format!("{ACCOUNTS}default_receipt/");
    let (status, body) = at.post(&path, json!({ "account_id": id })).await;
    assert_eq!((status, &body["data"]["default_receipt"]), (StatusCode::OK, &json!(true)));
    assert_eq!(at.forget(&id).await, StatusCode::CONFLICT);
    let (status, _) = at.post(&path, json!({ "account_id": 100 })).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "no Alipay account is bound");
    at.desk.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_know_one_currency() {
    let at = Wallets::open(Engine::Embedded).await;
    let path = "/api/pay/payment/";
    assert_eq!(at.get(path).await, json!({ "data": { "currency": "CNY" } }));
    for (body, status) in [
        (json!({ "currency": "CNY" }), StatusCode::OK),
        (json!({}), StatusCode::OK),
        (json!({ "currency": "USD" }), StatusCode::BAD_REQUEST),
        (json!({ "currency": 156 }), StatusCode::BAD_REQUEST),
        (json!({ "colour": "red" }), StatusCode::BAD_REQUEST),
    ] {
        let reply = at.desk.call((Method::PATCH, path), &body, &at.ada).await;
        assert_eq!(reply.status(), status, "{body}");
    }
    at.desk.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_request_is_named() {
    let at = Wallets::open(Engine::Embedded).await;
    let card = |name: &str, value: Value| {
        let mut body = json!({ "account_no": GOOD, "phone": PHONE, "vcode": CODE });
        body[name] = value;
        body
    };
    let cases = [
        (SEND, card("account_no", json!(null)), "account_no"),
        (SEND, card("account_no", json!("12")), "account_no"),
        (SEND, card("phone", json!(null)), "phone"),
        (SEND, card("phone", json!("+86")), "phone"),
        (BIND, card("vcode", json!("12345")), "vcode"),
        (BIND, card("phone", json!(13_552_535_506_u64)), "phone"),
        (ACCOUNTS, card("pay_method", json!(100)), "pay_method"),
        (ACCOUNTS, card("vcode", json!(null)), "vcode"),
    ];
    for (path, body, field) in cases {
        let shown = body.to_string();
        let (status, reply) = at.post(path, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path} {shown}");
        assert_eq!(reply["code"], json!("VALIDATION_EXCEPTION"), "{path} {shown}");
        assert!(reply["data"][field].is_array(), "{path} {shown}: {reply}");
    }
    at.desk.worker.stop().await;
}
