//! Faults in the middle of ten thousand pushes: nothing is lost, nothing arrives twice where
//! Apple answered, nothing arrives at a stranger's.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

use std::{sync::atomic::Ordering, time::Duration};

use providers::apns::{Apns, Settings};
use sim::apns::{Act, Rule};
use tests::{
    apns::{Apple, account_for, campaign},
    eventually,
};
use tokio::{sync::Mutex, time::timeout};

const PUSHES: u32 = 10_000;
const AT_A_TIME: usize = 400;

/// One campaign at a time: they would take the processor from each other.
static TURN: Mutex<()> = Mutex::const_new(());

async fn apple() -> Apple {
    let latency = Duration::from_millis(5);
    Apple::start(sim::apns::Settings { latency, ..sim::apns::Settings::default() }).await
}

fn sender(apple: &Apple) -> Apns {
    apple.sender(Settings { answer_timeout: Duration::from_mins(1), ..apple.settings() })
}

#[tokio::test(flavor = "multi_thread")]
async fn without_faults_every_push_arrives_once() {
    let _turn = TURN.lock().await;
    let apple = apple().await;
    let fates = campaign(&sender(&apple), PUSHES, AT_A_TIME).await;

    assert_eq!(account_for(&apple.sim, &fates), 0);
    assert!(fates.values().all(|fate| fate.attempts == 1));
    let stats = apple.sim.stats();
    assert_eq!((stats.delivered, stats.connections), (u64::from(PUSHES), 2), "{stats:?}");
    assert_eq!((stats.streams_refused, stats.provider_tokens), (0, 1), "{stats:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_goodbye_in_order_costs_no_push_an_attempt() {
    let _turn = TURN.lock().await;
    let apple = apple().await;
    apple.sim.add_rule(Rule { every: 2_000, skip: 999, ..Rule::always(Act::GoAway) });
    let fates = campaign(&sender(&apple), PUSHES, AT_A_TIME).await;

    assert_eq!(account_for(&apple.sim, &fates), 0);
    assert!(fates.values().all(|fate| fate.attempts == 1), "a goodbye was taken for a failure");
    assert!(apple.sim.stats().connections > 2, "{:?}", apple.sim.stats());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_goodbye_at_once_loses_no_push() {
    let _turn = TURN.lock().await;
    let apple = apple().await;
    let act = Act::GoAwayAbrupt { reason: "Shutdown".into() };
    apple.sim.add_rule(Rule { every: 2_500, skip: 1_999, ..Rule::always(act) });
    let fates = campaign(&sender(&apple), PUSHES, AT_A_TIME).await;

    let _twice = account_for(&apple.sim, &fates);
    assert!(apple.sim.stats().connections > 2, "{:?}", apple.sim.stats());
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_lose_no_push() {
    let _turn = TURN.lock().await;
    let apple = apple().await;
    for (skip, accepted) in [(1_000, true), (3_000, false), (5_000, true), (7_000, false)] {
        apple.sim.add_rule(Rule::once_after(skip, Act::Cut { accepted }));
    }
    let sender = sender(&apple);
    let fates = campaign(&sender, PUSHES, AT_A_TIME).await;

    let _twice = account_for(&apple.sim, &fates);
    assert!(fates.values().any(|fate| fate.unknown > 0), "no answer was lost, nothing was tested");
    // Two at first, and one in place of each that was cut: what is open carries all as long as it
    // has room, so the last ones are made when more is under way than fits on one.
    apple.sim.add_rule(Rule::always(Act::Delay { ms: 500 }));
    let more_than_one_takes = apple.settings().in_flight + 100;
    let more = u32::try_from(more_than_one_takes).unwrap();
    eventually("six connections", Duration::from_mins(1), async || {
        campaign(&sender, more, more_than_one_takes).await;
        (apple.sim.stats().connections >= 6).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_reset_is_not_taken_for_a_refused_push() {
    let _turn = TURN.lock().await;
    let apple = apple().await;
    apple.sim.add_rule(Rule { every: 100, ..Rule::always(Act::ResetStream { accepted: true }) });
    apple.sim.add_rule(Rule { every: 90, ..Rule::always(Act::RefuseStream) });
    let fates = campaign(&sender(&apple), PUSHES, AT_A_TIME).await;

    let twice = account_for(&apple.sim, &fates);
    let unknown = fates.values().filter(|fate| fate.unknown > 0).count();
    assert!(unknown >= 90, "{unknown}");
    assert_eq!(twice, unknown, "each was delivered before its answer was lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_connection_is_noticed_and_replaced() {
    let _turn = TURN.lock().await;
    let apple = apple().await;
    apple.sim.add_rule(Rule::once_after(4_000, Act::Stall));
    let ping_every = Duration::from_secs(2);
    // Nobody waits so long for an answer here: only the ping can tell.
    let answer_timeout = Duration::from_mins(5);
    let apns = apple.sender(Settings { ping_every, answer_timeout, ..apple.settings() });
    let whole = timeout(Duration::from_mins(4), campaign(&apns, PUSHES, AT_A_TIME)).await;
    let fates = whole.expect("pushes on the stalled connection still wait");

    let _twice = account_for(&apple.sim, &fates);
    assert!(fates.values().any(|fate| fate.unknown > 0), "nothing was under way on it");
    assert!(apple.sim.stats().connections >= 2, "{:?}", apple.sim.stats());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_token_that_expires_is_renewed_once_on_new_connections() {
    let _turn = TURN.lock().await;
    let apple = apple().await;
    let apns = sender(&apple);
    let running = tokio::spawn({
        let apns = apns.clone();
        async move { campaign(&apns, PUSHES, AT_A_TIME).await }
    });
    eventually("half of the pushes", Duration::from_mins(1), async || {
        (apple.sim.stats().delivered > u64::from(PUSHES / 2)).then_some(())
    })
    .await;
    // Our clock is half an hour slow: the token looks young to us, and too old to Apple.
    apple.minutes.store(30, Ordering::SeqCst);
    apple.sim.set_clock_ahead(Duration::from_mins(61));
    let fates = running.await.unwrap();

    assert_eq!(account_for(&apple.sim, &fates), 0);
    assert!(fates.values().all(|fate| fate.attempts == 1), "an expired token cost an attempt");
    let stats = apple.sim.stats();
    assert_eq!(stats.provider_tokens, 2, "{stats:?}");
    assert!(stats.answers.contains_key("403 ExpiredProviderToken"), "{stats:?}");
    assert_eq!(stats.connections, 4, "{stats:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_takes_fewer_streams_is_not_pressed() {
    let _turn = TURN.lock().await;
    let apple = apple().await;
    apple.sim.add_rule(Rule::once_after(2_000, Act::Streams { limit: 3 }));
    apple.sim.add_rule(Rule::once_after(4_000, Act::Streams { limit: 1 }));
    apple.sim.add_rule(Rule::once_after(4_300, Act::Streams { limit: 500 }));
    let fates = campaign(&sender(&apple), PUSHES, AT_A_TIME).await;

    // What had left before the peer's word came may be refused; it is sent again at once.
    assert_eq!(account_for(&apple.sim, &fates), 0);
    assert!(fates.values().all(|fate| fate.attempts == 1));
    assert_eq!(apple.sim.stats().connections, 2, "{:?}", apple.sim.stats());
}
