//! A worker is killed again and again in the middle of a campaign.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use reqwest::Method;
use serde_json::json;
use sim::apns::Settings;
use store::Store;
use tests::{
    apns::Apple,
    cluster::Cluster,
    eventually,
    pushed::{Backend, by_device, campaign_ends, configure, register, token},
    rig::owner,
    seed,
};

const DEVICES: u32 = 20_000;
const KILLS: usize = 10;

/// Points of the worker at which it dies. The first is passed while devices are stored and nothing
/// of their shard is; then pushes are marked and have not left; then a shard is worked off and its
/// job says nothing of it.
const POINTS: [&str; 3] = ["push.after_targets", "push.marked", "worker.after_effect"];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn kills_in_the_middle_of_a_campaign_lose_nothing_and_repeat_nothing() {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let settings = Settings { latency: Duration::from_millis(20), ..Settings::default() };
    let apple = Apple::start(settings).await;
    let mut cluster = Cluster::new().await;
    configure(&mut cluster, &apple);
    for (name, value) in [
        ("FEAT_WORKER__LEASE", "3s"),
        ("FEAT_WORKER__SWEEP_MARGIN", "1s"),
        ("FEAT_WORKER__QUEUES__APNS__CONCURRENCY", "4"),
        ("FEAT_WORKER__QUEUES__APNS__PREFETCH", "4"),
    ] {
        cluster.environment.insert(name.to_owned(), value.to_owned());
    }
    let uri = cluster.corner.mongodb_url.clone().into();
    let store = Store::mongo(&uri, &cluster.corner.database).await.expect("MongoDB");
    register(&store, DEVICES).await;
    let api = cluster.api(None).await;
    let backend = Backend::of(&store, owner(), &format!("http://{}", api.address)).await;
    let request = json!({
        "app": tests::apns::APP,
        "to": { "all": true },
        "message": { "aps": { "alert": "Hello" } },
    });
    let (status, made) = backend.call(Method::POST, "/api/push/", Some(&request)).await;
    assert_eq!(status, 202, "{made}");
    let id = made["data"]["id"].as_str().expect("id");

    // Half of the kills come at a point, half after so many pushes; some thousand are left in any case.
    let mut moments: Vec<u64> = (0..KILLS / 2).map(|_| random.random_range(500..13_000)).collect();
    moments.sort_unstable();
    let mut killed = Vec::new();
    for kill in 0..KILLS {
        // Devices are stored in the first seconds only.
        let point = if kill == 0 { POINTS[0] } else { POINTS[random.random_range(1..=2)] };
        let fault = format!("{point}:{}", random.random_range(1..=3));
        let by_point = kill % 2 == 0;
        let mut worker = cluster.worker(by_point.then_some(fault.as_str())).await;
        let moment = moments[kill / 2];
        eventually(format!("kill {kill}, {fault}"), Duration::from_mins(2), async || {
            let reached = !by_point && apple.sim.stats().delivered >= moment;
            (worker.has_ended() || reached).then_some(())
        })
        .await;
        worker.kill();
        killed.push(if by_point { fault } else { format!("after {moment} pushes") });
        backend.read(id).await;
    }
    println!("seed {seed}; killed {killed:?}");
    let _survivor = cluster.worker(None).await;
    let id = id.parse().expect("id");
    let campaign = campaign_ends(&store, id, Duration::from_mins(5)).await;

    let totals = campaign.totals.expect("totals");
    println!("{totals:?}");
    assert_eq!(totals.targeted, u64::from(DEVICES));
    assert_eq!(totals.accepted + totals.unknown, totals.targeted, "lost: {totals:?}");
    let arrived = by_device(&apple.sim.deliveries());
    assert!(arrived.values().all(|times| *times == 1), "something arrived twice");
    let count = u64::try_from(arrived.len()).expect("a count");
    assert!(count >= totals.accepted, "{count} arrived, {totals:?}");
    let missing =
        (1..=DEVICES).filter(|number| !arrived.contains_key(token(*number).as_str())).count();
    let missing = u64::try_from(missing).expect("a count");
    assert!(missing <= totals.unknown, "{missing} never arrived, {totals:?}");
    // Four shards of 120 pushes each are all that one kill can leave in doubt.
    assert!(totals.unknown <= u64::try_from(KILLS).expect("a count") * 4 * 120, "{totals:?}");
}
