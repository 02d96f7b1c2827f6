//! A store, a broker and workers inside the test's own process, on either engine.

use std::{sync::Arc, time::Duration};

use broker::{Broker, RabbitSettings};
use providers::{apns::Apns, blobs::Blobs, till::Till, webhook::Webhooks};
use schemas::{Job, JobId, JobRecord, JobState, Timestamp, UserId, job::NewJob};
use store::{Insert, Store};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use workers::{Drained, PayPace, Registry, Settings, Workers};

use crate::{
    eventually,
    scripted::{Leased, Repeatable, Slow},
    services::Corner,
};

/// Which engines a rig stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// SQLite and the queue in the process.
    Embedded,
    /// MongoDB and RabbitMQ.
    Distributed,
}

/// Everything that one pipeline test needs.
pub struct Rig {
    /// Where jobs are.
    pub store: Store,
    /// Where messages are.
    pub broker: Broker,
    /// Where files are.
    pub blobs: Blobs,
    /// Where bills are paid; closed unless a test opens one.
    pub till: Till,
    /// The way to Apple; none unless a test opens one.
    pub apns: Option<Apns>,
    /// Back ends that want to hear of events; none unless a test names some.
    pub webhooks: Webhooks,
    /// The virtual host and database, when distributed.
    pub corner: Option<Corner>,
    folder: TempDir,
}

/// A worker that runs inside the test.
pub struct Worker {
    shutdown: CancellationToken,
    task: JoinHandle<Drained>,
}

/// The owner of the rig's jobs.
///
/// # Panics
///
/// Never: 7 is a valid id.
#[must_use]
pub fn owner() -> UserId {
    UserId::new(7).expect("7 is a valid id")
}

impl Rig {
    /// A rig without workers.
    ///
    /// # Panics
    ///
    /// When a service does not answer.
    pub async fn new(engine: Engine) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = TempDir::new().expect("temporary folder");
        let blobs = Blobs::folder(&folder.path().join("files")).expect("file store");
        let (till, webhooks) = (Till::closed(), Webhooks::default());
        match engine {
            Engine::Embedded => {
                let store = Store::sqlite(folder.path()).await.expect("SQLite");
                let broker = Broker::local(100_000);
                Self { store, broker, blobs, till, apns: None, webhooks, corner: None, folder }
            }
            Engine::Distributed => {
                let corner = Corner::new().await;
                let uri = corner.mongodb_url.clone().into();
                let store = Store::mongo(&uri, &corner.database).await.expect("MongoDB");
                store.migrate().await.expect("indexes");
                let broker = another_broker(&corner).await;
                let (apns, corner) = (None, Some(corner));
                Self { store, broker, blobs, till, apns, webhooks, corner, folder }
            }
        }
    }

    /// The rig's folder on disk.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Starts a worker with short times, so that tests are quick.
    #[must_use]
    pub fn worker(&self) -> Worker {
        self.worker_with(self.broker.clone(), quick())
    }

    /// Starts a worker with a connection and settings of its own.
    #[must_use]
    pub fn worker_with(&self, broker: Broker, settings: Settings) -> Worker {
        let registry =
            workers::registry().register::<Repeatable>().register::<Leased>().register::<Slow>();
        self.worker_of(broker, settings, registry)
    }

    fn worker_of(&self, broker: Broker, settings: Settings, registry: Registry) -> Worker {
        let shutdown = CancellationToken::new();
        let workers = Workers {
            store: self.store.clone(),
            broker,
            blobs: self.blobs.clone(),
            till: self.till.clone(),
            apns: self.apns.clone(),
            webhooks: self.webhooks.clone(),
            settings,
            registry: Arc::new(registry),
        };
        let task = tokio::spawn(workers::run(workers, shutdown.clone()));
        Worker { shutdown, task }
    }

    /// Stores and publishes a job of kind `J`.
    ///
    /// # Panics
    ///
    /// When the store or the broker refuses it.
    pub async fn submit<J: Job>(&self, payload: &J::Payload) -> JobRecord {
        let new = NewJob::of::<J>(owner(), payload).expect("payload");
        let job = JobRecord::accept(new, "api", Timestamp::now());
        assert_eq!(self.store.jobs.insert(&job).await.expect("insert"), Insert::Stored);
        self.broker.publish(&job).await.expect("publish");
        job
    }

    /// The record of a job now.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub async fn job(&self, id: JobId) -> JobRecord {
        self.store.jobs.get(id).await.expect("store").expect("job")
    }

    /// Waits until the job is in `state`.
    pub async fn in_state(&self, id: JobId, state: JobState) -> JobRecord {
        eventually(format!("job {state}"), Duration::from_mins(1), async || {
            Some(self.job(id).await).filter(|job| job.state == state)
        })
        .await
    }
}

/// Another connection to the corner's RabbitMQ.
///
/// # Panics
///
/// When it is not ready within a minute.
pub async fn another_broker(corner: &Corner) -> Broker {
    let settings = RabbitSettings {
        uri: corner.amqp_url.clone().into(),
        name: "test".to_owned(),
        publish_timeout: Duration::from_mins(1),
        news: true,
    };
    let broker = Broker::rabbit(settings).expect("address");
    broker.ready(Duration::from_mins(1)).await.expect("RabbitMQ");
    broker
}

/// Settings with short times.
#[must_use]
pub fn quick() -> Settings {
    Settings {
        lease: Duration::from_secs(10),
        schedule_interval: Duration::from_millis(50),
        sweep_interval: Duration::from_millis(100),
        sweep_margin: Duration::from_millis(500),
        pay_pace: PayPace { first: Duration::from_millis(100), give_up: Duration::from_hours(1) },
        push_probe: Duration::from_millis(300),
        shutdown_deadline: Duration::from_secs(5),
        ..Settings::default()
    }
}

impl Worker {
    /// Asks the worker to stop and waits for it.
    ///
    /// # Panics
    ///
    /// When the worker panicked.
    pub async fn stop(self) -> Drained {
        self.shutdown.cancel();
        self.task.await.expect("worker")
    }
}

/// Runs every test of the list on both engines; each takes its [`Engine`].
#[macro_export]
macro_rules! on_both_engines {
    ($($name:ident),+ $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name($crate::rig::Engine::Embedded).await; })+
        }
        mod distributed {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name($crate::rig::Engine::Distributed).await; })+
        }
    };
}
