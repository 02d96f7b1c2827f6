//! How payments and refunds end that take their time: only the provider's word, or a person's, ends
//! them.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use schemas::{BillRecord, BillStatus, Channel, JobState, Scene, Timestamp, bill::AttemptState};
use store::Save;
use tests::{
    eventually,
    rig::Engine,
    simulated::{Simulated, Way},
};

const UNIONPAY: Way = (Channel::UnionPay, Scene::Native, "web");

/// Begins to pay and waits for what the client pays with.
async fn open(at: &Simulated, way: Way) -> BillRecord {
    let sn = at.bill().await;
    let job = at.ended(&at.pay(&sn, way).await).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?} {:?}", job.error, job.calls);
    at.read(&sn).await
}

/// Changes the stored bill behind everybody's back.
async fn alter(at: &Simulated, bill: &BillRecord, how: impl Fn(&mut BillRecord)) {
    eventually("the bill is changed", Duration::from_secs(10), async || {
        let mut bill = at.read(&bill.id).await;
        bill.version += 1;
        how(&mut bill);
        (at.rig.store.bills.save(&bill).await.expect("store") == Save::Stored).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_clock_closes_what_unionpay_has_accepted() {
    let at = Simulated::start(Engine::Embedded).await;
    let worker = at.rig.worker();
    // It is asked for an hour, as the worker's pace has it, and is then a person's.
    let cases = [
        (Duration::from_mins(10), JobState::Waiting, true),
        (Duration::from_hours(2), JobState::Unknown, false),
    ];
    for (ago, state, asks) in cases {
        let bill = open(&at, UNIONPAY).await;
        alter(&at, &bill, |bill| bill.expires_at = Timestamp::now() - ago).await;
        let job = at.close(&bill.id, UNIONPAY.0).await;

        let job = at.rig.in_state(job.id, state).await;
        assert_eq!(job.wake_at.is_some(), asks, "{state}: {:?}", job.calls);
        let after = at.read(&bill.id).await;
        assert_eq!(after.attempts[0].state, AttemptState::Open, "{state}");
        at.sim.approve(bill.attempts[0].key.as_str()).expect("the payer pays");
        let paid = |bill: &BillRecord| bill.status == BillStatus::Paid;
        at.bill_becomes(&bill.id, "paid", paid).await;
    }
    worker.stop().await;
}
