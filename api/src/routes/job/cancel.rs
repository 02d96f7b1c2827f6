//! Asking a job to stop. The wish is saved here; a worker ends the job, because only it knows what
//! has to be given back.

use std::time::Duration;

use schemas::{
    ErrorCode, Event, JobId, JobRecord, JobState, Timestamp, UserId, audit::AuditRecord,
};
use serde_json::json;
use store::Save;
use tracing::Instrument;

use crate::{error::ApiError, intake, state::AppState, view::Job, watch::Watcher};
use poem_openapi::types::ToJSON;

/// Saves that are tried when others change the job at the same time.
const TRIES: usize = 8;

/// Saves the wish of `owner` to stop job `id`, writes down `entry` if it is a new one, and tells the
/// workers. With `watch`, also begins to watch what becomes of it.
///
/// # Errors
///
/// 404 for what is not the caller's; 409 when the job has ended or its outcome is unknown.
pub(in crate::routes) async fn request(
    state: &AppState,
    owner: UserId,
    id: JobId,
    watch: bool,
    entry: Option<AuditRecord>,
) -> Result<(JobRecord, Option<Watcher>), ApiError> {
    let state = state.clone();
    let watcher = if watch { state.watch.of(owner, id) } else { None };
    let save_and_tell = async move {
        let (job, news) = save(&state, owner, id).await?;
        if let Some(entry) = entry.filter(|_| news) {
            state.audit.note(&entry).await;
        }
        // News may get lost, so it is told again; a message is sent for a change alone.
        state.broker.send_event(Event::CancelRequested { id });
        if news && job.state == JobState::Queued {
            intake::announce(&state, &job).await;
        }
        Ok::<_, ApiError>(job)
    };
    // A client that hangs up now must not leave the wish untold.
    let job = tokio::spawn(save_and_tell.in_current_span()).await.map_err(ApiError::internal)??;
    Ok((job, watcher))
}

/// The record with the wish in it, and whether it was not there before.
async fn save(state: &AppState, owner: UserId, id: JobId) -> Result<(JobRecord, bool), ApiError> {
    for _ in 0..TRIES {
        let job = state.store.jobs.get_owned(owner, id).await?.ok_or_else(ApiError::not_found)?;
        let asked = job.clone().request_cancel("owner", Timestamp::now());
        let asked = asked.map_err(|_| conflict(&job))?;
        if asked == job {
            return Ok((job, false));
        }
        if state.store.jobs.save(&asked).await? == Save::Stored {
            return Ok((asked, true));
        }
    }
    Err(ApiError::unavailable(Duration::from_secs(1)))
}

/// The refusal to stop a job that has ended in its own way.
pub(super) fn conflict(job: &JobRecord) -> ApiError {
    let text = format!("A job that is {} cannot be cancelled.", job.state);
    ApiError::of(ErrorCode::Conflict, text).with_data(json!({ "job": Job::of(job).to_json() }))
}
