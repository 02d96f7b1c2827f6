//! Finds queued jobs whose message was lost and sends it again, without making a backlog larger.
//!
//! A queue delivers in order. So a job that was published clearly before the message that the
//! queue delivers now cannot still be in the queue; nor can any job be in an empty queue. Every
//! other job merely waits its turn and is left alone.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use broker::Status;
use schemas::{JobRecord, Queue, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::{
    Shared,
    scheduler::{BATCH, pause, publish_all},
};

/// How long the latest delivery tells where the queue is.
const FRESH: Duration = Duration::from_secs(30);

/// A message that is lost again and again is sent at growing distances, up to 2^6 margins.
const MAX_DOUBLINGS: u32 = 6;

/// Where each queue is: when the job that it delivered last was published.
#[derive(Default)]
pub(crate) struct Flow(Mutex<HashMap<Queue, Delivered>>);

#[derive(Clone, Copy)]
struct Delivered {
    published_at: Timestamp,
    at: Timestamp,
}

impl Flow {
    /// Notes that the queue delivered a job that was published at that time.
    pub(crate) fn delivered(&self, queue: Queue, published_at: Timestamp) {
        let delivered = Delivered { published_at, at: Timestamp::now() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(queue, delivered);
    }

    fn latest(&self, queue: Queue) -> Option<Delivered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&queue).copied()
    }
}

/// Messages of jobs published before this moment are lost; `None` when nothing can be said.
fn lost_before(
    ready: u64,
    latest: Option<Delivered>,
    margin: Duration,
    now: Timestamp,
) -> Option<Timestamp> {
    if ready == 0 {
        return Some(now - margin);
    }
    let latest = latest.filter(|delivered| now.since(delivered.at) <= FRESH)?;
    Some(latest.published_at - margin)
}

/// Whether enough time has passed since the job's latest publication, given how many it had.
fn is_patient(job: &JobRecord, margin: Duration, now: Timestamp) -> bool {
    let wait = margin * (1 << job.republished.min(MAX_DOUBLINGS));
    job.wake_at.is_none_or(|published_at| now.since(published_at) >= wait)
}

/// Looks for lost messages in every queue until `shutdown`.
pub(crate) async fn republish_lost(shared: Arc<Shared>, shutdown: CancellationToken) {
    let interval = shared.workers.settings.sweep_interval;
    while pause(interval, &shutdown).await {
        if shared.workers.broker.status() != Status::Ready {
            continue;
        }
        for queue in Queue::ALL {
            sweep(&shared, queue, &shutdown).await;
        }
    }
}

async fn sweep(shared: &Shared, queue: Queue, shutdown: &CancellationToken) {
    let margin = shared.workers.settings.sweep_margin;
    loop {
        let ready = match shared.workers.broker.depth(queue).await {
            Ok(depth) => depth.ready,
            Err(error) => return tracing::debug!(%queue, %error, "a queue's depth is not known"),
        };
        metrics::gauge!("feat_queue_ready", "queue" => queue.name())
            .set(f64::from(u32::try_from(ready).unwrap_or(u32::MAX)));
        let now = Timestamp::now();
        let Some(before) = lost_before(ready, shared.flow.latest(queue), margin, now) else {
            return;
        };
        let jobs = match shared.workers.store.jobs.lingering(queue, before, BATCH).await {
            Ok(jobs) => jobs,
            Err(error) => return tracing::warn!(%queue, ?error, "lost jobs cannot be read now"),
        };
        let found = jobs.len();
        let lost: Vec<_> = jobs
            .into_iter()
            .filter(|job| is_patient(job, margin, now) && !shared.in_flight.has(job.id))
            .collect();
        if lost.is_empty() {
            return;
        }
        tracing::warn!(%queue, jobs = lost.len(), "messages were lost and are sent again");
        publish_all(shared, lost, "message_lost", |job, by, now| {
            job.publish("message lost", by, now)
        })
        .await;
        if found < BATCH || shutdown.is_cancelled() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_be_in_the_queue_is_lost() {
        let now = Timestamp::now();
        let ago = |seconds| now - Duration::from_secs(seconds);
        let delivered =
            |published, at| Some(Delivered { published_at: ago(published), at: ago(at) });
        let cases = [
            ("empty queue", 0, None, Some(ago(5))),
            ("backlog, head known", 9, delivered(60, 1), Some(ago(65))),
            ("backlog, nobody delivers", 9, delivered(60, 31), None),
            ("backlog, nothing seen yet", 9, None, None),
        ];
        for (name, ready, latest, expected) in cases {
            let actual = lost_before(ready, latest, Duration::from_secs(5), now);
            assert_eq!(actual, expected, "{name}");
        }
    }
}
