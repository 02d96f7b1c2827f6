//! Events to and from the other processes, in batches.
//!
//! One task sends: what arrives while the server has not confirmed the batch before goes with the
//! next one. So a single event leaves at once, and a flood in few messages. What workers act on goes to
//! everybody; what becomes of jobs, by far the most, only to processes that somebody may wait at.
//!
//! The same way goes the news that a queue was deleted. RabbitMQ promises to cancel the consumers
//! of such a queue, but 3.10 forgets those of a quorum queue that is declared again soon, or
//! delivers to them what they never see. So whoever notices tells everybody to subscribe anew.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::StreamExt;
use lapin::{
    BasicProperties, Channel, Connection,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
        ConfirmSelectOptions,
    },
    types::{FieldTable, ShortString},
};
use schemas::Event;
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{link::Lost, topology};
use crate::listeners::Listeners;

/// So many events wait to be sent before the oldest are dropped.
const WAITING: usize = 16_384;
/// The largest batch.
const BATCH: usize = 1_000;
/// When so many wait, those that come bring no records along: they would fill memory and batches.
const WITH_RECORDS: usize = 100;
/// Batches that the server sends ahead of their acknowledgement, which half of them share.
const PREFETCH: u16 = 64;
/// Marks the news that a queue was deleted.
const DELETED: &str = "feat.queue-deleted";
/// An exchange that was deleted takes the binding along without a word; it is made anew this often.
const RENEW: Duration = Duration::from_secs(3);
/// The last batches get this long when the broker closes.
const CLOSING: Duration = Duration::from_secs(1);

/// Events of this process on their way out, and of all processes on their way in.
pub(super) struct Events {
    /// Marks own batches, which have been delivered here before they were sent.
    sender: ShortString,
    waiting: Mutex<VecDeque<Event>>,
    arrived: Notify,
    listeners: Listeners,
    /// Whether events for waiting callers are fetched.
    news: bool,
    subscribed: watch::Sender<bool>,
    /// Whether others are still to be told that a queue was deleted.
    deleted: AtomicBool,
    /// Counts how often that was told.
    deletions: watch::Sender<u64>,
}

impl Events {
    pub(super) fn new(news: bool) -> Self {
        Self {
            sender: Uuid::now_v7().to_string().into(),
            waiting: Mutex::default(),
            arrived: Notify::new(),
            listeners: Listeners::new(),
            news,
            subscribed: watch::Sender::new(false),
            deleted: AtomicBool::new(false),
            deletions: watch::Sender::new(0),
        }
    }

    pub(super) fn send(&self, event: Event) {
        self.listeners.tell(&event);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let full = waiting.len() >= WAITING;
        if full {
            waiting.pop_front();
        }
        let bare = waiting.len() >= WITH_RECORDS;
        waiting.extend(if bare { event.without_record() } else { Some(event) });
        drop(waiting);
        self.arrived.notify_one();
        count_dropped(usize::from(full));
    }

    /// Tells every process, this one too, that a queue was deleted.
    pub(super) fn queue_deleted(&self) {
        self.deleted.store(true, Ordering::Release);
        self.arrived.notify_one();
    }

    /// Changes whenever some process found a queue deleted.
    pub(super) fn deletions(&self) -> watch::Receiver<u64> {
        self.deletions.subscribe()
    }

    pub(super) fn listeners(&self) -> &Listeners {
        &self.listeners
    }

    /// Returns once events of other processes arrive.
    pub(super) async fn subscribed(&self) {
        // Fails only without a sender, and that is in `self`.
        let _ = self.subscribed.subscribe().wait_for(|subscribed| *subscribed).await;
    }

    fn take(&self) -> Vec<Event> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.len().min(BATCH);
        waiting.drain(..count).collect()
    }

    /// What is to be sent next; nothing when only a deletion is.
    async fn batch(&self) -> Vec<Event> {
        loop {
            let arrived = self.arrived.notified();
            let batch = self.take();
            if !batch.is_empty() || self.deleted.load(Ordering::Acquire) {
                return batch;
            }
            arrived.await;
        }
    }

    /// Sends what is waiting over `connection` until it is lost or `stop`, then what is left.
    pub(super) async fn send_on(
        &self,
        connection: Arc<Connection>,
        stop: &CancellationToken,
    ) -> Result<(), Lost> {
        let Some(channel) = stop.run_until_cancelled(prepare(&connection)).await else {
            return Ok(());
        };
        let channel = channel?;
        while let Some(batch) = stop.run_until_cancelled(self.batch()).await {
            let Some(sent) = stop.run_until_cancelled(self.send_batch(&channel, batch)).await
            else {
                break;
            };
            sent?;
        }
        let rest = async {
            loop {
                let batch = self.take();
                if batch.is_empty() || self.send_batch(&channel, batch).await.is_err() {
                    break;
                }
            }
        };
        // Events are best effort.
        let _ = timeout(CLOSING, rest).await;
        Ok(())
    }

    /// Sends one batch and waits for the confirm. A batch that fails is not sent again.
    async fn send_batch(&self, channel: &Channel, batch: Vec<Event>) -> Result<(), Lost> {
        let deleted = self.deleted.swap(false, Ordering::AcqRel);
        let (orders, news): (Vec<_>, Vec<_>) = batch.into_iter().partition(Event::is_for_workers);
        let sent = async {
            let orders = async {
                if !orders.is_empty() || deleted {
                    self.send_to(channel, topology::EVENTS, &orders, deleted).await?;
                }
                Ok(())
            };
            let news = async {
                if !news.is_empty() {
                    self.send_to(channel, topology::NEWS, &news, false).await?;
                }
                Ok(())
            };
            tokio::try_join!(orders, news)
        };
        let sent: lapin::Result<_> = sent.await;
        if sent.is_err() {
            count_dropped(orders.len() + news.len());
            self.deleted.fetch_or(deleted, Ordering::AcqRel);
        }
        sent?;
        Ok(())
    }

    /// Sends `events` by way of `exchange`, marked when a queue was deleted.
    async fn send_to(
        &self,
        channel: &Channel,
        exchange: &str,
        events: &[Event],
        deleted: bool,
    ) -> lapin::Result<()> {
        let body = serde_json::to_vec(events).unwrap_or_default();
        let mut properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_app_id(self.sender.clone());
        if deleted {
            properties = properties.with_type(DELETED.into());
        }
        let (key, options) = (ShortString::default(), BasicPublishOptions::default());
        let confirm =
            channel.basic_publish(exchange.into(), key, options, &body, properties).await?;
        confirm.await.map(drop)
    }

    /// Receives over `connection` until it is lost or `stop`.
    pub(super) async fn receive_on(
        &self,
        connection: Arc<Connection>,
        stop: &CancellationToken,
    ) -> Result<(), Lost> {
        let received = stop.run_until_cancelled(self.receive(&connection)).await;
        self.subscribed.send_replace(false);
        received.unwrap_or(Ok(()))
    }

    /// Ends by a loss only.
    async fn receive(&self, connection: &Connection) -> Result<(), Lost> {
        let channel = connection.create_channel().await?;
        let queue = topology::declare_own_events(&channel, self.news).await?;
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let options = BasicConsumeOptions { exclusive: true, ..BasicConsumeOptions::default() };
        let tag = ShortString::default();
        let mut incoming =
            channel.basic_consume(queue.clone(), tag, options, FieldTable::default()).await?;
        self.subscribed.send_replace(true);
        let mut renew = tokio::time::interval(RENEW);
        let mut open = 0;
        loop {
            let delivery = tokio::select! {
                delivery = incoming.next() => delivery.ok_or(Lost::Cancelled)??,
                _ = renew.tick() => {
                    topology::bind_events(&channel, &queue, self.news).await?;
                    continue;
                }
            };
            if delivery.properties.kind().as_ref().is_some_and(|kind| kind.as_str() == DELETED) {
                self.deletions.send_modify(|count| *count += 1);
            }
            if delivery.properties.app_id().as_ref() != Some(&self.sender) {
                self.announce(&delivery.data);
            }
            open += 1;
            if open == PREFETCH / 2 {
                delivery.acker.ack(BasicAckOptions { multiple: true }).await?;
                open = 0;
            }
        }
    }

    fn announce(&self, body: &[u8]) {
        for event in parse(body) {
            self.listeners.tell(&event);
        }
    }
}

/// The events of a batch that this build knows; a newer one may send others among them.
fn parse(body: &[u8]) -> Vec<Event> {
    if let Ok(events) = serde_json::from_slice(body) {
        return events;
    }
    let values: Vec<serde_json::Value> = serde_json::from_slice(body).unwrap_or_default();
    values.into_iter().filter_map(|value| serde_json::from_value(value).ok()).collect()
}

async fn prepare(connection: &Connection) -> Result<Channel, Lost> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    topology::declare_events(&channel).await?;
    Ok(channel)
}

fn count_dropped(count: usize) {
    if count > 0 {
        metrics::counter!("feat_events_dropped_total").increment(count as u64);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use schemas::{
        JobId, JobRecord, Timestamp, UserId,
        id::ImageId,
        job::NewJob,
        kinds::{ImageDelete, image_delete::ImageDeletion},
    };

    use super::*;

    fn event() -> Event {
        Event::CancelRequested { id: JobId::generate() }
    }

    #[test]
    fn a_batch_with_unheard_of_events_gives_the_others() {
        let (first, last) = (event(), event());
        let mut values = vec![serde_json::json!(first), serde_json::json!(last)];
        values.insert(1, serde_json::json!({ "event": "invented_later", "id": 7 }));

        assert_eq!(parse(&serde_json::to_vec(&values).unwrap()), [first, last]);
        assert_eq!(parse(b"{}"), []);
    }

    #[test]
    fn records_come_along_only_while_few_events_wait() {
        let payload = ImageDeletion { image: ImageId::generate() };
        let new = NewJob::of::<ImageDelete>(UserId::FEAT, &payload).unwrap();
        let job = JobRecord::accept(new, "api", Timestamp::now());
        let (id, version, state) = (job.id, job.version, job.state);
        let whole = Event::Changed { id, version, state, job: Some(Box::new(job)) };
        let events = Events::new(true);
        for _ in 0..=WITH_RECORDS {
            events.send(whole.clone());
        }

        let mut sent = events.take();
        assert_eq!(sent.pop(), whole.clone().without_record());
        assert!(sent.iter().all(|event| *event == whole));
    }

    #[test]
    fn too_many_waiting_events_push_out_the_oldest() {
        let events = Events::new(true);
        let sent: Vec<_> = (0..WAITING + 3).map(|_| event()).collect();
        for event in &sent {
            events.send(event.clone());
        }

        assert_eq!(events.take(), sent[3..BATCH + 3]);
        assert_eq!(events.waiting.lock().unwrap().len(), WAITING - BATCH);
    }
}
