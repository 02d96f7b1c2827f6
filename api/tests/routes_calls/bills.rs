//! Bills: what is said at once, what is a job, and the documented replies. Workers are played by
//! hand.

use std::time::Duration;

use reqwest::{Method, Response};
use schemas::{
    BillRecord, BillSn, Channel, Event, Fen, JobRecord, Queue, Scene, Timestamp, Verdict,
    bill::{ClosingReason, Offer, Paid, PaymentNews, Source, Way},
    kinds::pay_create::PayOffer,
    message::{self, Beside, Received, Subject},
};
use serde_json::{Value, json};
use store::{JobFilter, Save};

use crate::rig::{App, User, error, job_path};

const ORDERS: &str = "/api/pay/order/";

/// WeChat Pay by QR code.
fn by_code() -> Way {
    Way {
        channel: Channel::WeChatPay,
        scene: Scene::Native,
        code: true,
        app: "official_account".to_owned(),
        account: None,
        card: None,
    }
}

impl App {
    async fn post(&self, path: &str, body: &Value, user: &User) -> Response {
        self.request(Method::POST, path, user).json(body).send().await.unwrap()
    }

    /// A bill of `user` over 12.50.
    async fn bill(&self, user: &User) -> String {
        let reply = self.post(ORDERS, &json!({ "amount": 1250, "subject": "tea" }), user).await;
        assert_eq!(reply.status(), 201);
        let body: Value = reply.json().await.unwrap();
        body["data"]["sn"].as_str().unwrap().to_owned()
    }

    async fn record(&self, sn: &str) -> BillRecord {
        let sn: BillSn = sn.parse().unwrap();
        self.store.bills.get(&sn).await.unwrap().unwrap()
    }

    /// Saves the bill as it is while its payer sees a QR code.
    async fn open_by_hand(&self, sn: &str) -> BillRecord {
        let now = Timestamp::now();
        let begun = self.record(sn).await.begin_attempt(&by_code(), 0, now).unwrap();
        self.keep(&begun).await;
        let offer = Offer {
            reply: json!({}),
            wrapped: true,
            code: Some("weixin://wxpay/bizpayurl?pr=A1b2C3".to_owned()),
            at: now,
            until: begun.expires_at,
        };
        let open = begun.offer(1, offer, now).unwrap();
        self.keep(&open).await;
        open
    }

    /// Saves the bill as it is after its payer paid by QR code.
    async fn pay_by_hand(&self, sn: &str) -> BillRecord {
        let open = self.open_by_hand(sn).await;
        let qr = self.get(&format!("{ORDERS}{sn}/qr/"), &self.ada).await;
        assert_eq!(
            (qr.status().as_u16(), &qr.headers()["content-type"]),
            (200, &"image/svg+xml".parse().unwrap())
        );
        let qr = self.get(&format!("{ORDERS}{sn}/qr/?format=png"), &self.ada).await;
        assert!(qr.bytes().await.unwrap().starts_with(b"\x89PNG"));
        let now = Timestamp::now();
        let paid =
            Paid { transaction_id: "4200".to_owned(), amount: Fen::new(1_250).unwrap(), at: now };
        let PaymentNews::Counted(paid) = open.pay(1, &paid, Source::Query, "job", now).unwrap()
        else {
            panic!("it counts");
        };
        self.keep(&paid).await;
        paid
    }

    async fn keep(&self, bill: &BillRecord) {
        assert_eq!(self.store.bills.save(bill).await.unwrap(), Save::Stored);
    }

    /// The next job for WeChat Pay.
    async fn next_job(&self) -> JobRecord {
        self.next_message().await.0
    }

    /// The same, and what came along.
    async fn next_message(&self) -> (JobRecord, Option<Beside>) {
        let message = self.broker.consume(Queue::WechatPay, 1).next().await;
        let Received { subject, beside } = message::decode(&message.body).unwrap();
        let Subject::Job(job) = subject else { panic!("a job") };
        message.ack().await;
        (*job, beside)
    }
}

#[tokio::test]
async fn a_bill_is_made_once_for_each_reference_and_shown_to_its_owner() {
    let app = App::start().await;
    let wish = json!({ "amount": 1250, "currency": "CNY", "subject": "tea", "client_ref": "o-1" });
    let made: Value = app.post(ORDERS, &wish, &app.ada).await.json().await.unwrap();
    let bill = &made["data"];
    let sn = bill["sn"].as_str().unwrap();
    assert_eq!(sn.len(), 27);
    let expected = json!({
        "sn": sn, "query_id": null, "pay_method": null, "user": app.ada.id.get(),
        "inbound": 0, "outbound": 0, "currency": "CNY", "amount": 1250, "type": 100, "status": 0,
        "created_at": bill["created_at"], "fee": 0, "subject": "tea", "client_ref": "o-1",
        "refunded": 0, "expires_at": bill["expires_at"],
    });
    assert_eq!(*bill, expected);

    let again = app.post(ORDERS, &wish, &app.ada).await;
    assert_eq!(again.status(), 200);
    assert_eq!(again.json::<Value>().await.unwrap(), made);
    let other = json!({ "amount": 1251, "subject": "tea", "client_ref": "o-1" });
    error("another bill", app.post(ORDERS, &other, &app.ada).await, 409, "CONFLICT").await;
    let ends = JobFilter { kinds: vec!["pay.close".to_owned()], ..JobFilter::default() };
    let ends = app.store.jobs.list(&ends, None, 9).await.unwrap();
    assert_eq!(ends.len(), 1, "a repeated call schedules no other end");
    let path = format!("{ORDERS}{sn}/");
    assert_eq!(app.read(&path, &app.ada).await, made);
    error("foreign", app.get(&path, &app.bob).await, 404, "NOT_FOUND").await;
    let list = app.read(&format!("{ORDERS}?status=0,200&page=1"), &app.ada).await;
    assert_eq!((&list["data"][0], &list["pagination"]["total_count"]), (bill, &json!(1)));
    assert_eq!(app.read(ORDERS, &app.bob).await["data"], json!([]));
}

#[tokio::test]
async fn a_bill_lives_as_long_as_the_setting_says() {
    let life = Duration::from_mins(25);
    let app = App::start_with(|settings| settings.bill_life = life, 100).await;
    let bill = app.record(&app.bill(&app.ada).await).await;

    assert_eq!(bill.expires_at.since(bill.created_at), life);
    let filter = JobFilter { kinds: vec!["pay.close".to_owned()], ..JobFilter::default() };
    let jobs = app.store.jobs.list(&filter, None, 9).await.unwrap();
    assert_eq!(jobs[0].wake_at, Some(bill.expires_at), "and is closed then");
}

#[tokio::test]
async fn what_is_wrong_with_a_call_is_said_by_field() {
    let app = App::start().await;
    let sn = app.bill(&app.ada).await;
    let pay = format!("{ORDERS}{sn}/pay/");
    let refund = format!("{ORDERS}{sn}/refund/");
    let cases = [
        ("no amount", ORDERS, json!({ "subject": "tea" }), "amount"),
        ("float", ORDERS, json!({ "amount": 1.5, "subject": "tea" }), "amount"),
        ("nothing", ORDERS, json!({ "amount": 0, "subject": "tea" }), "amount"),
        ("no subject", ORDERS, json!({ "amount": 1, "subject": " " }), "subject"),
        ("money", ORDERS, json!({ "amount": 1, "subject": "x", "currency": "USD" }), "currency"),
        ("no method", &pay, json!({ "end_type": 0 }), "pay_method"),
        ("no such method", &pay, json!({ "pay_method": 300, "end_type": 0 }), "pay_method"),
        ("not set up", &pay, json!({ "pay_method": 100, "end_type": 0 }), "pay_method"),
        ("no end", &pay, json!({ "pay_method": 200 }), "end_type"),
        ("no payer", &pay, json!({ "pay_method": 200, "end_type": 200 }), "open_id"),
        (
            "no such app",
            &pay,
            json!({ "pay_method": 200, "end_type": 0, "extra_params": { "wx_app_type": "x" } }),
            "wx_app_type",
        ),
        ("no bill", "/api/pay/order/pay/", json!({ "pay_method": 200, "end_type": 0 }), "sn"),
        ("no sum", &refund, json!({ "amount": "1" }), "amount"),
    ];
    for (name, path, body, field) in cases {
        let reply = app.post(path, &body, &app.ada).await;
        let body = error(name, reply, 400, "VALIDATION_EXCEPTION").await;
        assert!(body["data"][field].is_array(), "{name}: {body}");
    }
    let native = json!({ "pay_method": 200, "end_type": 0 });
    error("foreign", app.post(&pay, &native, &app.bob).await, 404, "NOT_FOUND").await;
    let wish = json!({ "amount": 1 });
    error("not paid", app.post(&refund, &wish, &app.ada).await, 409, "CONFLICT").await;
    let jobs = app.store.jobs.count(&JobFilter::default(), 100).await.unwrap();
    assert_eq!(jobs, 1, "only the end of the one bill");
}

#[tokio::test]
async fn a_call_to_pay_is_one_job_and_answers_as_documented() {
    let app = App::start().await;
    let cases = [
        (
            "NATIVE",
            json!({ "pay_method": 200, "end_type": 0 }),
            true,
            json!({ "trade_type": "NATIVE", "code_url": "weixin://x", "prepay_id": "wx03" }),
        ),
        (
            "JSAPI",
            json!({ "pay_method": 200, "end_type": 200, "extra_params": { "open_id": "oUpF8" } }),
            false,
            json!({ "appId": "wx00", "timeStamp": 1_706_933_106, "signType": "MD5" }),
        ),
    ];
    for (name, wish, wrapped, reply) in cases {
        let sn = app.bill(&app.ada).await;
        let path = format!("{ORDERS}{sn}/pay/");
        let first = app.post(&path, &wish, &app.ada).await;
        assert_eq!(first.status(), 202, "{name}");
        let first = app.job_of(first).await;
        let job = app.next_job().await;
        assert_eq!((job.id, job.queue), (first.id, Queue::WechatPay), "{name}");
        assert!(
            !serde_json::to_string(&job).unwrap().contains("oUpF8"),
            "{name}: payers are sealed"
        );
        let literal = json!({ "sn": sn }).as_object().unwrap().clone();
        let mut named = wish.clone();
        named.as_object_mut().unwrap().extend(literal);
        let again = app.post("/api/pay/order/pay/", &named, &app.ada).await;
        assert_eq!(app.job_of(again).await.id, first.id, "{name}: the same attempt");

        let offer = PayOffer { sn: sn.parse().unwrap(), attempt: 1, reply: reply.clone(), wrapped };
        app.settle(job, Verdict::Done(serde_json::to_value(offer).unwrap())).await;
        let waited =
            app.request(Method::POST, &path, &app.ada).header("prefer", "wait=5").json(&wish);
        let waited = waited.send().await.unwrap();
        assert_eq!(waited.status(), 200, "{name}");
        let body: Value = waited.json().await.unwrap();
        let expected = if wrapped { json!({ "data": reply }) } else { reply };
        assert_eq!(body, expected, "{name}");
    }
}

#[tokio::test]
async fn who_waits_to_pay_is_answered_before_the_jobs_end_is_saved() {
    let app = App::start().await;
    let sn = app.bill(&app.ada).await;
    let call = app.request(Method::POST, &format!("{ORDERS}{sn}/pay/"), &app.ada);
    let wish = json!({ "pay_method": 200, "end_type": 0 });
    let call = tokio::spawn(call.header("prefer", "wait=10").json(&wish).send());
    let (job, beside) = app.next_message().await;
    assert!(beside.unwrap().is_awaited());
    let reply = json!({ "code_url": "weixin://x" });
    let sn = sn.parse().unwrap();
    let offer = PayOffer { sn, attempt: 1, reply: reply.clone(), wrapped: true };
    let done = Verdict::Done(serde_json::to_value(offer).unwrap());
    let spec = schemas::kinds::spec(&job.kind).unwrap();
    let end = job.clone().settle(spec, done, "worker-1", Timestamp::now(), 0.5).unwrap();
    app.broker.send_event(Event::answered(&end));

    let waited = call.await.unwrap().unwrap();
    assert_eq!(waited.status(), 200);
    assert_eq!(waited.json::<Value>().await.unwrap(), json!({ "data": reply }));
    let shown = app.read(&job_path(&job), &app.ada).await;
    assert_eq!(shown["data"]["status"], "queued", "what is not saved is not shown");
}

#[tokio::test]
async fn the_message_of_a_call_that_does_not_wait_says_so() {
    let app = App::start().await;
    let sn = app.bill(&app.ada).await;
    let wish = json!({ "pay_method": 200, "end_type": 0 });
    assert_eq!(app.post(&format!("{ORDERS}{sn}/pay/"), &wish, &app.ada).await.status(), 202);
    let (_, beside) = app.next_message().await;
    assert!(!beside.unwrap().is_awaited());
}

#[tokio::test]
async fn refunds_are_jobs_within_what_was_paid() {
    let app = App::start().await;
    let sn = app.bill(&app.ada).await;
    let paid = app.pay_by_hand(&sn).await;
    let path = format!("{ORDERS}{sn}/refund/");
    let too_much = app.post(&path, &json!({ "amount": 1251 }), &app.ada).await;
    error("too much", too_much, 400, "VALIDATION_EXCEPTION").await;
    let call = || {
        let call = app.request(Method::POST, &path, &app.ada).header("idempotency-key", "r-1");
        call.json(&json!({ "amount": 250 })).send()
    };
    let first = app.job_of(call().await.unwrap()).await;
    let again = call().await.unwrap();
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    assert_eq!(app.job_of(again).await.id, first.id);
    assert_eq!(first.payload["amount"], 250);

    let begun = paid.begin_refund(first.id, Fen::new(250).unwrap(), "x", Timestamp::now()).unwrap();
    app.keep(&begun).await;
    let list = app.read(&path, &app.ada).await;
    assert_eq!(
        (&list["data"][0]["amount"], &list["data"][0]["status"]),
        (&json!(250), &json!("sent"))
    );
    assert_eq!(app.read(&format!("{path}1/"), &app.ada).await["data"]["refund"], 1);
    error("none", app.get(&format!("{path}2/"), &app.ada).await, 404, "NOT_FOUND").await;
    error("foreign", app.get(&format!("{path}1/"), &app.bob).await, 404, "NOT_FOUND").await;
    let pay = format!("{ORDERS}{sn}/pay/");
    let closed = app.post(&pay, &json!({ "pay_method": 200, "end_type": 0 }), &app.ada).await;
    error("paid", closed, 409, "CONFLICT").await;
    let shown = app.read(&format!("{ORDERS}{sn}/"), &app.ada).await;
    assert_eq!(
        (&shown["data"]["status"], &shown["data"]["query_id"]),
        (&json!(400), &json!("4200"))
    );
}

#[tokio::test]
async fn a_forged_notice_changes_nothing_and_calls_that_are_not_built_say_so() {
    let app = App::start().await;
    let notify = "/api/pay/notify/wechat_pay/official_account/";
    let forged = app.anonymous(Method::POST, notify).body("<xml><sign>X</sign></xml>");
    let text = forged.send().await.unwrap().text().await.unwrap();
    assert!(text.contains("FAIL"), "{text}");
    let nobody = app.anonymous(Method::POST, "/api/pay/notify/alipay/web/").send().await.unwrap();
    error("no such account", nobody, 404, "NOT_FOUND").await;
    let read = app.anonymous(Method::GET, notify).send().await.unwrap();
    error("read", read, 405, "METHOD_NOT_ALLOWED").await;
    assert_eq!(app.store.jobs.count(&JobFilter::default(), 10).await.unwrap(), 0);

    let password = app.post("/api/pay/payment/change-password/", &json!({}), &app.ada).await;
    error("a password for paying", password, 501, "NOT_IMPLEMENTED").await;
    let card = json!({ "account_no": "6216261000000000018" });
    let card = app.post("/api/pay/account/open_query/", &card, &app.ada).await;
    error("an account that takes no cards", card, 400, "VALIDATION_EXCEPTION").await;
    let known = app.read("/api/pay/weixin/check-app-id/?app_id=wx2421b1c4370ec43b", &app.ada).await;
    assert_eq!(known, json!({ "success": true, "data": null }));
    let unknown = app.read("/api/pay/weixin/check-app-id/?app_id=wx0", &app.ada).await;
    assert_eq!(unknown["success"], false);
}

#[tokio::test]
async fn a_bill_that_is_being_closed_is_offered_to_nobody_in_a_way_that_was_begun_before() {
    let app = App::start().await;
    let sn = app.bill(&app.ada).await;
    let pay = format!("{ORDERS}{sn}/pay/");
    let way = json!({ "pay_method": 200, "end_type": 0 });
    let keyed = async || {
        let call = app.request(Method::POST, &pay, &app.ada).header("idempotency-key", "k1");
        call.json(&way).send().await.unwrap()
    };
    assert_eq!(keyed().await.status(), 202);
    let open = app.open_by_hand(&sn).await;
    let qr = format!("{ORDERS}{sn}/qr/");
    assert_eq!(app.get(&qr, &app.ada).await.status(), 200);
    let closing = open.begin_closing(ClosingReason::Cancelled, Timestamp::now()).unwrap();
    app.keep(&closing).await;

    let late = error("pay", app.post(&pay, &way, &app.ada).await, 409, "CONFLICT").await;
    assert_eq!(late["data"]["reason"], "bill_closed");
    error("qr", app.get(&qr, &app.ada).await, 409, "CONFLICT").await;
    let again = keyed().await;
    assert_eq!(
        (again.status().as_u16(), &again.headers()["idempotency-replayed"]),
        (202, &"true".parse().unwrap())
    );
}
