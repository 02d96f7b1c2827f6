//! One queue: messages in, runs out, a bounded number at a time.
//!
//! Messages that the broker sends ahead are read at once and wait here for a slot, so that the
//! sweep knows of them. How many there are is the prefetch's to bound.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use broker::Delivery;
use schemas::{
    Queue,
    message::{self, Received, Subject, UnreadableMessage},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{MissedTickBehavior, interval},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    held::Hold,
    runner::{Answer, Runner},
    settings::QueueSettings,
};

/// How soon it is noticed that waiting messages went back to the queue with their connection.
const TIDY: Duration = Duration::from_millis(250);

/// A message that was delivered, and what it says.
struct Message {
    delivery: Delivery,
    content: Result<(Received, Hold), UnreadableMessage>,
}

/// Serves `queue` until `shutdown`, then waits for the runs in hand.
pub(crate) async fn consume(
    runner: Runner,
    queue: Queue,
    settings: QueueSettings,
    shutdown: CancellationToken,
) {
    let mut consumer = runner.broker().consume(queue, settings.prefetch);
    let slots = Arc::new(Semaphore::new(settings.concurrency.max(1)));
    let runs = TaskTracker::new();
    let mut waiting = VecDeque::new();
    let mut tidy = interval(TIDY);
    tidy.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            slot = Arc::clone(&slots).acquire_owned(), if !waiting.is_empty() => {
                let next = waiting.pop_front().filter(|message: &Message| !message.delivery.is_lost());
                if let (Ok(slot), Some(message)) = (slot, next) {
                    runs.spawn(work(runner.clone(), message, slot));
                }
            }
            _ = tidy.tick(), if !waiting.is_empty() => {
                waiting.retain(|message| !message.delivery.is_lost());
            }
            delivery = consumer.next() => match Arc::clone(&slots).try_acquire_owned() {
                Ok(slot) => {
                    let runner = runner.clone();
                    runs.spawn(async move {
                        let message = Message::read(&runner, queue, delivery);
                        work(runner, message, slot).await;
                    });
                }
                Err(_) => waiting.push_back(Message::read(&runner, queue, delivery)),
            },
        }
    }
    // Not begun: somebody else's again.
    drop(waiting);
    consumer.stop().await;
    runs.close();
    runs.wait().await;
}

impl Message {
    fn read(runner: &Runner, queue: Queue, delivery: Delivery) -> Self {
        let content = message::decode(&delivery.body);
        let content = content.map(|received| {
            let hold = runner.received(queue, &received.subject, delivery.redelivered);
            (received, hold)
        });
        Self { delivery, content }
    }
}

async fn work(runner: Runner, message: Message, slot: OwnedSemaphorePermit) {
    let Message { delivery, content } = message;
    let answer = match content {
        Ok((Received { subject: Subject::Job(job), beside }, hold)) if !delivery.redelivered => {
            runner.run_first(*job, beside, &hold).await
        }
        Ok((Received { subject: Subject::Job(job), .. }, hold)) => {
            runner.run_again(*job, &hold).await
        }
        Ok((Received { subject: Subject::JobId(id), .. }, hold)) => {
            runner.run_by_id(id, &hold).await
        }
        Err(unreadable) => Answer::Park(unreadable.to_string()),
    };
    match answer {
        Answer::Ack => delivery.ack().await,
        Answer::Requeue => delivery.requeue().await,
        Answer::Park(reason) => {
            tracing::error!(reason, "a message was set aside");
            metrics::counter!("feat_messages_parked_total").increment(1);
            delivery.park(&reason).await;
        }
    }
    drop(slot);
}
