//! The body of a job message: the whole record, so that a worker reads nothing before it starts,
//! or above a size only the id; and beside it what the sender has just saved and the handler would
//! read first.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

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
    /// See [`Beside`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<serde_json::Value>,
    /// Whether the call that started the job waits for its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub awaited: bool,
}

/// What the sender saved together with the job, as it was then. It spares the handler a read and
/// may be old by now, so it serves only where a guarded save tells.
#[derive(Debug, Clone)]
pub struct Beside {
    thing: Box<RawValue>,
    awaited: bool,
}

impl Beside {
    /// Takes `thing` along; `None` when it has no JSON form.
    pub fn of(thing: &impl Serialize) -> Option<Self> {
        let thing = serde_json::value::to_raw_value(thing).ok()?;
        Some(Self { thing, awaited: false })
    }

    /// The same, and whether the call that started the job waits for its end.
    #[must_use]
    pub fn awaited(self, awaited: bool) -> Self {
        Self { awaited, ..self }
    }

    /// Whether the call that started the job waited for its end when it was sent.
    #[must_use]
    pub const fn is_awaited(&self) -> bool {
        self.awaited
    }

    /// The thing, if it is a `T`.
    #[must_use]
    pub fn read<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(self.thing.get()).ok()
    }
}

/// What was read from a body.
#[derive(Debug)]
pub struct Received {
    /// The job.
    pub subject: Subject,
    /// What came along.
    pub beside: Option<Beside>,
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

/// The body for `job`, with what goes along if there is room.
///
/// # Errors
///
/// When the record has no JSON form, which is a mistake in its type.
pub fn encode(job: &JobRecord, beside: Option<&Beside>) -> Result<Vec<u8>, serde_json::Error> {
    #[derive(Serialize)]
    struct Whole<'a> {
        schema: u32,
        job: &'a JobRecord,
        #[serde(skip_serializing_if = "Option::is_none")]
        beside: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        awaited: bool,
    }
    let awaited = beside.is_some_and(Beside::is_awaited);
    let beside = beside.map(|beside| &*beside.thing);
    let body = serde_json::to_vec(&Whole { schema: SCHEMA, job, beside, awaited })?;
    if body.len() <= MAX_RECORD_BYTES {
        return Ok(body);
    }
    if beside.is_some() {
        return encode(job, None);
    }
    let subject = Subject::JobId(job.id);
    serde_json::to_vec(&JobMessage { schema: SCHEMA, subject, beside: None, awaited: false })
}

/// Reads a body.
///
/// # Errors
///
/// [`UnreadableMessage`] when no worker of this build can ever work on it.
pub fn decode(body: &[u8]) -> Result<Received, UnreadableMessage> {
    #[derive(Deserialize)]
    struct Body {
        schema: u32,
        job: Option<Box<JobRecord>>,
        job_id: Option<JobId>,
        beside: Option<Box<RawValue>>,
        #[serde(default)]
        awaited: bool,
    }
    let read: Result<Body, _> = serde_json::from_slice(body);
    let schema = match &read {
        Ok(body) => body.schema,
        // Perhaps only because it is of a newer form.
        Err(_) => serde_json::from_slice::<Head>(body)?.schema,
    };
    if schema > SCHEMA {
        return Err(UnreadableMessage::Newer(schema));
    }
    let body = read?;
    let subject = match (body.job, body.job_id) {
        (Some(job), None) if job.state.is_settled() => {
            return Err(UnreadableMessage::Settled(job.state));
        }
        (Some(job), None) => Subject::Job(job),
        (None, Some(id)) => Subject::JobId(id),
        _ => {
            let text = "expected either job or job_id";
            return Err(UnreadableMessage::Malformed(serde::de::Error::custom(text)));
        }
    };
    let awaited = body.awaited;
    Ok(Received { subject, beside: body.beside.map(|thing| Beside { thing, awaited }) })
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
        let received = decode(&encode(&job, None).unwrap()).unwrap();
        assert!(received.beside.is_none());
        assert_eq!(received.subject, Subject::Job(Box::new(job)));
    }

    #[test]
    fn what_was_saved_with_it_goes_along_while_there_is_room() {
        let mut job = job();
        let beside = Beside::of(&("hidden", 41));
        let received = decode(&encode(&job, beside.as_ref()).unwrap()).unwrap();
        let read = received.beside.unwrap();
        assert_eq!(read.read::<(String, u8)>(), Some(("hidden".to_owned(), 41)));
        assert_eq!(read.read::<u8>(), None);
        assert!(!read.is_awaited());
        let awaited = beside.map(|beside| beside.awaited(true));
        let received = decode(&encode(&job, awaited.as_ref()).unwrap()).unwrap();
        assert!(received.beside.unwrap().is_awaited());

        job.payload = "x".repeat(MAX_RECORD_BYTES - 800).into();
        let large = Beside::of(&"y".repeat(1_000));
        let received = decode(&encode(&job, large.as_ref()).unwrap()).unwrap();
        assert!(received.beside.is_none());
        assert_eq!(received.subject, Subject::Job(Box::new(job)));
    }

    #[test]
    fn a_large_record_travels_as_its_id() {
        let mut job = job();
        job.payload = "x".repeat(MAX_RECORD_BYTES).into();
        let body = encode(&job, None).unwrap();

        assert!(body.len() < 100);
        assert_eq!(decode(&body).unwrap().subject, Subject::JobId(job.id));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let settled = JobRecord { state: JobState::Succeeded, ..job() };
        let cases = [
            ("no JSON", b"{".to_vec(), "unreadable"),
            ("nothing in it", br#"{"schema":1}"#.to_vec(), "unreadable"),
            (
                "newer",
                br#"{"schema":2,"job":"of a form that is not known"}"#.to_vec(),
                "schema 2 is newer",
            ),
            ("settled", encode(&settled, None).unwrap(), "carries a job that is succeeded"),
        ];
        for (name, body, expected) in cases {
            assert!(decode(&body).unwrap_err().to_string().starts_with(expected), "{name}");
        }
    }
}
