//! The body of a job message: the whole record, so that a worker reads nothing before it starts,
//! or above a size only the id.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::JobId,
    job::{JobRecord, JobState},
};

/// Version of the body's form. A build reads its own version and older ones.
pub const SCHEMA: u32 = 1;

/// Records that take more bytes than this travel as their id.
pub const MAX_RECORD_BYTES: usize = 64 * 1024;

/// What a message says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobMessage {
    /// [`SCHEMA`] of the sender.
    pub schema: u32,
    /// What to do.
    #[serde(flatten)]
    pub subject: Subject,
}

/// The job that a message is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The record as it was saved before the message was sent.
    Job(Box<JobRecord>),
    /// The id of a record that is too large to travel.
    JobId(JobId),
}

/// Why a body cannot be worked on, ever: the message is set aside with this reason.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableMessage {
    /// It is no JSON of the documented form.
    #[error("unreadable: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A newer build sent it.
    #[error("schema {0} is newer than this build's {SCHEMA}")]
    Newer(u32),
    /// It carries a job that was settled before it was sent.
    #[error("carries a job that is {0}")]
    Settled(JobState),
}

#[derive(Deserialize)]
struct Head {
    schema: u32,
}

/// The body for `job`.
///
/// # Errors
///
/// When the record has no JSON form, which is a mistake in its type.
pub fn encode(job: &JobRecord) -> Result<Vec<u8>, serde_json::Error> {
    #[derive(Serialize)]
    struct Whole<'a> {
        schema: u32,
        job: &'a JobRecord,
    }
    let body = serde_json::to_vec(&Whole { schema: SCHEMA, job })?;
    if body.len() <= MAX_RECORD_BYTES {
        return Ok(body);
    }
    serde_json::to_vec(&JobMessage { schema: SCHEMA, subject: Subject::JobId(job.id) })
}

/// Reads a body.
///
/// # Errors
///
/// [`UnreadableMessage`] when no worker of this build can ever work on it.
pub fn decode(body: &[u8]) -> Result<Subject, UnreadableMessage> {
    #[derive(Deserialize)]
    struct Body {
        job: Option<Box<JobRecord>>,
        job_id: Option<JobId>,
    }
    let head: Head = serde_json::from_slice(body)?;
    if head.schema > SCHEMA {
        return Err(UnreadableMessage::Newer(head.schema));
    }
    let body: Body = serde_json::from_slice(body)?;
    match (body.job, body.job_id) {
        (Some(job), None) if job.state.is_settled() => Err(UnreadableMessage::Settled(job.state)),
        (Some(job), None) => Ok(Subject::Job(job)),
        (None, Some(id)) => Ok(Subject::JobId(id)),
        _ => Err(UnreadableMessage::Malformed(serde::de::Error::custom(
            "expected either job or job_id",
        ))),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;
    use crate::{
        Timestamp, UserId,
        id::ImageId,
        job::NewJob,
        kinds::{ImageDelete, image_delete::ImageDeletion},
    };

    fn job() -> JobRecord {
        let payload = ImageDeletion { image: ImageId::new(41).unwrap() };
        let new = NewJob::of::<ImageDelete>(UserId::new(7).unwrap(), &payload).unwrap();
        JobRecord::accept(new, "api", Timestamp::now())
    }

    #[test]
    fn a_record_arrives_as_it_was_sent() {
        let job = job();
        assert_eq!(decode(&encode(&job).unwrap()).unwrap(), Subject::Job(Box::new(job)));
    }

    #[test]
    fn a_large_record_travels_as_its_id() {
        let mut job = job();
        job.payload = "x".repeat(MAX_RECORD_BYTES).into();
        let body = encode(&job).unwrap();

        assert!(body.len() < 100);
        assert_eq!(decode(&body).unwrap(), Subject::JobId(job.id));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let settled = JobRecord { state: JobState::Succeeded, ..job() };
        let cases = [
            ("no JSON", b"{".to_vec(), "unreadable"),
            ("nothing in it", br#"{"schema":1}"#.to_vec(), "unreadable"),
            ("newer", br#"{"schema":2,"unheard":true}"#.to_vec(), "schema 2 is newer"),
            ("settled", encode(&settled).unwrap(), "carries a job that is succeeded"),
        ];
        for (name, body, expected) in cases {
            assert!(decode(&body).unwrap_err().to_string().starts_with(expected), "{name}");
        }
    }
}
