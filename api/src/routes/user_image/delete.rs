//! Deleting a picture: the job is recorded, then the picture is hidden while the workers are told.
//!
//! The reply says that nobody but the owner sees the picture, so it waits for the hiding. Should
//! this process die in between, the worker hides the picture before it removes a file.

use std::time::{Duration, Instant};

use schemas::{
    ImageId, JobRecord, JobState, Timestamp, UserId,
    image::ImageRecord,
    job::{Idempotency, NewJob},
    kinds::{ImageDelete, image_delete::ImageDeletion},
    message::Beside,
};
use store::Save;
use tracing::Instrument;

use crate::{
    error::ApiError,
    fault,
    intake::{self, Accepted, Patience, WorkReply},
    state::{AppState, RequestContext},
    watch::Watcher,
};

/// Saves that are tried when others change the picture at the same time.
const TRIES: usize = 8;

/// After this long somebody may have cancelled the job before its picture was hidden.
const LONG: Duration = Duration::from_secs(1);

/// A call to delete a picture.
#[derive(Debug)]
pub(super) struct Deletion {
    pub(super) caller: UserId,
    pub(super) image: ImageId,
    pub(super) idempotency: Option<Idempotency>,
    pub(super) request: RequestContext,
    pub(super) patience: Patience,
}

impl Deletion {
    /// Accepts the deletion, or finds the one that is under way, and waits for it as long as the
    /// caller wants to.
    ///
    /// # Errors
    ///
    /// 404 for what is not the caller's; 422 for a reused key; 503 when the same call should come
    /// again; the job's own error when it ended without success while the caller waited.
    pub(super) async fn run(self, state: &AppState) -> Result<WorkReply, ApiError> {
        intake::open(state)?;
        let patience = self.patience;
        let accept = {
            let state = state.clone();
            async move { self.accept(&state).await }
        };
        // A client that hangs up now must not leave the work half accepted.
        let accepted = tokio::spawn(accept.in_current_span()).await;
        let (accepted, watcher) = accepted.map_err(ApiError::internal)??;
        let replayed = matches!(accepted, Accepted::Replayed(_));
        let mut job = accepted.into_job();
        let patience = patience.honoured(watcher.is_some() || job.state.is_settled());
        if let Some(watcher) = watcher {
            job = watcher.ended(&state.store, job, patience.wait).await?;
        }
        WorkReply::of(&job, patience, replayed)
    }

    async fn accept(self, state: &AppState) -> Result<(Accepted, Option<Watcher>), ApiError> {
        let image = match state.seen.take(self.caller, self.image) {
            Some(seen) => seen,
            None => super::own(state, self.caller, self.image).await?,
        };
        let patient = !self.patience.wait.is_zero();
        let accepted = intake::record(state, self.into_job()?).await?;
        let job = accepted.job();
        let wait = patient && !job.state.is_settled();
        let watcher = if wait { state.watch.of(job.owner, job.id) } else { None };
        match &accepted {
            Accepted::New(job) => {
                // Hidden first: a worker that meets a visible picture has to come back later.
                let hidden = hide(state, image, job).await?;
                let hidden = hidden.as_ref().and_then(Beside::of);
                intake::announce_with(state, job, hidden.as_ref()).await;
            }
            Accepted::Replayed(job) | Accepted::Same(job) => hide_again(state, image, job).await?,
        }
        Ok((accepted, watcher))
    }

    fn into_job(self) -> Result<NewJob, ApiError> {
        let payload = ImageDeletion { image: self.image };
        let mut job =
            NewJob::of::<ImageDelete>(self.caller, &payload).map_err(ApiError::internal)?;
        job.unique_key = Some(payload.unique_key());
        job.idempotency = self.idempotency;
        job.request_id = Some(self.request.request_id);
        job.trace_parent = self.request.trace_parent;
        Ok(job)
    }
}

/// Hides `image` on behalf of the new `job`; answers it as it was saved, unless it may have been
/// changed since.
async fn hide(
    state: &AppState,
    image: ImageRecord,
    job: &JobRecord,
) -> Result<Option<ImageRecord>, ApiError> {
    let start = Instant::now();
    let hidden = save_hidden(state, image, job).await?;
    fault::point("api.after_tombstone");
    if start.elapsed() > LONG {
        give_back_if_cancelled(state, job).await?;
        return Ok(None);
    }
    Ok(hidden)
}

/// Makes up for a hiding that an earlier call may not have lived to see.
async fn hide_again(state: &AppState, image: ImageRecord, job: &JobRecord) -> Result<(), ApiError> {
    if !image.is_live() || job.state.is_settled() || job.cancel_requested_at.is_some() {
        return Ok(());
    }
    save_hidden(state, image, job).await?;
    give_back_if_cancelled(state, job).await
}

/// The hidden picture as this call saved it; `None` when another call hid it, or its job is over.
async fn save_hidden(
    state: &AppState,
    mut image: ImageRecord,
    job: &JobRecord,
) -> Result<Option<ImageRecord>, ApiError> {
    for _ in 0..TRIES {
        if !image.is_live() {
            return Ok(None);
        }
        let hidden = image.delete(job.id, Timestamp::now());
        if state.store.images.save(&hidden).await? == Save::Stored {
            return Ok(Some(hidden));
        }
        // Somebody else changed it: other tags, or the worker, which may even be done.
        let (changed, latest) = tokio::try_join!(
            state.store.images.get_owned(hidden.owner, hidden.id),
            state.store.jobs.get_owned(job.owner, job.id)
        )?;
        let over = latest.is_none_or(|job| job.state.is_settled());
        match changed {
            Some(changed) if !over => image = changed,
            _ => return Ok(None),
        }
    }
    Err(ApiError::unavailable(Duration::from_secs(1)))
}

/// Shows the picture again when `job` was cancelled before the picture was hidden: its worker had
/// nothing to give back then, and no job would ever end the hiding.
async fn give_back_if_cancelled(state: &AppState, job: &JobRecord) -> Result<(), ApiError> {
    let latest = state.store.jobs.get_owned(job.owner, job.id).await?;
    if latest.is_none_or(|job| job.state != JobState::Cancelled) {
        return Ok(());
    }
    let ImageDeletion { image } =
        serde_json::from_value(job.payload.clone()).map_err(ApiError::internal)?;
    for _ in 0..TRIES {
        let hidden = state.store.images.get_owned(job.owner, image).await?;
        let Some(shown) = hidden.and_then(|image| image.restore(job.id)) else { return Ok(()) };
        if state.store.images.save(&shown).await? == Save::Stored {
            return Ok(());
        }
    }
    Err(ApiError::unavailable(Duration::from_secs(1)))
}
