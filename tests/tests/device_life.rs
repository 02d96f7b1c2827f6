//! What becomes of device tokens in time: corrected, put aside, removed, and held back when too many
//! would go at once; on both engines.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use schemas::{
    ApnsEnvironment, JobState, SessionId, Timestamp,
    kinds::{
        PushTokenPrune, PushTokenRegister,
        push_token_prune::{Pruning, PruningDone},
        push_token_register::TokenRegistration,
    },
    push_token::{
        PushTokenReason, PushTokenRecord, PushTokenState, Registration, SignedIn, Verdict,
    },
};
use store::{Insert, Judged, PushTokenFilter, Registered, Save};
use tests::{
    devices::{Stage, app, token},
    rig::{Engine, owner},
};

tests::on_both_engines! {
    a_fleet_in_the_wrong_environment_is_corrected_and_none_lost,
    the_sweep_through_the_tokens_keeps_them_in_order,
    too_many_at_once_stay_until_an_operator_lets_them_go,
}

async fn a_fleet_in_the_wrong_environment_is_corrected_and_none_lost(engine: Engine) {
    let stage = Stage::start(engine).await;
    let tokens = &stage.rig.store.push_tokens;
    let now = Timestamp::now();
    let mut fleet = Vec::new();
    for number in 0..300 {
        let registration = Registration {
            owner: owner(),
            app: app(),
            environment: ApnsEnvironment::Sandbox,
            token: token(number).parse().expect("token"),
            device_id: format!("ios:{number}"),
            signed_in: SignedIn::default(),
            locale: None,
            app_version: None,
        };
        match tokens.register(registration, now).await.expect("store") {
            Registered::New(device) => fleet.push(device),
            other => panic!("{other:?}"),
        }
    }
    // Nobody tried the other environment at first; then somebody did.
    let sent = now + Duration::from_secs(1);
    let doubted = fleet.into_iter().map(|device| (device, Verdict::Unknown { sent })).collect();
    let mut suspects = Vec::new();
    for judged in tokens.judge(doubted, sent).await {
        let Ok(Judged::Changed(device)) = judged else { panic!("{judged:?}") };
        assert_eq!(device.state, PushTokenState::Suspect);
        suspects.push(device);
    }
    let accepted = Verdict::Accepted { environment: ApnsEnvironment::Production };
    let corrected = suspects.into_iter().map(|device| (device, accepted)).collect();
    let judged = tokens.judge(corrected, sent + Duration::from_secs(1)).await;
    assert!(judged.iter().all(|one| matches!(one, Ok(Judged::Changed(_)))));

    let filter = |environment| PushTokenFilter::of(app(), environment);
    let found = tokens.segment(&filter(ApnsEnvironment::Production), None, 1_000).await;
    assert_eq!(found.expect("store").len(), 300);
    let left = tokens.segment(&filter(ApnsEnvironment::Sandbox), None, 1_000).await;
    assert_eq!(left, Ok(Vec::new()));
    assert_eq!(tokens.count_corrected(&app(), ApnsEnvironment::Sandbox, 1_000).await, Ok(300));
}

async fn the_sweep_through_the_tokens_keeps_them_in_order(engine: Engine) {
    let stage = Stage::start(engine).await;
    let tokens = &stage.rig.store.push_tokens;
    let (now, day) = (Timestamp::now(), Duration::from_hours(24));
    let device = |number: u32, received, signed_in| Registration {
        owner: owner(),
        app: app(),
        environment: ApnsEnvironment::Production,
        token: token(number).parse().expect("token"),
        device_id: format!("ios:{number}:{received}"),
        signed_in,
        locale: None,
        app_version: None,
    };
    let signed_out = SignedIn {
        session: Some(SessionId::generate()),
        until: Some(now - Duration::from_secs(1)),
        ..SignedIn::default()
    };
    let rows = [
        (1, now, SignedIn::default()),
        (2, now - day * 300, SignedIn::default()),
        (3, now - day, signed_out),
        (4, now - day * 9, SignedIn::default()),
        (5, now - day * 40, SignedIn::default()),
    ];
    for (number, received, signed_in) in rows {
        let registration = device(number, received, signed_in);
        let Ok(Registered::New(device)) = tokens.register(registration, received).await else {
            panic!("not new")
        };
        let changed = match number {
            4 => device.judge(Verdict::Gone { since: received }, received + day),
            5 => device.removed(PushTokenReason::Deleted, now - day * 31),
            _ => None,
        };
        if let Some(changed) = changed {
            assert_eq!(tokens.save(&changed).await, Ok(Save::Stored));
        }
    }
    let worker = stage.rig.worker();
    let job = stage.rig.submit::<PushTokenPrune>(&Pruning {}).await;
    stage.rig.in_state(job.id, JobState::Succeeded).await;

    let standing = async |number| {
        let device = stage.device(&token(number)).await;
        (device.state, device.why().expect("a reason"))
    };
    assert_eq!(standing(1).await, (PushTokenState::Active, PushTokenReason::Registered));
    assert_eq!(standing(2).await, (PushTokenState::Quarantined, PushTokenReason::Stale));
    assert_eq!(standing(3).await, (PushTokenState::Removed, PushTokenReason::SignedOut));
    assert_eq!(standing(4).await, (PushTokenState::Removed, PushTokenReason::Lapsed));
    let forgotten = tokens.get(&app(), &token(5).parse().expect("token")).await;
    assert_eq!(forgotten, Ok(None));
    worker.stop().await;
}

async fn too_many_at_once_stay_until_an_operator_lets_them_go(engine: Engine) {
    let stage = Stage::start(engine).await;
    let store = &stage.rig.store;
    let (now, day) = (Timestamp::now(), Duration::from_hours(24));
    let aside = now - day * 8;
    for number in 0..100 {
        let registration = Registration {
            owner: owner(),
            app: app(),
            environment: ApnsEnvironment::Production,
            token: token(number).parse().expect("token"),
            device_id: format!("ios:{number}"),
            signed_in: SignedIn::default(),
            locale: None,
            app_version: None,
        };
        let mut device = PushTokenRecord::new(registration, now - day * 9);
        if number < 60 {
            device = device.judge(Verdict::Gone { since: aside }, aside).expect("put aside");
        }
        assert_eq!(store.push_tokens.insert(&device).await, Ok(Insert::Stored));
    }
    let worker = stage.rig.worker();
    let prune = async || {
        let job = stage.rig.submit::<PushTokenPrune>(&Pruning {}).await;
        let job = stage.rig.in_state(job.id, JobState::Succeeded).await;
        serde_json::from_value::<PruningDone>(job.output.expect("output")).expect("its form")
    };
    let here = ApnsEnvironment::Production;
    let count = async |state| store.push_tokens.count(&app(), here, state, 1_000).await;
    let done = prune().await;
    assert_eq!((done.lapsed, done.held), (0, 60));
    assert_eq!(count(PushTokenState::Quarantined).await, Ok(60));
    let cohort = store.push_cohorts.get(&app(), here).await.expect("store").expect("a record");
    assert_eq!(cohort.held, 60);
    assert!(cohort.held_since.is_some());

    let released = cohort.release("operator ada", Timestamp::now() + day);
    assert_eq!(store.push_cohorts.save(&released).await, Ok(Save::Stored));
    prune().await;
    assert_eq!(count(PushTokenState::Removed).await, Ok(60));
    assert_eq!(count(PushTokenState::Active).await, Ok(40));
    let cohort = store.push_cohorts.get(&app(), here).await.expect("store").expect("a record");
    assert_eq!((cohort.held, cohort.held_since), (0, None));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_runs_again_registers_nothing_that_was_removed_since() {
    let stage = Stage::start(Engine::Embedded).await;
    let worker = stage.rig.worker();
    let wish = TokenRegistration {
        app: app(),
        environment: ApnsEnvironment::Production,
        token: "aa".parse().expect("token"),
        device_id: None,
        session: None,
        key: None,
        locale: None,
        app_version: None,
        received_at: Timestamp::now(),
    };
    let job = stage.rig.submit::<PushTokenRegister>(&wish).await;
    let job = stage.rig.in_state(job.id, JobState::Succeeded).await;
    assert_eq!(job.output.expect("output")["created"], true);
    let device = stage.device("aa").await;
    let removed = device.removed(PushTokenReason::Deleted, Timestamp::now()).expect("removed");
    assert_eq!(stage.rig.store.push_tokens.save(&removed).await, Ok(Save::Stored));

    let job = stage.rig.submit::<PushTokenRegister>(&wish).await;
    stage.rig.in_state(job.id, JobState::Succeeded).await;
    assert_eq!(stage.device("aa").await.state, PushTokenState::Removed);
    worker.stop().await;
}
