//! Queues inside the process: bounded, in order, gone with the process.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use bytes::Bytes;
use schemas::Queue;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::{Delivery, Depth, PARKED_SHOWN, Parked, PublishError, Status, listeners::Listeners};

/// Every queue of the process.
#[derive(Clone)]
pub(crate) struct Local {
    shared: Arc<Shared>,
}

struct Shared {
    capacity: usize,
    queues: BTreeMap<Queue, Arc<Line>>,
    listeners: Listeners,
    closed: AtomicBool,
}

/// One queue.
#[derive(Default)]
struct Line {
    messages: Mutex<VecDeque<Message>>,
    parked: Mutex<VecDeque<Parked>>,
    arrived: Notify,
    consumers: AtomicU32,
}

struct Message {
    body: Bytes,
    redelivered: bool,
}

/// A panic while one of these locks is held leaves a queue that is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Local {
    pub(crate) fn new(capacity: usize) -> Self {
        let queues = Queue::ALL.map(|queue| (queue, Arc::default()));
        let shared = Shared {
            capacity,
            queues: BTreeMap::from(queues),
            listeners: Listeners::new(),
            closed: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared) }
    }

    fn line(&self, queue: Queue) -> &Arc<Line> {
        &self.shared.queues[&queue]
    }

    pub(crate) fn status(&self) -> Status {
        if self.shared.closed.load(Ordering::Acquire) { Status::Down } else { Status::Ready }
    }

    pub(crate) fn publish(&self, queue: Queue, body: Bytes) -> Result<(), PublishError> {
        if self.status() == Status::Down {
            return Err(PublishError::Down);
        }
        let line = self.line(queue);
        let mut messages = lock(&line.messages);
        if messages.len() >= self.shared.capacity {
            return Err(PublishError::Full);
        }
        messages.push_back(Message { body, redelivered: false });
        drop(messages);
        line.arrived.notify_one();
        Ok(())
    }

    pub(crate) fn consume(&self, queue: Queue, prefetch: u16) -> Consumer {
        let line = Arc::clone(self.line(queue));
        line.consumers.fetch_add(1, Ordering::Relaxed);
        Consumer {
            shared: Arc::clone(&self.shared),
            line,
            slots: Arc::new(Semaphore::new(prefetch.into())),
        }
    }

    pub(crate) fn depth(&self, queue: Queue) -> Depth {
        let line = self.line(queue);
        let ready = lock(&line.messages).len() as u64;
        Depth { ready, consumers: line.consumers.load(Ordering::Relaxed) }
    }

    pub(crate) fn parked(&self, queue: Queue) -> Vec<Parked> {
        lock(&self.line(queue).parked).iter().cloned().collect()
    }

    pub(crate) fn listeners(&self) -> &Listeners {
        &self.shared.listeners
    }

    pub(crate) fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
    }
}

/// See [`crate::Consumer`]. Fetches nothing ahead, so stopping is dropping.
pub(crate) struct Consumer {
    shared: Arc<Shared>,
    line: Arc<Line>,
    slots: Arc<Semaphore>,
}

impl Consumer {
    pub(crate) async fn next(&mut self) -> Delivery {
        let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else {
            // Nothing closes the semaphore.
            return std::future::pending().await;
        };
        let message = self.take().await;
        let receipt = Receipt {
            open: Some(Open { line: Arc::clone(&self.line), body: message.body.clone() }),
            _slot: slot,
        };
        Delivery::local(message.body, message.redelivered, receipt)
    }

    async fn take(&self) -> Message {
        loop {
            let arrived = self.line.arrived.notified();
            if self.shared.closed.load(Ordering::Acquire) {
                return std::future::pending().await;
            }
            if let Some(message) = lock(&self.line.messages).pop_front() {
                return message;
            }
            arrived.await;
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.line.consumers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The right to answer one delivery; dropped unanswered it gives the message back.
pub(crate) struct Receipt {
    open: Option<Open>,
    _slot: OwnedSemaphorePermit,
}

struct Open {
    line: Arc<Line>,
    body: Bytes,
}

impl Receipt {
    pub(crate) fn ack(mut self) {
        self.open = None;
    }

    pub(crate) fn park(mut self, body: Bytes, reason: &str) {
        let Some(open) = self.open.take() else { return };
        let mut parked = lock(&open.line.parked);
        if parked.len() >= PARKED_SHOWN {
            parked.pop_front();
        }
        parked.push_back(Parked { body, reason: reason.to_owned() });
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(Open { line, body }) = self.open.take() {
            lock(&line.messages).push_front(Message { body, redelivered: true });
            line.arrived.notify_one();
        }
    }
}
