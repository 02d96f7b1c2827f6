//! How many pushes one process sends in a second: sender and simulator side by side.
//!
//! `push-load PUSHES AT_A_TIME LATENCY_MS direct|a2` prints one line of JSON; an empty object when
//! this user may not open the namespace that a2 needs. `cargo xtask bench` builds this optimised
//! and runs it.

#![expect(clippy::expect_used, reason = "the person who measures reads why it ended")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use providers::apns::{self, Apns, Message, Push, Transport};
use schemas::ApnsEnvironment;
use serde_json::json;
use sim::apns::Settings;
use tests::{
    apns::{Apple, alert},
    apns_inside::{Given, Namespace},
};
use tokio::task::JoinSet;
use uuid::Uuid;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [own, pushes, at_a_time, latency_ms, transport] = &arguments[..] else {
        panic!("expected PUSHES AT_A_TIME LATENCY_MS direct|a2");
    };
    let number = |text: &str| text.parse::<u32>().expect("a number");
    let (pushes, at_a_time) = (number(pushes), number(at_a_time));
    let latency = Duration::from_millis(number(latency_ms).into());
    let (transport, given) = match transport.as_str() {
        "direct" => (Transport::Direct, None),
        "a2" => (Transport::A2, Given::read()),
        other => panic!("no transport {other}"),
    };
    if transport == Transport::A2 && given.is_none() {
        enter(own, &arguments[1..]);
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    runtime.block_on(measure(pushes, at_a_time, latency, transport, given));
}

/// Runs this program where Apple's names lead to the simulator.
fn enter(own: &str, arguments: &[String]) {
    let Some(namespace) = Namespace::prepare() else {
        println!("{{}}");
        return;
    };
    let words: Vec<&str> = [own].into_iter().chain(arguments.iter().map(String::as_str)).collect();
    let ended = namespace.command(&words).status().expect("namespace");
    assert!(ended.success(), "in the namespace: {ended}");
}

async fn measure(
    pushes: u32,
    at_a_time: u32,
    latency: Duration,
    transport: Transport,
    given: Option<Given>,
) {
    let mut settings = Settings { latency, keep_deliveries: 0, ..Settings::default() };
    if let Some(given) = given {
        given.apply(&mut settings);
    }
    let apple = Apple::start(settings).await;
    let settings = apns::Settings { transport, ..apple.settings() };
    let apns = Apns::open(settings).expect("sender");
    // Connections are there, and the first pushes have gone alone.
    send(&apns, at_a_time * 4, at_a_time).await;
    let before = resident_kib();
    let started = Instant::now();
    send(&apns, pushes, at_a_time).await;
    let seconds = started.elapsed().as_secs_f64();
    let stats = apple.sim.stats();
    println!(
        "{}",
        json!({
            "pushes": pushes,
            "seconds": seconds,
            "per_second": f64::from(pushes) / seconds,
            "connections": stats.connections,
            "delivered": stats.delivered,
            "resident_growth_kib": resident_kib().saturating_sub(before),
        })
    );
}

/// Sends so many, each of which has to be accepted.
async fn send(apns: &Apns, pushes: u32, at_a_time: u32) {
    let message = Arc::new(Message::new(alert()).expect("message"));
    let next = Arc::new(AtomicU32::new(0));
    let mut senders = JoinSet::new();
    for _ in 0..at_a_time {
        let (apns, message, next) = (apns.clone(), Arc::clone(&message), Arc::clone(&next));
        senders.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= pushes {
                    return;
                }
                let push = Push {
                    id: Uuid::now_v7(),
                    environment: ApnsEnvironment::Production,
                    device: format!("{number:08x}").repeat(8).parse().expect("token"),
                    message: Arc::clone(&message),
                };
                apns.send(&push).await.expect("accepted");
            }
        });
    }
    while let Some(sender) = senders.join_next().await {
        sender.expect("sender");
    }
}

/// Memory of this process, sender and simulator together.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
