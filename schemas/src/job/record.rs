//! The stored record of one job. What may happen to it is in [`life`](super::life).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{CallNote, Job, JobSpec, JobState};
use crate::{
    id::{JobId, UserId},
    queue::Queue,
    time::Timestamp,
};

/// The record of one job: what was asked, where it stands, and how it got there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobRecord {
    /// Its name.
    pub id: JobId,
    /// Whose job it is; [`UserId::FEAT`] for Feat's own.
    pub owner: UserId,
    /// Counts the saved changes, from 1.
    pub version: u64,
    /// [`Job::KIND`].
    pub kind: String,
    /// Queue that carries its messages.
    pub queue: Queue,
    /// Where it is in its life.
    pub state: JobState,
    /// What the caller asked for.
    pub payload: Value,
    /// What came of it; only when succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// Why the latest attempt did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<JobFailure>,
    /// When the scheduler should look at it: the due time of a scheduled, waiting or unknown job,
    /// the time of publication of a queued one, the end of the lease of a running one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake_at: Option<Timestamp>,
    /// Who runs it; only when running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// Attempts that ended, whether well or not. Throttling and shutdown spend none.
    pub attempts: u32,
    /// Leases that ended without a word from their holder, since a run last paused in order.
    pub crashes: u32,
    /// Publications after the first one.
    pub republished: u32,
    /// Since when an effect may have happened without anybody knowing. Only evidence ends this:
    /// until then the job is neither cancelled nor dead, whatever the clock says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_since: Option<Timestamp>,
    /// No attempt begins after this moment.
    pub deadline_at: Timestamp,
    /// When its owner or an operator asked to stop it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_requested_at: Option<Timestamp>,
    /// The caller's idempotency key and what it was used for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency: Option<Idempotency>,
    /// Key of which the owner may have only one job, such as `image.delete:41`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique_key: Option<String>,
    /// Id of the request that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Trace that the request belongs to (W3C Trace Context `traceparent`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_parent: Option<String>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its latest change was made.
    pub updated_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Timestamp>,
    /// Its own changes, oldest first.
    pub history: Vec<Change>,
    /// What its runs said to outside services, masked; for operators.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<CallNote>,
}

/// Why an attempt did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobFailure {
    /// Stable code that clients and filters use.
    pub code: String,
    /// For operators; holds no personal data and is not part of the public view.
    pub message: String,
}

/// The right of one worker to run a job until a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lease {
    /// Name of the worker process.
    pub holder: String,
    /// When the right ends unless it is renewed.
    pub until: Timestamp,
}

/// The key of a caller that repeats a request safely, and a digest of the request it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Idempotency {
    /// The `Idempotency-Key` header; unique for each owner.
    pub key: String,
    /// SHA-256 of method, path and body, in hex.
    pub fingerprint: String,
}

/// One change in a job's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// The version that it made.
    pub version: u64,
    /// State before; absent for the acceptance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<JobState>,
    /// State after.
    pub to: JobState,
    /// Why, in a few words.
    pub why: String,
    /// Who made the change: a worker, `api`, `scheduler` or a named operator.
    pub by: String,
}

/// What is known of a job before it is accepted.
#[derive(Debug, Clone)]
pub struct NewJob {
    spec: JobSpec,
    owner: UserId,
    payload: Value,
    /// First run not before this moment; at once without it.
    pub run_at: Option<Timestamp>,
    /// Another queue than the kind's own, for kinds whose jobs go to several providers.
    pub queue: Option<Queue>,
    /// See [`JobRecord::idempotency`].
    pub idempotency: Option<Idempotency>,
    /// See [`JobRecord::unique_key`].
    pub unique_key: Option<String>,
    /// See [`JobRecord::request_id`].
    pub request_id: Option<String>,
    /// See [`JobRecord::trace_parent`].
    pub trace_parent: Option<String>,
}

impl NewJob {
    /// A job of kind `J` for `owner`, to run at once.
    ///
    /// # Errors
    ///
    /// When the payload has no JSON form, which is a mistake in its type.
    pub fn of<J: Job>(owner: UserId, payload: &J::Payload) -> Result<Self, serde_json::Error> {
        Ok(Self {
            spec: JobSpec::of::<J>(),
            owner,
            payload: serde_json::to_value(payload)?,
            run_at: None,
            queue: None,
            idempotency: None,
            unique_key: None,
            request_id: None,
            trace_parent: None,
        })
    }
}

impl JobRecord {
    /// The first record of a job, by `by` at `now`.
    #[must_use]
    pub fn accept(new: NewJob, by: &str, now: Timestamp) -> Self {
        let state = if new.run_at.is_some() { JobState::Scheduled } else { JobState::Queued };
        let why = "accepted".to_owned();
        let first = Change { at: now, version: 1, from: None, to: state, why, by: by.to_owned() };
        Self {
            id: JobId::generate(),
            owner: new.owner,
            version: 1,
            kind: new.spec.kind.to_owned(),
            queue: new.queue.unwrap_or(new.spec.queue),
            state,
            payload: new.payload,
            output: None,
            error: None,
            wake_at: Some(new.run_at.unwrap_or(now)),
            lease: None,
            attempts: 0,
            crashes: 0,
            republished: 0,
            unknown_since: None,
            deadline_at: new.run_at.unwrap_or(now) + new.spec.deadline,
            cancel_requested_at: None,
            idempotency: new.idempotency,
            unique_key: new.unique_key,
            request_id: new.request_id,
            trace_parent: new.trace_parent,
            created_at: now,
            updated_at: now,
            settled_at: None,
            history: vec![first],
            calls: Vec::new(),
        }
    }
}
