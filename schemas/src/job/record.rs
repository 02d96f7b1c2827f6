//! The stored record of one job, and every change that may happen to it, as pure functions.
//!
//! Each change takes the record and gives the next one with a higher `version`; the repository
//! saves it only over the version it came from. So two processes never both win.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{IllegalTransition, Job, JobError, JobSpec, JobState, Verdict};
use crate::{
    id::{JobId, UserId},
    queue::Queue,
    time::Timestamp,
};

/// Crashes of its workers that a job may see before it is set aside as dead. Every job that a
/// crashed worker had in hand sees one, so an innocent neighbour needs more than one or two.
pub const MAX_CRASHES: u32 = 5;

/// The second crash is followed by a pause of twice this, each further one by twice the last
/// pause: so a job that kills its workers loses its neighbours.
const CRASH_PAUSE: Duration = Duration::from_secs(1);

/// Entries of a job's history that are kept: the first and the latest ones.
const MAX_HISTORY: usize = 32;

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
    /// Leases that ended without a word from their holder.
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
            queue: new.spec.queue,
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
        }
    }

    /// Gives the job to `holder` until `until`.
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] when it is not ours to run: it is settled or not yet due, or it is
    /// held. A lease that ended is taken away by [`Self::lose_lease`] first, which counts a crash.
    pub fn claim(
        self,
        holder: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Self, IllegalTransition> {
        if self.state != JobState::Queued {
            return Err(IllegalTransition { from: self.state, to: JobState::Running });
        }
        let mut next = self.change(JobState::Running, "claimed", holder, now)?;
        next.lease = Some(Lease { holder: holder.to_owned(), until });
        next.wake_at = Some(until);
        Ok(next)
    }

    /// Keeps the lease of `holder` until `until`, without an entry in the history.
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] when `holder` does not hold the lease any more: stop at once.
    pub fn renew(
        mut self,
        holder: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Self, IllegalTransition> {
        match &mut self.lease {
            Some(lease) if lease.holder == holder => lease.until = until,
            _ => return Err(IllegalTransition { from: self.state, to: JobState::Running }),
        }
        self.wake_at = Some(until);
        self.version += 1;
        self.updated_at = now;
        Ok(self)
    }

    /// Takes the lease from a holder that let it end, and counts the crash: the job is queued
    /// again, at once or from the second crash on after a pause, or dead after [`MAX_CRASHES`].
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] when the job is not running or its lease has not ended.
    pub fn lose_lease(self, by: &str, now: Timestamp) -> Result<Self, IllegalTransition> {
        let ended = self.lease.as_ref().is_some_and(|lease| lease.until <= now);
        if !ended {
            return Err(IllegalTransition { from: self.state, to: JobState::Queued });
        }
        let crashes = self.crashes + 1;
        let mut next = if crashes >= MAX_CRASHES {
            self.fail(JobState::Dead, "worker_crashed", "its workers crashed", by, now)?
        } else if crashes == 1 {
            let mut next = self.change(JobState::Queued, "lease ended", by, now)?;
            next.republished += 1;
            next.wake_at = Some(now);
            next
        } else {
            self.wait(now + CRASH_PAUSE * (1 << (crashes - 1)), "lease ended", by, now)?
        };
        next.crashes = crashes;
        Ok(next)
    }

    /// Makes a due job ready, or says that the message of a queued one is sent once more. The
    /// caller publishes the record after it is saved.
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] when the job is running or settled.
    pub fn publish(self, why: &str, by: &str, now: Timestamp) -> Result<Self, IllegalTransition> {
        if self.state == JobState::Running {
            return Err(IllegalTransition { from: self.state, to: JobState::Queued });
        }
        let first = self.state == JobState::Scheduled;
        let mut next = self.change(JobState::Queued, why, by, now)?;
        next.republished += u32::from(!first);
        next.wake_at = Some(now);
        Ok(next)
    }

    /// [`Self::publish`] for a job whose due time has come.
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] when it is not due any more: another process was quicker.
    pub fn publish_due(self, by: &str, now: Timestamp) -> Result<Self, IllegalTransition> {
        let due = self.wake_at.is_some_and(|wake_at| wake_at <= now);
        if !due || self.state == JobState::Queued {
            return Err(IllegalTransition { from: self.state, to: JobState::Queued });
        }
        self.publish("due", by, now)
    }

    /// Records how a run ended. This is the one function that turns a verdict into the next
    /// state; `jitter` between 0 and 1 spreads retries.
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] when the job is settled already: an earlier run has ended it and its
    /// outcome stays.
    pub fn settle(
        self,
        spec: &JobSpec,
        verdict: Verdict,
        by: &str,
        now: Timestamp,
        jitter: f64,
    ) -> Result<Self, IllegalTransition> {
        if self.state.is_settled() {
            // The table has a way out of some ended states, but it is the operators' alone.
            return Err(IllegalTransition { from: self.state, to: JobState::Running });
        }
        match verdict {
            Verdict::Done(output) => {
                let mut next = self.end(JobState::Succeeded, "done", by, now)?;
                next.attempts += 1;
                next.error = None;
                next.unknown_since = None;
                next.output = Some(output);
                Ok(next)
            }
            Verdict::Error(JobError::Rejected(code)) => {
                let mut next = self.fail(JobState::Failed, code, "refused", by, now)?;
                next.attempts += 1;
                next.unknown_since = None;
                next.unique_key = None;
                Ok(next)
            }
            Verdict::Error(JobError::Cancelled) => {
                self.refuse_if_unknown(JobState::Cancelled)?;
                let mut next = self.end(JobState::Cancelled, "cancelled", by, now)?;
                next.unique_key = None;
                Ok(next)
            }
            Verdict::Error(JobError::Again { after, reason }) => {
                self.try_again(spec, "attempt_failed", &reason, after, by, now, jitter)
            }
            Verdict::Panicked => self.try_again(
                spec,
                "handler_panicked",
                "the handler panicked",
                None,
                by,
                now,
                jitter,
            ),
            Verdict::TimedOut => self.try_again(
                spec,
                "attempt_timed_out",
                "the attempt took too long",
                None,
                by,
                now,
                jitter,
            ),
            Verdict::Error(JobError::Throttled { until }) => self.wait(until, "throttled", by, now),
            Verdict::Error(JobError::Unknown { ask, again }) => {
                let mut next = self.change(JobState::Unknown, "outcome unknown", by, now)?;
                next.unknown_since.get_or_insert(now);
                next.error = Some(JobFailure { code: "outcome_unknown".to_owned(), message: ask });
                next.wake_at = again.map(|pause| now + pause);
                Ok(next)
            }
            Verdict::Interrupted => {
                let mut next = self.change(JobState::Queued, "worker shut down", by, now)?;
                next.wake_at = Some(now);
                Ok(next)
            }
        }
    }

    /// Notes the wish to stop the job. A job that waits for a due time becomes due now, so that a
    /// worker ends it; asking twice changes nothing more.
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] when the job has ended, or its outcome is unknown and only evidence
    /// may end it.
    pub fn request_cancel(mut self, by: &str, now: Timestamp) -> Result<Self, IllegalTransition> {
        self.refuse_if_unknown(JobState::Cancelled)?;
        if self.state.is_settled() {
            return Err(IllegalTransition { from: self.state, to: JobState::Cancelled });
        }
        if matches!(self.state, JobState::Scheduled | JobState::Waiting) {
            self.wake_at = Some(now);
        }
        self.cancel_requested_at = Some(now);
        self.note(self.state, "cancellation requested", by, now);
        Ok(self)
    }

    /// Gives a job that ended without success a new set of attempts, at the word of `operator`.
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] unless the job is failed or dead.
    pub fn retry(
        self,
        spec: &JobSpec,
        operator: &str,
        now: Timestamp,
    ) -> Result<Self, IllegalTransition> {
        let mut next = self.change(JobState::Waiting, "retried by an operator", operator, now)?;
        next.attempts = 0;
        next.crashes = 0;
        next.settled_at = None;
        next.cancel_requested_at = None;
        next.wake_at = Some(now);
        next.deadline_at = now + spec.deadline;
        Ok(next)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one failed attempt, used in one place"
    )]
    fn try_again(
        self,
        spec: &JobSpec,
        code: &str,
        reason: &str,
        after: Option<Duration>,
        by: &str,
        now: Timestamp,
        jitter: f64,
    ) -> Result<Self, IllegalTransition> {
        let spent = self.attempts + 1;
        let due = now + after.unwrap_or_else(|| spec.retry.pause(spent, jitter));
        let last = spent >= spec.retry.attempts() || due > self.deadline_at;
        let mut next = if last {
            self.fail(JobState::Dead, code, reason, by, now)?
        } else {
            let mut next = self.wait(due, code, by, now)?;
            next.error = Some(JobFailure { code: code.to_owned(), message: reason.to_owned() });
            next
        };
        next.attempts = spent;
        Ok(next)
    }

    fn wait(
        self,
        due: Timestamp,
        why: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<Self, IllegalTransition> {
        let mut next = self.change(JobState::Waiting, why, by, now)?;
        next.wake_at = Some(due);
        Ok(next)
    }

    /// Ends without success, unless an effect may have happened: that waits for a person.
    fn fail(
        self,
        state: JobState,
        code: &str,
        message: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<Self, IllegalTransition> {
        let mut next = if state == JobState::Dead && self.unknown_since.is_some() {
            let mut next = self.change(JobState::Unknown, code, by, now)?;
            next.wake_at = None;
            next
        } else {
            self.end(state, code, by, now)?
        };
        next.error = Some(JobFailure { code: code.to_owned(), message: message.to_owned() });
        Ok(next)
    }

    fn refuse_if_unknown(&self, to: JobState) -> Result<(), IllegalTransition> {
        match self.unknown_since {
            Some(_) => Err(IllegalTransition { from: JobState::Unknown, to }),
            None => Ok(()),
        }
    }

    fn end(
        self,
        state: JobState,
        why: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<Self, IllegalTransition> {
        let mut next = self.change(state, why, by, now)?;
        next.wake_at = None;
        next.settled_at = Some(now);
        Ok(next)
    }

    /// Every change of state goes through here: table, version, lease, history.
    fn change(
        mut self,
        to: JobState,
        why: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<Self, IllegalTransition> {
        let to = self.state.step_to(to)?;
        self.lease = None;
        self.note(to, why, by, now);
        self.state = to;
        Ok(self)
    }

    fn note(&mut self, to: JobState, why: &str, by: &str, now: Timestamp) {
        self.version += 1;
        self.updated_at = now;
        if self.history.len() >= MAX_HISTORY {
            self.history.remove(1);
        }
        let (why, by) = (why.to_owned(), by.to_owned());
        self.history.push(Change {
            at: now,
            version: self.version,
            from: Some(self.state),
            to,
            why,
            by,
        });
    }
}
