//! Removing a device: the job is recorded, then the pushes end, while the workers are told.
//!
//! The reply says that no push goes there any more, so it waits for that. Should this process die
//! in between, the worker ends the pushes.

use std::time::Duration;

use schemas::{
    BundleId, DeviceToken, Timestamp,
    job::{Idempotency, NewJob},
    kinds::{PushTokenRemove, push_token_remove::TokenRemoval},
    push_token::{PushTokenReason, PushTokenRecord},
};
use tracing::Instrument;

use crate::{
    auth::Caller,
    error::ApiError,
    intake::{self, Accepted, Patience, WorkReply},
    state::{AppState, RequestContext},
    watch::Watcher,
};

/// A call to remove a device.
pub(super) struct Removing {
    pub(super) caller: Caller,
    pub(super) token: DeviceToken,
    /// Only for this app.
    pub(super) app: Option<BundleId>,
    pub(super) idempotency: Option<Idempotency>,
    pub(super) context: RequestContext,
    pub(super) patience: Patience,
}

impl Removing {
    /// Ends the pushes to the device and waits for the job as long as the caller wants to.
    ///
    /// # Errors
    ///
    /// 404 for what is not the caller's; 422 for a reused key; 503 when the same call should come
    /// again.
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
        if let Some(earlier) = self.earlier(state).await? {
            return Ok((earlier, None));
        }
        let devices: Vec<_> = super::own(state, &self.caller)
            .await?
            .into_iter()
            .filter(|device| device.token == self.token)
            .filter(|device| self.app.as_ref().is_none_or(|app| *app == device.app))
            .collect();
        if devices.is_empty() {
            return Err(ApiError::not_found());
        }
        let patient = !self.patience.wait.is_zero();
        let asked_at = Timestamp::now();
        let accepted = intake::record(state, self.into_job(&devices, asked_at)?).await?;
        let job = accepted.job();
        let wait = patient && !job.state.is_settled();
        let watcher = if wait { state.watch.of(job.owner, job.id) } else { None };
        for device in devices {
            end(state, device, asked_at).await?;
        }
        if let Accepted::New(job) = &accepted {
            intake::announce(state, job).await;
        }
        Ok((accepted, watcher))
    }

    /// The job that an earlier call with the same key has started: by then the device is gone.
    async fn earlier(&self, state: &AppState) -> Result<Option<Accepted>, ApiError> {
        let Some(Idempotency { key, fingerprint }) = &self.idempotency else { return Ok(None) };
        let earlier = state.store.jobs.by_idempotency_key(self.caller.user, key).await?;
        let same = |job: &schemas::JobRecord| {
            job.idempotency.as_ref().is_some_and(|one| one.fingerprint == *fingerprint)
        };
        Ok(earlier.filter(same).map(Accepted::Replayed))
    }

    fn into_job(
        self,
        devices: &[PushTokenRecord],
        asked_at: Timestamp,
    ) -> Result<NewJob, ApiError> {
        let ids = devices.iter().map(|device| device.number).collect();
        let payload = TokenRemoval { ids, asked_at };
        let mut job = NewJob::of::<PushTokenRemove>(self.caller.user, &payload)
            .map_err(ApiError::internal)?;
        job.idempotency = self.idempotency;
        job.request_id = Some(self.context.request_id);
        job.trace_parent = self.context.trace_parent;
        Ok(job)
    }
}

/// Ends the pushes to `device`, unless it was registered again since, or by somebody else.
async fn end(
    state: &AppState,
    device: PushTokenRecord,
    asked_at: Timestamp,
) -> Result<(), ApiError> {
    let owner = device.owner;
    let step = |device: PushTokenRecord| {
        let meant = device.owner == owner && device.registered_at <= asked_at;
        if meant { device.removed(PushTokenReason::Deleted, Timestamp::now()) } else { None }
    };
    match state.store.push_tokens.change(device, step).await {
        Ok(_) => Ok(()),
        Err(store::StoreError::Busy) => Err(ApiError::unavailable(Duration::from_secs(1))),
        Err(error) => Err(error.into()),
    }
}
