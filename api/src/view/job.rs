//! The public form of a job.

use poem_openapi::{Enum, Object, types::Any};
use schemas::{JobId, JobRecord, JobState, job::Change};
use serde_json::Value;

use super::Moment;

/// One job: work that was accepted and is done in the background.
#[derive(Debug, Clone, Object)]
pub(crate) struct Job {
    /// Its name, a version 7 UUID.
    id: String,
    /// What kind of work it is.
    kind: String,
    /// Where it is in its life.
    status: JobStatus,
    /// When it was accepted.
    created_at: Moment,
    /// When its latest change was made.
    updated_at: Moment,
    /// Attempts that ended, whether well or not.
    attempts: u32,
    /// When the next attempt begins; only while `waiting`.
    retry_at: Option<Moment>,
    /// Whether its owner or an operator asked to stop it.
    cancel_requested: bool,
    /// What came of it; only when `succeeded`.
    result: Option<Any<Value>>,
    /// Why the latest attempt did not succeed.
    error: Option<JobProblem>,
    /// Where to go from here.
    links: JobLinks,
    /// Version of the record; on the wire as entity tag and as id of events.
    #[oai(skip)]
    version: u64,
}

/// Why an attempt did not succeed.
#[derive(Debug, Clone, Object)]
pub(crate) struct JobProblem {
    /// Stable code.
    code: String,
}

/// Where to go from a job.
#[derive(Debug, Clone, Object)]
pub(crate) struct JobLinks {
    /// The job itself.
    #[oai(rename = "self")]
    this: String,
    /// Its changes, as Server-Sent Events.
    events: String,
    /// Where to ask that it stops; null when it has ended.
    cancel: Option<String>,
}

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum JobStatus {
    /// Accepted for later.
    Scheduled,
    /// Ready and on its way to a worker.
    Queued,
    /// A worker is at it.
    Running,
    /// An attempt ended without a result; another follows.
    Waiting,
    /// An effect was attempted and its outcome is being found out.
    Unknown,
    /// Ended well.
    Succeeded,
    /// Ended: refused for a reason that lies in the request.
    Failed,
    /// Ended: stopped before it had an effect.
    Cancelled,
    /// Ended without success after the last permitted attempt.
    Dead,
}

impl From<JobState> for JobStatus {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Scheduled => Self::Scheduled,
            JobState::Queued => Self::Queued,
            JobState::Running => Self::Running,
            JobState::Waiting => Self::Waiting,
            JobState::Unknown => Self::Unknown,
            JobState::Succeeded => Self::Succeeded,
            JobState::Failed => Self::Failed,
            JobState::Cancelled => Self::Cancelled,
            JobState::Dead => Self::Dead,
        }
    }
}

impl Job {
    /// Path of job `id`.
    pub(crate) fn path(id: JobId) -> String {
        format!("/api/job/{id}/")
    }

    /// The view of `job` as it is.
    pub(crate) fn of(job: &JobRecord) -> Self {
        let this = Self::path(job.id);
        let stoppable = !job.state.is_settled() && job.state != JobState::Unknown;
        let waiting = job.state == JobState::Waiting;
        Self {
            id: job.id.to_string(),
            kind: job.kind.clone(),
            status: job.state.into(),
            created_at: Moment(job.created_at),
            updated_at: Moment(job.updated_at),
            attempts: job.attempts,
            retry_at: job.wake_at.filter(|_| waiting).map(Moment),
            cancel_requested: job.cancel_requested_at.is_some(),
            result: job.output.clone().map(Any),
            error: job.error.as_ref().map(|error| JobProblem { code: error.code.clone() }),
            links: JobLinks {
                events: format!("{this}events/"),
                cancel: stoppable.then(|| format!("{this}cancel/")),
                this,
            },
            version: job.version,
        }
    }

    /// Version of the record that this is the view of.
    pub(crate) const fn version(&self) -> u64 {
        self.version
    }

    /// The view of `job` at one of its earlier changes: what is known only of now is left out.
    pub(crate) fn at(job: &JobRecord, change: &Change) -> Self {
        let cancel_requested = job.cancel_requested_at.is_some_and(|at| at <= change.at);
        let now = Self::of(job);
        Self {
            status: change.to.into(),
            updated_at: Moment(change.at),
            retry_at: None,
            cancel_requested,
            result: None,
            error: None,
            version: change.version,
            ..now
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use poem_openapi::types::ToJSON;

    use super::*;

    #[test]
    fn names_of_states_agree_with_the_store() {
        for state in JobState::ALL {
            assert_eq!(JobStatus::from(state).to_json(), Some(Value::from(state.name())));
        }
    }

    #[test]
    fn what_is_meant_for_operators_stays_inside() {
        use schemas::{
            Timestamp, UserId, Verdict,
            job::{JobError, JobSpec, NewJob},
            kinds::{ImageDelete, image_delete::ImageDeletion},
        };
        let payload = ImageDeletion { image: schemas::ImageId::new(4_141).unwrap() };
        let new = NewJob::of::<ImageDelete>(UserId::new(7).unwrap(), &payload).unwrap();
        let now = Timestamp::now();
        let verdict = Verdict::Error(JobError::again("disk sda1 is full"));
        let spec = JobSpec::of::<ImageDelete>();
        let job = JobRecord::accept(new, "api", now)
            .settle(&spec, verdict, "worker-host-1", now, 0.5)
            .unwrap();
        let text = Job::of(&job).to_json_string();

        for secret in ["4141", "sda1", "worker-host-1", "payload", "history"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert!(text.contains(r#""code":"attempt_failed""#));
    }
}
