//! Every change that may happen to a job, as pure functions.
//!
//! Each change takes the record and gives the next one with a higher `version`; the repository
//! saves it only over the version it came from. So two processes never both win.

use std::time::Duration;

use serde_json::Value;

use super::{
    Change, CutOff, IllegalTransition, JobError, JobFailure, JobRecord, JobSpec, JobState, Lease,
    Verdict,
};
use crate::{kinds, time::Timestamp};

/// Crashes of its workers that a job may see before it is set aside as dead. Every job that a
/// crashed worker had in hand sees one, so an innocent neighbour needs more than one or two.
pub const MAX_CRASHES: u32 = 5;

/// The second crash is followed by a pause of twice this, each further one by twice the last
/// pause: so a job that kills its workers loses its neighbours.
const CRASH_PAUSE: Duration = Duration::from_secs(1);

/// Entries of a job's history that are kept: the first and the latest ones.
const MAX_HISTORY: usize = 32;

/// An attempt that ended without a result.
struct Attempt<'a> {
    code: &'a str,
    reason: &'a str,
    /// The pause that the handler knows to be right.
    after: Option<Duration>,
}

impl<'a> Attempt<'a> {
    const fn failed(code: &'a str, reason: &'a str, after: Option<Duration>) -> Self {
        Self { code, reason, after }
    }
}

impl JobRecord {
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

    /// Whether it waits for its first run, as far as its record tells.
    #[must_use]
    pub fn is_untried(&self) -> bool {
        let ended = self.attempts > 0 || self.crashes > 0 || self.unknown_since.is_some();
        self.state == JobState::Queued && !ended
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

    /// Forgets its crashes: a job that gets on does not kill its workers, it had bad neighbours.
    /// Counts as a change together with the [`Self::renew`] that follows.
    #[must_use]
    pub fn gets_on(mut self) -> Self {
        self.crashes = 0;
        self
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
        let cut_off = kinds::spec(&self.kind).map_or(CutOff::Repeat, |spec| spec.cut_off);
        let doubted = self.doubt(cut_off, now);
        let mut next = if crashes >= MAX_CRASHES {
            doubted.fail(JobState::Dead, "worker_crashed", "its workers crashed", by, now)?
        } else if crashes == 1 {
            let mut next = doubted.change(JobState::Queued, "lease ended", by, now)?;
            next.republished += 1;
            next.wake_at = Some(now);
            next
        } else {
            doubted.wait(now + CRASH_PAUSE * (1 << (crashes - 1)), "lease ended", by, now)?
        };
        next.crashes = crashes;
        Ok(next)
    }

    /// Notes that the run that was cut off may have had an effect, if its kind is of that sort.
    fn doubt(mut self, cut_off: CutOff, now: Timestamp) -> Self {
        if cut_off == CutOff::Ask {
            self.unknown_since.get_or_insert(now);
        }
        self
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
    /// outcome stays; and when the verdict is no evidence about an outcome that is unknown.
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
        if self.state == JobState::Unknown && verdict == Verdict::Interrupted {
            // The late word of a run that lost its lease: it says nothing of the outcome.
            return Err(IllegalTransition { from: self.state, to: JobState::Queued });
        }
        match verdict {
            Verdict::Done(output) => self.succeed(output, by, now),
            Verdict::Panicked => {
                let attempt = Attempt::failed("handler_panicked", "the handler panicked", None);
                self.doubt(spec.cut_off, now).try_again(spec, &attempt, by, now, jitter)
            }
            Verdict::TimedOut => {
                let reason = "the attempt took too long";
                let attempt = Attempt::failed("attempt_timed_out", reason, None);
                self.doubt(spec.cut_off, now).try_again(spec, &attempt, by, now, jitter)
            }
            Verdict::Interrupted => {
                let doubted = self.doubt(spec.cut_off, now);
                let mut next = doubted.change(JobState::Queued, "worker shut down", by, now)?;
                next.wake_at = Some(now);
                Ok(next)
            }
            Verdict::Error(JobError::Again { after, reason }) => {
                let attempt = Attempt::failed("attempt_failed", &reason, after);
                self.try_again(spec, &attempt, by, now, jitter)
            }
            Verdict::Error(JobError::Rejected(code)) => self.refuse(code, by, now),
            Verdict::Error(JobError::Throttled { until }) => {
                let mut next = self.wait(until, "throttled", by, now)?;
                // This run came to an orderly end, so the job does not kill its workers.
                next.crashes = 0;
                Ok(next)
            }
            Verdict::Error(JobError::Unknown { ask, again }) => self.not_known(ask, again, by, now),
            Verdict::Error(JobError::Cancelled) => self.cancel(by, now),
        }
    }

    fn succeed(self, output: Value, by: &str, now: Timestamp) -> Result<Self, IllegalTransition> {
        let mut next = self.end(JobState::Succeeded, "done", by, now)?;
        next.attempts += 1;
        next.error = None;
        next.unknown_since = None;
        next.output = Some(output);
        Ok(next)
    }

    fn refuse(self, code: &str, by: &str, now: Timestamp) -> Result<Self, IllegalTransition> {
        let mut next = self.fail(JobState::Failed, code, "refused", by, now)?;
        next.attempts += 1;
        next.unknown_since = None;
        next.unique_key = None;
        Ok(next)
    }

    fn cancel(self, by: &str, now: Timestamp) -> Result<Self, IllegalTransition> {
        self.refuse_if_unknown(JobState::Cancelled)?;
        let mut next = self.end(JobState::Cancelled, "cancelled", by, now)?;
        next.unique_key = None;
        Ok(next)
    }

    fn not_known(
        self,
        ask: String,
        again: Option<Duration>,
        by: &str,
        now: Timestamp,
    ) -> Result<Self, IllegalTransition> {
        let mut next = self.change(JobState::Unknown, "outcome unknown", by, now)?;
        next.unknown_since.get_or_insert(now);
        next.error = Some(JobFailure { code: "outcome_unknown".to_owned(), message: ask });
        next.wake_at = again.map(|pause| now + pause);
        Ok(next)
    }

    fn try_again(
        self,
        spec: &JobSpec,
        attempt: &Attempt<'_>,
        by: &str,
        now: Timestamp,
        jitter: f64,
    ) -> Result<Self, IllegalTransition> {
        let Attempt { code, reason, after } = *attempt;
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

    pub(super) fn refuse_if_unknown(&self, to: JobState) -> Result<(), IllegalTransition> {
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
    pub(super) fn change(
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

    pub(super) fn note(&mut self, to: JobState, why: &str, by: &str, now: Timestamp) {
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
