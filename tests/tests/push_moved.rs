//! A device whose environment or language changes while a campaign is fanned out.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use schemas::{
    ApnsEnvironment, JobRecord, PushId, Timestamp,
    job::NewJob,
    kinds::PushFanOut,
    push::PushCampaign,
    push_token::{PushTokenRecord, Verdict},
};
use sim::apns::Settings;
use store::{Insert, PushTokenFilter};
use tests::{
    apns::APP,
    pushed::{Pushed, device, first_shard, to_all},
    rig::{Engine, owner},
};

const DEVICES: u32 = 40;
const FIRST: usize = 16;

async fn a_device_that_moves_meanwhile_is_reached_once(engine: Engine) {
    let pushed = Pushed::start(engine, Settings::default()).await;
    let store = &pushed.rig.store;
    // The fan-out reads this environment first.
    let here = ApnsEnvironment::ALL[0];
    for number in 1..=DEVICES {
        let stored = store.push_tokens.insert(&device(number, here)).await;
        assert_eq!(stored, Ok(Insert::Stored));
    }
    let filter = PushTokenFilter::of(APP.parse().expect("bundle id"), here);
    let devices = store.push_tokens.segment(&filter, None, 100).await.expect("store");

    // A fan-out whose worker died behind its first shard.
    let (order, now) = (to_all(), Timestamp::now());
    let new = NewJob::of::<PushFanOut>(owner(), &order).expect("payload");
    let job = JobRecord::accept(new, "api", now);
    let id = PushId::of_job(job.id);
    let campaign = PushCampaign::of(&order, id, owner(), now).start("worker", now);
    let stored = store.pushes.insert(&campaign.expect("it starts")).await;
    assert_eq!(stored, Ok(Insert::Stored));
    first_shard(store, id, &devices[..FIRST]).await;

    // Some that have a place already turn out to belong elsewhere, and some that have none yet.
    let accepted = Verdict::Accepted { environment: here.other() };
    for device in devices[..3].iter().chain(&devices[FIRST..FIRST + 2]) {
        let step = |device: PushTokenRecord| device.judge(accepted, Timestamp::now());
        store.push_tokens.change(device.clone(), step).await.expect("store");
    }

    assert_eq!(store.jobs.insert(&job).await, Ok(Insert::Stored));
    pushed.rig.broker.publish(&job).await.expect("publish");
    let worker = pushed.rig.worker();
    let totals = pushed.ended(id).await.totals.expect("totals");
    worker.stop().await;

    assert_eq!((totals.targeted, totals.accepted), (u64::from(DEVICES), u64::from(DEVICES)));
    let delivered = pushed.delivered();
    assert_eq!(delivered.len(), devices.len());
    assert!(delivered.values().all(|times| *times == 1), "{delivered:?}");
}

tests::on_both_engines! {
    a_device_that_moves_meanwhile_is_reached_once,
}
