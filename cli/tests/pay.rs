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
fn bills_are_found_by_what_a_person_knows_of_them() {
    let (mut twice, mut once) = (paid_twice(), paid_bill());
    let folder = folder(async |store| {
        insert(store, &mut twice).await;
        insert(store, &mut once).await;
    });
    let data = folder.path().to_str().unwrap();
    let list = |words: &[&str]| {
        let lines = support::json(&[&["pay", "list", "--data", data], words].concat());
        lines.iter().map(|bill| bill["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let owner = once.owner.to_string();
    let cases: [(&[&str], usize); 8] = [
        (&[], 2),
        (&["--user", &owner], 1),
        (&["--status", "paid"], 2),
        (&["--status", "created", "--status", "refunded"], 0),
        (&["--provider", "wechat_pay"], 2),
        (&["--provider", "alipay"], 0),
        (&["--since", "1h", "--limit", "1"], 1),
        (&["--until", "1h"], 0),
    ];
    for (words, count) in cases {
        assert_eq!(list(words).len(), count, "{words:?}");
    }

    let receipt = once.attempts[0].key.to_string();
    for number in [once.id.as_str(), &receipt] {
        let shown = support::json(&["pay", "show", number, "--data", data]);
        assert_eq!(shown[0]["id"], once.id.as_str(), "{number}");
    }
    for (words, why) in
        [(["pay", "show", "12"], "27 digits"), (["pay", "list", "--status=new"], "created")]
    {
        let refused = run(&[&words[..], &["--data", data]].concat());
        assert_eq!(refused.status.code(), Some(2));
        assert!(error_of(&refused).contains(why), "{}", error_of(&refused));
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
