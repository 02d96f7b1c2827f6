//! The messages that workers have been given and have not answered: here, and as far as they tell,
//! in other processes.
//!
//! The sweep asks it, because a queue says only what lies in it. A message that a worker fetched
//! ahead and keeps until a slot is free is neither in the queue nor lost.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use schemas::{Event, JobId, Queue, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::{Shared, scheduler::pause};

/// A message counts for others as long as this many of their announcements may be missing.
const MISSING: u32 = 10;

/// What was delivered and not answered.
#[derive(Default)]
pub(crate) struct Held(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    last: u64,
    /// By ticket: one job may be here in several messages.
    here: HashMap<u64, Message>,
    /// Of each other worker and queue.
    elsewhere: HashMap<(String, Queue), Told>,
}

struct Message {
    queue: Queue,
    job: JobId,
    published_at: Timestamp,
}

struct Told {
    oldest: Timestamp,
    at: Timestamp,
}

/// One message in hand; dropping it or letting it go ends that.
pub(crate) struct Hold {
    held: Arc<Mutex<Inner>>,
    ticket: u64,
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    // The maps stay whole at every panic: each change is one call.
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Held {
    /// Takes note of a message for `job` that was published at this moment or later.
    pub(crate) fn take(&self, queue: Queue, job: JobId, published_at: Timestamp) -> Hold {
        let mut inner = lock(&self.0);
        inner.last += 1;
        let ticket = inner.last;
        inner.here.insert(ticket, Message { queue, job, published_at });
        Hold { held: Arc::clone(&self.0), ticket }
    }

    /// The jobs of `queue` whose messages are here.
    pub(crate) fn jobs(&self, queue: Queue) -> HashSet<JobId> {
        let inner = lock(&self.0);
        let of_queue = inner.here.values().filter(|message| message.queue == queue);
        of_queue.map(|message| message.job).collect()
    }

    /// When the oldest message of `queue` that is here was published.
    fn oldest(&self, queue: Queue) -> Option<Timestamp> {
        let inner = lock(&self.0);
        let of_queue = inner.here.values().filter(|message| message.queue == queue);
        of_queue.map(|message| message.published_at).min()
    }

    /// Takes note of what another worker tells. What was told before `fresh` ago is forgotten:
    /// that worker has answered everything, or it is gone and its messages are in the queue again.
    fn told(&self, by: String, queue: Queue, oldest: Timestamp, now: Timestamp, fresh: Duration) {
        let mut inner = lock(&self.0);
        inner.elsewhere.retain(|_, told| now.since(told.at) <= fresh);
        inner.elsewhere.insert((by, queue), Told { oldest, at: now });
    }

    /// When the oldest message of `queue` that is in another process was published, as far as was
    /// told within `fresh`.
    fn oldest_elsewhere(&self, queue: Queue, now: Timestamp, fresh: Duration) -> Option<Timestamp> {
        let inner = lock(&self.0);
        let of_queue = inner.elsewhere.iter().filter(|((_, of), _)| *of == queue);
        let told = of_queue.filter(|(_, told)| now.since(told.at) <= fresh);
        told.map(|(_, told)| told.oldest).min()
    }
}

impl Hold {
    /// The message does not matter any more, because its job is held under a lease.
    pub(crate) fn let_go(&self) {
        lock(&self.held).here.remove(&self.ticket);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// How long the word of another worker counts.
fn fresh(shared: &Shared) -> Duration {
    interval(shared) * MISSING
}

/// Twice for each look of a sweep, so that between two looks everybody has spoken.
fn interval(shared: &Shared) -> Duration {
    shared.workers.settings.sweep_interval / 2
}

/// Tells the other workers what this one holds, until `shutdown`.
pub(crate) async fn announce(shared: Arc<Shared>, shutdown: CancellationToken) {
    while pause(interval(&shared), &shutdown).await {
        for queue in Queue::ALL {
            if let Some(published_at) = shared.held.oldest(queue) {
                let worker = shared.workers.settings.name.clone();
                shared.workers.broker.send_event(Event::Held { worker, queue, published_at });
            }
        }
    }
}

/// Takes note of an announcement. One of this process is no news.
pub(crate) fn heard(shared: &Shared, worker: String, queue: Queue, published_at: Timestamp) {
    if worker != shared.workers.settings.name {
        shared.held.told(worker, queue, published_at, Timestamp::now(), fresh(shared));
    }
}

/// When the oldest message of `queue` that another worker holds was published.
pub(crate) fn oldest_elsewhere(shared: &Shared, queue: Queue, now: Timestamp) -> Option<Timestamp> {
    shared.held.oldest_elsewhere(queue, now, fresh(shared))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_held_until_it_is_answered_or_its_job_is_leased() {
        let held = Held::default();
        let now = Timestamp::now();
        let (first, second) = (JobId::generate(), JobId::generate());
        let early = held.take(Queue::Images, first, now);
        let twice = held.take(Queue::Images, first, now + Duration::from_secs(1));
        let late = held.take(Queue::Images, second, now + Duration::from_secs(2));
        assert_eq!(held.jobs(Queue::Images), HashSet::from([first, second]));
        assert_eq!(held.jobs(Queue::Maintenance), HashSet::new());
        assert_eq!(held.oldest(Queue::Images), Some(now));

        drop(early);
        assert_eq!(held.oldest(Queue::Images), Some(now + Duration::from_secs(1)));
        late.let_go();
        assert_eq!(held.jobs(Queue::Images), HashSet::from([first]));
        drop((twice, late));
        assert_eq!(held.oldest(Queue::Images), None);
    }

    #[test]
    fn the_oldest_word_of_anybody_counts_for_a_while() {
        let held = Held::default();
        let now = Timestamp::now();
        let fresh = Duration::from_secs(5);
        let ago = |seconds| now - Duration::from_secs(seconds);
        held.told("w1".to_owned(), Queue::Images, ago(60), ago(4), fresh);
        held.told("w2".to_owned(), Queue::Images, ago(90), ago(3), fresh);
        held.told("w2".to_owned(), Queue::Images, ago(30), ago(2), fresh);
        held.told("w3".to_owned(), Queue::Maintenance, ago(99), ago(1), fresh);

        let oldest = |later| held.oldest_elsewhere(Queue::Images, now + later, fresh);
        assert_eq!(oldest(Duration::ZERO), Some(ago(60)));
        assert_eq!(oldest(Duration::from_secs(2)), Some(ago(30)), "w1 says nothing any more");
        assert_eq!(oldest(Duration::from_secs(4)), None);
    }
}
