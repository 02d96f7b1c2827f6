//! What becomes of push campaigns, against the simulator's books.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::{collections::BTreeSet, time::Duration};

use reqwest::Method;
use schemas::{
    ApnsEnvironment, Timestamp, UserId,
    push::{Addressee, Audience, PushAddress, PushState, TokenAddress},
    push_token::{PushTokenReason, PushTokenState, Registration, SignedIn},
};
use serde_json::json;
use sim::apns::{Act, Refusal, Rule, Settings};
use store::{Insert, Judged};
use tests::{
    apns::APP,
    eventually,
    pushed::{Pushed, device, order, register, to_all, token},
    rig::Engine,
};

tests::on_both_engines! {
    a_campaign_reaches_every_device_once,
    a_device_that_left_its_user_gets_nothing,
    a_campaign_is_paused_resumed_and_cancelled,
    an_app_that_may_not_push_is_stopped_until_it_may,
}

fn refuse(status: u16, reason: &str) -> Act {
    Act::Answer(Refusal {
        status,
        reason: Some(reason.to_owned()),
        timestamp: None,
        retry_after: None,
    })
}

/// Digits that only the token of this device begins with.
fn of(number: u32) -> String {
    token(number).as_str().to_owned()
}

async fn a_campaign_reaches_every_device_once(engine: Engine) {
    let pushed = Pushed::start(engine, Settings::default()).await;
    let store = &pushed.rig.store;
    register(store, 1_100).await;
    let sandboxed = device(2_000, ApnsEnvironment::Sandbox);
    assert_eq!(store.push_tokens.insert(&sandboxed).await, Ok(Insert::Stored));
    let sim = &pushed.apple.sim;
    let later = u64::try_from(Timestamp::now().as_micros() / 1_000).expect("now") + 1_000;
    sim.register(&of(5), APP, ApnsEnvironment::Production);
    sim.unregister(&of(5), later, "Unregistered");
    sim.add_rule(Rule::always(refuse(400, "BadDeviceToken")).for_device(&of(6)));

    let worker = pushed.rig.worker();
    let id = pushed.accept(&to_all()).await;
    let campaign = pushed.ended(id).await;
    worker.stop().await;

    let totals = campaign.totals.expect("totals");
    assert_eq!((totals.targeted, totals.accepted, totals.invalid), (1_101, 1_099, 2));
    assert_eq!(campaign.reasons["Unregistered"], 1);
    assert_eq!(campaign.reasons["BadDeviceToken"], 1);
    let delivered = pushed.delivered();
    assert_eq!(delivered.len(), 1_099);
    assert!(delivered.values().all(|times| *times == 1));
    let ids: BTreeSet<_> = sim.deliveries().iter().map(|delivery| delivery.id).collect();
    assert_eq!(ids.len(), 1_099, "every push has an id of its own");
    let app = APP.parse().expect("bundle id");
    for (number, expected) in [(5, PushTokenState::Quarantined), (6, PushTokenState::Suspect)] {
        let record = store.push_tokens.get(&app, &token(number)).await.expect("store");
        assert_eq!(record.expect("record").state, expected, "{number}");
    }
}

async fn a_device_that_left_its_user_gets_nothing(engine: Engine) {
    let pushed = Pushed::start(engine, Settings::default()).await;
    let store = &pushed.rig.store;
    register(store, 6).await;
    let to = |number: u32| Addressee { message: 0, to: PushAddress::User(user(number)) };
    let by_token = |number: u32, owner: u32| {
        let address = TokenAddress { token: token(number), user: user(owner) };
        Addressee { message: 0, to: PushAddress::Token(address) }
    };
    // Accepted and fanned out, but held back: what follows happens between accept and send.
    let mut all: Vec<_> = (1..=3).map(to).collect();
    all.extend([by_token(4, 4), by_token(5, 5), by_token(777, 777)]);
    let order = order(Audience::Listed(all));
    let id = pushed.accept(&order).await;
    let body = json!({});
    let path = format!("/api/push/{id}/");
    let paused = pushed.backend.call(Method::POST, &format!("{path}pause/"), Some(&body)).await;
    assert_eq!((paused.0, &paused.1["data"]["status"]), (200, &json!("paused")));
    let worker = pushed.rig.worker();
    eventually("the devices are known", Duration::from_secs(20), async || {
        pushed.backend.read(&id.to_string()).await["complete"].as_bool()?.then_some(())
    })
    .await;

    let now = Timestamp::now();
    // The second one signs out, the third and the fourth device change hands.
    let signed_out = device(2, ApnsEnvironment::Production);
    change(&pushed, 2, |record| record.removed(PushTokenReason::Deleted, now)).await;
    assert_eq!(signed_out.owner, user(2));
    for number in [3, 4] {
        change(&pushed, number, |record| {
            let registration = Registration {
                owner: user(900),
                app: record.app.clone(),
                environment: record.environment,
                token: record.token.clone(),
                device_id: record.device_id.clone(),
                signed_in: SignedIn::default(),
                locale: None,
                app_version: None,
            };
            record.registered(registration, now, now)
        })
        .await;
    }
    assert!(pushed.delivered().is_empty(), "paused");
    let resumed = pushed.backend.call(Method::POST, &format!("{path}resume/"), Some(&body)).await;
    assert_eq!(resumed.0, 200);
    let campaign = pushed.ended(id).await;
    worker.stop().await;

    let delivered: BTreeSet<_> = pushed.delivered().into_keys().collect();
    assert_eq!(delivered, BTreeSet::from([of(1), of(5)]));
    let totals = campaign.totals.expect("totals");
    assert_eq!((totals.targeted, totals.accepted, totals.invalid), (6, 2, 4));
    let reasons = &campaign.reasons;
    let told = ["NotReachable", "ChangedHands", "NotRegistered"].map(|reason| reasons[reason]);
    assert_eq!(told, [1, 2, 1]);
}

fn user(number: u32) -> UserId {
    UserId::new(number.into()).expect("an id")
}

async fn change(
    pushed: &Pushed,
    number: u32,
    step: impl Fn(schemas::push_token::PushTokenRecord) -> Option<schemas::push_token::PushTokenRecord>,
) {
    let tokens = &pushed.rig.store.push_tokens;
    let app = APP.parse().expect("bundle id");
    let record = tokens.get(&app, &token(number)).await.expect("store").expect("record");
    let changed = tokens.change(record, step).await.expect("store");
    assert!(matches!(changed, Judged::Changed(_)), "{number}");
}

async fn a_campaign_is_paused_resumed_and_cancelled(engine: Engine) {
    let pushed = Pushed::start(engine, Settings::default()).await;
    register(&pushed.rig.store, 400).await;
    let worker = pushed.rig.worker();
    let request = json!({
        "app": APP,
        "to": { "all": true },
        "message": { "aps": { "alert": "Hello" } },
        "rate": 30,
    });
    let (status, made) = pushed.backend.call(Method::POST, "/api/push/", Some(&request)).await;
    assert_eq!(status, 202, "{made}");
    let id = made["data"]["id"].as_str().expect("id").to_owned();
    let accepted = |view: &serde_json::Value| view["counts"]["accepted"].as_u64().expect("count");
    let step = async |what: &str| {
        let path = format!("/api/push/{id}/{what}/");
        pushed.backend.call(Method::POST, &path, Some(&json!({}))).await
    };
    let reaches = async |least: u64| {
        eventually(format!("{least} pushes"), Duration::from_secs(30), async || {
            let view = pushed.backend.read(&id).await;
            (accepted(&view) >= least).then_some(())
        })
        .await;
    };
    reaches(30).await;
    assert_eq!(step("pause").await.0, 200);
    // What was under way comes to its end; then both books agree and stay as they are.
    let held = eventually("calm", Duration::from_secs(20), async || {
        let view = pushed.backend.read(&id).await;
        let at_the_simulator = pushed.apple.sim.stats().delivered;
        (accepted(&view) == at_the_simulator).then_some(at_the_simulator)
    })
    .await;
    assert!(held < 400, "{held}");
    assert_eq!(step("resume").await.0, 200);
    reaches(held + 30).await;
    assert_eq!(step("cancel").await.0, 200);
    let campaign = pushed.ended(id.parse().expect("id")).await;
    let (status, told) = step("resume").await;
    worker.stop().await;

    assert_eq!((status, &told["code"]), (409, &json!("CONFLICT")));
    assert_eq!(campaign.state, PushState::Cancelled);
    let totals = campaign.totals.expect("totals");
    assert!(totals.cancelled > 0 && totals.targeted == 400, "{totals:?}");
    assert_eq!(totals.accepted, pushed.apple.sim.stats().delivered);
    assert_eq!(totals.accepted + totals.cancelled, 400);
    assert!(pushed.delivered().values().all(|times| *times == 1));
}

async fn an_app_that_may_not_push_is_stopped_until_it_may(engine: Engine) {
    let pushed = Pushed::start(engine, Settings::default()).await;
    register(&pushed.rig.store, 2_000).await;
    pushed.apple.sim.add_rule(Rule::always(refuse(403, "InvalidProviderToken")));
    let worker = pushed.rig.worker();
    let id = pushed.accept(&to_all()).await;
    eventually("the campaign says why", Duration::from_secs(30), async || {
        let view = pushed.backend.read(&id.to_string()).await;
        let blocked = view["complete"].as_bool()? && !view["blocked"].is_null();
        blocked.then(|| assert_eq!(view["blocked"]["reason"], "InvalidProviderToken"))
    })
    .await;
    let refused = pushed.apple.sim.stats().answers["403 InvalidProviderToken"];
    assert!(refused < 2_000, "{refused} pushes were sent to hear the same answer");
    assert_eq!(pushed.apple.sim.stats().delivered, 0);

    pushed.apple.sim.clear_rules();
    let campaign = pushed.ended(id).await;
    worker.stop().await;
    assert_eq!(campaign.totals.expect("totals").accepted, 2_000);
    assert_eq!(campaign.blocked, None);
    assert!(pushed.delivered().values().all(|times| *times == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_late_is_dropped() {
    let pushed = Pushed::start(Engine::Embedded, Settings::default()).await;
    register(&pushed.rig.store, 10).await;
    let mut order = to_all();
    order.expires_at = order.start_at + Duration::from_millis(500);
    let id = pushed.accept(&order).await;
    eventually("its end", Duration::from_secs(5), async || {
        (Timestamp::now() > order.expires_at).then_some(())
    })
    .await;
    let worker = pushed.rig.worker();
    let campaign = pushed.ended(id).await;
    worker.stop().await;

    assert_eq!(campaign.totals.expect("totals").expired, 10);
    assert!(pushed.delivered().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_told_and_repeated_only_where_that_was_asked_for() {
    let pushed = Pushed::start(Engine::Embedded, Settings::default()).await;
    register(&pushed.rig.store, 20).await;
    for number in [3, 4] {
        let lost = Rule::once_after(0, Act::ResetStream { accepted: true });
        pushed.apple.sim.add_rule(lost.for_device(&of(number)));
    }
    let worker = pushed.rig.worker();
    let careful = pushed.ended(pushed.accept(&to_all()).await).await;
    let totals = careful.totals.expect("totals");
    assert_eq!((totals.accepted, totals.unknown, careful.repeated), (18, 2, 0));
    assert!(pushed.delivered().values().all(|times| *times == 1));

    pushed.apple.sim.forget();
    for number in [3, 4] {
        let lost = Rule::once_after(0, Act::ResetStream { accepted: true });
        pushed.apple.sim.add_rule(lost.for_device(&of(number)));
    }
    let mut order = to_all();
    order.messages[0].repeat = true;
    let bold = pushed.ended(pushed.accept(&order).await).await;
    worker.stop().await;
    let totals = bold.totals.expect("totals");
    assert_eq!((totals.accepted, totals.unknown, bold.repeated), (20, 0, 2));
    let twice: Vec<_> = pushed.apple.sim.deliveries();
    let ids: BTreeSet<_> = twice.iter().map(|delivery| delivery.id).collect();
    assert_eq!((twice.len(), ids.len()), (22, 20), "repeated under the same id");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_apple_puts_off_is_sent_later() {
    let pushed = Pushed::start(Engine::Embedded, Settings::default()).await;
    register(&pushed.rig.store, 30).await;
    let answers = [(1, 429, "TooManyRequests"), (2, 503, "ServiceUnavailable")];
    for (number, status, reason) in answers {
        let reason = Some(reason.to_owned());
        let refusal = Refusal { status, reason, timestamp: None, retry_after: Some(1) };
        let rule = Rule::once_after(0, Act::Answer(refusal));
        pushed.apple.sim.add_rule(rule.for_device(&of(number)));
    }
    let worker = pushed.rig.worker();
    let id = pushed.accept(&to_all()).await;
    eventually("the others have it", Duration::from_secs(20), async || {
        (pushed.apple.sim.stats().delivered >= 28).then_some(())
    })
    .await;
    let campaign = pushed.ended(id).await;
    worker.stop().await;

    assert_eq!(campaign.totals.expect("totals").accepted, 30);
    assert!(pushed.delivered().values().all(|times| *times == 1));
}
