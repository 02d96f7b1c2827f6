//! What callers and operators may wish of a job.

use super::{Idempotency, IllegalTransition, JobRecord, JobSpec, JobState};
use crate::time::Timestamp;

impl JobRecord {
    /// Notes the wish to stop the job. A job that waits for a due time becomes due now, so that a
    /// worker ends it. Asking twice changes nothing: the same record comes back, with the same
    /// version and the same due time, and there is nothing to save.
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
        if self.cancel_requested_at.is_some() {
            // Due again, a job whose cancellation came too late would spend an attempt per call.
            return Ok(self);
        }
        if matches!(self.state, JobState::Scheduled | JobState::Waiting) {
            self.wake_at = Some(now);
        }
        self.cancel_requested_at = Some(now);
        self.note(self.state, "cancellation requested", by, now);
        Ok(self)
    }

    /// Binds the caller's key of a later request to this job, which does what that request asks for.
    /// The job's life goes on as it was. `None` when it is bound to a request already.
    #[must_use]
    pub fn bind(mut self, idempotency: Idempotency, now: Timestamp) -> Option<Self> {
        if self.idempotency.is_some() {
            return None;
        }
        self.idempotency = Some(idempotency);
        self.version += 1;
        self.updated_at = now;
        Some(self)
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
        // A failed attempt makes the same step of the table, so the table alone would let the
        // operator take a job away from the worker that runs it.
        if !matches!(self.state, JobState::Failed | JobState::Dead) {
            return Err(IllegalTransition { from: self.state, to: JobState::Waiting });
        }
        let mut next = self.change(JobState::Waiting, "retried by an operator", operator, now)?;
        next.attempts = 0;
        next.crashes = 0;
        next.settled_at = None;
        next.cancel_requested_at = None;
        next.wake_at = Some(now);
        next.deadline_at = now + spec.deadline;
        Ok(next)
    }
}
