//! A provider that hangs, and a store that does, hold nobody else up.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use futures::future::join_all;
use schemas::{
    BillSn, BillStatus, Channel, JobRecord, JobState, Scene, kinds::pay_create::PayOrder,
};
use sim::{Act, Fault, Quotas, Settings};
use store::Store;
use tests::{
    eventually,
    relay::Relay,
    rig::{Engine, Rig, quick},
    scripted::{Repeatable, Script, Step},
    simulated::{Simulated, Way},
};
use tokio::time::Instant;

const ALIPAY: Way = (Channel::Alipay, Scene::Native, "web");
const WECHAT: Way = (Channel::WeChatPay, Scene::Native, "official_account");
const UNIONPAY: Way = (Channel::UnionPay, Scene::Native, "web");

/// Jobs for the provider that hangs: far more than it has slots.
const HANGING: usize = 100;

/// Slots of each queue.
const SLOTS: usize = 4;

/// Jobs of every other kind.
const OTHERS: usize = 60;

async fn pay_many(at: &Simulated, way: Way, count: usize) -> Vec<JobRecord> {
    let mut jobs = Vec::new();
    for _ in 0..count {
        let sn = at.bill().await;
        jobs.push(at.pay(&sn, way).await);
    }
    jobs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_hangs_holds_only_its_own_jobs() {
    let at = Simulated::start(Engine::Embedded).await;
    let hangs = Act::Late { ms: 60_000 };
    at.sim.fault(Fault::times(u32::MAX, "alipay.*", hangs)).expect("script");
    let held = pay_many(&at, ALIPAY, HANGING).await;
    let payload = Script::new(&[Step::Done]).payload();
    let images = join_all((0..OTHERS).map(|_| at.rig.submit::<Repeatable>(&payload))).await;
    let others =
        [images, pay_many(&at, WECHAT, OTHERS).await, pay_many(&at, UNIONPAY, OTHERS).await];
    let mut settings = quick();
    for queue in settings.queues.values_mut() {
        (queue.concurrency, queue.prefetch) = (SLOTS, 8);
    }
    let worker = at.rig.worker_with(at.rig.broker.clone(), settings);

    let mut last_end = None;
    for job in others.iter().flatten() {
        let job = at.ended(job).await;
        assert_eq!(job.state, JobState::Succeeded, "{}: {:?}", job.kind, job.error);
        last_end = last_end.max(job.settled_at);
    }

    let mut untouched = 0;
    for job in &held {
        let job = at.rig.job(job.id).await;
        assert!(!job.state.is_settled(), "{}", job.state);
        let first_step = job.history.iter().find(|change| change.to != JobState::Queued);
        untouched += usize::from(first_step.is_none_or(|change| Some(change.at) > last_end));
    }
    println!("all others were done while {untouched} of {HANGING} waited for their turn");
    assert!(untouched > 0, "the others came after the jobs of the provider that hangs");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looks_at_trades_hold_up_no_payer() {
    let at = Simulated::start(Engine::Embedded).await;
    let hangs = Act::Late { ms: 60_000 };
    at.sim.fault(Fault::times(u32::MAX, "alipay.trade.query", hangs)).expect("script");
    let hanging = || at.sim.faults().iter().map(|script| script.applied as usize).sum::<usize>();
    let mut settings = quick();
    for queue in settings.queues.values_mut() {
        (queue.concurrency, queue.prefetch) = (SLOTS, 8);
    }
    let worker = at.rig.worker_with(at.rig.broker.clone(), settings);
    let pay = async |count| {
        for job in pay_many(&at, ALIPAY, count).await {
            assert_eq!(at.ended(&job).await.state, JobState::Succeeded);
        }
    };
    // Nobody pays these, so the worker looks at each of them; the slots suffice for a few.
    pay(HANGING).await;
    eventually("looks that hang", Duration::from_mins(1), async || {
        (hanging() >= SLOTS).then_some(())
    })
    .await;

    pay(OTHERS).await;
    println!("{OTHERS} trades were made while {} of {HANGING} looks had begun", hanging());
    assert!(hanging() < HANGING, "the payers came after the looks");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_of_bills_wait_only_for_their_own_provider() {
    let at = Simulated::start(Engine::Embedded).await;
    let mut settings = quick();
    for queue in settings.queues.values_mut() {
        (queue.concurrency, queue.prefetch) = (SLOTS, 8);
    }
    let worker = at.rig.worker_with(at.rig.broker.clone(), settings);
    let made = async |way, count| {
        let mut bills = Vec::new();
        for job in pay_many(&at, way, count).await {
            let job = at.ended(&job).await;
            assert_eq!(job.state, JobState::Succeeded);
            let order: PayOrder = serde_json::from_value(job.payload).expect("its payload");
            bills.push(order.sn);
        }
        bills
    };
    let (overdue, paid) = (made(ALIPAY, HANGING).await, made(WECHAT, SLOTS).await);
    for sn in &made(WECHAT, SLOTS).await {
        at.overtime(sn).await;
        at.bill_becomes(sn, "overdue", |bill| bill.status == BillStatus::Overtime).await;
    }
    let hangs = Act::Late { ms: 60_000 };
    at.sim.fault(Fault::times(u32::MAX, "alipay.*", hangs)).expect("script");
    let ends = join_all(overdue.iter().map(|sn| at.overtime(sn))).await;
    for end in &ends {
        let end = at.ended(end).await;
        assert_eq!(end.state, JobState::Succeeded, "{:?}", end.error);
    }
    for sn in &paid {
        at.sim.approve(at.read(sn).await.attempts[0].key.as_str()).expect("the payer pays");
        at.bill_becomes(sn, "paid", |bill| bill.status == BillStatus::Paid).await;
    }
    for sn in &overdue {
        let status = at.read(sn).await.status;
        assert_eq!(status, BillStatus::Created, "{sn}: its provider has not said a word");
    }
    worker.stop().await;
}

/// Longest that a provider waits for the answer to its notice.
const ANSWER: Duration = Duration::from_secs(1);

/// Feat over a MongoDB that can be brought to a standstill.
async fn over_a_relay() -> (Simulated, Relay) {
    let mut rig = Rig::new(Engine::Distributed).await;
    let corner = rig.corner.as_ref().expect("services");
    let address: reqwest::Url = corner.mongodb_url.parse().expect("address of MongoDB");
    let host = address.host_str().expect("host");
    let port = address.port().unwrap_or(27_017);
    let relay = Relay::start(format!("{host}:{port}")).await;
    let uri = format!("mongodb://{}/?directConnection=true", relay.address);
    rig.store = Store::mongo(&uri.into(), &corner.database).await.expect("MongoDB");
    let mut settings = Settings::fixture().expect("fixtures");
    settings.quotas = Quotas::unlimited();
    (Simulated::over(rig, settings).await, relay)
}

/// Opens a trade in each way and answers with the bills and the keys.
async fn open_trades(at: &Simulated) -> Vec<(BillSn, String)> {
    let mut opened = Vec::new();
    for way in [WECHAT, ALIPAY, UNIONPAY] {
        let sn = at.bill().await;
        let job = at.ended(&at.pay(&sn, way).await).await;
        assert_eq!(job.state, JobState::Succeeded, "{way:?}: {:?}", job.error);
        let key = at.read(&sn).await.attempts[0].key.to_string();
        opened.push((sn, key));
    }
    opened
}

/// Lets the payer pay; answers with how long the notice took and whether it was taken.
async fn notice(at: &Simulated, key: &str) -> (Duration, bool) {
    let begun = Instant::now();
    at.sim.approve(key).expect("the payer pays");
    let accepted = eventually(format!("a notice of {key}"), 10 * ANSWER, async || {
        let notices = at.sim.notifies();
        notices.iter().find(|one| one.trade.starts_with(key)).map(|one| one.accepted)
    })
    .await;
    (begun.elapsed(), accepted)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_is_answered_within_a_second_whatever_stands_still() {
    let (at, relay) = over_a_relay().await;
    let worker = at.rig.worker();
    let (without_worker, without_store) = (open_trades(&at).await, open_trades(&at).await);
    worker.stop().await;
    let mut times = Vec::new();
    for (_, key) in &without_worker {
        let (time, taken) = notice(&at, key).await;
        assert!(taken, "{key}: it is recorded without a worker");
        times.push(time);
    }
    relay.stall(true);
    for (_, key) in &without_store {
        let (time, taken) = notice(&at, key).await;
        assert!(!taken, "{key}: it could not be recorded");
        times.push(time);
    }
    relay.stall(false);
    println!("answered after {times:?}");
    assert!(times.iter().all(|time| *time <= ANSWER), "{times:?}");

    let worker = at.rig.worker();
    for (sn, _) in without_worker.iter().chain(&without_store) {
        at.bill_becomes(sn, "paid", |bill| bill.status == BillStatus::Paid).await;
    }
    worker.stop().await;
}
