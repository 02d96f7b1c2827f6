//! A campaign of ten thousand whose connections say goodbye, are cut, stall and outlive their
//! provider token: it ends, its numbers add up, and no device gets it twice.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::{sync::atomic::Ordering, time::Duration};

use providers::apns::Settings;
use sim::apns::{Act, Refusal, Rule};
use tests::{
    eventually,
    pushed::{Pushed, register, to_all},
    rig::Engine,
};

const DEVICES: u32 = 10_000;

/// Pushes whose stream is reset after the device got them: one of so many.
const RESET: u64 = 500;

fn disturb(pushed: &Pushed) {
    let sim = &pushed.apple.sim;
    let goodbye = Act::GoAwayAbrupt { reason: "Shutdown".to_owned() };
    for (skip, act) in [
        (1_500, Act::Cut { accepted: true }),
        (2_500, Act::Cut { accepted: false }),
        (3_500, goodbye),
        (7_000, Act::Stall),
    ] {
        sim.add_rule(Rule::once_after(skip, act));
    }
    let reason = Some("ServiceUnavailable".to_owned());
    let away = Refusal { status: 503, reason, timestamp: None, retry_after: Some(1) };
    for (every, act) in [
        (90, Act::RefuseStream),
        (RESET, Act::ResetStream { accepted: true }),
        (700, Act::Answer(away)),
        (2_000, Act::GoAway),
    ] {
        sim.add_rule(Rule { every, skip: every - 1, ..Rule::always(act) });
    }
}

async fn whatever_happens_to_connections_a_campaign_adds_up(engine: Engine) {
    let settings =
        sim::apns::Settings { latency: Duration::from_millis(5), ..sim::apns::Settings::default() };
    let mut pushed = Pushed::start(engine, settings).await;
    let patience = Settings {
        ping_every: Duration::from_secs(2),
        answer_timeout: Duration::from_mins(5),
        ..pushed.apple.settings()
    };
    pushed.rig.apns = Some(pushed.apple.sender(patience));
    register(&pushed.rig.store, DEVICES).await;
    disturb(&pushed);
    let worker = pushed.rig.worker();
    let id = pushed.accept(&to_all()).await;
    eventually("half of the pushes", Duration::from_mins(1), async || {
        (pushed.apple.sim.stats().delivered > u64::from(DEVICES / 2)).then_some(())
    })
    .await;
    // Our clock is half an hour slow: the token looks young to us, and too old to Apple.
    pushed.apple.minutes.store(30, Ordering::SeqCst);
    pushed.apple.sim.set_clock_ahead(Duration::from_mins(61));
    let totals = pushed.ended(id).await.totals.expect("totals");
    worker.stop().await;

    let delivered = pushed.delivered();
    assert!(delivered.values().all(|times| *times == 1), "somebody got it twice");
    let all = u64::from(DEVICES);
    assert_eq!((totals.targeted, totals.accepted + totals.unknown), (all, all), "{totals:?}");
    let delivered = delivered.len() as u64;
    assert!(delivered >= totals.accepted, "{delivered} delivered, {totals:?}");
    let stats = pushed.apple.sim.stats();
    println!("{totals:?}, delivered {delivered}, {stats:?}");
    assert!(totals.unknown >= all / RESET - 1, "no answer was lost, nothing was tested");
    assert!(stats.connections > 6 && stats.provider_tokens >= 2, "{stats:?}");
    for answer in ["403 ExpiredProviderToken", "503 ServiceUnavailable"] {
        assert!(stats.answers.contains_key(answer), "{answer}: {stats:?}");
    }
}

tests::on_both_engines! {
    whatever_happens_to_connections_a_campaign_adds_up,
}
