//! A whole app whose devices say the wrong environment.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use schemas::{
    ApnsEnvironment, JobState,
    kinds::{
        PushTokenPrune,
        push_token_prune::{Pruning, PruningDone},
    },
    push_token::PushTokenState,
};
use sim::apns::Settings;
use store::PushTokenFilter;
use tests::{
    apns::APP,
    pushed::{Pushed, register, to_all, token},
    rig::Engine,
};

const DEVICES: u32 = 1_000;

async fn a_fleet_of_the_wrong_environment_is_corrected_and_none_is_lost(engine: Engine) {
    let settings = Settings { known_devices_only: true, ..Settings::default() };
    let pushed = Pushed::start(engine, settings).await;
    let (store, sim) = (&pushed.rig.store, &pushed.apple.sim);
    register(store, DEVICES).await;
    for number in 1..=DEVICES {
        sim.register(token(number).as_str(), APP, ApnsEnvironment::Sandbox);
    }
    let worker = pushed.rig.worker();
    for turn in 1..=2 {
        let totals = pushed.ended(pushed.accept(&to_all()).await).await.totals.expect("totals");
        assert_eq!((totals.targeted, totals.accepted), (1_000, 1_000), "campaign {turn}");
        // Each device is asked for in the wrong place once, and never again.
        assert_eq!(sim.stats().answers["400 BadDeviceToken"], u64::from(DEVICES));
    }
    assert!(pushed.delivered().values().all(|times| *times == 2), "once for each campaign");
    let job = pushed.rig.submit::<PushTokenPrune>(&Pruning {}).await;
    let job = pushed.rig.in_state(job.id, JobState::Succeeded).await;
    worker.stop().await;

    let done: PruningDone = serde_json::from_value(job.output.expect("output")).expect("its form");
    assert_eq!(done, PruningDone::default(), "nothing goes, and the brake holds nothing");
    let app = APP.parse().expect("bundle id");
    let (right, wrong) = (ApnsEnvironment::Sandbox, ApnsEnvironment::Production);
    let found = async |environment| {
        let filter = PushTokenFilter::of(APP.parse().expect("bundle id"), environment);
        store.push_tokens.segment(&filter, None, 2_000).await.expect("store")
    };
    let there = found(right).await;
    assert_eq!((there.len(), found(wrong).await.len()), (1_000, 0));
    assert!(there.iter().all(|device| device.state == PushTokenState::Active));
    assert_eq!(store.push_tokens.count_corrected(&app, wrong, 2_000).await, Ok(1_000));
    let cohort = store.push_cohorts.get(&app, wrong).await.expect("store");
    assert!(cohort.is_none_or(|cohort| cohort.held == 0 && cohort.held_since.is_none()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_of_the_wrong_environment_is_corrected_and_none_is_lost_embedded() {
    a_fleet_of_the_wrong_environment_is_corrected_and_none_is_lost(Engine::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_of_the_wrong_environment_is_corrected_and_none_is_lost_distributed() {
    a_fleet_of_the_wrong_environment_is_corrected_and_none_is_lost(Engine::Distributed).await;
}
