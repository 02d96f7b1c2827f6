//! The states of a job and the one table of legal transitions.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a job is in its life.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Accepted for later: its first run has a due time.
    Scheduled,
    /// Ready: a message is on its way to a worker.
    Queued,
    /// A worker holds its lease.
    Running,
    /// An attempt ended without a result; the next one has a due time.
    Waiting,
    /// An effect was attempted and its outcome is not known. Only evidence ends this state.
    Unknown,
    /// Ended: the effect happened.
    Succeeded,
    /// Ended: refused for a reason that lies in the request.
    Failed,
    /// Ended: stopped by its owner or an operator before the effect.
    Cancelled,
    /// Ended without success after its last permitted attempt, crash or moment.
    Dead,
}

/// A change that the table does not allow; the record stays as it is.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a job that is {from} cannot become {to}")]
pub struct IllegalTransition {
    /// The state it has.
    pub from: JobState,
    /// The state it was to get.
    pub to: JobState,
}

use JobState::{Cancelled, Dead, Failed, Queued, Running, Scheduled, Succeeded, Unknown, Waiting};

impl JobState {
    /// Every state, in the order of a job's life.
    pub const ALL: [Self; 9] =
        [Scheduled, Queued, Running, Waiting, Unknown, Succeeded, Failed, Cancelled, Dead];

    /// States that a job of this state may become. This table is the only place that says so.
    ///
    /// A repeatable kind settles straight from `queued`. What ended with `failed` or `dead` runs
    /// again only by an operator; `succeeded` and `cancelled` are for ever.
    #[must_use]
    pub const fn successors(self) -> &'static [Self] {
        match self {
            Scheduled => &[Queued, Cancelled],
            Queued => &[Queued, Running, Waiting, Unknown, Succeeded, Failed, Cancelled, Dead],
            Running => &[Queued, Waiting, Unknown, Succeeded, Failed, Cancelled, Dead],
            Waiting => &[Queued, Cancelled, Dead],
            Unknown => &[Queued, Succeeded, Failed],
            Failed | Dead => &[Waiting],
            Succeeded | Cancelled => &[],
        }
    }

    /// Whether nothing happens to the job any more, unless an operator asks.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        matches!(self, Succeeded | Failed | Cancelled | Dead)
    }

    /// Name on the wire, in the store and in commands.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Scheduled => "scheduled",
            Queued => "queued",
            Running => "running",
            Waiting => "waiting",
            Unknown => "unknown",
            Succeeded => "succeeded",
            Failed => "failed",
            Cancelled => "cancelled",
            Dead => "dead",
        }
    }

    /// Checks the step to `next` against the table.
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] when the table has no such step: the caller's view is out of date,
    /// so it reads the record again before it decides anew.
    pub fn step_to(self, next: Self) -> Result<Self, IllegalTransition> {
        if self.successors().contains(&next) {
            Ok(next)
        } else {
            Err(IllegalTransition { from: self, to: next })
        }
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no state.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "unknown state; one of scheduled, queued, running, waiting, unknown, succeeded, failed, cancelled, dead"
)]
pub struct UnknownState;

impl std::str::FromStr for JobState {
    type Err = UnknownState;

    fn from_str(name: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| state.name() == name).ok_or(UnknownState)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settled_jobs_leave_their_state_only_by_an_operator() {
        for state in JobState::ALL {
            let expected: &[JobState] = match state {
                Succeeded | Cancelled => &[],
                Failed | Dead => &[Waiting],
                _ => continue,
            };
            assert!(state.is_settled());
            assert_eq!(state.successors(), expected, "{state}");
        }
    }

    #[test]
    fn an_unknown_outcome_never_dies_of_a_clock() {
        assert!(!Unknown.successors().contains(&Dead));
        assert!(!Unknown.successors().contains(&Cancelled));
        assert!(!Unknown.successors().contains(&Waiting));
    }

    #[test]
    fn names_on_the_wire_and_in_the_store_agree() {
        for state in JobState::ALL {
            assert_eq!(serde_json::json!(state), state.name());
            assert_eq!(state.name().parse(), Ok(state));
        }
    }
}
