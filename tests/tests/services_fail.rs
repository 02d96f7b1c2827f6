//! RabbitMQ and MongoDB fail under Feat, and come back: work resumes by itself and nothing is lost.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;
use store::Store;
use tempfile::TempDir;
use tests::{
    cluster::{Cluster, Process},
    eventually,
    http::Client,
    picture,
    services::Corner,
};
use tokio::task::block_in_place;
use xtask::services::{MongoDb, RabbitMq, RabbitMqVersion};

/// The longest time until work goes on after a service is back.
const RESUMED: Duration = Duration::from_secs(10);

/// A Feat whose services belong to the test.
struct Own {
    rabbit: RabbitMq,
    mongo: MongoDb,
    cluster: Cluster,
    _api: Process,
    _worker: Process,
    client: Client,
    _folder: TempDir,
}

impl Own {
    async fn start() -> Self {
        let folder = TempDir::new().expect("temporary folder");
        let version = RabbitMqVersion::from_environment();
        let rabbit =
            RabbitMq::start(&folder.path().join("rabbitmq"), version).await.expect("RabbitMQ");
        let mongo = MongoDb::start(&folder.path().join("mongodb")).await.expect("MongoDB");
        let corner = Corner::at(rabbit.amqp_url(), rabbit.management_url(), mongo.url()).await;
        let cluster = Cluster::at(corner);
        let api = cluster.api(None).await;
        let worker = cluster.worker(None).await;
        let client = cluster.client(&api).await;
        Self { rabbit, mongo, cluster, _api: api, _worker: worker, client, _folder: folder }
    }

    async fn pictures(&self, count: u8) -> Vec<i64> {
        let mut ids = Vec::new();
        for n in 0..count {
            let picture = self.client.upload(picture::png(8, 8, n)).await;
            ids.push(picture["id"].as_i64().expect("id"));
        }
        ids
    }

    /// Deletes pictures and answers with the jobs; every call has to be accepted.
    async fn delete(&self, pictures: &[i64]) -> Vec<String> {
        let mut jobs = Vec::new();
        for id in pictures {
            let reply = self.client.delete(*id).await.expect("answer");
            assert_eq!(reply.status(), StatusCode::ACCEPTED);
            let body: Value = reply.json().await.expect("JSON");
            jobs.push(body["data"]["id"].as_str().expect("id").to_owned());
        }
        jobs
    }

    async fn all_succeed(&self, jobs: &[String], within: Duration) {
        let start = tokio::time::Instant::now();
        for job in jobs {
            let left = within.saturating_sub(start.elapsed());
            self.client.job_becomes(job, "succeeded", left).await;
        }
    }

    /// Checks how often the message of each of `jobs` was sent after the first time, and prints it.
    ///
    /// On a machine that stands still for longer than the sweep's margin a message may look lost:
    /// one in ten may be sent once more. An amplified backlog is sent as a whole, again and again.
    async fn sent_again(&self, name: &str, jobs: &[String], most: u32) {
        let corner = &self.cluster.corner;
        let store = Store::mongo(&corner.mongodb_url.clone().into(), &corner.database).await;
        let store = store.expect("MongoDB");
        let mut counts = Vec::new();
        for id in jobs {
            let job = store.jobs.get(id.parse().expect("id")).await.expect("store").expect("job");
            counts.push(job.republished);
        }
        let sum: u32 = counts.iter().sum();
        println!("{name}: {sum} messages of {} jobs were sent again", jobs.len());
        let more = counts.iter().filter(|count| **count > most).count();
        let within = more * 10 <= jobs.len() && counts.iter().all(|count| *count <= most + 1);
        assert!(within, "{name}: none was to be sent again more than {most} times: {counts:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rabbitmq_restarts() {
    let mut own = Own::start().await;
    let pictures = own.pictures(40).await;
    let mut jobs = own.delete(&pictures[..20]).await;
    block_in_place(|| own.rabbit.stop());
    jobs.extend(own.delete(&pictures[20..]).await);
    own.rabbit.start_again().await.expect("RabbitMQ");
    own.all_succeed(&jobs, RESUMED).await;

    // A durable queue lost nothing; what the API could not send is sent once.
    own.sent_again("restart", &jobs[..20], 0).await;
    own.sent_again("restart", &jobs[20..], 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rabbitmq_loses_its_data() {
    let mut own = Own::start().await;
    let pictures = own.pictures(40).await;
    let mut jobs = own.delete(&pictures[..20]).await;
    block_in_place(|| own.rabbit.kill());
    jobs.extend(own.delete(&pictures[20..]).await);
    own.rabbit.wipe().expect("wipe");
    own.rabbit.start_again().await.expect("RabbitMQ");
    own.cluster.corner.make_vhost().await;
    own.all_succeed(&jobs, RESUMED).await;

    own.sent_again("wiped", &jobs, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_is_deleted_under_its_consumer() {
    let own = Own::start().await;
    let pictures = own.pictures(20).await;
    let path = format!("api/queues/{}/feat.images.v1", own.cluster.corner.database);
    let deleted = own.cluster.corner.manage(Method::DELETE, &path).await;
    assert!(deleted.is_success(), "{deleted}");
    let jobs = own.delete(&pictures).await;
    own.all_succeed(&jobs, RESUMED).await;
    own.sent_again("queue deleted", &jobs, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_connection_sheds_intake() {
    let own = Own::start().await;
    let pictures = own.pictures(2).await;
    let watermark =
        |value| block_in_place(|| own.rabbit.ctl(&["set_vm_memory_high_watermark", value]));
    watermark("0.0000001").expect("rabbitmqctl");
    // RabbitMQ tells a connection that it is blocked when that connection publishes.
    let refused = eventually("a refusal", RESUMED, async || {
        let reply = own.client.delete(pictures[0]).await.expect("answer");
        (reply.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(reply)
    });
    let refused = refused.await;
    assert!(refused.headers().contains_key("retry-after"));
    let body: Value = refused.json().await.expect("JSON");
    assert_eq!(body["code"], "SERVICE_UNAVAILABLE");

    watermark("0.6").expect("rabbitmqctl");
    let accepted = eventually("an acceptance", RESUMED, async || {
        let reply = own.client.delete(pictures[1]).await.expect("answer");
        (reply.status() == StatusCode::ACCEPTED).then_some(reply)
    });
    let body: Value = accepted.await.json().await.expect("JSON");
    own.all_succeed(&[body["data"]["id"].as_str().expect("id").to_owned()], RESUMED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mongodb_restarts() {
    let mut own = Own::start().await;
    let pictures = own.pictures(40).await;
    let jobs = own.delete(&pictures[..20]).await;
    block_in_place(|| own.mongo.kill());
    let refused = own.client.delete(pictures[20]).await.expect("answer");
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    own.mongo.start_again().await.expect("MongoDB");
    own.all_succeed(&jobs, RESUMED).await;
    // The refused call may be repeated, and is worth a deletion now.
    let again = own.delete(&pictures[20..]).await;
    own.all_succeed(&again, RESUMED).await;
    // Messages that waited for the store in a worker's hands were never lost.
    own.sent_again("MongoDB restarted", &jobs, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mongodb_elects_again() {
    let own = Own::start().await;
    let pictures = own.pictures(20).await;
    let jobs = own.delete(&pictures[..10]).await;
    own.mongo.step_down(3).await.expect("step down");
    let rest = eventually("writes again", Duration::from_secs(30), async || {
        let reply = own.client.delete(pictures[10]).await.expect("answer");
        (reply.status() == StatusCode::ACCEPTED).then_some(())
    });
    rest.await;
    own.all_succeed(&jobs, RESUMED).await;
}
