//! RabbitMQ: one connection to publish and one to consume, each supervised, and tasks that take up
//! their work again on whatever connection there is.
//!
//! A server short of memory blocks connections that publish, and lapin then writes nothing over
//! them. So nothing that must go on meanwhile (acknowledgements, questions) uses that connection.

mod answers;
mod consumer;
mod events;
mod inspect;
mod letter;
mod link;
mod publisher;
mod settings;
mod topology;

use std::{sync::Arc, time::Duration};

use schemas::{Event, JobRecord, Queue};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use self::consumer::{Consumer, Receipt};
pub use self::settings::RabbitSettings;
use self::{
    consumer::Subscription,
    events::Events,
    link::{Link, keep},
    publisher::Publisher,
    settings::Target,
};
use crate::{
    BrokerError, Depth, Finding, InvalidUri, Parked, PublishError, Status, listeners::Listeners,
};

/// What uses the connections gets this long to end before they are closed under it.
const ENDING: Duration = Duration::from_secs(3);

/// Everything that one process has to do with RabbitMQ. Dropping it ends every task.
pub(crate) struct Rabbit {
    publishing: Arc<Link>,
    consuming: Arc<Link>,
    publisher: Arc<Publisher>,
    events: Arc<Events>,
    /// What uses the connections.
    users: Tasks,
    /// The connections themselves, which outlive what uses them.
    links: Tasks,
}

/// Tasks that end together.
struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    fn new() -> Self {
        Self { tracker: TaskTracker::new(), stop: CancellationToken::new() }
    }

    /// Tells them to end and waits, `within` at most.
    async fn end(&self, within: Duration) {
        self.stop.cancel();
        self.tracker.close();
        let _ = timeout(within, self.tracker.wait()).await;
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Rabbit {
    pub(crate) fn start(settings: RabbitSettings) -> Result<Self, InvalidUri> {
        let (publish_timeout, news) = (settings.publish_timeout, settings.news);
        let target = Target::parse(settings)?;
        let events = Arc::new(Events::new(news));
        let rabbit = Self {
            publishing: Arc::new(Link::new("publish")),
            consuming: Arc::new(Link::new("consume")),
            publisher: Arc::new(Publisher::new(publish_timeout, Arc::clone(&events))),
            events,
            users: Tasks::new(),
            links: Tasks::new(),
        };
        rabbit.start_links(&target);
        rabbit.start_publisher();
        rabbit.start_events();
        Ok(rabbit)
    }

    fn start_links(&self, target: &Target) {
        for link in [&self.publishing, &self.consuming] {
            let (link, target, stop) = (Arc::clone(link), target.clone(), self.links.stop.clone());
            self.links.tracker.spawn(async move { link.supervise(target, stop).await });
        }
    }

    fn start_publisher(&self) {
        let (link, stop) = (Arc::clone(&self.publishing), self.users.stop.clone());
        let publisher = Arc::clone(&self.publisher);
        self.users.tracker.spawn(async move {
            keep(&link, "publisher", &stop, |connection| publisher.serve(connection, &link, &stop))
                .await;
        });
    }

    fn start_events(&self) {
        let (link, stop) = (Arc::clone(&self.publishing), self.users.stop.clone());
        let events = Arc::clone(&self.events);
        self.users.tracker.spawn(async move {
            keep(&link, "events out", &stop, |connection| events.send_on(connection, &stop)).await;
        });
        let (link, stop) = (Arc::clone(&self.consuming), self.users.stop.clone());
        let events = Arc::clone(&self.events);
        self.users.tracker.spawn(async move {
            keep(&link, "events in", &stop, |connection| events.receive_on(connection, &stop))
                .await;
        });
    }

    pub(crate) async fn ready(&self, within: Duration) -> Result<(), BrokerError> {
        let all = async { tokio::join!(self.publisher.open(), self.events.subscribed()) };
        if timeout(within, all).await.is_ok() {
            return Ok(());
        }
        let problem = self.publishing.problem().or_else(|| self.consuming.problem());
        Err(problem.unwrap_or_else(inspect::silent))
    }

    pub(crate) async fn publish(&self, job: &JobRecord, body: Vec<u8>) -> Result<(), PublishError> {
        self.publisher.publish(letter::job(job, body)).await
    }

    pub(crate) fn status(&self) -> Status {
        self.publisher.status()
    }

    pub(crate) fn consume(this: &Arc<Self>, queue: Queue, prefetch: u16) -> Consumer {
        let (deliveries, receiver) = mpsc::channel(prefetch.into());
        let closing = this.users.stop.clone();
        let stop = closing.child_token();
        let subscription = Subscription {
            queue,
            prefetch,
            publisher: Arc::clone(&this.publisher),
            events: Arc::clone(&this.events),
            deliveries,
            stop: stop.clone(),
            closing,
            tasks: this.users.tracker.clone(),
        };
        let link = Arc::clone(&this.consuming);
        let task = this.users.tracker.spawn(async move {
            keep(&link, queue.broker_name(), &subscription.stop, |connection| {
                subscription.serve(connection)
            })
            .await;
        });
        Consumer::new(receiver, stop, task, Arc::clone(this))
    }

    pub(crate) async fn depth(&self, queue: Queue) -> Result<Depth, BrokerError> {
        inspect::depth(&self.consuming, queue).await
    }

    pub(crate) async fn parked(&self, queue: Queue) -> Result<Vec<Parked>, BrokerError> {
        inspect::parked(&self.consuming, queue).await
    }

    pub(crate) fn send_event(&self, event: Event) {
        self.events.send(event);
    }

    pub(crate) fn listeners(&self) -> &Listeners {
        self.events.listeners()
    }

    pub(crate) async fn check(&self) -> Vec<Finding> {
        inspect::check(&self.publishing, &self.consuming).await
    }

    pub(crate) async fn close(&self) {
        self.publisher.close(ENDING).await;
        self.users.end(ENDING).await;
        self.links.end(ENDING).await;
    }
}
