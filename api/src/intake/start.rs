//! The usual way of a call that starts work: record the job, announce it, wait as long as the
//! caller wants to.

use poem_openapi::types::Type;
use schemas::{JobRecord, job::NewJob, message::Beside};
use serde_json::Value;
use tracing::Instrument;

use super::{Accepted, Patience, ResultReply, announce_with, open, record};
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
    begin(state, new, patience, None).await?.end(state).await
}

/// Work that is recorded and announced; its caller has yet to be answered.
pub(crate) struct Begun {
    accepted: Accepted,
    watcher: Option<Watcher>,
    patience: Patience,
}

/// Records and announces `new`, or finds the job that stands for it already. `beside` is what the
/// caller has just read and the worker would read first.
///
/// # Errors
///
/// As [`start`].
pub(crate) async fn begin(
    state: &AppState,
    new: NewJob,
    patience: Patience,
    beside: Option<Beside>,
) -> Result<Begun, ApiError> {
    open(state)?;
    let accept = {
        let state = state.clone();
        async move { accept(&state, new, beside, !patience.wait.is_zero()).await }
    };
    // A client that hangs up now must not leave the work half accepted.
    let accepted = tokio::spawn(accept.in_current_span()).await;
    let (accepted, watcher) = accepted.map_err(ApiError::internal)??;
    Ok(Begun { accepted, watcher, patience })
}

impl Begun {
    /// Whether the job is this call's own.
    pub(crate) const fn is_new(&self) -> bool {
        matches!(self.accepted, Accepted::New(_))
    }

    /// Waits for the work while the caller's patience lasts.
    ///
    /// # Errors
    ///
    /// 503: the store does not answer. The work goes on.
    pub(crate) async fn end(self, state: &AppState) -> Result<Started, ApiError> {
        let Self { accepted, watcher, patience } = self;
        let replayed = matches!(accepted, Accepted::Replayed(_));
        let mut job = accepted.into_job();
        let patience = patience.honoured(watcher.is_some() || job.state.is_settled());
        if let Some(watcher) = watcher {
            job = watcher.answered(&state.store, job, patience.wait).await?;
        }
        Ok(Started { job, replayed, patience })
    }

    /// Waits, and answers with what `body` makes of the work's output.
    ///
    /// # Errors
    ///
    /// As [`Self::end`]; the error of work that ended without success; and what `body` answers.
    pub(crate) async fn reply<T: Type>(
        self,
        state: &AppState,
        body: impl AsyncFnOnce(Value) -> Result<Value, ApiError>,
    ) -> Result<ResultReply<T>, ApiError> {
        let started = self.end(state).await?;
        ResultReply::of(&started.job, started.patience, started.replayed, body).await
    }
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
