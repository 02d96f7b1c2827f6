//! Payments whose first run holds the attempt in the bill, and no lease of its job: what whoever comes
//! next may do, and when.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use schemas::{
    BillRecord, Channel, JobRecord, JobState, Scene, Timestamp,
    bill::Way as PayWay,
    job::{Idempotency, Lease},
};
use sim::{Act, Fault};
use store::Save;
use tests::{
    eventually,
    rig::{Engine, quick},
    simulated::{Simulated, Way},
};
use workers::Settings;

const WECHAT_V2: Way = (Channel::WeChatPay, Scene::Native, "official_account");
const CREATE: &str = "wechat.v2.unifiedorder";
const SOON: Duration = Duration::from_secs(20);

async fn change_job(at: &Simulated, job: &JobRecord, how: impl Fn(JobRecord) -> JobRecord) {
    eventually("the job is changed by nobody else", SOON, async || {
        let next = how(at.rig.job(job.id).await);
        (at.rig.store.jobs.save(&next).await.expect("store") == Save::Stored).then_some(())
    })
    .await;
}

/// A job whose provider takes `ms` for its answer, and the bill while it does.
async fn slow(at: &Simulated, ms: u64) -> (JobRecord, BillRecord) {
    at.sim.fault(Fault::once(CREATE, Act::Late { ms })).expect("script");
    let sn = at.bill().await;
    let job = at.pay(&sn, WECHAT_V2).await;
    eventually("the provider is asked", SOON, async || (at.sim.trades().len() == 1).then_some(()))
        .await;
    (job, at.read(&sn).await)
}

async fn succeeds_with_one_trade(at: &Simulated, job: &JobRecord) -> JobRecord {
    let ended = at.ended(job).await;
    assert_eq!(ended.state, JobState::Succeeded, "{:?} {:?}", ended.error, ended.calls);
    assert_eq!(at.sim.trades().len(), 1);
    ended
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_another_worker_holds_is_in_doubt_and_left_to_it() {
    let at = Simulated::start(Engine::Embedded).await;
    let worker = at.rig.worker();
    let sn = at.bill().await;
    let now = Timestamp::now();
    let until = now + Duration::from_secs(3);
    let (channel, scene, app) = WECHAT_V2;
    let way = PayWay { channel, scene, code: true, app: app.to_owned(), account: None, card: None };
    let hold = Lease { holder: "another".to_owned(), until };
    let begun = at.read(&sn).await.begin_attempt(&way, 0, now).expect("payable").held_by(hold);
    assert_eq!(at.rig.store.bills.save(&begun).await.expect("store"), Save::Stored);

    let job = at.pay(&sn, WECHAT_V2).await;
    let waiting = at.rig.in_state(job.id, JobState::Unknown).await;
    assert!(waiting.unknown_since.is_some(), "no crash of the other one may end it: {waiting:?}");
    assert!(at.sim.trades().is_empty());
    let ended = succeeds_with_one_trade(&at, &job).await;
    assert!(ended.calls.iter().all(|call| call.at >= until), "{:?}", ended.calls);
    assert!(at.read(&sn).await.attempts[0].hold.is_none());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_run_that_takes_long_has_a_lease_in_the_end() {
    let at = Simulated::start(Engine::Embedded).await;
    let lease = Duration::from_secs(3);
    let worker = at.rig.worker_with(at.rig.broker.clone(), Settings { lease, ..quick() });
    // Longer than its hold.
    let (job, bill) = slow(&at, 4_000).await;
    assert!(bill.attempts[0].held_until().is_some());

    let ended = succeeds_with_one_trade(&at, &job).await;
    let leased = ended.history.iter().find(|change| change.to == JobState::Running);
    let after = leased.expect("a lease").at.since(bill.attempts[0].sent_at);
    assert!(after >= lease / 4, "the hold was all there was for a while: {after:?}");
    assert_eq!((ended.crashes, ended.calls.len()), (0, 1), "{:?}", ended.calls);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_run_stops_when_its_job_is_anothers() {
    let at = Simulated::start(Engine::Embedded).await;
    // It would be claimed after a third of this; the other one comes first.
    let settings = Settings { lease: Duration::from_secs(9), ..quick() };
    let worker = at.rig.worker_with(at.rig.broker.clone(), settings);
    let (job, _) = slow(&at, 4_500).await;
    let until = Timestamp::now() + Duration::from_secs(5);
    change_job(&at, &job, |job| job.claim("another", until, Timestamp::now()).expect("queued"))
        .await;

    // The answer comes before the other lease ends, and nobody is there to take it.
    let ended = succeeds_with_one_trade(&at, &job).await;
    assert_eq!(ended.crashes, 1, "the other one's: {:?}", ended.history);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_first_run_is_recorded_over_what_else_was_saved() {
    let at = Simulated::start(Engine::Embedded).await;
    let worker = at.rig.worker();
    let (job, _) = slow(&at, 500).await;
    let key = Idempotency { key: "one".to_owned(), fingerprint: "f".repeat(64) };
    change_job(&at, &job, |job| job.bind(key.clone(), Timestamp::now()).expect("no key yet")).await;

    let ended = succeeds_with_one_trade(&at, &job).await;
    assert_eq!(ended.idempotency, Some(key));
    assert_eq!(ended.calls.len(), 1, "nothing was asked again: {:?}", ended.calls);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_run_that_a_shutdown_cuts_off_leaves_its_doubt() {
    let at = Simulated::start(Engine::Embedded).await;
    let shutdown_deadline = Duration::from_millis(100);
    let settings = Settings { shutdown_deadline, ..quick() };
    let worker = at.rig.worker_with(at.rig.broker.clone(), settings);
    let (job, _) = slow(&at, 4_000).await;
    worker.stop().await;

    let left = at.rig.job(job.id).await;
    assert!(left.unknown_since.is_some(), "the provider may have been reached: {left:?}");
    let worker = at.rig.worker();
    succeeds_with_one_trade(&at, &job).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_run_that_fails_says_so_over_what_else_was_saved() {
    let at = Simulated::start(Engine::Embedded).await;
    // It is not claimed before it ends.
    let settings = Settings { lease: Duration::from_mins(1), ..quick() };
    let worker = at.rig.worker_with(at.rig.broker.clone(), settings);
    // Longer than a call to a provider may take.
    let (job, _) = slow(&at, 6_000).await;
    let key = Idempotency { key: "one".to_owned(), fingerprint: "f".repeat(64) };
    change_job(&at, &job, |job| job.bind(key.clone(), Timestamp::now()).expect("no key yet")).await;

    let ended = succeeds_with_one_trade(&at, &job).await;
    let first = &ended.history[1];
    assert_eq!(first.to, JobState::Unknown, "nobody had to send it again: {:?}", ended.history);
    worker.stop().await;
}
