//! Where a test plays: the queues of the process, or a vhost of its own on a RabbitMQ server.

use std::{env, panic::AssertUnwindSafe, time::Duration};

use broker::{Broker, Consumer, Delivery, RabbitSettings};
use futures::FutureExt;
use reqwest::{Method, Response, StatusCode};
use schemas::{
    JobId, JobRecord, Timestamp, UserId,
    id::ImageId,
    job::NewJob,
    kinds::{ImageDelete, image_delete::ImageDeletion},
    message::{self, Subject},
};
use serde_json::Value;

/// Work resumes within this time after every fault.
pub(crate) const RESUMES: Duration = Duration::from_secs(10);

/// What is no fault takes as long as it takes on a busy machine: a vhost and all its queues.
pub(crate) const PREPARED: Duration = Duration::from_mins(1);

/// One engine, fresh.
pub(crate) enum Stage {
    Local(Broker),
    Rabbit(Vhost),
}

impl Stage {
    /// What another process on the same queues would hold.
    pub(crate) fn broker(&self) -> Broker {
        match self {
            Self::Local(broker) => broker.clone(),
            Self::Rabbit(vhost) => vhost.broker(),
        }
    }

    /// The same, once it works.
    pub(crate) async fn ready(&self) -> Broker {
        let broker = self.broker();
        broker.ready(PREPARED).await.unwrap();
        broker
    }
}

/// Plays `test` on the queues of the process.
pub(crate) async fn on_local(test: impl AsyncFnOnce(Stage)) {
    test(Stage::Local(Broker::local(10_000))).await;
}

/// Plays `test` on a vhost of its own and removes that, even after a failure.
pub(crate) async fn on_rabbit(test: impl AsyncFnOnce(Stage)) {
    on_vhost(async |vhost| test(Stage::Rabbit(vhost)).await).await;
}

/// The same for a test that is about RabbitMQ.
pub(crate) async fn on_vhost(test: impl AsyncFnOnce(Vhost)) {
    let vhost = Vhost::make().await;
    let outcome = AssertUnwindSafe(test(vhost.clone())).catch_unwind().await;
    vhost.manage(Method::DELETE, &format!("vhosts/{}", vhost.name)).await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// A vhost on the server that the tests share.
#[derive(Clone)]
pub(crate) struct Vhost {
    pub(crate) name: String,
    client: reqwest::Client,
}

fn variable(name: &str) -> String {
    let missing = format!("{name} is not set: run the tests with `cargo xtask test`");
    env::var(name).expect(&missing)
}

impl Vhost {
    async fn make() -> Self {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let vhost = Self { name: format!("broker-{}", JobId::generate()), client };
        // The plugin sometimes hangs up while several are being made.
        until("a vhost", async || {
            vhost.ask(Method::PUT, &format!("vhosts/{}", vhost.name)).await.ok()
        })
        .await;
        vhost
    }

    /// Address of this vhost.
    pub(crate) fn uri(&self) -> String {
        format!("{}/{}", variable("FEAT_TEST_AMQP_URL").trim_end_matches('/'), self.name)
    }

    pub(crate) fn broker(&self) -> Broker {
        broker_at(&self.uri())
    }

    pub(crate) async fn ready(&self) -> Broker {
        let broker = self.broker();
        broker.ready(PREPARED).await.unwrap();
        broker
    }

    /// One call of the management API.
    pub(crate) async fn manage(&self, method: Method, path: &str) -> Response {
        self.ask(method, path).await.unwrap()
    }

    async fn ask(&self, method: Method, path: &str) -> reqwest::Result<Response> {
        let base = variable("FEAT_TEST_RABBITMQ_MANAGEMENT_URL");
        let url = format!("{}/api/{path}", base.trim_end_matches('/'));
        self.client.request(method, url).send().await?.error_for_status()
    }

    pub(crate) async fn delete_queue(&self, name: &str) {
        self.manage(Method::DELETE, &format!("queues/{}/{name}", self.name)).await;
    }

    /// Names of the connections of this vhost; the server knows of a new one after some seconds.
    pub(crate) async fn connections(&self) -> Vec<String> {
        let list = self.manage(Method::GET, &format!("vhosts/{}/connections", self.name)).await;
        let list: Vec<Value> = list.json().await.unwrap();
        list.iter()
            .filter_map(|connection| connection["name"].as_str().map(str::to_owned))
            .collect()
    }

    /// Closes a connection, which may be closed already.
    pub(crate) async fn close_connection(&self, name: &str) {
        let name = name.replace(' ', "%20").replace('>', "%3E");
        if let Err(error) = self.ask(Method::DELETE, &format!("connections/{name}")).await {
            assert_eq!(error.status(), Some(StatusCode::NOT_FOUND), "{error}");
        }
    }
}

/// A broker at `uri`.
pub(crate) fn broker_at(uri: &str) -> Broker {
    broker_of(uri, true)
}

/// The same of a process that callers wait at, if `news`.
pub(crate) fn broker_of(uri: &str, news: bool) -> Broker {
    let settings = RabbitSettings {
        uri: uri.into(),
        name: "broker-test".to_owned(),
        publish_timeout: Duration::from_secs(5),
        news,
    };
    Broker::rabbit(settings).unwrap()
}

/// A job for the queue of pictures.
pub(crate) fn job() -> JobRecord {
    let payload = ImageDeletion { image: ImageId::generate() };
    let new = NewJob::of::<ImageDelete>(UserId::generate(), &payload).unwrap();
    JobRecord::accept(new, "test", Timestamp::now())
}

/// The job that a delivery is about.
pub(crate) fn id(delivery: &Delivery) -> JobId {
    match message::decode(&delivery.body).unwrap().subject {
        Subject::Job(job) => job.id,
        Subject::JobId(id) => id,
    }
}

/// What `consumer` gets next, soon.
pub(crate) async fn next(consumer: &mut Consumer) -> Delivery {
    soon("a delivery", consumer.next()).await
}

/// The outcome of `wanted`, or a failure after a deadline.
pub(crate) async fn soon<T>(what: &str, wanted: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(RESUMES, wanted).await;
    outcome.unwrap_or_else(|_| panic!("no {what} within {RESUMES:?}"))
}

/// Asks until `question` answers.
pub(crate) async fn until<T>(what: &str, mut question: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        loop {
            pace.tick().await;
            if let Some(answer) = question().await {
                return answer;
            }
        }
    };
    soon(what, asking).await
}

/// Publishes until a publication is confirmed.
pub(crate) async fn publish(broker: &Broker, job: &JobRecord) {
    until("a confirm", async || broker.publish(job).await.ok()).await;
}
