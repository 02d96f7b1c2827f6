//! How one run of a job ended, as a closed list sorted by what happens next.

use std::time::Duration;

use serde_json::Value;

use crate::time::Timestamp;

/// Why a handler did not finish the job, sorted by what the pipeline does next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// Final and caused by the request, with the public code that says why. Never repeated.
    #[error("rejected: {0}")]
    Rejected(&'static str),
    /// Nothing certain came of it and repeating is safe: spends an attempt.
    #[error("again: {reason}")]
    Again {
        /// Pause that the handler knows to be right; without it the kind's retry policy decides.
        after: Option<Duration>,
        /// For operators; holds no personal data.
        reason: String,
    },
    /// The other side asked for a pause. Spends no attempt.
    #[error("throttled until {until}")]
    Throttled {
        /// Not before this moment.
        until: Timestamp,
    },
    /// An effect was attempted and nobody knows whether it happened.
    #[error("outcome unknown: {ask}")]
    Unknown {
        /// What to ask the other side, for operators.
        ask: String,
        /// When the handler should ask; without it an operator has to bring the evidence.
        again: Option<Duration>,
    },
    /// The handler saw the wish to cancel before it caused any effect.
    #[error("cancelled before any effect")]
    Cancelled,
}

impl JobError {
    /// A repeatable failure whose pause the kind's retry policy decides.
    pub fn again(reason: impl std::fmt::Display) -> Self {
        Self::Again { after: None, reason: reason.to_string() }
    }
}

/// How one run ended: the handler's answer, or what befell the handler.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The effect happened; this is the output to store.
    Done(Value),
    /// The handler's own answer.
    Error(JobError),
    /// The handler panicked. A failed attempt.
    Panicked,
    /// The attempt ran longer than its kind allows. A failed attempt.
    TimedOut,
    /// This process is shutting down and cut the run off. Spends no attempt.
    Interrupted,
}
