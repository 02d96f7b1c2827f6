//! Feat as a person meets it: pictures, jobs and operators, over real processes.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use futures::{StreamExt, future::join_all};
use reqwest::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::Value;
use store::{JobFilter, Store};
use tests::{cluster::Cluster, eventually, picture};

const SOON: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_comes_and_goes_over_two_apis_and_two_workers() {
    let cluster = Cluster::new().await;
    let (one, two) = (cluster.api(None).await, cluster.api(None).await);
    let _workers = (cluster.worker(None).await, cluster.worker(None).await);
    let client = cluster.client(&one).await;
    let other = client.at(&format!("http://{}", two.address));
    let picture = client.upload(picture::png(64, 48, 1)).await;
    let id = picture["id"].as_i64().expect("id");
    assert_eq!((&picture["img_width"], &picture["img_height"]), (&64.into(), &48.into()));

    let file = picture["img"].as_str().expect("address").replace("http://feat.test", "");
    let thumbnail = other.request(Method::GET, &format!("{file}?w=64")).send().await.expect("file");
    assert_eq!(thumbnail.status(), StatusCode::OK);

    // Waiting at one API for work that any worker does.
    let path = format!("/api/user/user-image/{id}/");
    let deleted = other.request(Method::DELETE, &path).header("Prefer", "wait=60").send().await;
    assert_eq!(deleted.expect("answer").status(), StatusCode::NO_CONTENT);
    let gone = client.request(Method::GET, &file).send().await.expect("answer");
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
    let record: Value = client
        .request(Method::GET, &path)
        .send()
        .await
        .expect("record")
        .json()
        .await
        .expect("JSON");
    assert!(record["data"]["delete_time"].is_string(), "the owner still reads the record");
    let left = std::fs::read_dir(cluster.files().join("images")).expect("folder");
    for owner in left.filter_map(Result::ok) {
        assert_eq!(std::fs::read_dir(owner.path()).expect("folder").count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_tells_how_a_job_goes_and_resumes() {
    let cluster = Cluster::new().await;
    let api = cluster.api(None).await;
    let client = cluster.client(&api).await;
    let id = client.upload(picture::png(8, 8, 2)).await["id"].as_i64().expect("id");
    let accepted: Value = client.delete(id).await.expect("answer").json().await.expect("JSON");
    let path = format!("/api/job/{}/events/", accepted["data"]["id"].as_str().expect("id"));
    let stream = client.request(Method::GET, &path).send().await.expect("stream");
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let worker = cluster.worker(None).await;
    let text = read_all(stream).await;
    assert!(text.contains("succeeded"), "{text}");

    let resumed = client.request(Method::GET, &path).header("Last-Event-ID", "1").send().await;
    let resumed = read_all(resumed.expect("stream")).await;
    assert!(resumed.contains("id: 2") || resumed.contains("id:2"), "{resumed}");
    assert!(!resumed.contains("\"queued\""), "what was seen is not sent again: {resumed}");
    drop(worker);
}

async fn read_all(stream: reqwest::Response) -> String {
    let body = stream.bytes_stream().map(|part| part.expect("part").to_vec()).concat();
    let body = tokio::time::timeout(SOON, body).await.expect("a settled job ends the stream");
    String::from_utf8(body).expect("text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signals_under_load_fail_nothing_and_spend_nothing() {
    const PICTURES: usize = 200;
    let cluster = Cluster::new().await;
    let (mut leaving, staying) = (cluster.api(None).await, cluster.api(None).await);
    let (mut worker, _other) = (cluster.worker(None).await, cluster.worker(None).await);
    let client = cluster.client(&staying).await;
    let mut ids = Vec::new();
    for chunk in (0..PICTURES).collect::<Vec<_>>().chunks(20) {
        let uploads = chunk.iter().map(|_| client.upload(picture::png(8, 8, 3)));
        ids.extend(join_all(uploads).await.iter().filter_map(|picture| picture["id"].as_i64()));
    }
    let first = client.at(&format!("http://{}", leaving.address));
    let deletions = futures::stream::iter(ids.iter().enumerate()).map(|(n, id)| {
        if n == PICTURES / 4 {
            worker.signal(Signal::TERM);
        }
        if n == PICTURES / 2 {
            leaving.signal(Signal::TERM);
        }
        let (first, client) = (first.clone(), client.clone());
        async move {
            match first.delete(*id).await {
                // Nobody listens any more, so the request was never sent: a balancer's next choice.
                Err(error) if error.is_connect() => client.delete(*id).await,
                answer => answer,
            }
        }
    });
    let replies: Vec<_> = deletions.buffered(8).collect().await;
    for reply in replies {
        assert_eq!(reply.expect("no request fails").status(), StatusCode::ACCEPTED);
    }
    assert!(worker.ended(Duration::from_secs(25)).await.success());
    assert!(leaving.ended(Duration::from_secs(25)).await.success());

    let jobs = all_jobs_settled(&cluster).await;
    assert_eq!(jobs.len(), PICTURES);
    for job in jobs {
        assert_eq!(
            (job.attempts, job.crashes, job.state.name()),
            (1, 0, "succeeded"),
            "{}",
            job.id
        );
    }
}

async fn all_jobs_settled(cluster: &Cluster) -> Vec<schemas::JobRecord> {
    let uri = cluster.corner.mongodb_url.clone().into();
    let store = Store::mongo(&uri, &cluster.corner.database).await.expect("MongoDB");
    let filter = JobFilter { kinds: vec!["image.delete".to_owned()], ..JobFilter::default() };
    eventually("settled jobs", Duration::from_secs(30), async || {
        let jobs = store.jobs.list(&filter, None, 10_000).await.ok()?;
        jobs.iter().all(|job| job.state.is_settled()).then_some(jobs)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_lists_shows_and_retries() {
    let cluster = Cluster::new().await;
    let api = cluster.api(None).await;
    let client = cluster.client(&api).await;
    let id = client.upload(picture::png(8, 8, 4)).await["id"].as_i64().expect("id");
    let accepted: Value = client.delete(id).await.expect("answer").json().await.expect("JSON");
    let job = accepted["data"]["id"].as_str().expect("id");

    let listed = cluster.run(&["jobs", "list", "--state", "queued", "--json"], "");
    let listed = String::from_utf8(listed.stdout).expect("text");
    assert!(listed.contains(job), "{listed}");
    let cancelled = cluster.run(&["jobs", "cancel", job, "--yes", "--as", "ada", "--json"], "");
    assert!(cancelled.status.success(), "{}", String::from_utf8_lossy(&cancelled.stderr));
    let _worker = cluster.worker(None).await;
    client.job_becomes(job, "cancelled", SOON).await;
    // Cancelled before it began, so everybody sees the picture again.
    let path = format!("/api/user/user-image/{id}/");
    let record: Value = client
        .request(Method::GET, &path)
        .send()
        .await
        .expect("record")
        .json()
        .await
        .expect("JSON");
    assert!(record["data"]["delete_time"].is_null(), "{record}");
    let shown = cluster.run(&["jobs", "show", job, "--json"], "");
    assert!(String::from_utf8_lossy(&shown.stdout).contains("ada"));
    let again = client.delete(id).await.expect("answer");
    assert_eq!(again.status(), StatusCode::ACCEPTED, "a cancelled deletion may be asked for again");
}
