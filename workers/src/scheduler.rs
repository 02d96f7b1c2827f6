//! Publishes what is due: scheduled jobs, retries, questions about unknown outcomes; and takes
//! jobs away from workers that are gone.

use std::sync::Arc;

use broker::Status;
use futures::{StreamExt, stream};
use schemas::{Event, JobRecord, JobState, Timestamp, job::IllegalTransition};
use store::{Save, StoreError};
use tokio_util::sync::CancellationToken;

use crate::{Shared, given_up};

/// Why a job is published once more, in the metrics.
pub(crate) const DUE: &str = "due";
/// See [`DUE`].
pub(crate) const LEASE_ENDED: &str = "lease_ended";

/// Jobs looked at in one go.
pub(crate) const BATCH: usize = 500;

/// Saves and publications under way at the same time; they share batches of the store.
const TOGETHER: usize = 100;

/// Looks for due jobs and ended leases until `shutdown`.
pub(crate) async fn publish_due(shared: Arc<Shared>, shutdown: CancellationToken) {
    let interval = shared.workers.settings.schedule_interval;
    while pause(interval, &shutdown).await {
        // Without a broker nothing can be published; the jobs stay due.
        if shared.workers.broker.status() != Status::Ready {
            continue;
        }
        let result = async {
            while due(&shared).await? == BATCH && !shutdown.is_cancelled() {}
            while lapsed(&shared).await? == BATCH && !shutdown.is_cancelled() {}
            Ok::<_, StoreError>(())
        };
        if let Err(error) = result.await {
            tracing::warn!(?error, "due jobs cannot be read now");
        }
    }
}

/// Waits for `interval`, give or take a fifth; `false` when `shutdown` came first.
pub(crate) async fn pause(interval: std::time::Duration, shutdown: &CancellationToken) -> bool {
    // Many workers look at the same jobs: they should not look at the same moment.
    let interval = interval.mul_f64(0.8 + 0.4 * rand::random::<f64>());
    tokio::select! {
        () = tokio::time::sleep(interval) => true,
        () = shutdown.cancelled() => false,
    }
}

async fn due(shared: &Shared) -> Result<usize, StoreError> {
    let jobs = shared.workers.store.jobs.due(Timestamp::now(), BATCH).await?;
    let found = jobs.len();
    publish_all(shared, jobs, DUE, JobRecord::publish_due).await;
    Ok(found)
}

async fn lapsed(shared: &Shared) -> Result<usize, StoreError> {
    let jobs = shared.workers.store.jobs.lapsed(Timestamp::now(), BATCH).await?;
    let found = jobs.len();
    publish_all(shared, jobs, LEASE_ENDED, JobRecord::lose_lease).await;
    Ok(found)
}

/// Makes `step` of each job and publishes those that are queued by it. Of several processes that
/// do the same one wins each save, and only that one publishes.
pub(crate) async fn publish_all(
    shared: &Shared,
    jobs: Vec<JobRecord>,
    why: &'static str,
    step: impl Fn(JobRecord, &str, Timestamp) -> Result<JobRecord, IllegalTransition>,
) {
    let now = Timestamp::now();
    let name = &shared.workers.settings.name;
    // A step that is not legal any more was made by another process since the jobs were read.
    let steps = jobs.into_iter().filter_map(|job| step(job, name, now).ok());
    stream::iter(steps)
        .for_each_concurrent(TOGETHER, |job| async move { publish(shared, &job, why).await })
        .await;
}

async fn publish(shared: &Shared, job: &JobRecord, why: &'static str) {
    if !given_up::is_settled(shared, job).await {
        return;
    }
    match shared.workers.store.jobs.save(job).await {
        Ok(Save::Stored) => {}
        Ok(Save::Stale) => return,
        Err(error) => {
            tracing::warn!(job_id = %job.id, ?error, "a due job could not be saved");
            return;
        }
    }
    metrics::counter!("feat_jobs_republished_total", "why" => why, "queue" => job.queue.name())
        .increment(1);
    let broker = &shared.workers.broker;
    let (id, state) = (job.id, job.state);
    broker.send_event(Event::changed(job));
    if state == JobState::Queued
        && let Err(error) = broker.publish(job).await
    {
        tracing::warn!(job_id = %id, %error, "a due job was not published; the sweep will do it");
    }
}
