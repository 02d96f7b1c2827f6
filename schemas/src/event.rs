//! Short-lived news about jobs, campaigns and sign-ins, from the process that made a change to whoever waits for it.
//!
//! Events are hints. One that is lost costs a waiting caller some time, never the result: the
//! job record in the store is what counts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::{JobId, PushId, SessionId},
    job::{JobRecord, JobState},
    queue::Queue,
    time::Timestamp,
};

/// One piece of news, sent in batches: what workers act on goes to every process, the rest to those
/// that somebody may wait at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The job's record was saved with this version and state.
    Changed {
        /// The job.
        id: JobId,
        /// The version that the store now holds, or a later one.
        version: u64,
        /// The state at that version.
        state: JobState,
        /// The record itself, of a job that a caller most likely waits for and that has ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        job: Option<Box<JobRecord>>,
    },
    /// What a caller of the job waits for is stored already, where later runs find it; the job's end
    /// is about to be saved.
    Answered {
        /// The record as it will be, without what only operators see of it.
        job: Box<JobRecord>,
    },
    /// Its owner or an operator wants the job to stop; the wish is already in its record.
    CancelRequested {
        /// The job.
        id: JobId,
    },
    /// A worker has messages that it has not answered; repeated for as long as that is so.
    Held {
        /// Name of the worker process.
        worker: String,
        /// The queue that delivered them.
        queue: Queue,
        /// When the oldest of them was published.
        published_at: Timestamp,
    },
    /// Nothing is left to do of a push campaign; its record says so already.
    CampaignEnded {
        /// The campaign.
        id: PushId,
    },
    /// A sign-in has ended before its time; its record says so already.
    SessionEnded {
        /// The sign-in.
        id: SessionId,
    },
}

impl Event {
    /// Whether workers act on it; the others concern whoever waits for a job, a campaign or a sign-in.
    #[must_use]
    pub const fn is_for_workers(&self) -> bool {
        match self {
            Self::CancelRequested { .. } | Self::Held { .. } => true,
            Self::Changed { .. }
            | Self::Answered { .. }
            | Self::CampaignEnded { .. }
            | Self::SessionEnded { .. } => false,
        }
    }

    /// What is told of a job whose record was saved as `job`.
    #[must_use]
    pub const fn changed(job: &JobRecord) -> Self {
        Self::Changed { id: job.id, version: job.version, state: job.state, job: None }
    }

    /// The same of a run's end; with the record, without what only operators see of it, where a
    /// caller most likely waits for it.
    #[must_use]
    pub fn ended(job: JobRecord) -> Self {
        let (id, version, state) = (job.id, job.version, job.state);
        let told = job.queue.is_awaited() && state.is_settled();
        let job = told.then(|| Box::new(JobRecord { calls: Vec::new(), ..job }));
        Self::Changed { id, version, state, job }
    }

    /// What is told before a run's end is saved as `job`.
    #[must_use]
    pub fn answered(job: &JobRecord) -> Self {
        Self::Answered { job: Box::new(JobRecord { calls: Vec::new(), ..job.clone() }) }
    }

    /// The same news without a record, if that says anything.
    #[must_use]
    pub fn without_record(self) -> Option<Self> {
        match self {
            Self::Changed { id, version, state, .. } => {
                Some(Self::Changed { id, version, state, job: None })
            }
            Self::Answered { .. } => None,
            other => Some(other),
        }
    }
}
