//! The usual way of a call that starts work: record the job, announce it, wait as long as the
//! caller wants to.

use schemas::{JobRecord, job::NewJob, message::Beside};
use tracing::Instrument;

use super::{Accepted, Patience, announce_with, open, record};
use crate::{error::ApiError, state::AppState, watch::Watcher};

/// A job that answers a call, as it is after the caller's patience.
#[derive(Debug)]
pub(crate) struct Started {
    /// The job.
    pub(crate) job: JobRecord,
    /// An earlier call with the same `Idempotency-Key` started it.
    pub(crate) replayed: bool,
    /// The caller's patience, as far as it was honoured.
    pub(crate) patience: Patience,
}

/// Records and announces `new`, or finds the job that stands for it already, and waits for its end
/// while `patience` lasts.
///
/// # Errors
///
/// 422 for a reused key; 503 when the same call should come again.
pub(crate) async fn start(
    state: &AppState,
    new: NewJob,
    patience: Patience,
) -> Result<Started, ApiError> {
    start_with(state, new, patience, None).await
}

/// As [`start`], with what the caller has just read and the worker would read first.
pub(crate) async fn start_with(
    state: &AppState,
    new: NewJob,
    patience: Patience,
    beside: Option<Beside>,
) -> Result<Started, ApiError> {
    open(state)?;
    let accept = {
        let state = state.clone();
        async move { accept(&state, new, beside, !patience.wait.is_zero()).await }
    };
    // A client that hangs up now must not leave the work half accepted.
    let accepted = tokio::spawn(accept.in_current_span()).await;
    let (accepted, watcher) = accepted.map_err(ApiError::internal)??;
    let replayed = matches!(accepted, Accepted::Replayed(_));
    let mut job = accepted.into_job();
    let patience = patience.honoured(watcher.is_some() || job.state.is_settled());
    if let Some(watcher) = watcher {
        job = watcher.answered(&state.store, job, patience.wait).await?;
    }
    Ok(Started { job, replayed, patience })
}

async fn accept(
    state: &AppState,
    new: NewJob,
    beside: Option<Beside>,
    patient: bool,
) -> Result<(Accepted, Option<Watcher>), ApiError> {
    let inside = if patient { state.door.enter().await } else { None };
    let accepted = record(state, new).await?;
    drop(inside);
    let job = accepted.job();
    let wait = patient && !job.state.is_settled();
    let watcher = if wait { state.watch.of(job.owner, job.id) } else { None };
    if let Accepted::New(job) = &accepted {
        let beside = beside.map(|beside| beside.awaited(watcher.is_some()));
        announce_with(state, job, beside.as_ref()).await;
    }
    Ok((accepted, watcher))
}
