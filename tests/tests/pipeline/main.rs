//! The pipeline's promises, on both engines, with handlers that do what the test says.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

mod cancelling;

use std::{collections::BTreeSet, time::Duration};

use futures::future::join_all;
use schemas::{
    DeviceId, ImageId, Job, JobRecord, JobSpec, JobState, SessionId, Timestamp, UserId,
    device::DeviceRecord,
    image::{ImageFormat, ImageRecord},
    job::{NewJob, Verdict},
    kinds::{ImageDelete, JobExpiry, image_delete::ImageDeletion, job_expiry::Expiry},
    message::Beside,
    schedule::SCHEDULES,
};
use serde_json::Value;
use store::{Insert, JobFilter, Save};
use tests::{
    eventually,
    rig::{Engine, Rig, owner, quick},
    scripted::{Leased, Repeatable, Script, Slow, Step},
};
use workers::Settings;

const HOUR: Duration = Duration::from_hours(1);

tests::on_both_engines! {
    ten_deliveries_cause_one_effect,
    ten_deliveries_of_a_settled_job_change_nothing,
    a_failing_job_is_tried_again_and_then_set_aside,
    a_panic_is_a_failed_attempt,
    a_handler_that_never_returns_is_cut_off,
    a_refused_job_is_not_tried_again,
    a_lost_message_is_sent_again,
    a_backlog_is_not_sent_again,
    what_workers_fetched_ahead_of_a_slow_service_is_not_sent_again,
    shutdown_returns_what_it_cuts_off,
    a_lease_that_ends_is_taken_over_and_counted,
    an_unreadable_message_is_set_aside,
    a_schedule_runs_once_per_tick_over_all_workers,
    settled_jobs_are_forgotten_after_their_retention,
    what_comes_along_with_a_message_may_be_old,
}

async fn ten_deliveries_cause_one_effect(engine: Engine) {
    let rig = Rig::new(engine).await;
    let script = Script::new(&[Step::Gate]);
    let job = rig.submit::<Leased>(&script.payload()).await;
    for _ in 1..10 {
        rig.broker.publish(&job).await.expect("publish");
    }
    let workers = [rig.worker(), rig.worker()];
    eventually("a run", Duration::from_mins(1), async || (script.seen().begun > 0).then_some(()))
        .await;
    script.open_gate(10);
    rig.in_state(job.id, JobState::Succeeded).await;
    empty_queue(&rig).await;
    join_all(workers.map(tests::rig::Worker::stop)).await;

    assert_eq!((script.seen().begun, script.seen().effects), (1, 1));
}

async fn ten_deliveries_of_a_settled_job_change_nothing(engine: Engine) {
    let rig = Rig::new(engine).await;
    let script = Script::new(&[Step::Done]);
    let worker = rig.worker();
    let job = rig.submit::<Leased>(&script.payload()).await;
    let settled = rig.in_state(job.id, JobState::Succeeded).await;
    for _ in 0..10 {
        rig.broker.publish(&job).await.expect("publish");
    }
    empty_queue(&rig).await;
    worker.stop().await;

    assert_eq!(rig.job(job.id).await, settled);
    assert_eq!(script.seen().effects, 1);
}

/// Waits until nothing lies in the queue. What a worker has in hand ends with the worker.
async fn empty_queue(rig: &Rig) {
    eventually("an empty queue", Duration::from_mins(1), async || {
        let depth = rig.broker.depth(schemas::Queue::Images).await.ok()?;
        (depth.ready == 0).then_some(())
    })
    .await;
}

async fn a_failing_job_is_tried_again_and_then_set_aside(engine: Engine) {
    let rig = Rig::new(engine).await;
    let script = Script::new(&[Step::Again]);
    let worker = rig.worker();
    let job = rig.submit::<Repeatable>(&script.payload()).await;
    let dead = rig.in_state(job.id, JobState::Dead).await;
    worker.stop().await;

    assert_eq!((dead.attempts, script.seen().begun), (4, 4));
    assert_eq!(dead.error.expect("failure").code, "attempt_failed");
}

async fn a_panic_is_a_failed_attempt(engine: Engine) {
    let rig = Rig::new(engine).await;
    let script = Script::new(&[Step::Panic, Step::Done]);
    let worker = rig.worker();
    let job = rig.submit::<Repeatable>(&script.payload()).await;
    let done = rig.in_state(job.id, JobState::Succeeded).await;
    worker.stop().await;

    assert_eq!((done.attempts, script.seen().begun), (2, 2));
    assert!(done.history.iter().any(|change| change.why == "handler_panicked"));
}

async fn a_handler_that_never_returns_is_cut_off(engine: Engine) {
    let rig = Rig::new(engine).await;
    let script = Script::new(&[Step::Hang, Step::Done]);
    let worker = rig.worker();
    let job = rig.submit::<Repeatable>(&script.payload()).await;
    let done = rig.in_state(job.id, JobState::Succeeded).await;
    worker.stop().await;

    assert_eq!((done.attempts, done.crashes), (2, 0));
    assert!(done.history.iter().any(|change| change.why == "attempt_timed_out"));
}

async fn a_refused_job_is_not_tried_again(engine: Engine) {
    let rig = Rig::new(engine).await;
    let script = Script::new(&[Step::Reject]);
    let worker = rig.worker();
    let job = rig.submit::<Repeatable>(&script.payload()).await;
    let failed = rig.in_state(job.id, JobState::Failed).await;
    worker.stop().await;

    assert_eq!(script.seen().begun, 1);
    assert_eq!(failed.error.expect("failure").code, "as_the_script_says");
}

async fn a_lost_message_is_sent_again(engine: Engine) {
    let rig = Rig::new(engine).await;
    let script = Script::new(&[Step::Done]);
    let new = schemas::job::NewJob::of::<Repeatable>(owner(), &script.payload()).expect("payload");
    let job = schemas::JobRecord::accept(new, "api", Timestamp::now());
    let _ = rig.store.jobs.insert(&job).await.expect("insert");
    let worker = rig.worker();
    let done = rig.in_state(job.id, JobState::Succeeded).await;
    worker.stop().await;

    assert_eq!((done.republished, script.seen().effects), (1, 1));
}

async fn a_backlog_is_not_sent_again(engine: Engine) {
    const BACKLOG: usize = 300;
    let rig = Rig::new(engine).await;
    let first = Script::new(&[Step::Gate]);
    let rest = Script::new(&[Step::Done]);
    let mut jobs = vec![rig.submit::<Leased>(&first.payload()).await];
    for _ in 0..BACKLOG {
        jobs.push(rig.submit::<Leased>(&rest.payload()).await);
    }
    // One slot, and the first job holds it for several margins of the sweep.
    let mut settings = quick();
    for queue in settings.queues.values_mut() {
        (queue.concurrency, queue.prefetch) = (1, 1);
    }
    let margin = settings.sweep_margin;
    let worker = rig.worker_with(rig.broker.clone(), settings);
    rig.in_state(jobs[0].id, JobState::Running).await;
    let patience = tokio::time::Instant::now() + margin * 3;
    tokio::time::sleep_until(patience).await;
    first.open_gate(1);
    for job in &jobs {
        let done = rig.in_state(job.id, JobState::Succeeded).await;
        assert_eq!(done.republished, 0, "a job that waited its turn was sent again");
    }
    worker.stop().await;
    assert_eq!(rest.seen().effects as usize, BACKLOG);
}

/// One worker has fetched everything and waits for two slow jobs; another has nothing to do and
/// looks for lost messages.
async fn what_workers_fetched_ahead_of_a_slow_service_is_not_sent_again(engine: Engine) {
    const FETCHED: usize = 60;
    let rig = Rig::new(engine).await;
    let slow = Script::new(&[Step::Gate]);
    let rest = Script::new(&[Step::Done]);
    let mut settings = quick();
    for queue in settings.queues.values_mut() {
        (queue.concurrency, queue.prefetch) = (2, 512);
    }
    // Long enough that a slow machine finds time to tell what is held.
    settings.sweep_interval = Duration::from_millis(400);
    settings.sweep_margin = Duration::from_secs(2);
    let looks = settings.sweep_interval * 8;
    let busy = rig.worker_with(rig.broker.clone(), settings.clone());
    let mut jobs = Vec::new();
    for script in [&slow, &slow].into_iter().chain(std::iter::repeat_n(&rest, FETCHED)) {
        jobs.push(rig.submit::<Slow>(&script.payload()).await);
    }
    eventually("two runs", Duration::from_mins(1), async || {
        (slow.seen().running == 2).then_some(())
    })
    .await;
    empty_queue(&rig).await;
    "idle".clone_into(&mut settings.name);
    let broker = match &rig.corner {
        Some(corner) => tests::rig::another_broker(corner).await,
        None => rig.broker.clone(),
    };
    let idle = rig.worker_with(broker, settings);
    let patience = tokio::time::Instant::now() + looks;
    tokio::time::sleep_until(patience).await;
    slow.open_gate(2);
    for job in &jobs {
        let done = rig.in_state(job.id, JobState::Succeeded).await;
        assert_eq!(done.republished, 0, "a job that waited for a slot was sent again");
    }
    // What is really lost is found all the same.
    let new = NewJob::of::<Slow>(owner(), &rest.payload()).expect("payload");
    let lost = JobRecord::accept(new, "api", Timestamp::now());
    assert_eq!(rig.store.jobs.insert(&lost).await.expect("insert"), Insert::Stored);
    assert_eq!(rig.in_state(lost.id, JobState::Succeeded).await.republished, 1);
    join_all([busy, idle].map(tests::rig::Worker::stop)).await;
    assert_eq!(rest.seen().effects as usize, FETCHED + 1);
}

async fn shutdown_returns_what_it_cuts_off(engine: Engine) {
    let rig = Rig::new(engine).await;
    let script = Script::new(&[Step::Gate]);
    let mut settings = quick();
    settings.shutdown_deadline = Duration::from_millis(200);
    let worker = rig.worker_with(rig.broker.clone(), settings);
    let job = rig.submit::<Leased>(&script.payload()).await;
    rig.in_state(job.id, JobState::Running).await;
    let drained = worker.stop().await;
    let returned = rig.job(job.id).await;

    assert_eq!(drained.returned, 1);
    assert_eq!((returned.state, returned.attempts, returned.crashes), (JobState::Queued, 0, 0));
    script.open_gate(1);
    let worker = rig.worker();
    let done = rig.in_state(job.id, JobState::Succeeded).await;
    worker.stop().await;
    assert_eq!((done.attempts, script.seen().effects), (1, 1));
}

async fn a_lease_that_ends_is_taken_over_and_counted(engine: Engine) {
    let rig = Rig::new(engine).await;
    let script = Script::new(&[Step::Done]);
    let new = schemas::job::NewJob::of::<Leased>(owner(), &script.payload()).expect("payload");
    let now = Timestamp::now();
    let job = schemas::JobRecord::accept(new, "api", now);
    let _ = rig.store.jobs.insert(&job).await.expect("insert");
    // A worker that was killed leaves just this behind.
    let held = job.claim("gone", now + Duration::from_millis(300), now).expect("claim");
    assert_eq!(rig.store.jobs.save(&held).await.expect("store"), Save::Stored);
    let worker = rig.worker();
    let done = rig.in_state(held.id, JobState::Succeeded).await;
    worker.stop().await;

    assert_eq!((done.crashes, script.seen().effects), (1, 1));
}

async fn an_unreadable_message_is_set_aside(engine: Engine) {
    let rig = Rig::new(engine).await;
    let worker = rig.worker();
    let script = Script::new(&[Step::Done]);
    let mut foreign = rig.submit::<Repeatable>(&script.payload()).await;
    "test.unheard_of".clone_into(&mut foreign.kind);
    rig.broker.publish(&foreign).await.expect("publish");
    let parked = eventually("a parked message", Duration::from_mins(1), async || {
        let parked = rig.broker.parked(schemas::Queue::Images).await.ok()?;
        (!parked.is_empty()).then_some(parked)
    })
    .await;
    worker.stop().await;

    assert_eq!(parked.len(), 1);
    assert_eq!(parked[0].reason, "unknown kind test.unheard_of");
}

async fn a_schedule_runs_once_per_tick_over_all_workers(engine: Engine) {
    let rig = Rig::new(engine).await;
    let workers = [rig.worker(), rig.worker(), rig.worker(), rig.worker()];
    let system = JobFilter { owner: Some(UserId::FEAT), ..JobFilter::default() };
    // Each worker puts the next tick into the store by itself; here is one that is due at once.
    let tick = Timestamp::now();
    let inserts = (0..8).map(|_| async {
        let job = SCHEDULES[0].job(tick).expect("job");
        rig.store.jobs.insert(&JobRecord::accept(job, "test", tick)).await.expect("store")
    });
    let stored = join_all(inserts).await.into_iter().filter(|insert| *insert == Insert::Stored);
    assert_eq!(stored.count(), 1, "one job for one tick");

    let due = SCHEDULES[0].job(tick).expect("job").unique_key;
    let jobs = eventually("the tick and the next one", Duration::from_mins(1), async || {
        let jobs = rig.store.jobs.list(&system, None, 100).await.ok()?;
        let ran = |job: &JobRecord| job.unique_key == due && job.state == JobState::Succeeded;
        let next = |job: &JobRecord| job.state == JobState::Scheduled;
        (jobs.iter().any(ran) && jobs.iter().any(next)).then_some(jobs)
    })
    .await;
    join_all(workers.map(tests::rig::Worker::stop)).await;
    let keys: BTreeSet<_> = jobs.iter().map(|job| job.unique_key.clone()).collect();
    assert_eq!(keys.len(), jobs.len(), "no tick has two jobs");
}

async fn settled_jobs_are_forgotten_after_their_retention(engine: Engine) {
    let rig = Rig::new(engine).await;
    let long_ago = Timestamp::now() - 2 * HOUR;
    let script = Script::new(&[Step::Done]);
    let new = NewJob::of::<Repeatable>(owner(), &script.payload()).expect("payload");
    let begun = JobRecord::accept(new, "api", long_ago);
    assert_eq!(rig.store.jobs.insert(&begun).await.expect("store"), Insert::Stored);
    let done = Verdict::Done(Value::Null);
    let old = begun
        .settle(&JobSpec::of::<Repeatable>(), done, "worker", long_ago, 0.0)
        .expect("not ended");
    assert_eq!(rig.store.jobs.save(&old).await.expect("store"), Save::Stored);
    let device = forgotten_device(long_ago);
    assert_eq!(rig.store.devices.insert(&device).await, Ok(Insert::Stored));
    let settings = Settings { retention: HOUR, ..quick() };
    let worker = rig.worker_with(rig.broker.clone(), settings);
    let open = Script::new(&[Step::Gate]);
    let open_job = rig.submit::<Leased>(&open.payload()).await;
    let expiry = rig.submit::<JobExpiry>(&Expiry {}).await;
    rig.in_state(expiry.id, JobState::Succeeded).await;

    // The worker's own expiry, every few minutes, may have come first.
    let expiries = JobFilter { kinds: vec![JobExpiry::KIND.to_owned()], ..JobFilter::default() };
    eventually("reports of one job and one device", Duration::from_mins(1), async || {
        let jobs = rig.store.jobs.list(&expiries, None, 100).await.ok()?;
        let sum = |what: &str| {
            let reports = jobs.iter().filter_map(|job| job.output.as_ref());
            reports.filter_map(|report| report[what].as_u64()).sum::<u64>()
        };
        ((sum("jobs_removed"), sum("devices_removed")) == (1, 1)).then_some(())
    })
    .await;
    let found = rig.store.devices.by_device(device.owner, &device.device_id).await;
    assert_eq!(found, Ok(None));
    assert_eq!(rig.store.jobs.get(old.id).await.expect("store"), None);
    open.open_gate(1);
    rig.in_state(open_job.id, JobState::Succeeded).await;
    worker.stop().await;
}

async fn what_comes_along_with_a_message_may_be_old(engine: Engine) {
    let rig = Rig::new(engine).await;
    let live = picture(41);
    let payload = ImageDeletion { image: live.id };
    let new = NewJob::of::<ImageDelete>(owner(), &payload).expect("payload");
    let job = JobRecord::accept(new, "api", Timestamp::now());
    let hidden = live.clone().delete(job.id, Timestamp::now());
    let since = hidden.clone().tag(vec!["changed since".to_owned()]);
    rig.blobs.put(&live.original(), "a picture".into()).await.expect("file");
    assert_eq!(rig.store.images.insert(&live).await.expect("insert"), Insert::Stored);
    for next in [&hidden, &since] {
        assert_eq!(rig.store.images.save(next).await.expect("save"), Save::Stored);
    }
    assert_eq!(rig.store.jobs.insert(&job).await.expect("insert"), Insert::Stored);
    let beside = Beside::of(&hidden);
    rig.broker.publish_with(&job, beside.as_ref()).await.expect("publish");
    let worker = rig.worker();

    let done = rig.in_state(job.id, JobState::Succeeded).await;

    assert_eq!(done.attempts, 1, "the first attempt finds out by itself");
    assert!(rig.blobs.get(&live.original(), None).await.expect("files").is_none());
    let left = rig.store.images.get(live.id).await.expect("store").expect("picture");
    assert!(left.is_purging());
    assert_eq!(left.tags, since.tags, "the change is not undone");
    worker.stop().await;
}

/// A device whose last sign-in has ended.
fn forgotten_device(since: Timestamp) -> DeviceRecord {
    DeviceRecord {
        id: DeviceId::generate(),
        version: 1,
        owner: owner(),
        device_id: "web:1".to_owned(),
        client: "demo".parse().expect("id"),
        session: SessionId::generate(),
        first_seen: since,
        last_seen: since,
        expires_at: Some(since),
    }
}

fn picture(id: i64) -> ImageRecord {
    ImageRecord {
        id: ImageId::new(id).expect("id"),
        owner: owner(),
        version: 1,
        file_name: format!("{id}.png"),
        format: ImageFormat::Png,
        bytes: 9,
        digest: "d".to_owned(),
        width: 1,
        height: 1,
        tags: vec![],
        created_at: Timestamp::now(),
        deletion: None,
    }
}
