//! `feat pay` on an embedded folder.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod support;

use std::time::Duration;

use schemas::{
    BillRecord, BillSn, BookDay, Channel, Currency, Fen, JobId, Scene, Timestamp, UserId,
    bill::{AttemptState, NewBill, Paid, PaymentNews, Source, Way},
    matching::MatchReport,
};
use serde_json::{Value, json};
use store::{Insert, Store};
use support::{error_of, run};
use tempfile::TempDir;

/// A folder with what `fill` puts into it.
fn folder(fill: impl AsyncFnOnce(&Store)) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = Store::sqlite(folder.path()).await.unwrap();
        fill(&store).await;
        store.close().await;
    });
    folder
}

/// A bill that was paid twice, so that a refund is held.
fn paid_twice() -> BillRecord {
    let now = Timestamp::now();
    let new = NewBill {
        owner: UserId::generate(),
        amount: Fen::new(1_250).unwrap(),
        currency: Currency::Cny,
        subject: "tea".to_owned(),
        client_ref: None,
        expires_at: now + Duration::from_hours(2),
    };
    let way = Way {
        channel: Channel::WeChatPay,
        scene: Scene::Native,
        code: true,
        app: "official_account".to_owned(),
        account: None,
    };
    let mut bill =
        BillRecord::open(new, BillSn::generate(now), now).begin_attempt(&way, 0, now).unwrap();
    let mut second = bill.attempts[0].clone();
    (second.number, second.ordinal, second.key) = (2, 1, bill.id.attempt_key(2));
    second.state = AttemptState::Open;
    bill.attempts.push(second);
    let paid = |id: &str| Paid { transaction_id: id.to_owned(), amount: bill.amount, at: now };
    let (first, second) = (paid("4200"), paid("4201"));
    let PaymentNews::Counted(bill) = bill.pay(1, &first, Source::Notify, "job", now).unwrap()
    else {
        panic!("the first payment counts")
    };
    let PaymentNews::Surplus(mut bill, _) =
        bill.pay(2, &second, Source::Query, "job", now).unwrap()
    else {
        panic!("the second payment is one too many")
    };
    bill.version = 1;
    bill
}

#[test]
fn a_decision_is_about_a_refund_that_there_is_and_is_told_as_json() {
    let bill = paid_twice();
    let folder = folder(async |store| {
        assert_eq!(store.bills.insert(&bill).await.unwrap(), Insert::Stored);
    });
    let (sn, data) = (bill.id.to_string(), folder.path().to_str().unwrap());
    let approve = |refund: &str| {
        let why = ["--evidence", "paid twice", "--data", data];
        run(&[&["pay", "approve", &sn, "--refund", refund][..], &why].concat())
    };

    support::assert_refused(&approve("9"), &["there is no such"]);
    let approved = approve("1");
    assert!(approved.status.success(), "{}", error_of(&approved));
    let told: Value = serde_json::from_slice(&approved.stdout).unwrap();
    assert_eq!((&told["bill"], &told["refund"]), (&json!(sn), &json!(1)));
    assert!(told["job"].as_str().unwrap().parse::<JobId>().is_ok(), "{told}");
}

#[test]
fn books_of_which_a_part_is_not_matched_do_not_agree() {
    let day = BookDay::published(Timestamp::now()).before();
    let report = |channel: Channel| {
        let sums = json!({ "count": 0, "fen": 0 });
        let report = json!({
            "id": MatchReport::id_of(channel, "1900", day), "version": 1, "channel": channel,
            "merchant": "1900", "day": day, "run": JobId::generate(), "made_at": Timestamp::now(),
            "payments": sums, "refunds": sums, "others": 0, "matched": 0, "pages": 0,
            "differences":
                { "missing_here": 0, "missing_there": 0, "amount": 0, "state": 0, "fee": 0 },
        });
        serde_json::from_value::<MatchReport>(report).unwrap()
    };
    let folder = folder(async |store| {
        for channel in [Channel::WeChatPay, Channel::UnionPay] {
            assert_eq!(store.matches.insert(&report(channel)).await.unwrap(), Insert::Stored);
        }
    });
    let (day, data) = (day.to_string(), folder.path().to_str().unwrap());
    let reconcile = |more: &[&str]| {
        run(&[&["pay", "reconcile", "--date", &day, "--data", data][..], more].concat())
    };

    let stored = reconcile(&["--stored"]);
    support::assert_refused(&stored, &["not matched: alipay"]);
    assert_eq!(stored.stdout.split(|byte| *byte == b'\n').count(), 3, "two reports are printed");
    let whole = reconcile(&["--stored", "--provider", "unionpay"]);
    assert_eq!(whole.status.code(), Some(0), "{}", error_of(&whole));

    let begun = reconcile(&[]);
    assert_eq!(begun.status.code(), Some(1), "nothing is matched until a worker runs");
    let told: Value = serde_json::from_slice(&begun.stdout).unwrap();
    assert!(told["job"].is_string(), "{told}");
}
