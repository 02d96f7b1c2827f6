//! UnionPay's cards without its page, call by call, through the strict simulator.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::{fmt::Write, time::Duration};

use aws_lc_rs::digest::{Context, SHA256};
use futures::future::join_all;
use reqwest::StatusCode;
use schemas::{
    BillRecord, BillSn, BillStatus, Timestamp,
    bill::{AttemptState, RefundState},
};
use serde_json::{Value, json};
use sim::{Act, Effect, Fault, TEST_CARDS};
use store::Save;
use tests::{
    desk::{Desk, Person},
    rig::Engine,
};

/// Open from the start, and always pays.
const GOOD: &str = "6216261000000000018";
/// Its holder has not opened it.
const CLOSED: &str = "6221558812340000";
const PHONE: &str = "13552535506";
const CODE: &str = "111111";

struct Counter {
    desk: Desk,
    ada: Person,
}

impl Counter {
    async fn open(engine: Engine) -> Self {
        let desk = Desk::open(engine).await;
        let ada = desk.person("ada").await;
        Self { desk, ada }
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.desk.post(path, &body, &self.ada).await
    }

    async fn bill(&self) -> BillSn {
        let order = json!({ "amount": 1_250, "subject": "tea" });
        let (status, body) = self.post("/api/pay/order/", order).await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
        body["data"]["sn"].as_str().expect("number").parse().expect("number")
    }

    async fn send_code(&self, sn: &BillSn, card: &str) -> (StatusCode, Value) {
        let body = json!({ "account_no": card, "phone": PHONE });
        self.post(&format!("/api/pay/order/{sn}/send_vcode/"), body).await
    }

    async fn unpay(&self, sn: &BillSn, card: &str, code: &str) -> (StatusCode, Value) {
        let body = json!({ "pay_method": 0, "end_type": 0, "vcode": code, "account_no": card });
        self.post(&format!("/api/pay/order/{sn}/unpay/"), body).await
    }

    async fn read(&self, sn: &BillSn) -> BillRecord {
        self.desk.at.read(sn).await
    }

    /// How often the simulator has moved money for the bill.
    fn paid(&self, sn: &BillSn) -> usize {
        let ledger = self.desk.at.sim.ledger();
        let ours = ledger.entries.iter().filter(|entry| entry.key.starts_with(sn.as_str()));
        ours.filter(|entry| entry.effect == Effect::Paid).count()
    }
}

async fn a_card_is_opened_charged_and_paid_back(engine: Engine) {
    let at = Counter::open(engine).await;
    let named = json!({ "account_no": CLOSED });
    let (status, body) = at.post("/api/pay/account/open_query/", named.clone()).await;
    assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!("SERVICE_NOT_OPEN")));
    let (status, body) = at.post("/api/pay/account/open_card_front/", named.clone()).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let page = body["data"]["template"].as_str().expect("a page");
    assert!(!page.contains(CLOSED), "the number is encrypted");
    open_by_page(&at, page).await;
    let (status, body) = at.post("/api/pay/account/open_query/", named).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(body["data"]["consumer_info"], json!({ "phone_no": "135****5506" }));

    let sn = at.bill().await;
    let (status, body) = at.send_code(&sn, CLOSED).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let key = at.read(&sn).await.attempts[0].key.to_string();
    assert_eq!(body["data"], json!({ "payment": { "id": key } }));
    let (status, body) = at.unpay(&sn, CLOSED, CODE).await;
    assert_eq!((status, &body["data"]["status"]), (StatusCode::OK, &json!(200)), "{body}");
    assert_eq!(body["data"]["pay_method"], json!(0));
    assert_eq!(at.paid(&sn), 1);

    let refund = at.post(&format!("/api/pay/order/{sn}/refund/"), json!({ "amount": 50 })).await;
    assert_eq!(refund.0, StatusCode::OK, "{}", refund.1);
    let done =
        |bill: &BillRecord| bill.refunds.iter().all(|one| one.state == RefundState::Succeeded);
    let bill = at.desk.at.bill_becomes(&sn, "paid back in part", done).await;
    assert_eq!((bill.status, bill.refunded()), (BillStatus::Paid, 50));
    at.desk.worker.stop().await;
}

/// The browser goes to UnionPay's page by itself, and the holder opens the card there.
async fn open_by_page(at: &Counter, page: &str) {
    let http = reqwest::Client::builder().no_proxy().build().expect("client");
    let (action, fields) = form(page);
    let cashier = http.post(action).form(&fields).send().await.expect("page");
    assert_eq!(cashier.status(), StatusCode::OK);
    let cashier = cashier.text().await.expect("text");
    let (action, mut fields) = form(&cashier);
    fields.push(("answer".to_owned(), "open".to_owned()));
    let action =
        if action.starts_with('/') { format!("{}{action}", at.desk.at.sim.url()) } else { action };
    let opened = http.post(action).form(&fields).send().await.expect("opened");
    assert!(opened.status().is_success(), "{}", opened.status());
}

/// The address and the hidden fields of the one form of a page.
fn form(page: &str) -> (String, Vec<(String, String)>) {
    let text = |text: &str| {
        let named = [("&quot;", "\""), ("&#39;", "'"), ("&lt;", "<"), ("&gt;", ">")];
        let plain = named.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
        plain.replace("&amp;", "&")
    };
    let (_, rest) = page.split_once("action=\"").expect("a form");
    let action = text(rest.split('"').next().expect("address"));
    let fields = rest.split("<input ").skip(1).filter_map(|input| {
        let input = input.split('>').next()?;
        let value = |name: &str| input.split_once(&format!("{name}=\""))?.1.split('"').next();
        Some((text(value("name")?), text(value("value")?)))
    });
    (action, fields.collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_is_opened_charged_and_paid_back_on_sqlite() {
    a_card_is_opened_charged_and_paid_back(Engine::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_is_opened_charged_and_paid_back_on_mongodb() {
    a_card_is_opened_charged_and_paid_back(Engine::Distributed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_code_ends_its_payment_and_a_new_one_pays() {
    let at = Counter::open(Engine::Embedded).await;
    let sn = at.bill().await;
    let (status, body) = at.unpay(&sn, GOOD, CODE).await;
    assert_eq!((status, &body["data"]["reason"]), (StatusCode::CONFLICT, &json!("no_code")));

    assert_eq!(at.send_code(&sn, GOOD).await.0, StatusCode::OK);
    let (status, body) = at.unpay(&sn, GOOD, "654321").await;
    assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!("INVALID_VCODE")));
    let (status, body) = at.unpay(&sn, GOOD, CODE).await;
    assert_eq!((status, &body["data"]["reason"]), (StatusCode::CONFLICT, &json!("no_code")));
    assert_eq!(at.send_code(&sn, GOOD).await.0, StatusCode::OK);
    let (status, body) = at.unpay(&sn, GOOD, CODE).await;
    assert_eq!(status, StatusCode::OK, "{body}");

    let ends: Vec<_> = at.read(&sn).await.attempts.iter().map(|one| one.state).collect();
    assert_eq!(ends, [AttemptState::Refused, AttemptState::Paid]);
    assert_eq!(at.paid(&sn), 1);
    let (status, body) = at.send_code(&sn, GOOD).await;
    assert_eq!((status, &body["data"]["reason"]), (StatusCode::CONFLICT, &json!("bill_paid")));
    at.desk.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_code_is_named_also_when_its_notice_comes_before_its_answer() {
    let at = Counter::open(Engine::Embedded).await;
    let sn = at.bill().await;
    assert_eq!(at.send_code(&sn, GOOD).await.0, StatusCode::OK);
    let late = Act::Late { ms: 3_000 };
    at.desk.at.sim.fault(Fault::once("unionpay.back.card_pay", late)).expect("script");
    let closed = |bill: &BillRecord| bill.attempts[0].state == AttemptState::Closed;
    let (answer, _) = tokio::join!(
        at.unpay(&sn, GOOD, "654321"),
        at.desk.at.bill_becomes(&sn, "closed by the notice", closed)
    );
    assert_eq!((answer.0, &answer.1["code"]), (StatusCode::BAD_REQUEST, &json!("INVALID_VCODE")));
    assert_eq!(at.read(&sn).await.attempts[0].state, AttemptState::Refused);
    at.desk.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_sent_once_a_minute_and_fifty_payments_charge_once() {
    let at = Counter::open(Engine::Embedded).await;
    let sn = at.bill().await;
    let sent = join_all((0..10).map(|_| at.send_code(&sn, GOOD))).await;
    assert!(sent.iter().all(|reply| reply == &sent[0]), "{sent:?}");
    assert_eq!(at.read(&sn).await.attempts.len(), 1);

    let paid = join_all((0..50).map(|_| at.unpay(&sn, GOOD, CODE))).await;
    let fine = paid.iter().filter(|reply| reply.0 == StatusCode::OK).count();
    let others = paid.iter().filter(|reply| reply.0 != StatusCode::OK);
    assert!(fine >= 1, "{paid:?}");
    for (status, body) in others {
        assert_eq!((*status, &body["data"]["reason"]), (StatusCode::CONFLICT, &json!("bill_paid")));
    }
    assert_eq!((at.paid(&sn), at.read(&sn).await.status), (1, BillStatus::Paid));
    at.desk.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_stands_for_one_payment_and_gives_nothing_away() {
    let at = Counter::open(Engine::Embedded).await;
    let sn = at.bill().await;
    assert_eq!(at.send_code(&sn, GOOD).await.0, StatusCode::OK);
    let path = format!("/api/pay/order/{sn}/unpay/");
    let payment =
        |code: &str| json!({ "pay_method": 0, "end_type": 0, "vcode": code, "account_no": GOOD });
    let paid = at.desk.post_as("k1", &path, &payment(CODE), &at.ada).await;
    assert_eq!((paid.0, &paid.1["data"]["status"]), (StatusCode::OK, &json!(200)), "{paid:?}");
    let again = at.desk.post_as("k1", &path, &payment(CODE), &at.ada).await;
    assert_eq!(again, paid, "although the bill is paid");
    let (status, body) = at.desk.post_as("k1", &path, &payment("222222"), &at.ada).await;
    let reused = (StatusCode::UNPROCESSABLE_ENTITY, &json!("IDEMPOTENCY_KEY_REUSED"));
    assert_eq!((status, &body["code"]), reused);
    assert_eq!(at.paid(&sn), 1);

    // Whoever has the store cannot try codes against what is kept of the request.
    let job = at.desk.at.rig.store.jobs.by_idempotency_key(at.ada.id, "k1").await.expect("store");
    let kept = job.expect("the job").idempotency.expect("the key").fingerprint;
    assert_ne!(kept, fingerprint(&path, payment(CODE).to_string().as_bytes()));
    at.desk.worker.stop().await;
}

/// The fingerprint of a call that has nothing to hide.
fn fingerprint(path: &str, body: &[u8]) -> String {
    let mut context = Context::new(&SHA256);
    for part in [b"POST".as_slice(), path.as_bytes(), body] {
        context.update(&part.len().to_be_bytes());
        context.update(part);
    }
    let digest = context.finish();
    digest.as_ref().iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a text");
        hex
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_kept_has_the_card_in_clear() {
    let at = Counter::open(Engine::Embedded).await;
    let sn = at.bill().await;
    at.post("/api/pay/account/open_query/", json!({ "account_no": GOOD })).await;
    at.post("/api/pay/account/open_card_front/", json!({ "account_no": GOOD })).await;
    assert_eq!(at.send_code(&sn, GOOD).await.0, StatusCode::OK);
    assert_eq!(at.unpay(&sn, GOOD, CODE).await.0, StatusCode::OK);
    at.desk.at.sim.settled().await;

    let store = &at.desk.at.rig.store;
    let jobs = store.jobs.list(&store::JobFilter::default(), None, 100).await.expect("store");
    assert!(jobs.iter().any(|job| !job.calls.is_empty()), "there is a trail");
    let kept = format!(
        "{}{}{}",
        serde_json::to_string(&jobs).expect("JSON"),
        serde_json::to_string(&at.read(&sn).await).expect("JSON"),
        serde_json::to_string(&at.desk.at.sim.ledger().entries).expect("JSON"),
    );
    for secret in [GOOD, PHONE, CODE] {
        assert!(!kept.contains(secret), "{secret} is readable");
    }
    assert!(kept.contains("621626*********0018"), "people see which card it was");
    at.desk.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_whose_answer_is_lost_is_asked_for_and_never_repeated() {
    let at = Counter::open(Engine::Embedded).await;
    for act in [Act::DropAfter, Act::ErrorAfter, Act::BadSignature, Act::Garbage] {
        let sn = at.bill().await;
        assert_eq!(at.send_code(&sn, GOOD).await.0, StatusCode::OK, "{act:?}");
        let name = format!("{act:?}");
        at.desk.at.sim.fault(Fault::once("unionpay.back.card_pay", act)).expect("script");
        let reply = at.unpay(&sn, GOOD, CODE).await;
        assert!(
            [StatusCode::OK, StatusCode::ACCEPTED].contains(&reply.0),
            "{name}: {} {}",
            reply.0,
            reply.1
        );
        at.desk.at.bill_becomes(&sn, "paid", |bill| bill.status == BillStatus::Paid).await;
        assert_eq!(at.paid(&sn), 1, "{name}");
    }
    at.desk.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_charged_by_a_consent_of_long_ago() {
    let at = Counter::open(Engine::Embedded).await;
    let long_ago = Timestamp::now() - Duration::from_mins(25);
    for charged in [false, true] {
        let sn = at.bill().await;
        assert_eq!(at.send_code(&sn, GOOD).await.0, StatusCode::OK);
        let mut bill = at.read(&sn).await;
        // As if the worker had been without its provider since then.
        bill.attempts[0].sent_at = long_ago;
        bill.attempts[0].offer.as_mut().expect("offer").at = long_ago;
        let bill = if charged {
            bill.charge(1, long_ago).expect("charged")
        } else {
            bill.version += 1;
            bill
        };
        assert_eq!(at.desk.at.rig.store.bills.save(&bill).await, Ok(Save::Stored));

        let (status, body) = at.unpay(&sn, GOOD, CODE).await;
        assert_eq!((status, &body["code"]), (StatusCode::BAD_REQUEST, &json!("INVALID_VCODE")));
        assert_eq!(body["data"]["job"]["error"]["code"], json!("code_expired"), "{charged}");
        assert_eq!(at.read(&sn).await.attempts[0].state, AttemptState::Closed, "{charged}");
        assert_eq!(at.paid(&sn), 0, "{charged}");
    }
    at.desk.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bill_that_is_closed_takes_no_code_any_more() {
    let at = Counter::open(Engine::Embedded).await;
    let sn = at.bill().await;
    assert_eq!(at.send_code(&sn, GOOD).await.0, StatusCode::OK);
    let (status, body) = at.post(&format!("/api/pay/order/{sn}/close/"), json!({})).await;
    assert_eq!((status, &body["data"]["status"]), (StatusCode::OK, &json!(100)), "{body}");
    let (status, body) = at.unpay(&sn, GOOD, CODE).await;
    assert_eq!((status, &body["data"]["reason"]), (StatusCode::CONFLICT, &json!("bill_closed")));
    assert_eq!(at.paid(&sn), 0);
    at.desk.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_request_is_named() {
    let at = Counter::open(Engine::Embedded).await;
    let sn = at.bill().await;
    let (code, pay) =
        (format!("/api/pay/order/{sn}/send_vcode/"), format!("/api/pay/order/{sn}/unpay/"));
    let query = "/api/pay/account/open_query/";
    let payment = |name: &str, value: Value| {
        let mut body = json!({ "pay_method": 0, "end_type": 0, "vcode": CODE, "account_no": GOOD });
        body[name] = value;
        body
    };
    let cases = [
        (query, json!({}), "account_no"),
        (query, json!({ "account_no": "6216" }), "account_no"),
        (query, json!({ "account_no": 6_216_261_000_000_000_018_u64 }), "account_no"),
        (&code, json!({ "phone": PHONE }), "account_no"),
        (&code, json!({ "account_no": GOOD }), "phone"),
        (&code, json!({ "account_no": GOOD, "phone": "+86 135" }), "phone"),
        (&code, json!({ "account_id": 7 }), "account_id"),
        (&pay, payment("pay_method", json!(200)), "pay_method"),
        (&pay, payment("end_type", json!(100)), "end_type"),
        (&pay, payment("vcode", json!("12345")), "vcode"),
        (&pay, payment("vcode", json!(111_111)), "vcode"),
        (&pay, payment("account_no", json!(null)), "account_no"),
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_declined_card_leaves_the_bill_to_another_one() {
    let at = Counter::open(Engine::Embedded).await;
    let sn = at.bill().await;
    let poor = TEST_CARDS.iter().find(|card| card.declines_with == Some("64")).expect("a card");
    let body = json!({ "account_no": poor.number, "phone": poor.phone });
    let (status, body) = at.post(&format!("/api/pay/order/{sn}/send_vcode/"), body).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let (status, body) = at.unpay(&sn, poor.number, CODE).await;
    assert_eq!((status, &body["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("JOB_FAILED")));
    assert_eq!(body["data"]["job"]["error"]["code"], json!("provider_refused"), "{body}");
    assert_eq!(at.send_code(&sn, GOOD).await.0, StatusCode::OK);
    assert_eq!(at.unpay(&sn, GOOD, CODE).await.0, StatusCode::OK);
    assert_eq!(at.paid(&sn), 1);
    at.desk.worker.stop().await;
}
