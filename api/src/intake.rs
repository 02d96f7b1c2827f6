//! How work is accepted: checked, recorded durably, announced, answered.
//!
//! A job counts as accepted when its record is stored. Whatever happens afterwards to the
//! announcement costs time and never the job, because the workers' sweep finds the record. Two
//! keys make a repeated call safe: the caller's `Idempotency-Key`, and the key of work that a
//! thing needs only once. The store guards both, so two calls at once cannot both win.

mod idempotency;
mod prefer;
mod reply;
mod start;

use std::time::Duration;

use broker::{PublishError, Status};
use schemas::{
    ErrorCode, JobRecord, Timestamp,
    job::{Idempotency, NewJob},
    kinds,
    message::Beside,
};
use store::{Insert, Save, StoreError};
use tracing::{info, warn};

pub(crate) use idempotency::{IdempotencyKey, Request, idempotency};
pub(crate) use prefer::Patience;
pub(crate) use reply::{MadeReply, ResultReply, WorkReply};
pub(crate) use start::{Begun, begin, start};

use crate::{error::ApiError, fault, state::AppState};

/// When callers come back after the broker asked us to stop.
const BLOCKED_PAUSE: Duration = Duration::from_secs(5);

/// Tries to record a job whose key belongs to a job that is gone, or changed, a moment later.
const TRIES: usize = 8;

/// The job that answers a call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Accepted {
    /// A new one, recorded now: announce it.
    New(JobRecord),
    /// An earlier one, recorded for the same `Idempotency-Key`.
    Replayed(JobRecord),
    /// An earlier one that does the same work.
    Same(JobRecord),
}

impl Accepted {
    /// The job.
    pub(crate) fn job(&self) -> &JobRecord {
        match self {
            Self::New(job) | Self::Replayed(job) | Self::Same(job) => job,
        }
    }

    /// The job, taken out.
    pub(crate) fn into_job(self) -> JobRecord {
        match self {
            Self::New(job) | Self::Replayed(job) | Self::Same(job) => job,
        }
    }
}

/// Refuses new work while the broker asks publishers to stop. A broker that is away is no reason:
/// the record waits for it.
///
/// # Errors
///
/// 503; nothing was written.
pub(crate) fn open(state: &AppState) -> Result<(), ApiError> {
    match state.broker.status() {
        Status::Blocked => Err(ApiError::unavailable(BLOCKED_PAUSE)),
        Status::Ready | Status::Down => Ok(()),
    }
}

/// Records `new`, or finds the job that stands for it already.
///
/// # Errors
///
/// 422 when the idempotency key belongs to another request, or the job that does the same work has
/// the key of another; 503 when the store does not answer:
/// the same call again is safe.
pub(crate) async fn record(state: &AppState, new: NewJob) -> Result<Accepted, ApiError> {
    for _ in 0..TRIES {
        let job = JobRecord::accept(new.clone(), "api", Timestamp::now());
        fault::point("api.before_insert");
        match state.store.jobs.insert(&job).await? {
            Insert::Stored => {
                fault::point("api.after_insert");
                count_accepted(&job);
                return Ok(Accepted::New(job));
            }
            Insert::Taken => {
                if let Some(earlier) = earlier(state, &job).await? {
                    return Ok(earlier);
                }
            }
        }
    }
    Err(ApiError::unavailable(Duration::from_secs(1)))
}

/// The job that holds one of the keys of `job`; `None` when it has been forgotten meanwhile.
async fn earlier(state: &AppState, job: &JobRecord) -> Result<Option<Accepted>, ApiError> {
    if let Some(wanted) = &job.idempotency
        && let Some(earlier) = state.store.jobs.by_idempotency_key(job.owner, &wanted.key).await?
    {
        return replayed(earlier, wanted).map(Some);
    }
    let Some(key) = &job.unique_key else { return Ok(None) };
    let Some(earlier) = state.store.jobs.by_unique_key(job.owner, key).await? else {
        return Ok(None);
    };
    match &job.idempotency {
        None => Ok(Some(Accepted::Same(earlier))),
        // Perhaps the same one: a call that repeats this one has bound it since the first look.
        Some(wanted) if earlier.idempotency.is_some() => replayed(earlier, wanted).map(Some),
        Some(wanted) => bind(state, earlier, wanted.clone()).await,
    }
}

/// The answer of a job that has a key to a call that has one, too.
fn replayed(earlier: JobRecord, wanted: &Idempotency) -> Result<Accepted, ApiError> {
    let its = earlier.idempotency.as_ref();
    if its == Some(wanted) {
        return Ok(Accepted::Replayed(earlier));
    }
    let text = if its.is_some_and(|its| its.key == wanted.key) {
        "This idempotency key was used for another request."
    } else {
        "This work was asked for with another idempotency key."
    };
    Err(ApiError::of(ErrorCode::KeyReused, text))
}

/// Gives the key of this request to the job that does its work already, so that the key cannot be
/// used for another request later. `None` when somebody else changed the job: look again.
async fn bind(
    state: &AppState,
    earlier: JobRecord,
    idempotency: Idempotency,
) -> Result<Option<Accepted>, ApiError> {
    let Some(bound) = earlier.bind(idempotency, Timestamp::now()) else { return Ok(None) };
    match state.store.jobs.save(&bound).await {
        Ok(Save::Stored) => Ok(Some(Accepted::Same(bound))),
        // Changed meanwhile; or the key went to another job, which the next look finds by it.
        Ok(Save::Stale) | Err(StoreError::Unreadable { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Counters that somebody watches for their first increment: they have to be there before it.
pub(crate) fn begin_counters() {
    for spec in kinds::SPECS {
        metrics::counter!("feat_jobs_accepted_total", "kind" => spec.kind).increment(0);
    }
    metrics::describe_counter!("feat_jobs_accepted_total", "Jobs that were stored, by kind.");
    metrics::describe_counter!(
        "feat_publish_failures_total",
        "Jobs whose message was not published at once; the workers' sweep does it."
    );
    metrics::describe_counter!("feat_bills_made_total", "Bills that were made.");
    metrics::counter!("feat_publish_failures_total").increment(0);
    metrics::counter!("feat_sign_ins_slowed_total").increment(0);
}

/// Tells the workers of `job`. A failure is logged and counted; the sweep makes up for it.
pub(crate) async fn announce(state: &AppState, job: &JobRecord) {
    announce_with(state, job, None).await;
}

/// As [`announce`], with what was saved together with the job.
pub(crate) async fn announce_with(state: &AppState, job: &JobRecord, beside: Option<&Beside>) {
    let published = state.broker.publish_with(job, beside).await;
    fault::point("api.after_publish");
    if let Err(error) = published {
        count_unpublished(job, error);
    }
}

fn count_accepted(job: &JobRecord) {
    info!(job.id = %job.id, job.kind = job.kind, "job accepted");
    metrics::counter!("feat_jobs_accepted_total", "kind" => kind_label(job)).increment(1);
}

fn count_unpublished(job: &JobRecord, error: PublishError) {
    warn!(job.id = %job.id, job.kind = job.kind, %error, "job not published; the sweep will");
    metrics::counter!("feat_publish_failures_total").increment(1);
}

fn kind_label(job: &JobRecord) -> &'static str {
    kinds::spec(&job.kind).map_or("unknown", |spec| spec.kind)
}
