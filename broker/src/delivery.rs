//! What a worker sees of a subscription: deliveries, each answered exactly once.

use bytes::Bytes;

use crate::{local, rabbit};

/// One subscription to one queue.
///
/// Dropping it is like [`Self::stop`], but does not wait.
pub struct Consumer {
    engine: Engine,
}

enum Engine {
    Local(local::Consumer),
    Rabbit(rabbit::Consumer),
}

impl Consumer {
    pub(crate) fn local(consumer: local::Consumer) -> Self {
        Self { engine: Engine::Local(consumer) }
    }

    pub(crate) fn rabbit(consumer: rabbit::Consumer) -> Self {
        Self { engine: Engine::Rabbit(consumer) }
    }

    /// The next delivery, in the order of publication but for those that come back. Pends while
    /// the queue is empty, while the broker is away and after it was closed.
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Delivery {
        match &mut self.engine {
            Engine::Local(consumer) => consumer.next().await,
            Engine::Rabbit(consumer) => consumer.next().await,
        }
    }

    /// Ends the subscription and gives back what was fetched and not handed out. Deliveries that
    /// were handed out can still be answered until the broker is closed.
    pub async fn stop(self) {
        match self.engine {
            Engine::Local(consumer) => drop(consumer),
            Engine::Rabbit(consumer) => consumer.stop().await,
        }
    }
}

/// A message in hand. It is somebody else's again when it is dropped unanswered or the connection
/// over which it came is lost, so the same message may be met twice, even at the same time.
#[must_use = "a delivery that is dropped goes back to its queue"]
pub struct Delivery {
    /// What was published: see [`schemas::message`].
    pub body: Bytes,
    /// Whether it may have been delivered before.
    pub redelivered: bool,
    receipt: Receipt,
}

enum Receipt {
    Local(local::Receipt),
    Rabbit(rabbit::Receipt),
}

impl Delivery {
    pub(crate) fn local(body: Bytes, redelivered: bool, receipt: local::Receipt) -> Self {
        Self { body, redelivered, receipt: Receipt::Local(receipt) }
    }

    pub(crate) fn rabbit(body: Bytes, redelivered: bool, receipt: rabbit::Receipt) -> Self {
        Self { body, redelivered, receipt: Receipt::Rabbit(receipt) }
    }

    /// Whether it is delivered again anyway because its connection is gone. Whoever keeps
    /// deliveries for later asks before they begin.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        match &self.receipt {
            Receipt::Local(_) => false,
            Receipt::Rabbit(receipt) => receipt.is_lost(),
        }
    }

    /// The work is done: the message is gone. If the connection was lost meanwhile, it comes
    /// again instead.
    #[expect(clippy::unused_async, reason = "an engine may have to wait one day")]
    pub async fn ack(self) {
        match self.receipt {
            Receipt::Local(receipt) => receipt.ack(),
            Receipt::Rabbit(receipt) => receipt.ack(),
        }
    }

    /// Not done: the message goes to the front of its queue and comes again, to any worker, at
    /// once. RabbitMQ parks a message that came back a thousand times.
    #[expect(clippy::unused_async, reason = "an engine may have to wait one day")]
    pub async fn requeue(self) {
        drop(self);
    }

    /// Never to be done: sets the message aside with `reason`. Waits for the broker's confirm; if
    /// none comes, the message goes back to its queue.
    pub async fn park(self, reason: &str) {
        match self.receipt {
            Receipt::Local(receipt) => receipt.park(self.body, reason),
            Receipt::Rabbit(receipt) => receipt.park(self.body, reason).await,
        }
    }
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("bytes", &self.body.len())
            .field("redelivered", &self.redelivered)
            .finish_non_exhaustive()
    }
}
