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

/// One piece of news; broadcast to every API and worker process, in batches.
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
    /// What is told of a job whose record was saved as `job`.
    #[must_use]
    pub fn of(job: &JobRecord) -> Self {
        let told = job.queue.is_awaited() && job.state.is_settled();
        Self::Changed {
            id: job.id,
            version: job.version,
            state: job.state,
            job: told.then(|| Box::new(job.clone())),
        }
    }
}
