//! `feat pay reconcile` and the other decisions about money, as an operator calls them.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::{process::Output, time::Duration};

use schemas::{
    BillRecord, BillSn, BookDay, Channel, Currency, Fen, Scene, Timestamp, UserId,
    bill::{NewBill, Paid, PaymentNews, Source, Way},
};
use serde_json::Value;
use sim::Settings;
use store::{Insert, Store};
use tests::cluster::{Cluster, Process};

/// The standard output of a command as JSON, line by line.
fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

struct Stage {
    cluster: Cluster,
    store: Store,
    day: BookDay,
    _sim: sim::Running,
    _worker: Process,
}

impl Stage {
    async fn open() -> Self {
        let mut cluster = Cluster::new().await;
        let sim = sim::start(Settings::fixture().expect("fixtures")).await.expect("simulators");
        let config = config(&sim.payments());
        let file = cluster.files().with_file_name("feat.toml");
        std::fs::write(&file, config).expect("file");
        let file = file.to_str().expect("path").to_owned();
        cluster.environment.insert("FEAT_CONFIG".to_owned(), file);
        let uri = cluster.corner.mongodb_url.clone().into();
        let store = Store::mongo(&uri, &cluster.corner.database).await.expect("MongoDB");
        let worker = cluster.worker(None).await;
        let day = BookDay::published(Timestamp::now()).before().before().before();
        Self { cluster, store, day, _sim: sim, _worker: worker }
    }

    fn reconcile(&self, more: &[&str]) -> Output {
        let day = self.day.to_string();
        let words = ["pay", "reconcile", "--date", &day, "--json", "--as", "ada"];
        self.cluster.run(&[&words[..], more].concat(), "")
    }

    /// A bill with a payment on the day that WeChat Pay has never heard of.
    async fn paid_bill(&self) -> BillRecord {
        let noon = self.day.begins(Channel::WeChatPay) + Duration::from_hours(12);
        let new = NewBill {
            owner: UserId::new(7).expect("id"),
            amount: Fen::new(1_250).expect("sum"),
            currency: Currency::Cny,
            subject: "tea".to_owned(),
            client_ref: None,
            expires_at: noon + Duration::from_hours(2),
        };
        let way = Way {
            channel: Channel::WeChatPay,
            scene: Scene::Native,
            code: true,
            app: "official_account".to_owned(),
            account: None,
            card: None,
        };
        let bill = BillRecord::open(new, BillSn::generate(noon), noon);
        let paid = Paid { transaction_id: "4200".to_owned(), amount: bill.amount, at: noon };
        let begun = bill.begin_attempt(&way, 0, noon).expect("begun");
        let paid = begun.pay(1, &paid, Source::Notify, "job", noon).expect("paid");
        let PaymentNews::Counted(mut bill) = paid else { panic!("it counts") };
        bill.version = 1;
        assert_eq!(self.store.bills.insert(&bill).await, Ok(Insert::Stored));
        bill
    }
}

/// The accounts as a configuration file.
fn config(payments: &Value) -> String {
    let mut all = payments.clone();
    all["sealing_key"] = Value::from("k".repeat(32));
    let text = toml_of(&all);
    format!("payments = {text}\n")
}

/// JSON as TOML's inline form.
fn toml_of(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members = members.iter().filter(|(_, value)| !value.is_null());
            let members = members.map(|(name, value)| format!("{name} = {}", toml_of(value)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(toml_of).collect::<Vec<_>>().join(", "))
        }
        // The escapes of JSON are escapes of TOML, too.
        other => other.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_reads_in_what_the_books_differ() {
    let stage = Stage::open().await;
    let stored = stage.reconcile(&["--stored"]);
    assert_eq!(stored.status.code(), Some(1), "nothing is matched yet");

    let clean = stage.reconcile(&[]);
    assert_eq!(clean.status.code(), Some(0), "{}", said(&clean));
    let reports = lines(&clean);
    assert_eq!(reports.len(), 3, "one for each merchant");
    assert!(reports.iter().all(|line| line["report"]["payments"]["count"] == 0), "{reports:?}");

    let bill = stage.paid_bill().await;
    let differs = stage.reconcile(&["--provider", "wechat_pay"]);
    assert_eq!(differs.status.code(), Some(3), "{}", said(&differs));
    let told = lines(&differs);
    let [report, row] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(report["report"]["differences"]["missing_there"], 1);
    assert_eq!(row["difference"]["class"], "missing_there");
    assert_eq!(row["difference"]["sn"], bill.id.as_str());
    assert_eq!(row["difference"]["heard"], "notify");

    let stored = stage.reconcile(&["--stored"]);
    assert_eq!((stored.status.code(), lines(&stored).len()), (Some(3), 4));
    let other = stage.reconcile(&["--stored", "--provider", "alipay"]);
    assert_eq!((other.status.code(), lines(&other).len()), (Some(0), 1));

    let audit = ["audit", "list", "--action", "bills_matched", "--json"];
    let entries = lines(&stage.cluster.run(&audit, ""));
    assert_eq!(entries.len(), 2);
    assert!(entries.iter().all(|entry| entry["actor"] == "operator ada"), "{entries:?}");
    stage.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_about_money_are_in_the_audit_record() {
    let stage = Stage::open().await;
    let bill = stage.paid_bill().await;
    let now = Timestamp::now();
    // Two more payments, which do not count and are held, and an attempt that nobody tells of.
    let mut next = bill.clone();
    for (ordinal, id) in [(1, Some("4201")), (2, Some("4202")), (3, None)] {
        let mut attempt = next.attempts[0].clone();
        attempt.number = ordinal + 1;
        attempt.ordinal = ordinal;
        attempt.key = next.id.attempt_key(ordinal + 1);
        attempt.state = schemas::bill::AttemptState::Open;
        next.attempts.push(attempt);
        let Some(id) = id else { continue };
        let paid = Paid { transaction_id: id.to_owned(), amount: bill.amount, at: now };
        let news = next.pay(ordinal + 1, &paid, Source::Query, "job", now).expect("paid");
        let PaymentNews::Surplus(held, _) = news else { panic!("it is held") };
        next = held;
    }
    next.version = 2;
    assert_eq!(stage.store.bills.save(&next).await, Ok(store::Save::Stored));
    let sn = bill.id.to_string();
    let decide = |verb: &str, more: &[&str]| {
        let words = ["pay", verb, &sn, "--evidence", "ticket 7", "--as", "ada", "--json"];
        let output = stage.cluster.run(&[&words[..], more].concat(), "");
        assert!(output.status.success(), "{verb}: {}", said(&output));
    };
    decide("approve", &["--refund", "1"]);
    decide("drop", &["--refund", "2"]);
    decide("settle", &["--attempt", "4", "--not-paid"]);

    let subjects = [
        ("refund_approved", "refund 1: ticket 7"),
        ("refund_dropped", "refund 2: ticket 7"),
        ("bill_settled", "attempt 4: ticket 7"),
    ];
    for (action, detail) in subjects {
        let entries =
            lines(&stage.cluster.run(&["audit", "list", "--action", action, "--json"], ""));
        let [entry] = entries.as_slice() else { panic!("{action}: {entries:?}") };
        assert_eq!(entry["subject"], sn, "{action}");
        assert_eq!(entry["actor"], "operator ada", "{action}");
        assert_eq!(entry["owner"], 7, "{action}");
        assert_eq!(entry["detail"], detail, "{action}");
    }
    stage.store.close().await;
}
