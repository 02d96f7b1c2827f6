//! A subscription that comes back, and the right to answer what came over it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::StreamExt;
use lapin::{
    Channel, Connection,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::{FieldTable, ShortString},
};
use schemas::Queue;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use super::{
    Rabbit,
    answers::{self, Answer},
    events::Events,
    letter,
    link::Lost,
    publisher::Publisher,
    topology,
};
use crate::Delivery;

/// The server gets this long to answer the end of a subscription; the end of the channel gives
/// everything back all the same.
const STOPPING: Duration = Duration::from_secs(2);

/// See [`crate::Consumer`].
pub(crate) struct Consumer {
    deliveries: mpsc::Receiver<Delivery>,
    stop: DropGuard,
    task: JoinHandle<()>,
    _rabbit: Arc<Rabbit>,
}

impl Consumer {
    pub(super) fn new(
        deliveries: mpsc::Receiver<Delivery>,
        stop: CancellationToken,
        task: JoinHandle<()>,
        rabbit: Arc<Rabbit>,
    ) -> Self {
        Self { deliveries, stop: stop.drop_guard(), task, _rabbit: rabbit }
    }

    pub(crate) async fn next(&mut self) -> Delivery {
        while let Some(delivery) = self.deliveries.recv().await {
            // What came over a connection that is lost is delivered again anyway.
            if !delivery.is_lost() {
                return delivery;
            }
        }
        std::future::pending().await
    }

    pub(crate) async fn stop(mut self) {
        self.deliveries.close();
        while let Ok(delivery) = self.deliveries.try_recv() {
            drop(delivery);
        }
        drop(self.stop);
        // It bounds its own waits; a panic in it ends the subscription as well.
        let _ = self.task.await;
    }
}

/// What a subscription task works with, on every connection anew.
pub(super) struct Subscription {
    pub(super) queue: Queue,
    pub(super) prefetch: u16,
    pub(super) publisher: Arc<Publisher>,
    pub(super) events: Arc<Events>,
    pub(super) deliveries: mpsc::Sender<Delivery>,
    pub(super) stop: CancellationToken,
    /// Ends the writing of answers, after those given so far.
    pub(super) closing: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl Subscription {
    /// Subscribes on `connection` and passes deliveries on, until the subscription is lost or
    /// stopped.
    pub(super) async fn serve(&self, connection: Arc<Connection>) -> Result<(), Lost> {
        let deletions = self.events.deletions();
        let Some(subscribed) = self.stop.run_until_cancelled(self.subscribe(&connection)).await
        else {
            return Ok(());
        };
        let (channel, mut incoming) = subscribed?;
        tracing::debug!(queue = %self.queue, prefetch = self.prefetch, "subscribed");

        let (answers, given) = mpsc::unbounded_channel();
        let lost = CancellationToken::new();
        let writer = answers::write(channel.clone(), given, lost.clone(), self.closing.clone());
        self.tasks.spawn(writer);
        let session = Arc::new(Session {
            queue: self.queue,
            publisher: Arc::clone(&self.publisher),
            answers,
        });

        let passed =
            self.stop.run_until_cancelled(self.pass_on(&mut incoming, &session, deletions)).await;
        if let Some(Err(error)) = passed {
            if matches!(error, Lost::Cancelled) {
                self.events.queue_deleted();
            }
            lost.cancel();
            return Err(error);
        }
        // A server that does not answer in time sees the channel end instead.
        let _ = timeout(STOPPING, give_back(&channel, incoming, session)).await;
        Ok(())
    }

    async fn subscribe(&self, connection: &Connection) -> Result<(Channel, lapin::Consumer), Lost> {
        let channel = connection.create_channel().await?;
        topology::declare_queue(&channel, self.queue).await?;
        channel.basic_qos(self.prefetch, BasicQosOptions::default()).await?;
        let incoming = channel
            .basic_consume(
                self.queue.broker_name().into(),
                ShortString::default(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await?;
        Ok((channel, incoming))
    }

    /// Ends well only when nobody wants deliveries any more.
    async fn pass_on(
        &self,
        incoming: &mut lapin::Consumer,
        session: &Arc<Session>,
        mut deletions: watch::Receiver<u64>,
    ) -> Result<(), Lost> {
        loop {
            let delivery = tokio::select! {
                delivery = incoming.next() => delivery.ok_or(Lost::Cancelled)??,
                _ = deletions.changed() => return Err(Lost::Deleted),
            };
            if self.deliveries.send(session.receive(delivery)).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// Ends the subscription and returns what was fetched and not passed on; what was passed on stays
/// answerable.
async fn give_back(channel: &Channel, mut incoming: lapin::Consumer, session: Arc<Session>) {
    if channel.basic_cancel(incoming.tag(), BasicCancelOptions::default()).await.is_err() {
        return;
    }
    while let Some(Ok(delivery)) = incoming.next().await {
        drop(session.receive(delivery));
    }
    let (done, written) = oneshot::channel();
    if session.answers.send(Answer::Flush(done)).is_ok() {
        let _ = written.await;
    }
}

/// One channel with one subscription; lives as long as something that came over it is unanswered.
struct Session {
    queue: Queue,
    publisher: Arc<Publisher>,
    answers: mpsc::UnboundedSender<Answer>,
}

impl Session {
    fn receive(self: &Arc<Self>, delivery: lapin::message::Delivery) -> Delivery {
        let receipt = Receipt { tag: Some(delivery.delivery_tag), session: Arc::clone(self) };
        Delivery::rabbit(delivery.data.into(), delivery.redelivered, receipt)
    }
}

/// The right to answer one delivery; dropped unanswered it gives the message back.
pub(crate) struct Receipt {
    tag: Option<u64>,
    session: Arc<Session>,
}

impl Receipt {
    /// Whether the channel is gone, and the message back in its queue.
    pub(crate) fn is_lost(&self) -> bool {
        self.session.answers.is_closed()
    }

    pub(crate) fn ack(mut self) {
        if let Some(tag) = self.tag.take() {
            self.answer(Answer::Ack(tag));
        }
    }

    pub(crate) async fn park(self, body: Bytes, reason: &str) {
        let queue = self.session.queue;
        let parked = letter::parked(queue, body.into(), reason);
        match self.session.publisher.publish_patiently(parked).await {
            Ok(()) => self.ack(),
            Err(error) => {
                tracing::warn!(%queue, %error, "an unreadable message could not be set aside");
            }
        }
    }

    fn answer(&self, answer: Answer) {
        // After a loss there is nobody to tell, and the server returns the message by itself.
        let _ = self.session.answers.send(answer);
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(tag) = self.tag.take() {
            self.answer(Answer::Requeue(tag));
        }
    }
}
