//! `feat pay settle`, on an embedded folder.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use std::{path::Path, time::Duration};

use schemas::{
    BillRecord, BillSn, JobId, JobRecord, JobState, Timestamp, UserId,
    bill::RefundState,
    job::{Lease, NewJob},
    kinds::{PayRefund, PayRefundQuery, pay_refund::RefundWish, pay_refund_query::RefundLook},
};
use store::Insert;
use support::{
    answer, assert_refused,
    bills::{fen, insert, on_store, paid_bill},
    run,
};

/// A paid bill whose one refund was sent by `job`.
fn refunding(job: JobId) -> BillRecord {
    paid_bill().begin_refund(job, fen(250), "r", Timestamp::now()).unwrap()
}

fn keep(folder: &Path, bill: &mut BillRecord, job: &JobRecord) {
    on_store(folder, async |store| {
        insert(store, bill).await;
        assert_eq!(store.jobs.insert(job).await.unwrap(), Insert::Stored);
    });
}

fn settle(folder: &Path, bill: &BillRecord) -> Vec<String> {
    let words = ["pay", "settle", bill.id.as_str(), "--refund", "1", "--failed"];
    let why = ["--evidence", "ticket 7", "--data", folder.to_str().unwrap()];
    words.iter().chain(&why).map(|&word| word.to_owned()).collect()
}

#[test]
fn a_look_that_was_left_to_a_person_ends_with_the_decision() {
    let folder = tempfile::tempdir().unwrap();
    let mut bill = refunding(JobId::generate());
    let look = RefundLook { sn: bill.id.clone(), refund: 1, look: Some(399) };
    let new = NewJob::of::<PayRefundQuery>(UserId::FEAT, &look).unwrap();
    let mut job = JobRecord::accept(new, "worker", Timestamp::now());
    (job.state, job.wake_at, job.unknown_since) = (JobState::Unknown, None, Some(Timestamp::now()));
    keep(folder.path(), &mut bill, &job);

    let words = settle(folder.path(), &bill);
    let said = answer(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["woken"], 1);
    let (job, bill) = on_store(folder.path(), async |store| {
        let job = store.jobs.get(job.id).await.unwrap().unwrap();
        (job, store.bills.get(&bill.id).await.unwrap().unwrap())
    });
    assert_eq!(job.state, JobState::Queued);
    assert_eq!(bill.refund(1).unwrap().state, RefundState::Refused);
}

#[test]
fn nobody_decides_about_a_refund_that_is_being_sent() {
    let folder = tempfile::tempdir().unwrap();
    let now = Timestamp::now();
    let sn = BillSn::generate(now);
    let wish = RefundWish { sn, amount: fen(250), reason: "r".to_owned(), held: None };
    let new = NewJob::of::<PayRefund>(UserId::generate(), &wish).unwrap();
    let mut job = JobRecord::accept(new, "api", now);
    let until = now + Duration::from_mins(5);
    job.state = JobState::Running;
    job.lease = Some(Lease { holder: "worker-1".to_owned(), until });
    let mut bill = refunding(job.id);
    keep(folder.path(), &mut bill, &job);
    let words = settle(folder.path(), &bill);
    let words: Vec<_> = words.iter().map(String::as_str).collect();

    assert_refused(&run(&words), &[&job.id.to_string(), "Wait"]);
    let state = |job: JobRecord| {
        on_store(folder.path(), async |store| {
            assert_eq!(store.jobs.save(&job).await.unwrap(), store::Save::Stored);
            store.bills.get(&bill.id).await.unwrap().unwrap().refund(1).unwrap().state
        })
    };
    // Its worker died: the lease is over, and so is the right to send.
    job.version += 1;
    job.lease = Some(Lease { holder: "worker-1".to_owned(), until: now });
    assert_eq!(state(job), RefundState::Sent);
    answer(&words);
}
