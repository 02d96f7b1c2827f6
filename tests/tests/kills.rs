//! Processes are killed at every point where something could be lost, at random and under load.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use reqwest::StatusCode;
use serde_json::Value;
use tests::{
    cluster::{Cluster, Process},
    eventually,
    http::Client,
    long, picture, seed,
};
use tokio::time::Instant;

const API_POINTS: [&str; 4] =
    ["api.before_insert", "api.after_insert", "api.after_tombstone", "api.after_publish"];

const WORKER_POINTS: [&str; 4] =
    ["worker.before_run", "worker.in_effect", "worker.after_effect", "worker.after_settle"];

/// What came of every picture that was to be deleted.
#[derive(Default)]
struct Ledger {
    /// Job of each picture whose deletion was answered 202.
    accepted: BTreeMap<i64, String>,
    /// Pictures whose deletion got no answer.
    unanswered: Vec<i64>,
}

/// Kills that happened, by point.
type Kills = Mutex<BTreeMap<&'static str, u32>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_accepted_is_lost_when_processes_are_killed() {
    let seed = seed();
    let wanted = if long() { 4_000 } else { 200 };
    let mut cluster = Cluster::new().await;
    for (name, value) in [
        ("FEAT_WORKER__LEASE", "3s"),
        ("FEAT_WORKER__SWEEP_MARGIN", "1s"),
        ("FEAT_WORKER__QUEUES__IMAGES__CONCURRENCY", "4"),
        ("FEAT_WORKER__QUEUES__IMAGES__PREFETCH", "8"),
    ] {
        cluster.environment.insert(name.to_owned(), value.to_owned());
    }
    let stable = cluster.api(None).await;
    let client = cluster.client(&stable).await;
    let kills = Kills::default();
    let count = AtomicU32::new(0);
    let done = AtomicBool::new(false);
    let ledger = tokio::sync::Mutex::new(Ledger::default());

    tokio::join!(
        kill_workers(&cluster, seed, &kills, &count, wanted, &done),
        kill_apis(&cluster, &client, seed + 1, &kills, &count, wanted, &done, &ledger),
    );

    let survivor = cluster.worker(None).await;
    let ledger = ledger.into_inner();
    let settled = all_settled(&cluster, &client, &ledger).await;
    drop(survivor);
    println!("seed {seed}; kills {:?}; {settled}", kills.lock().expect("kills"));
    assert!(count.load(Ordering::Relaxed) >= wanted);
    for point in API_POINTS.iter().chain(&WORKER_POINTS) {
        assert!(kills.lock().expect("kills").contains_key(point), "never killed at {point}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_kills_every_worker_is_set_aside_and_its_neighbours_are_not() {
    let mut cluster = Cluster::new().await;
    cluster.environment.insert("FEAT_WORKER__LEASE".to_owned(), "3s".to_owned());
    cluster.environment.insert("FEAT_WORKER__SWEEP_MARGIN".to_owned(), "1s".to_owned());
    let api = cluster.api(None).await;
    let client = cluster.client(&api).await;
    let poison = client.upload(picture::png(8, 8, 1)).await["id"].as_i64().expect("id");
    let poison = job_of(client.delete(poison).await).await.expect("job");
    // Whatever this worker does first kills it, and there is only one job.
    eventually("a dead job", Duration::from_mins(2), async || {
        let mut worker = cluster.worker(Some("worker.in_effect:1")).await;
        let dead = eventually("a crash or a death", Duration::from_mins(1), async || {
            let dead = client.job(&poison).await["status"] == "dead";
            (dead || worker.has_ended()).then_some(dead)
        });
        dead.await.then_some(())
    })
    .await;
    let job = client.job(&poison).await;
    assert_eq!(job["error"]["code"], "worker_crashed");

    let _healthy = cluster.worker(None).await;
    let innocent = client.upload(picture::png(8, 8, 2)).await["id"].as_i64().expect("id");
    let innocent = job_of(client.delete(innocent).await).await.expect("job");
    client.job_becomes(&innocent, "succeeded", Duration::from_secs(10)).await;
}

/// A point and how often it is passed before the kill.
fn fault(points: [&'static str; 4], most: u32, random: &mut StdRng) -> (&'static str, String) {
    let point = points[random.random_range(0..points.len())];
    (point, format!("{point}:{}", random.random_range(1..=most)))
}

fn killed(kills: &Kills, count: &AtomicU32, point: &'static str) {
    *kills.lock().expect("kills").entry(point).or_default() += 1;
    count.fetch_add(1, Ordering::Relaxed);
}

/// One worker after the other, each with a point at which it dies.
async fn kill_workers(
    cluster: &Cluster,
    seed: u64,
    kills: &Kills,
    count: &AtomicU32,
    wanted: u32,
    done: &AtomicBool,
) {
    let mut random = StdRng::seed_from_u64(seed);
    while count.load(Ordering::Relaxed) < wanted {
        let (point, fault) = fault(WORKER_POINTS, 40, &mut random);
        let mut worker = cluster.worker(Some(&fault)).await;
        eventually(format!("the end of a worker at {fault}"), Duration::from_mins(1), async || {
            let over = count.load(Ordering::Relaxed) >= wanted;
            (worker.has_ended() || over).then_some(())
        })
        .await;
        if worker.has_ended() {
            killed(kills, count, point);
        }
    }
    done.store(true, Ordering::Relaxed);
}

/// One API after the other, each under load and with a point at which it dies.
#[expect(clippy::too_many_arguments, reason = "what two concurrent loops of one test share")]
async fn kill_apis(
    cluster: &Cluster,
    stable: &Client,
    seed: u64,
    kills: &Kills,
    count: &AtomicU32,
    wanted: u32,
    done: &AtomicBool,
    ledger: &tokio::sync::Mutex<Ledger>,
) {
    let mut random = StdRng::seed_from_u64(seed);
    while !done.load(Ordering::Relaxed) {
        let (point, fault) = fault(API_POINTS, 12, &mut random);
        let mut doomed = cluster.api(Some(&fault)).await;
        let client = stable.at(&format!("http://{}", doomed.address));
        delete_until_killed(stable, &client, &mut doomed, ledger).await;
        if doomed.has_ended() {
            killed(kills, count, point);
        }
        if count.load(Ordering::Relaxed) >= wanted {
            break;
        }
    }
}

/// Uploads pictures through the stable API and deletes them through the doomed one.
async fn delete_until_killed(
    stable: &Client,
    client: &Client,
    doomed: &mut Process,
    ledger: &tokio::sync::Mutex<Ledger>,
) {
    for round in 0..10 {
        let uploads = (0..4).map(|n| stable.upload(picture::png(8, 8, round * 4 + n)));
        let pictures = futures::future::join_all(uploads).await;
        let ids: Vec<_> = pictures.iter().filter_map(|picture| picture["id"].as_i64()).collect();
        let replies = futures::future::join_all(ids.iter().map(|id| client.delete(*id))).await;
        let mut ledger = ledger.lock().await;
        for (id, reply) in ids.into_iter().zip(replies) {
            match job_of(reply).await {
                Some(job) => drop(ledger.accepted.insert(id, job)),
                None => ledger.unanswered.push(id),
            }
        }
        drop(ledger);
        if doomed.has_ended() {
            return;
        }
    }
}

/// The job's id, when the answer arrived as a whole.
async fn job_of(reply: reqwest::Result<reqwest::Response>) -> Option<String> {
    let reply = reply.ok()?;
    assert_eq!(reply.status(), StatusCode::ACCEPTED, "a dying API answers nothing wrong");
    let body: Value = reply.json().await.ok()?;
    body["data"]["id"].as_str().map(str::to_owned)
}

/// Waits until every accepted deletion has succeeded, then looks at every picture's files.
async fn all_settled(cluster: &Cluster, client: &Client, ledger: &Ledger) -> String {
    let start = Instant::now();
    for job in ledger.accepted.values() {
        client.job_becomes(job, "succeeded", Duration::from_mins(2)).await;
    }
    // A deletion that got no answer may have become a job or not, but nothing between.
    let running = ["scheduled", "queued", "running", "waiting", "unknown"].join(",");
    eventually("no open job", Duration::from_mins(1), async || {
        let path = format!("/api/job/?status={running}");
        let reply = client.request(reqwest::Method::GET, &path).send().await.ok()?;
        let open: Value = reply.json().await.ok()?;
        open["data"].as_array().is_some_and(Vec::is_empty).then_some(())
    })
    .await;
    let gone = ledger.accepted.keys().filter(|id| !has_files(cluster, **id)).count();
    assert_eq!(gone, ledger.accepted.len(), "files of deleted pictures are left");
    let mut kept = 0;
    for id in &ledger.unanswered {
        let reply = client.request(reqwest::Method::GET, &format!("/api/user/user-image/{id}/"));
        let picture: Value = reply.send().await.expect("picture").json().await.expect("JSON");
        let live = picture["data"]["delete_time"].is_null();
        assert_eq!(live, has_files(cluster, *id), "picture {id} is half deleted");
        kept += u32::from(live);
    }
    format!(
        "accepted {}, lost 0, unanswered {} of which {kept} untouched, settled after {:?}",
        ledger.accepted.len(),
        ledger.unanswered.len(),
        start.elapsed()
    )
}

/// Whether any file of the picture is on the disk.
fn has_files(cluster: &Cluster, id: i64) -> bool {
    let owners = std::fs::read_dir(cluster.files().join("images")).expect("folder of pictures");
    let entries = owners.filter_map(|owner| std::fs::read_dir(owner.ok()?.path()).ok()).flatten();
    let mut names = entries.filter_map(|entry| Some(entry.ok()?.path()));
    names.any(|path| path.file_stem().is_some_and(|stem| stem == id.to_string().as_str()))
}
