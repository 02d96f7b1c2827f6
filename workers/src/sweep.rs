//! Finds queued jobs whose message was lost and sends it again, without making a backlog larger.
//!
//! Three questions tell a lost message from one that waits its turn:
//!
//! 1. **Has it left the queue?** A queue delivers in order. So a job that was published clearly
//!    before the message that the queue delivers now is not in the queue any more; nor is any job
//!    in an empty queue.
//! 2. **Does a worker have it?** Messages that were delivered and not answered, such as those that
//!    were fetched ahead of a slow service, are known here one by one. Other workers tell the time
//!    of their oldest ([`crate::held`]): what is younger may be theirs.
//! 3. **Was there time to say so?** What has left the queue is judged at the look after, when every
//!    worker that took it has spoken.
//!
//! What has left the queue and is in nobody's hands is lost. All of this is seen and none of it
//! remembered by the broker, so it stays true when the broker comes back without its data.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use broker::Status;
use schemas::{JobRecord, Queue, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::{
    Shared, held,
    scheduler::{BATCH, pause, publish_all},
};

/// Why a job is published once more, in the metrics.
pub(crate) const MESSAGE_LOST: &str = "message_lost";

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

/// Messages of jobs published before this moment are not in the queue now; `None` when nothing can
/// be said.
fn left_before(ready: u64, latest: Option<Delivered>, now: Timestamp) -> Option<Timestamp> {
    if ready == 0 {
        return Some(now);
    }
    let latest = latest.filter(|delivered| now.since(delivered.at) <= FRESH)?;
    Some(latest.published_at)
}

/// Messages of jobs published before this moment are lost, but for those in this process: they had
/// left the queue at the look before, have not come back, and no other worker may have them.
fn lost_before(
    left_then: Option<Timestamp>,
    left_now: Option<Timestamp>,
    oldest_elsewhere: Option<Timestamp>,
    margin: Duration,
) -> Option<Timestamp> {
    let left = left_then?.min(left_now?) - margin;
    Some(oldest_elsewhere.map_or(left, |oldest| left.min(oldest)))
}

/// Whether enough time has passed since the job's latest publication, given how many it had.
fn is_patient(job: &JobRecord, margin: Duration, now: Timestamp) -> bool {
    let wait = margin * (1 << job.republished.min(MAX_DOUBLINGS));
    job.wake_at.is_none_or(|published_at| now.since(published_at) >= wait)
}

/// Looks for lost messages in every queue until `shutdown`.
pub(crate) async fn republish_lost(shared: Arc<Shared>, shutdown: CancellationToken) {
    let interval = shared.workers.settings.sweep_interval;
    let mut left = HashMap::new();
    while pause(interval, &shutdown).await {
        if shared.workers.broker.status() != Status::Ready {
            // With a connection everything comes back that was delivered over it.
            left.clear();
            continue;
        }
        for queue in Queue::ALL {
            let now = Timestamp::now();
            let left_now = look(&shared, queue, now).await;
            let left_then = left.insert(queue, left_now).flatten();
            let oldest = held::oldest_elsewhere(&shared, queue, now);
            let margin = shared.workers.settings.sweep_margin;
            if let Some(before) = lost_before(left_then, left_now, oldest, margin) {
                sweep(&shared, queue, before, &shutdown).await;
            }
        }
    }
}

/// Where the queue is now; see [`left_before`].
async fn look(shared: &Shared, queue: Queue, now: Timestamp) -> Option<Timestamp> {
    let ready = match shared.workers.broker.depth(queue).await {
        Ok(depth) => depth.ready,
        Err(error) => {
            tracing::debug!(%queue, %error, "a queue's depth is not known");
            return None;
        }
    };
    metrics::gauge!("feat_queue_ready", "queue" => queue.name())
        .set(f64::from(u32::try_from(ready).unwrap_or(u32::MAX)));
    left_before(ready, shared.flow.latest(queue), now)
}

async fn sweep(shared: &Shared, queue: Queue, before: Timestamp, shutdown: &CancellationToken) {
    let margin = shared.workers.settings.sweep_margin;
    loop {
        let jobs = match shared.workers.store.jobs.lingering(queue, before, BATCH).await {
            Ok(jobs) => jobs,
            Err(error) => return tracing::warn!(%queue, ?error, "lost jobs cannot be read now"),
        };
        let found = jobs.len();
        let now = Timestamp::now();
        let here = shared.held.jobs(queue);
        let is_here = |job: &JobRecord| here.contains(&job.id) || shared.in_flight.has(job.id);
        let lost: Vec<_> =
            jobs.into_iter().filter(|job| is_patient(job, margin, now) && !is_here(job)).collect();
        if lost.is_empty() {
            return;
        }
        tracing::warn!(%queue, jobs = lost.len(), "jobs without a message are sent again");
        publish_all(shared, lost, MESSAGE_LOST, |job, by, now| {
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
    fn what_has_left_the_queue_is_known_by_its_end_or_its_order() {
        let now = Timestamp::now();
        let ago = |seconds| now - Duration::from_secs(seconds);
        let delivered =
            |published, at| Some(Delivered { published_at: ago(published), at: ago(at) });
        let cases = [
            ("empty queue", 0, None, Some(now)),
            ("backlog, head known", 9, delivered(60, 1), Some(ago(60))),
            ("backlog, nobody delivers", 9, delivered(60, 31), None),
            ("backlog, nothing seen yet", 9, None, None),
        ];
        for (name, ready, latest, expected) in cases {
            assert_eq!(left_before(ready, latest, now), expected, "{name}");
        }
    }

    #[test]
    fn only_what_left_the_queue_and_is_in_nobodys_hands_is_lost() {
        let now = Timestamp::now();
        let margin = Duration::from_secs(5);
        let ago = |seconds| Some(now - Duration::from_secs(seconds));
        let cases = [
            ("empty twice, nobody has anything", ago(1), ago(0), None, ago(6)),
            ("the first look", None, ago(0), None, None),
            ("the queue says nothing now", ago(1), None, None, None),
            ("messages came back", ago(1), ago(60), None, ago(65)),
            ("another worker has old ones", ago(1), ago(0), ago(90), ago(90)),
            ("another worker has new ones", ago(1), ago(0), ago(2), ago(6)),
        ];
        for (name, then, at_once, elsewhere, expected) in cases {
            assert_eq!(lost_before(then, at_once, elsewhere, margin), expected, "{name}");
        }
    }
}
