//! `feat pay` on an embedded folder.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod support;

use schemas::{
    BillRecord, BookDay, Channel, JobId, Timestamp,
    bill::{PaymentNews, Source},
    matching::MatchReport,
};
use serde_json::{Value, json};
use store::{Insert, Store};
use support::{
    bills::{insert, on_store, paid, paid_bill},
    error_of, run,
};
use tempfile::TempDir;

/// A folder with what `fill` puts into it.
fn folder(fill: impl AsyncFnOnce(&Store)) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    on_store(folder.path(), fill);
    folder
}

/// A bill that was paid twice, so that a refund is held.
fn paid_twice() -> BillRecord {
    match paid_bill().pay(2, &paid(2), Source::Query, "job", Timestamp::now()).unwrap() {
        PaymentNews::Surplus(bill, _) => bill,
        other => panic!("the second payment is one too many: {other:?}"),
    }
}

#[test]
fn a_decision_is_about_a_refund_that_there_is_and_is_told_as_json() {
    let mut bill = paid_twice();
    let folder = folder(async |store| insert(store, &mut bill).await);
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
