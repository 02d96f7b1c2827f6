//! How many pushes one process sends in a second: sender and simulator side by side.
//!
//! `push-load PUSHES AT_A_TIME LATENCY_MS` prints one line of JSON. `cargo xtask bench` builds
//! this optimised and runs it.

#![expect(clippy::expect_used, reason = "the person who measures reads why it ended")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use providers::apns::{Apns, Message, Push};
use schemas::ApnsEnvironment;
use serde_json::json;
use sim::apns::Settings;
use tests::apns::{Apple, alert};
use tokio::task::JoinSet;
use uuid::Uuid;

#[tokio::main]
async fn main() {
    let numbers: Vec<u32> =
        std::env::args().skip(1).map(|text| text.parse().expect("a number")).collect();
    let [pushes, at_a_time, latency_ms] = numbers[..] else {
        panic!("expected PUSHES AT_A_TIME LATENCY_MS");
    };
    let latency = Duration::from_millis(latency_ms.into());
    let settings = Settings { latency, keep_deliveries: 0, ..Settings::default() };
    let apple = Apple::start(settings).await;
    let apns = apple.sender(apple.settings());
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
