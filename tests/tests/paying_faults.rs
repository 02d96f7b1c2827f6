//! Workers are killed at random and the providers fail in every way they can, while bills are paid
//! and paid back: afterwards the simulators' ledger and the bills agree to the fen.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, stream};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use schemas::{
    BillRecord, BillSn, Channel, Fen, JobRecord, JobState, Scene, Timestamp, UserId,
    bill::RefundState,
};
use sim::{Act, Effect, Fault};
use store::{JobFilter, Save};
use tests::{
    eventually, long,
    rig::{Engine, owner, quick},
    seed,
    simulated::{Simulated, Way, amount},
};

const WAYS: [(Way, &str); 2] = [
    ((Channel::WeChatPay, Scene::Native, "official_account"), "wechat.v2"),
    ((Channel::WeChatPay, Scene::Native, "official_account_v3"), "wechat.v3"),
];

/// Bills at a time.
const TOGETHER: usize = 24;

/// Longest that one bill may take for one step.
const PATIENCE: Duration = Duration::from_mins(4);

/// What may happen to a call.
const CALL_FAULTS: [Act; 7] = [
    Act::DropBefore,
    Act::DropAfter,
    Act::Late { ms: 300 },
    Act::ErrorBefore,
    Act::ErrorAfter,
    Act::BadSignature,
    Act::Garbage,
];

/// What may happen to a notice.
const NOTICE_FAULTS: [Act; 6] = [
    Act::Lose,
    Act::Duplicate { copies: 3 },
    Act::Tamper,
    Act::Foreign,
    Act::BadSignature,
    Act::Reorder,
];

/// What was counted on the way.
#[derive(Default)]
struct Tally {
    kills: AtomicU32,
    woken: AtomicU32,
    faults: Mutex<BTreeMap<String, u32>>,
}

impl Tally {
    fn fault(&self, act: &Act) {
        let text = format!("{act:?}");
        *self.faults.lock().expect("counts").entry(text).or_default() += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_moves_once_whatever_fails() {
    let seed = seed();
    let runs: u64 = if long() { 5_000 } else { 500 };
    let at = Arc::new(Simulated::start(Engine::Embedded).await);
    let (tally, done) = (Arc::new(Tally::default()), Arc::new(AtomicBool::new(false)));
    let killer = {
        let (at, tally, done) = (Arc::clone(&at), Arc::clone(&tally), Arc::clone(&done));
        std::thread::spawn(move || kill_workers(&at, seed, &tally, &done))
    };
    let bills: Vec<_> = stream::iter(0..runs)
        .map(|n| one_bill(&at, StdRng::seed_from_u64(seed.wrapping_add(n)), &tally))
        .buffer_unordered(TOGETHER)
        .collect()
        .await;
    all_jobs_end(&at, &tally).await;
    done.store(true, Ordering::Relaxed);
    killer.join().expect("killer");
    at.sim.settled().await;

    let (mut lost, mut doubled, mut different) = (0, 0, 0);
    let ledger = at.sim.ledger();
    for sn in &bills {
        let bill = at.read(sn).await;
        for (expected, key, sum, effect) in movements(&bill) {
            let found = ledger.of_key(&key).filter(|entry| entry.effect == effect);
            let amounts: Vec<_> = found.map(|entry| entry.amount).collect();
            match (expected, amounts.as_slice()) {
                (true, []) => lost += 1,
                (true, [moved]) => different += u32::from(*moved != sum),
                (false, []) => {}
                (false, [_]) => different += 1,
                (_, [_, _, ..]) => doubled += 1,
            }
        }
    }
    println!(
        "seed {seed}; bills {runs}, workers killed {}, woken by a person {}, faults {:?}; \
         lost {lost}, doubled {doubled}, different {different}",
        tally.kills.load(Ordering::Relaxed),
        tally.woken.load(Ordering::Relaxed),
        tally.faults.lock().expect("counts"),
    );
    assert_eq!((lost, doubled, different), (0, 0, 0));
    assert!(tally.kills.load(Ordering::Relaxed) > 0);
}

/// Every movement of money that a bill knows of or rules out: whether it happened, its key, its sum.
fn movements(bill: &BillRecord) -> Vec<(bool, String, i64, Effect)> {
    let attempts = bill.attempts.iter().map(|attempt| {
        let paid = bill.payments.iter().find(|payment| payment.attempt == attempt.number);
        let sum = paid.map_or(0, |payment| payment.amount.get());
        (paid.is_some(), attempt.key.to_string(), sum, Effect::Paid)
    });
    let refunds = bill.refunds.iter().map(|refund| {
        let moved = matches!(refund.state, RefundState::Succeeded | RefundState::Processing);
        (moved, refund.key.to_string(), refund.amount.get(), Effect::Refunded)
    });
    attempts.chain(refunds).collect()
}

/// One worker after the other, each with a runtime of its own that ends without a word.
fn kill_workers(at: &Simulated, seed: u64, tally: &Tally, done: &AtomicBool) {
    let mut random = StdRng::seed_from_u64(seed);
    while !done.load(Ordering::Relaxed) {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().expect("runtime");
        runtime.block_on(async {
            let mut settings = quick();
            settings.lease = Duration::from_secs(1);
            let _worker = at.rig.worker_with(at.rig.broker.clone(), settings);
            let life = Duration::from_millis(random.random_range(500..4_000));
            tokio::time::sleep(life).await;
        });
        runtime.shutdown_background();
        tally.kills.fetch_add(1, Ordering::Relaxed);
    }
}

/// Pays one bill and pays a part of it back, with something going wrong on the way.
async fn one_bill(at: &Simulated, mut random: StdRng, tally: &Tally) -> BillSn {
    let (way, calls) = WAYS[random.random_range(0..WAYS.len())];
    let sn = at.bill().await;
    disturb(at, calls, &mut random, tally);
    let key = begin(at, &sn, way, tally).await;
    if at.read(&sn).await.payment().is_none() {
        if random.random_bool(0.5) {
            let act = NOTICE_FAULTS[random.random_range(0..NOTICE_FAULTS.len())].clone();
            tally.fault(&act);
            at.sim.fault(Fault::once(format!("{calls}.notify.pay"), act)).expect("script");
        }
        at.sim.approve(&key).expect("the payer pays");
    }
    becomes(at, &sn, "paid", |bill| bill.payment().is_some()).await;
    disturb(at, calls, &mut random, tally);
    let part = Fen::new(random.random_range(1..=amount().get())).expect("sum");
    let job = at.refund(&sn, part, way.0).await;
    ended(at, &job, tally).await;
    let known =
        |bill: &BillRecord| !bill.refunds.iter().any(|refund| refund.state == RefundState::Sent);
    becomes(at, &sn, "sure of its refunds", known).await;
    sn
}

fn disturb(at: &Simulated, calls: &str, random: &mut StdRng, tally: &Tally) {
    if random.random_bool(0.7) {
        let act = CALL_FAULTS[random.random_range(0..CALL_FAULTS.len())].clone();
        tally.fault(&act);
        at.sim.fault(Fault::once(format!("{calls}.*"), act)).expect("script");
    }
}

/// Calls to pay until the client has something to pay with; gives the number of the trade.
async fn begin(at: &Simulated, sn: &BillSn, way: Way, tally: &Tally) -> String {
    for _ in 0..5 {
        let job = at.pay(sn, way).await;
        let job = ended(at, &job, tally).await;
        let bill = at.read(sn).await;
        let attempt = bill.attempts.last().expect("an attempt");
        if job.state == JobState::Succeeded || bill.payment().is_some() {
            return attempt.key.to_string();
        }
        let code = job.error.map(|error| error.code).unwrap_or_default();
        assert_eq!(code, "attempt_closed", "bill {sn}");
    }
    panic!("bill {sn} cannot be paid");
}

async fn becomes(at: &Simulated, sn: &BillSn, what: &str, check: impl Fn(&BillRecord) -> bool) {
    eventually(format!("bill {sn} {what}"), PATIENCE, async || {
        check(&at.read(sn).await).then_some(())
    })
    .await;
}

/// The job at its end. One that a series of crashes has left to a person is asked about anew.
async fn ended(at: &Simulated, job: &JobRecord, tally: &Tally) -> JobRecord {
    eventually(format!("the end of job {}", job.id), PATIENCE, async || {
        let job = at.rig.job(job.id).await;
        wake(at, &job, tally).await;
        job.state.is_settled().then_some(job)
    })
    .await
}

async fn wake(at: &Simulated, job: &JobRecord, tally: &Tally) {
    if job.state != JobState::Unknown || job.wake_at.is_some() {
        return;
    }
    let Ok(next) = job.clone().publish("asked", "operator test", Timestamp::now()) else { return };
    if at.rig.store.jobs.save(&next).await.expect("store") == Save::Stored {
        tally.woken.fetch_add(1, Ordering::Relaxed);
    }
}

/// Waits until nothing is under way any more but looks that are scheduled.
async fn all_jobs_end(at: &Simulated, tally: &Tally) {
    let states = [JobState::Queued, JobState::Running, JobState::Waiting, JobState::Unknown];
    for owner in [owner(), UserId::FEAT] {
        let kinds = ["pay.create", "pay.refund", "pay.notify"].map(str::to_owned);
        let filter = JobFilter {
            owner: Some(owner),
            kinds: kinds.into(),
            states: states.into(),
            ..JobFilter::default()
        };
        eventually("the end of all jobs", PATIENCE, async || {
            let open = at.rig.store.jobs.list(&filter, None, 500).await.ok()?;
            for job in &open {
                wake(at, job, tally).await;
            }
            open.is_empty().then_some(())
        })
        .await;
    }
}
