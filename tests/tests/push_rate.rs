//! The rate of a campaign, by the times at which the simulator's devices got something.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use schemas::{
    JobRecord, PushId, Timestamp,
    job::NewJob,
    kinds::PushFanOut,
    push::{PushCampaign, PushOrder},
};
use sim::apns::{Act, Refusal, Rule, Settings};
use store::Insert;
use tests::{
    pushed::{Pushed, register, to_all},
    rig::{Engine, owner},
};

const RATE: u32 = 20;

fn slow() -> PushOrder {
    PushOrder { rate: Some(RATE), ..to_all() }
}

/// No second has more than that of the rate and two seconds besides, and one that a busy machine
/// may have kept back.
fn keeps_the_rate(pushed: &Pushed, expected: usize) {
    let mut times: Vec<_> = pushed.apple.sim.deliveries().iter().map(|one| one.at).collect();
    times.sort_unstable();
    assert_eq!(times.len(), expected);
    let most = RATE as usize * 4;
    for (begin, end) in times.iter().zip(&times[most..]) {
        let took = end.since(*begin);
        assert!(took >= Duration::from_secs(1), "{most} pushes in {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_is_kept() {
    let pushed = Pushed::start(Engine::Embedded, Settings::default()).await;
    register(&pushed.rig.store, 120).await;
    let worker = pushed.rig.worker();
    let id = pushed.accept(&PushOrder { rate: Some(40), ..to_all() }).await;
    let campaign = pushed.ended(id).await;
    worker.stop().await;

    assert_eq!(campaign.totals.expect("totals").accepted, 120);
    let took = campaign.settled_at.expect("end").since(campaign.started_at.expect("start"));
    assert!(took >= Duration::from_secs(2), "40 ahead and 40 in each second, not {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_ours_is_not_made_up_for() {
    let pushed = Pushed::start(Engine::Embedded, Settings::default()).await;
    let store = &pushed.rig.store;
    register(store, 140).await;
    // What is left of a campaign whose workers have been away for ten minutes.
    let then = Timestamp::now() - Duration::from_mins(10);
    let order = PushOrder { start_at: then, ..slow() };
    let new = NewJob::of::<PushFanOut>(owner(), &order).expect("payload");
    let job = JobRecord::accept(new, "api", then);
    let campaign = PushCampaign::of(&order, PushId::of_job(job.id), owner(), then);
    let campaign = campaign.start("worker", then).expect("it begins");
    let (_, campaign) = campaign.take_places(20, 20, then).expect("it is paced");
    assert_eq!(store.pushes.insert(&campaign).await, Ok(Insert::Stored));
    assert_eq!(store.jobs.insert(&job).await, Ok(Insert::Stored));
    let worker = pushed.rig.worker();
    let ended = pushed.ended(campaign.id).await;
    worker.stop().await;

    assert_eq!(ended.totals.expect("totals").accepted, 140);
    keeps_the_rate(&pushed, 140);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_apples_is_not_made_up_for() {
    let pushed = Pushed::start(Engine::Embedded, Settings::default()).await;
    register(&pushed.rig.store, 120).await;
    let reason = Some("ServiceUnavailable".to_owned());
    let away = Refusal { status: 503, reason, timestamp: None, retry_after: Some(2) };
    let rule = Rule { times: Some(100), ..Rule::always(Act::Answer(away)) };
    pushed.apple.sim.add_rule(rule);
    let worker = pushed.rig.worker();
    let ended = pushed.ended(pushed.accept(&slow()).await).await;
    worker.stop().await;

    assert_eq!(ended.totals.expect("totals").accepted, 120);
    keeps_the_rate(&pushed, 120);
}
