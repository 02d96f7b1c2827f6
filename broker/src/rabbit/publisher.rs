//! Sends messages and waits for the server's confirm.

use std::{sync::Arc, time::Duration};

use lapin::{
    BasicProperties, Channel, Confirmation, Connection,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::ShortString,
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    events::Events,
    link::{Link, Lost},
    topology,
};
use crate::{PublishError, Status};

/// So many messages may be without a confirm at a time; each holds its body in memory.
const IN_FLIGHT: usize = 1_024;
/// How often the channel is asked whether it lives, and declared anew at most.
const LOOK: Duration = Duration::from_millis(250);
/// How often a message is offered to the parked queue before it goes back.
const PARK_ATTEMPTS: u32 = 3;

/// A message on its way, by the default exchange, to the queue named `queue`.
#[derive(Clone)]
pub(super) struct Letter {
    pub(super) queue: ShortString,
    pub(super) body: Vec<u8>,
    pub(super) properties: BasicProperties,
}

/// Where messages go at the moment.
#[derive(Clone)]
enum Outlet {
    Down,
    Blocked,
    Open(Arc<Channel>),
}

/// The one confirming channel of this process.
pub(super) struct Publisher {
    outlet: watch::Sender<Outlet>,
    places: Arc<Semaphore>,
    missing: Arc<Notify>,
    events: Arc<Events>,
    timeout: Duration,
}

impl Publisher {
    pub(super) fn new(timeout: Duration, events: Arc<Events>) -> Self {
        Self {
            outlet: watch::Sender::new(Outlet::Down),
            places: Arc::new(Semaphore::new(IN_FLIGHT)),
            missing: Arc::default(),
            events,
            timeout,
        }
    }

    pub(super) fn status(&self) -> Status {
        match &*self.outlet.borrow() {
            Outlet::Blocked => Status::Blocked,
            Outlet::Open(channel) if channel.status().connected() => Status::Ready,
            Outlet::Down | Outlet::Open(_) => Status::Down,
        }
    }

    /// Returns once messages are taken.
    pub(super) async fn open(&self) {
        let mut outlet = self.outlet.subscribe();
        // Fails only without a sender, and that is in `self`.
        let _ = outlet.wait_for(|outlet| matches!(outlet, Outlet::Open(_))).await;
    }

    /// Declares everything on `connection` and offers a channel for as long as it lives.
    pub(super) async fn serve(
        &self,
        connection: Arc<Connection>,
        link: &Link,
        stop: &CancellationToken,
    ) -> Result<(), Lost> {
        let Some(channel) = stop.run_until_cancelled(prepare(&connection)).await else {
            return Ok(());
        };
        let channel = Arc::new(channel?);
        link.set_problem(None);
        let served = stop.run_until_cancelled(self.offer(&channel, link.blocked())).await;
        self.outlet.send_replace(Outlet::Down);
        served.unwrap_or(Ok(()))
    }

    async fn offer(
        &self,
        channel: &Arc<Channel>,
        mut blocked: watch::Receiver<bool>,
    ) -> Result<(), Lost> {
        loop {
            let outlet = if *blocked.borrow_and_update() {
                Outlet::Blocked
            } else {
                Outlet::Open(Arc::clone(channel))
            };
            self.outlet.send_replace(outlet);
            loop {
                tokio::select! {
                    _ = blocked.changed() => break,
                    () = self.missing.notified() => {
                        tracing::warn!("a queue is missing at RabbitMQ, declaring it again");
                        self.events.queue_deleted();
                        // Nothing is written while blocked, so the answer may not come.
                        tokio::select! {
                            declared = topology::declare_all(channel) => declared?,
                            _ = blocked.changed() => break,
                        }
                    }
                    () = sleep(LOOK) => {}
                }
                if !channel.status().connected() {
                    return Err(Lost::Closed);
                }
            }
        }
    }

    /// Sends `letter` and waits for the confirm, no longer than the configured time.
    pub(super) async fn publish(&self, letter: Letter) -> Result<(), PublishError> {
        let mut outlet = self.outlet.subscribe();
        let channel = match &*outlet.borrow_and_update() {
            Outlet::Blocked => return Err(PublishError::Blocked),
            Outlet::Open(channel) if channel.status().connected() => Arc::clone(channel),
            Outlet::Down | Outlet::Open(_) => return Err(PublishError::Down),
        };
        let sent = timeout(self.timeout, self.send(channel, letter));
        tokio::select! {
            sent = sent => sent.unwrap_or(Err(PublishError::Unconfirmed)),
            _ = outlet.wait_for(|outlet| matches!(outlet, Outlet::Blocked)) => {
                Err(PublishError::Blocked)
            }
        }
    }

    async fn send(&self, channel: Arc<Channel>, letter: Letter) -> Result<(), PublishError> {
        let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
            // Nothing closes the semaphore.
            return Err(PublishError::Down);
        };
        // On a task of its own: the place stays taken until the server has answered or is gone,
        // whether or not the caller still waits, and lapin keeps every confirm that is dropped.
        let missing = Arc::clone(&self.missing);
        let sending = tokio::spawn(confirm(channel, letter, place, missing));
        sending.await.unwrap_or(Err(PublishError::Unconfirmed))
    }

    /// Sends what must not go back to where it came from at once: waits for the server, and for a
    /// missing queue, a few times.
    pub(super) async fn publish_patiently(&self, letter: Letter) -> Result<(), PublishError> {
        let mut outcome = Err(PublishError::Down);
        for _ in 0..PARK_ATTEMPTS {
            // When it stays closed the next line says so.
            let _ = timeout(self.timeout, self.open()).await;
            outcome = self.publish(letter.clone()).await;
            if outcome.is_ok() {
                break;
            }
            sleep(LOOK).await;
        }
        outcome
    }

    /// Waits until every message that is under way has its answer, `within` at most, and takes
    /// nothing more.
    pub(super) async fn close(&self, within: Duration) {
        let all = u32::try_from(IN_FLIGHT).unwrap_or(u32::MAX);
        // What is under way after that is lost with the connection, and its callers are told so.
        let _ = timeout(within, self.places.acquire_many(all)).await;
        self.places.close();
    }
}

async fn prepare(connection: &Connection) -> Result<Channel, Lost> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    topology::declare_all(&channel).await?;
    Ok(channel)
}

async fn confirm(
    channel: Arc<Channel>,
    letter: Letter,
    _place: OwnedSemaphorePermit,
    missing: Arc<Notify>,
) -> Result<(), PublishError> {
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let Letter { queue, body, properties } = letter;
    let sent =
        channel.basic_publish(ShortString::default(), queue, options, &body, properties).await;
    let confirm = sent.map_err(|_| PublishError::Unconfirmed)?;
    match confirm.await {
        Ok(Confirmation::Ack(None)) => Ok(()),
        // lapin hands a returned message to the next confirm on the channel, which under load may
        // be a neighbour's. Both are told apart only by chance; the sweep makes up for it, as it
        // does for everything that was in the queue when it vanished.
        Ok(Confirmation::Ack(Some(_)) | Confirmation::Nack(Some(_))) => {
            missing.notify_one();
            Err(PublishError::Unroutable)
        }
        Ok(Confirmation::Nack(None)) => Err(PublishError::Full),
        Ok(Confirmation::NotRequested) | Err(_) => Err(PublishError::Unconfirmed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> Letter {
        Letter { queue: "q".into(), body: Vec::new(), properties: BasicProperties::default() }
    }

    #[tokio::test]
    async fn without_an_outlet_a_publication_fails_at_once_and_says_why() {
        let publisher = Publisher::new(Duration::from_mins(1), Arc::new(Events::new(true)));
        let cases = [
            (Outlet::Down, Status::Down, PublishError::Down),
            (Outlet::Blocked, Status::Blocked, PublishError::Blocked),
        ];
        for (outlet, status, error) in cases {
            publisher.outlet.send_replace(outlet);
            assert_eq!(publisher.status(), status);
            let answer = futures::FutureExt::now_or_never(publisher.publish(letter()));
            assert_eq!(answer, Some(Err(error)), "{status:?}");
        }
    }
}
