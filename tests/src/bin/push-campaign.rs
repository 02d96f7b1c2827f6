//! How much one worker sends: a whole Feat beside the simulator, campaign after campaign.
//!
//! `push-campaign PUSHES DEVICES LATENCY_MS` prints one line of JSON. It needs what
//! `cargo xtask test` announces to tests; `cargo xtask bench` builds it optimised and runs it.

#![expect(clippy::expect_used, reason = "the person who measures reads why it ended")]

use std::time::{Duration, Instant};

use schemas::PushId;
use serde_json::json;
use sim::apns::Settings;
use store::Store;
use tests::{
    apns::Apple,
    cluster::Cluster,
    pushed::{accept, configure, register, to_all},
    rig::another_broker,
};
use tokio::time::sleep;

/// How long nothing may happen before the measurement is given up.
const STALLED: Duration = Duration::from_mins(2);

#[tokio::main]
async fn main() {
    let numbers: Vec<u32> =
        std::env::args().skip(1).map(|text| text.parse().expect("a number")).collect();
    let [pushes, devices, latency_ms] = numbers[..] else {
        panic!("expected PUSHES DEVICES LATENCY_MS");
    };
    let latency = Duration::from_millis(latency_ms.into());
    let settings = Settings { latency, keep_deliveries: 0, ..Settings::default() };
    let apple = Apple::start(settings).await;
    let mut cluster = Cluster::new().await;
    configure(&mut cluster, &apple);
    let uri = cluster.corner.mongodb_url.clone().into();
    let store = Store::mongo(&uri, &cluster.corner.database).await.expect("MongoDB");
    store.migrate().await.expect("indexes");
    register(&store, devices).await;
    let broker = another_broker(&cluster.corner).await;
    let worker = cluster.worker(None).await;

    let mut starts = Vec::new();
    let mut early = 0;
    let (mut sent, mut seconds) = (0, 0.0);
    while sent < pushes {
        let before = apple.sim.stats().delivered;
        let started = Instant::now();
        let id = accept(&store, Some(&broker), &to_all()).await;
        while apple.sim.stats().delivered == before {
            assert!(started.elapsed() < STALLED, "no push came: {}", worker.log());
            sleep(Duration::from_millis(1)).await;
        }
        starts.push(started.elapsed().as_secs_f64() * 1_000.0);
        let accepted = ends(&store, id).await;
        assert_eq!(accepted, u64::from(devices), "not all were accepted");
        seconds += started.elapsed().as_secs_f64();
        sent += devices;
        if early == 0 {
            early = worker.resident_kib();
        }
    }
    println!(
        "{}",
        json!({
            "pushes": sent,
            "seconds": seconds,
            "per_second": f64::from(sent) / seconds,
            "first_push_ms": starts.iter().copied().fold(0.0, f64::max),
            "resident_growth_kib": worker.resident_kib().saturating_sub(early),
            "peak_kib": worker.peak_kib(),
        })
    );
}

/// Waits for the end of a campaign; says how many pushes were accepted.
async fn ends(store: &Store, id: PushId) -> u64 {
    let started = Instant::now();
    loop {
        let campaign = store.pushes.get(id).await.expect("store");
        if let Some(totals) = campaign.and_then(|campaign| campaign.totals) {
            return totals.accepted;
        }
        assert!(started.elapsed() < STALLED * 10, "the campaign does not end");
        sleep(Duration::from_millis(20)).await;
    }
}
