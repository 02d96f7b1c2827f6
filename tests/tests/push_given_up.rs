//! A campaign whose work was given up comes to its end all the same, and goes on when an operator
//! says so.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use reqwest::Method;
use schemas::{
    ApnsEnvironment, JobRecord, JobState, PushId, Timestamp, UserId,
    kinds::{self, push_shard::ShardName},
    push::PushState,
};
use serde_json::json;
use sim::apns::Settings;
use store::Save;
use tests::{
    apns::APP,
    eventually,
    pushed::{Pushed, campaign_ends, first_shard, register, to_all},
    rig::{Engine, owner},
};

const SOON: Duration = Duration::from_mins(1);

tests::on_both_engines! {
    a_shard_that_dies_is_counted_as_unknown_and_sent_after_all,
    a_fan_out_that_dies_ends_its_campaign_and_goes_on_after_all,
}

/// Leaves `job` as workers leave it that have crashed with it once too seldom: the next lost lease
/// is its death.
async fn doom(pushed: &Pushed, job: JobRecord) {
    let now = Timestamp::now();
    let ready = if job.state == JobState::Queued {
        job
    } else {
        let ready = job.publish("test", "test", now).expect("it waits");
        assert_eq!(pushed.rig.store.jobs.save(&ready).await, Ok(Save::Stored));
        ready
    };
    let mut running = ready.claim("crashed", now, now).expect("it is ready");
    running.crashes = schemas::job::MAX_CRASHES - 1;
    assert_eq!(pushed.rig.store.jobs.save(&running).await, Ok(Save::Stored));
}

/// Does what `feat jobs retry` does.
async fn retry(pushed: &Pushed, job: JobRecord) {
    let spec = kinds::spec(&job.kind).expect("a kind");
    let again = job.retry(spec, "operator ada", Timestamp::now()).expect("it is dead");
    assert_eq!(pushed.rig.store.jobs.save(&again).await, Ok(Save::Stored));
}

async fn a_shard_that_dies_is_counted_as_unknown_and_sent_after_all(engine: Engine) {
    let pushed = Pushed::start(engine, Settings::default()).await;
    let store = &pushed.rig.store;
    register(store, 200).await;
    // Nothing is sent while it is paused: the second shard dies before it began.
    let id = pushed.accept(&to_all()).await;
    let steer = async |what: &str| {
        let path = format!("/api/push/{id}/{what}/");
        let (status, told) = pushed.backend.call(Method::POST, &path, Some(&json!({}))).await;
        assert_eq!(status, 200, "{told}");
    };
    steer("pause").await;
    let worker = pushed.rig.worker();
    let name = ShardName { campaign: id, owner: owner(), seq: 1 };
    let shard = async || {
        let job = store.jobs.by_unique_key(UserId::FEAT, &name.unique_key()).await;
        job.expect("store")
    };
    eventually("all shards are known and wait", SOON, async || {
        let complete = pushed.backend.read(&id.to_string()).await["complete"].as_bool()?;
        let waits = shard().await?.state == JobState::Waiting;
        (complete && waits).then_some(())
    })
    .await;
    worker.stop().await;
    doom(&pushed, shard().await.expect("a job")).await;
    steer("resume").await;
    let worker = pushed.rig.worker();
    let ended = campaign_ends(store, id, SOON).await;

    assert_eq!((ended.state, ended.lost), (PushState::Finished, 1));
    let totals = ended.totals.expect("totals");
    assert_eq!((totals.targeted, totals.accepted, totals.unknown), (200, 100, 100));
    assert_eq!(pushed.delivered().len(), 100);
    let dead = eventually("its job is dead", SOON, async || {
        shard().await.filter(|job| job.state == JobState::Dead)
    })
    .await;
    let told = pushed.backend.read(&id.to_string()).await;
    assert_eq!((&told["status"], &told["counts"]["unknown"]), (&json!("finished"), &json!(100)));

    retry(&pushed, dead).await;
    let whole = eventually("the sums are corrected", SOON, async || {
        let campaign = store.pushes.get(id).await.expect("store").expect("a campaign");
        (campaign.lost == 0).then_some(campaign)
    })
    .await;
    let totals = whole.totals.expect("totals");
    assert!(totals.add_up());
    assert_eq!((totals.targeted, totals.accepted, totals.unknown), (200, 200, 0));
    assert_eq!(whole.settled_at, ended.settled_at, "it has ended once");
    pushed.ended(id).await;
    worker.stop().await;
    let delivered = pushed.delivered();
    assert!(delivered.len() == 200 && delivered.values().all(|times| *times == 1));
}

async fn a_fan_out_that_dies_ends_its_campaign_and_goes_on_after_all(engine: Engine) {
    let pushed = Pushed::start(engine, Settings::default()).await;
    let store = &pushed.rig.store;
    register(store, 120).await;
    let id = pushed.accept(&to_all()).await;
    // What a worker leaves that has found the first devices and crashed then.
    first_devices(&pushed, id, 50).await;
    let job = pushed.rig.job(id.job()).await;
    doom(&pushed, job).await;
    let worker = pushed.rig.worker();
    let ended = campaign_ends(store, id, SOON).await;

    assert!(ended.cut_short);
    let totals = ended.totals.expect("totals");
    assert_eq!((totals.targeted, totals.accepted), (50, 50));
    assert_eq!(pushed.backend.read(&id.to_string()).await["complete"], json!(false));
    let dead = pushed.rig.in_state(id.job(), JobState::Dead).await;

    retry(&pushed, dead).await;
    eventually("it has gone on", SOON, async || {
        let campaign = store.pushes.get(id).await.expect("store")?;
        (!campaign.cut_short && campaign.settled_at.is_some()).then_some(())
    })
    .await;
    let whole = pushed.ended(id).await;
    worker.stop().await;
    assert_eq!(whole.totals.expect("totals").accepted, 120);
    let delivered = pushed.delivered();
    assert!(delivered.len() == 120 && delivered.values().all(|times| *times == 1));
}

/// Stores the first shard's devices as the fan-out does, and nothing else.
async fn first_devices(pushed: &Pushed, id: PushId, count: usize) {
    let found = {
        let app = APP.parse().expect("bundle id");
        let filter = store::PushTokenFilter::of(app, ApnsEnvironment::Production);
        pushed.rig.store.push_tokens.segment(&filter, None, count).await.expect("store")
    };
    assert_eq!(found.len(), count);
    first_shard(&pushed.rig.store, id, &found).await;
}
