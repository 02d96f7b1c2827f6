//! What every call that starts work knows of its request.

use std::net::IpAddr;

use poem::Request;
use poem_openapi::types::Type;
use schemas::{
    BillRecord, BillSn, JobRecord, UserId,
    job::{Idempotency, NewJob},
    message::Beside,
};
use serde_json::Value;

use super::{body_of, own};
use crate::{
    error::ApiError,
    intake::{self, Begun, IdempotencyKey, Patience, ResultReply},
    state::{AppState, RequestContext},
    view::{Bill, Resource},
};

/// Who calls, how long they wait, and what makes the call repeatable.
#[derive(Clone)]
pub(super) struct Call {
    /// The caller.
    pub(super) user: UserId,
    /// How long the request is held.
    pub(super) patience: Patience,
    /// The caller's own name for the request.
    pub(super) idempotency: Option<Idempotency>,
    /// The request's name.
    pub(super) context: RequestContext,
    /// Where the caller is.
    pub(super) payer_ip: Option<IpAddr>,
    /// What the worker would read first.
    beside: Option<Beside>,
}

impl Call {
    /// Reads `request`, whose body is `body`.
    ///
    /// # Errors
    ///
    /// 400 for a key that cannot be one.
    pub(super) fn of(
        state: &AppState,
        user: UserId,
        context: &RequestContext,
        request: &Request,
        body: &[u8],
    ) -> Result<Self, ApiError> {
        let settings = &state.settings;
        let key = IdempotencyKey::read(request.headers())?;
        let path = request.original_uri().path();
        let what = intake::Request { method: request.method(), path, body };
        Ok(Self {
            user,
            patience: Patience::read(request.headers(), settings.default_wait, settings.max_wait),
            idempotency: key.map(|key| key.used_for(what)),
            context: context.clone(),
            payer_ip: context.address,
            beside: None,
        })
    }

    /// The job that an earlier call with the same key has started: it answers, however things stand
    /// now.
    ///
    /// # Errors
    ///
    /// 503: the store does not answer.
    pub(super) async fn earlier(&self, state: &AppState) -> Result<Option<JobRecord>, ApiError> {
        let Some(key) = &self.idempotency else { return Ok(None) };
        Ok(state.store.jobs.by_idempotency_key(self.user, &key.key).await?)
    }

    /// Spares the worker to read `bill` as this call has just read it.
    pub(super) fn carrying(self, bill: &BillRecord) -> Self {
        Self { beside: Beside::of(bill), ..self }
    }

    /// Starts `job` for this call.
    ///
    /// # Errors
    ///
    /// See [`intake::begin`].
    pub(super) async fn begin(self, state: &AppState, mut job: NewJob) -> Result<Begun, ApiError> {
        job.idempotency = self.idempotency;
        job.request_id = Some(self.context.request_id);
        job.trace_parent = self.context.trace_parent;
        intake::begin(state, job, self.patience, self.beside).await
    }

    /// Starts `job` for this call and answers with what `body` makes of its output.
    ///
    /// # Errors
    ///
    /// See [`intake::begin`], and what `body` answers.
    pub(super) async fn run<T: Type>(
        self,
        state: &AppState,
        job: NewJob,
        body: impl AsyncFnOnce(Value) -> Result<Value, ApiError>,
    ) -> Result<ResultReply<T>, ApiError> {
        self.begin(state, job).await?.reply(state, body).await
    }

    /// Starts `job` for this call and answers with the bill as it is then.
    ///
    /// # Errors
    ///
    /// As [`Self::run`].
    pub(super) async fn run_for_bill(
        self,
        state: &AppState,
        job: NewJob,
        sn: &BillSn,
    ) -> Result<ResultReply<Resource<Bill>>, ApiError> {
        let user = self.user;
        let show = async |_| Ok(body_of(&own(state, user, sn).await?));
        self.run(state, job, show).await
    }
}
