//! Takes job messages to the workers and news to everybody, over RabbitMQ or inside the process.
//!
//! The job record in the store is the truth and a message only a hint that there is work, so this
//! crate promises delivery *at least once* and nothing more: a message that was confirmed is
//! delivered until somebody acknowledges it, possibly twice; one that was not confirmed is sent
//! again by whoever watches over the store. What must always hold:
//!
//! - nothing here waits for ever or grows without a bound, whatever the broker does;
//! - a lost connection, channel, queue or subscription comes back by itself, and what was fetched
//!   over it is delivered again;
//! - events are best effort, and never hold anything back.
//!
//! Only this crate speaks AMQP.

mod delivery;
mod error;
mod listeners;
mod local;
mod rabbit;

use std::{sync::Arc, time::Duration};

use schemas::{
    Event, JobRecord, Queue,
    message::{self, Beside},
};
use tokio::sync::broadcast;

pub use crate::{
    delivery::{Consumer, Delivery},
    error::{BrokerError, InvalidUri, PublishError},
    rabbit::RabbitSettings,
};
use crate::{listeners::Listeners, local::Local, rabbit::Rabbit};

/// At most so many parked messages of a queue are shown, and kept by the in-process engine.
pub const PARKED_SHOWN: usize = 1_000;

/// So many events wait for a slow receiver in the same process before it misses the oldest.
const EVENTS_KEPT: usize = 8_192;

/// Whether messages can be published at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// A publication is taken and confirmed.
    Ready,
    /// Connected, but the broker takes nothing because it is short of memory or disk.
    Blocked,
    /// No connection, or nothing declared yet.
    Down,
}

/// How much waits in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Messages that no consumer has fetched yet.
    pub ready: u64,
    /// Subscriptions of every process. RabbitMQ counts a stopped one for as long as something that
    /// it handed out is unanswered.
    pub consumers: u32,
}

/// A message that no worker could read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// As it was published.
    pub body: bytes::Bytes,
    /// Why it was set aside.
    pub reason: String,
}

/// One thing that was looked at by [`Broker::check`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub what: String,
    /// What is wrong with it, if anything.
    pub problem: Option<String>,
}

/// The way to the queues. Clones share connections and, for the in-process engine, the queues.
#[derive(Clone)]
pub struct Broker {
    engine: Engine,
}

#[derive(Clone)]
enum Engine {
    Local(Local),
    Rabbit(Arc<Rabbit>),
}

/// Says what the metrics of this crate mean, to the recorder that is installed already.
pub fn describe_metrics() {
    metrics::describe_gauge!(
        "feat_broker_connected",
        "1 while the connection to RabbitMQ stands; there is one to publish and one to consume."
    );
    metrics::describe_counter!("feat_broker_reconnects_total", "Connections made after a loss.");
    metrics::describe_counter!(
        "feat_broker_publish_total",
        "Messages for workers, by what the broker said to them."
    );
    metrics::describe_counter!(
        "feat_events_dropped_total",
        "Events that nobody will hear, because too many waited to be sent."
    );
}

impl Broker {
    /// Queues in this process, for one process alone. Each holds at most `capacity` messages and
    /// nothing outlives the process; the sweep over the store finds what a crash loses.
    #[must_use]
    pub fn local(capacity: usize) -> Self {
        Self { engine: Engine::Local(Local::new(capacity)) }
    }

    /// Queues on a RabbitMQ server. Returns at once; from then on tasks connect, declare and
    /// subscribe, and do so again after every loss, until [`Self::close`] or the last clone goes.
    ///
    /// # Errors
    ///
    /// [`InvalidUri`]: correct the setting.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn rabbit(settings: RabbitSettings) -> Result<Self, InvalidUri> {
        Ok(Self { engine: Engine::Rabbit(Arc::new(Rabbit::start(settings)?)) })
    }

    /// Waits until messages can be published and events arrive.
    ///
    /// # Errors
    ///
    /// After `within`, with the last known reason. The broker goes on trying all the same.
    pub async fn ready(&self, within: Duration) -> Result<(), BrokerError> {
        match &self.engine {
            Engine::Local(_) => Ok(()),
            Engine::Rabbit(rabbit) => rabbit.ready(within).await,
        }
    }

    /// Sends `job` to its queue and waits until the broker has it on disk.
    ///
    /// Takes one round trip, and never longer than the configured time. Publishing the same
    /// record again is safe; so is dropping the future, which may or may not publish.
    ///
    /// # Errors
    ///
    /// Each means that the sweep sends the job later. [`PublishError::Down`],
    /// [`PublishError::Blocked`] and [`PublishError::Full`] come at once.
    pub async fn publish(&self, job: &JobRecord) -> Result<(), PublishError> {
        self.publish_with(job, None).await
    }

    /// As [`Self::publish`], with something that goes along.
    ///
    /// # Errors
    ///
    /// As [`Self::publish`].
    pub async fn publish_with(
        &self,
        job: &JobRecord,
        beside: Option<&Beside>,
    ) -> Result<(), PublishError> {
        let outcome = self.try_publish(job, beside).await;
        let label = outcome.as_ref().map_or_else(|error| error.label(), |()| "confirmed");
        metrics::counter!("feat_broker_publish_total", "outcome" => label).increment(1);
        outcome
    }

    async fn try_publish(
        &self,
        job: &JobRecord,
        beside: Option<&Beside>,
    ) -> Result<(), PublishError> {
        let body = message::encode(job, beside).map_err(|error| {
            tracing::error!(job_id = %job.id, %error, "a job record has no message form");
            PublishError::Unconfirmed
        })?;
        match &self.engine {
            Engine::Local(local) => local.publish(job.queue, body.into()),
            Engine::Rabbit(rabbit) => rabbit.publish(job, body).await,
        }
    }

    /// Whether a publication can succeed now. Cheap enough to ask for every request.
    #[must_use]
    pub fn status(&self) -> Status {
        match &self.engine {
            Engine::Local(local) => local.status(),
            Engine::Rabbit(rabbit) => rabbit.status(),
        }
    }

    /// Subscribes to `queue`, and again after every loss, until the consumer is stopped or
    /// dropped. At most `prefetch` (at least 1) deliveries are unanswered at a time.
    #[must_use]
    pub fn consume(&self, queue: Queue, prefetch: u16) -> Consumer {
        let prefetch = prefetch.max(1);
        match &self.engine {
            Engine::Local(local) => Consumer::local(local.consume(queue, prefetch)),
            Engine::Rabbit(rabbit) => Consumer::rabbit(Rabbit::consume(rabbit, queue, prefetch)),
        }
    }

    /// How much waits in `queue`.
    ///
    /// # Errors
    ///
    /// The broker did not say; ask again later.
    pub async fn depth(&self, queue: Queue) -> Result<Depth, BrokerError> {
        match &self.engine {
            Engine::Local(local) => Ok(local.depth(queue)),
            Engine::Rabbit(rabbit) => rabbit.depth(queue).await,
        }
    }

    /// The oldest [`PARKED_SHOWN`] parked messages of `queue` (in the process: the newest). They
    /// stay where they are.
    ///
    /// # Errors
    ///
    /// The broker did not say; ask again later.
    pub async fn parked(&self, queue: Queue) -> Result<Vec<Parked>, BrokerError> {
        match &self.engine {
            Engine::Local(local) => Ok(local.parked(queue)),
            Engine::Rabbit(rabbit) => rabbit.parked(queue).await,
        }
    }

    /// Tells everybody. Never waits: receivers of this process have the event at once, those of
    /// others with the next batch; when too many wait to be sent, the oldest are dropped.
    pub fn send_event(&self, event: Event) {
        match &self.engine {
            Engine::Local(local) => local.listeners().tell(&event),
            Engine::Rabbit(rabbit) => rabbit.send_event(event),
        }
    }

    /// Events of every process from now on, this one's own included. A slow receiver is told how
    /// many it missed. Without [`RabbitSettings::news`] only those of [`Self::worker_events`] come
    /// from other processes.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.listeners().all()
    }

    /// The events among them that workers act on; see [`Event::is_for_workers`].
    #[must_use]
    pub fn worker_events(&self) -> broadcast::Receiver<Event> {
        self.listeners().workers()
    }

    fn listeners(&self) -> &Listeners {
        match &self.engine {
            Engine::Local(local) => local.listeners(),
            Engine::Rabbit(rabbit) => rabbit.listeners(),
        }
    }

    /// Looks at everything that the broker needs to work, for a person who sets it up. Takes up
    /// to about ten seconds when the server does not answer.
    pub async fn check(&self) -> Vec<Finding> {
        match &self.engine {
            Engine::Local(_) => {
                vec![Finding { what: "queues in the process".to_owned(), problem: None }]
            }
            Engine::Rabbit(rabbit) => rabbit.check().await,
        }
    }

    /// Sends what is gathered, gives back what was fetched and not answered, and disconnects.
    /// Takes up to ten seconds when the server does not answer. From then on the broker is [`Status::Down`] and consumers
    /// pend; a second call does nothing.
    pub async fn close(&self) {
        match &self.engine {
            Engine::Local(local) => local.close(),
            Engine::Rabbit(rabbit) => rabbit.close().await,
        }
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let engine = match self.engine {
            Engine::Local(_) => "local",
            Engine::Rabbit(_) => "rabbit",
        };
        f.debug_struct("Broker").field("engine", &engine).field("status", &self.status()).finish()
    }
}
