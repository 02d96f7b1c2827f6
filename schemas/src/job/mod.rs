//! What a job is: the static description of its kind, its stored record and its life.
//!
//! The record in the store is the truth; a message only says that there may be something to do.

mod life;
mod record;
mod retry;
mod state;
mod trail;
mod verdict;
mod wish;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

pub use life::MAX_CRASHES;
pub use record::{Change, Idempotency, JobFailure, JobRecord, Lease, NewJob};
pub use retry::RetryPolicy;
pub use state::{IllegalTransition, JobState};
pub use trail::{CallNote, MAX_CALLS};
pub use verdict::{JobError, Verdict};

use crate::{queue::Queue, scope::Scope};

/// One kind of background work: its name on the wire, its data, and how it is delivered.
pub trait Job: Send + Sync + 'static {
    /// Name on the wire and in the store. A shipped name is never renamed or reused.
    const KIND: &'static str;
    /// Queue that carries it. A slow kind gets its own queue so it cannot hold back others.
    const QUEUE: Queue;
    /// How often, and how far apart, a failed attempt is repeated.
    const RETRY: RetryPolicy;
    /// Longest one attempt may run before it is cancelled and counted as failed.
    const TIMEOUT: Duration;
    /// Longest a job may stay unfinished, counted from its acceptance; then no attempt follows.
    const DEADLINE: Duration = Duration::from_hours(24);
    /// When a worker saves that it runs the job.
    const CLAIM: Claim;
    /// What a run that was cut off may have left behind.
    const CUT_OFF: CutOff = CutOff::Repeat;
    /// What an access token must allow to see or stop its owner's jobs of this kind: the scope of
    /// the call that starts them. `None` for what no call starts: no token reaches it.
    const SCOPE: Option<Scope> = None;
    /// What the caller sends.
    type Payload: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static;
    /// What a finished job stores.
    type Output: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
}

/// When a worker takes a job under a lease, so that no other worker runs it at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Before every run: the effect must not happen twice, or the job is slow.
    Always,
    /// Only when the job may have been run before (redelivered or found by the sweep): the effect
    /// is repeatable, so the first run may start without a write.
    OnRepeat,
}

/// What a run that was cut off (by a panic, a time-out or the end of its worker) may have left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutOff {
    /// Nothing that the next run does not find and accept: it counts as a failed attempt.
    Repeat,
    /// Perhaps an effect that only the other side can tell of. From then on the job's outcome is
    /// unknown until a run has asked: no clock, crash or number of attempts ends it.
    Ask,
}

/// The consts of a [`Job`], as data, for code that meets the kind only at run time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JobSpec {
    /// See [`Job::KIND`].
    pub kind: &'static str,
    /// See [`Job::QUEUE`].
    pub queue: Queue,
    /// See [`Job::RETRY`].
    pub retry: RetryPolicy,
    /// See [`Job::TIMEOUT`].
    pub timeout: Duration,
    /// See [`Job::DEADLINE`].
    pub deadline: Duration,
    /// See [`Job::CLAIM`].
    pub claim: Claim,
    /// See [`Job::CUT_OFF`].
    pub cut_off: CutOff,
    /// See [`Job::SCOPE`].
    pub scope: Option<Scope>,
}

impl JobSpec {
    /// The description of kind `J`.
    #[must_use]
    pub const fn of<J: Job>() -> Self {
        Self {
            kind: J::KIND,
            queue: J::QUEUE,
            retry: J::RETRY,
            timeout: J::TIMEOUT,
            deadline: J::DEADLINE,
            claim: J::CLAIM,
            cut_off: J::CUT_OFF,
            scope: J::SCOPE,
        }
    }
}
