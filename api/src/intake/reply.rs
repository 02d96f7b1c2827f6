//! How a call that starts work is answered.

use poem::http::{HeaderName, HeaderValue, header};
use poem_openapi::{
    ApiResponse,
    payload::Json,
    types::{ParseFromJSON, ToJSON, Type},
};
use schemas::{ErrorCode, JobRecord, JobState};
use serde_json::{Value, json};

use super::Patience;
use crate::{
    error::ApiError,
    view::{Job, Resource, Shaped},
};

/// Seconds after which a caller looks for the job again.
const LOOK_AGAIN: u32 = 1;

/// The reply to a call that starts work.
#[derive(Debug, ApiResponse)]
#[expect(clippy::large_enum_variant, reason = "made once and written out at once")]
pub(crate) enum WorkReply {
    /// The work is done; under `Prefer: wait`.
    #[oai(status = 204)]
    Done(
        /// The wait that was honoured.
        #[oai(header = "Preference-Applied")]
        Option<String>,
        /// `true` when an earlier call with the same `Idempotency-Key` started the work.
        #[oai(header = "Idempotency-Replayed")]
        Option<String>,
    ),
    /// The work is recorded and will be done.
    #[oai(status = 202)]
    Accepted(
        Json<Resource<Job>>,
        /// The job.
        #[oai(header = "Location")]
        String,
        /// Seconds after which it is worth asking for the job.
        #[oai(header = "Retry-After")]
        u32,
        /// The wait that was honoured.
        #[oai(header = "Preference-Applied")]
        Option<String>,
        /// `true` when an earlier call with the same `Idempotency-Key` started the work.
        #[oai(header = "Idempotency-Replayed")]
        Option<String>,
    ),
}

impl WorkReply {
    /// The reply for `job` as it is after the caller's patience. A caller that has no patience
    /// gets the job, whatever became of it.
    ///
    /// # Errors
    ///
    /// The error of a job that ended without success.
    pub(crate) fn of(
        job: &JobRecord,
        patience: Patience,
        replayed: bool,
    ) -> Result<Self, ApiError> {
        let replayed = replayed.then(|| "true".to_owned());
        let applied = patience.applied();
        if patience.wait.is_zero() || !job.state.is_settled() {
            let view = Json(Resource { data: Job::of(job) });
            return Ok(Self::Accepted(view, Job::path(job.id), LOOK_AGAIN, applied, replayed));
        }
        match problem_of(job) {
            None => Ok(Self::Done(applied, replayed)),
            Some(problem) => Err(with_headers(problem, job, applied, replayed)),
        }
    }
}

/// The reply to a call that starts work whose result, of the form `T`, the caller wants to see.
#[derive(Debug, ApiResponse)]
#[expect(clippy::large_enum_variant, reason = "made once and written out at once")]
pub(crate) enum ResultReply<T: Type> {
    /// The work is done; under `Prefer: wait`.
    #[oai(status = 200)]
    Done(
        Json<Shaped<T>>,
        /// The wait that was honoured.
        #[oai(header = "Preference-Applied")]
        Option<String>,
        /// `true` when an earlier call with the same `Idempotency-Key` started the work.
        #[oai(header = "Idempotency-Replayed")]
        Option<String>,
    ),
    /// The work is recorded and will be done.
    #[oai(status = 202)]
    Accepted(
        Json<Resource<Job>>,
        /// The job.
        #[oai(header = "Location")]
        String,
        /// Seconds after which it is worth asking for the job.
        #[oai(header = "Retry-After")]
        u32,
        /// The wait that was honoured.
        #[oai(header = "Preference-Applied")]
        Option<String>,
        /// `true` when an earlier call with the same `Idempotency-Key` started the work.
        #[oai(header = "Idempotency-Replayed")]
        Option<String>,
    ),
}

impl<T: Type> ResultReply<T> {
    /// The reply for `job` as it is after the caller's patience; `body` makes what a finished one
    /// is answered with. A caller that has no patience gets the job, whatever became of it.
    ///
    /// # Errors
    ///
    /// The error of a job that ended without success, and what `body` answers.
    pub(crate) async fn of(
        job: &JobRecord,
        patience: Patience,
        replayed: bool,
        body: impl AsyncFnOnce(Value) -> Result<Value, ApiError>,
    ) -> Result<Self, ApiError> {
        let replayed = replayed.then(|| "true".to_owned());
        let applied = patience.applied();
        if patience.wait.is_zero() || !job.state.is_settled() {
            let view = Json(Resource { data: Job::of(job) });
            return Ok(Self::Accepted(view, Job::path(job.id), LOOK_AGAIN, applied, replayed));
        }
        match problem_of(job) {
            None => {
                let body = body(job.output.clone().unwrap_or_default()).await?;
                Ok(Self::Done(Json(Shaped::new(body)), applied, replayed))
            }
            Some(problem) => Err(with_headers(problem, job, applied, replayed)),
        }
    }
}

/// The reply to a call that starts work which makes a thing, or renews it.
#[derive(Debug, ApiResponse)]
#[expect(clippy::large_enum_variant, reason = "made once and written out at once")]
pub(crate) enum MadeReply<T: ParseFromJSON + ToJSON + Send + Sync> {
    /// It was made; under `Prefer: wait`.
    #[oai(status = 201)]
    Made(
        Json<Resource<T>>,
        /// The wait that was honoured.
        #[oai(header = "Preference-Applied")]
        Option<String>,
        /// `true` when an earlier call with the same `Idempotency-Key` started the work.
        #[oai(header = "Idempotency-Replayed")]
        Option<String>,
    ),
    /// It was there and is renewed; under `Prefer: wait`.
    #[oai(status = 200)]
    Renewed(
        Json<Resource<T>>,
        /// The wait that was honoured.
        #[oai(header = "Preference-Applied")]
        Option<String>,
        /// `true` when an earlier call with the same `Idempotency-Key` started the work.
        #[oai(header = "Idempotency-Replayed")]
        Option<String>,
    ),
    /// The work is recorded and will be done.
    #[oai(status = 202)]
    Accepted(
        Json<Resource<Job>>,
        /// The job.
        #[oai(header = "Location")]
        String,
        /// Seconds after which it is worth asking for the job.
        #[oai(header = "Retry-After")]
        u32,
        /// The wait that was honoured.
        #[oai(header = "Preference-Applied")]
        Option<String>,
        /// `true` when an earlier call with the same `Idempotency-Key` started the work.
        #[oai(header = "Idempotency-Replayed")]
        Option<String>,
    ),
}

impl<T: ParseFromJSON + ToJSON + Send + Sync> MadeReply<T> {
    /// The reply for `job` as it is after the caller's patience; `made` says from its output what
    /// there is to show, and whether the job made it. A caller that has no patience gets the job,
    /// whatever became of it.
    ///
    /// # Errors
    ///
    /// The error of a job that ended without success, and what `made` answers.
    pub(crate) async fn of(
        job: &JobRecord,
        patience: Patience,
        replayed: bool,
        made: impl AsyncFnOnce(Value) -> Result<(T, bool), ApiError>,
    ) -> Result<Self, ApiError> {
        let replayed = replayed.then(|| "true".to_owned());
        let applied = patience.applied();
        if patience.wait.is_zero() || !job.state.is_settled() {
            let view = Json(Resource { data: Job::of(job) });
            return Ok(Self::Accepted(view, Job::path(job.id), LOOK_AGAIN, applied, replayed));
        }
        if let Some(problem) = problem_of(job) {
            return Err(with_headers(problem, job, applied, replayed));
        }
        let (data, is_new) = made(job.output.clone().unwrap_or_default()).await?;
        let view = Json(Resource { data });
        Ok(if is_new {
            Self::Made(view, applied, replayed)
        } else {
            Self::Renewed(view, applied, replayed)
        })
    }
}

/// The error that tells how `job` ended, or `None` when it succeeded or has not ended.
fn problem_of(job: &JobRecord) -> Option<ApiError> {
    let refused_as = |code: &str| job.error.as_ref().is_some_and(|error| error.code == code);
    let (code, message) = match job.state {
        JobState::Failed if refused_as("invalid_vcode") || refused_as("code_expired") => {
            (ErrorCode::InvalidVcode, "The code is wrong or too old. Have another one sent.")
        }
        JobState::Failed => (ErrorCode::JobFailed, "The work was refused."),
        JobState::Cancelled => (ErrorCode::JobCancelled, "The work was cancelled."),
        JobState::Dead => (ErrorCode::JobDead, "The work could not be done."),
        JobState::Scheduled
        | JobState::Queued
        | JobState::Running
        | JobState::Waiting
        | JobState::Unknown
        | JobState::Succeeded => return None,
    };
    let view = Job::of(job).to_json();
    Some(ApiError::of(code, message).with_data(json!({ "job": view })))
}

fn with_headers(
    problem: ApiError,
    job: &JobRecord,
    applied: Option<String>,
    replayed: Option<String>,
) -> ApiError {
    let headers = [
        (header::LOCATION, Some(Job::path(job.id))),
        (HeaderName::from_static("preference-applied"), applied),
        (HeaderName::from_static("idempotency-replayed"), replayed),
    ];
    headers.into_iter().fold(problem, |problem, (name, value)| {
        match value.and_then(|value| HeaderValue::try_from(value).ok()) {
            Some(value) => problem.with_header(name, value),
            None => problem,
        }
    })
}
