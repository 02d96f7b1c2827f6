//! The list of a caller's jobs, newest first, read by cursor.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use schemas::{JobId, JobState, job::JobSpec, kinds};
use store::JobFilter;

use crate::{
    auth::Caller,
    error::ApiError,
    state::AppState,
    view::{Cursor, Job, Moment, Stretch},
};

/// Jobs of one reply, unless the caller names another number.
const PAGE_SIZE: usize = 20;

/// Most jobs of one reply.
const MAX_PAGE_SIZE: usize = 100;

/// What a caller asks for, as it came.
#[derive(Debug, Default)]
pub(super) struct Query {
    pub(super) kind: Option<String>,
    pub(super) status: Option<String>,
    pub(super) created_from: Option<Moment>,
    pub(super) created_before: Option<Moment>,
    pub(super) cursor: Option<String>,
    pub(super) page_size: Option<i64>,
}

/// The jobs of `caller` that `query` asks for, as far as they see their kinds.
///
/// # Errors
///
/// 400 that names the parameter.
pub(super) async fn list(
    state: &AppState,
    caller: &Caller,
    query: Query,
) -> Result<Stretch<Job>, ApiError> {
    let after = query.cursor.as_deref().map(read_cursor).transpose()?;
    let size = match query.page_size.map(usize::try_from) {
        None => PAGE_SIZE,
        Some(Ok(size @ 1..)) => size.min(MAX_PAGE_SIZE),
        Some(_) => return Err(ApiError::invalid("page_size", "Send a positive number.")),
    };
    let asked = names(query.kind.as_deref(), "kind", kinds::spec)?;
    let kinds = seen(caller, &asked);
    if kinds.is_empty() {
        return Ok(Stretch { data: vec![], cursor: Cursor { next: None } });
    }
    let filter = JobFilter {
        owner: Some(caller.user),
        kinds,
        states: names(query.status.as_deref(), "status", |name| name.parse::<JobState>().ok())?,
        created_from: query.created_from.map(|moment| moment.0),
        created_before: query.created_before.map(|moment| moment.0),
        ..JobFilter::default()
    };
    // One more tells whether there is a next page.
    let mut jobs = state.store.jobs.list(&filter, after, size + 1).await?;
    let more = jobs.len() > size;
    jobs.truncate(size);
    let next = jobs.last().filter(|_| more).map(|last| write_cursor(last.id));
    Ok(Stretch { data: jobs.iter().map(Job::of).collect(), cursor: Cursor { next } })
}

/// The kinds of `asked`, or of all without any, whose jobs the caller sees.
fn seen(caller: &Caller, asked: &[&JobSpec]) -> Vec<String> {
    let kinds = kinds::SPECS.iter().filter(|kind| asked.is_empty() || asked.contains(kind));
    kinds.filter(|kind| caller.sees(kind)).map(|kind| kind.kind.to_owned()).collect()
}

/// Names parted by commas, each of which must be known.
fn names<T: PartialEq>(
    text: Option<&str>,
    field: &'static str,
    known: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, ApiError> {
    let mut values = Vec::new();
    let names = text.unwrap_or_default().split(',').map(str::trim);
    for name in names.filter(|name| !name.is_empty()) {
        let value = known(name);
        let value =
            value.ok_or_else(|| ApiError::invalid(field, format!("`{name}` is unknown.")))?;
        if !values.contains(&value) {
            values.push(value);
        }
    }
    Ok(values)
}

fn write_cursor(last: JobId) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(last.as_bytes())
}

fn read_cursor(text: &str) -> Result<JobId, ApiError> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes
        .map(JobId::from_bytes)
        .ok_or_else(|| ApiError::invalid("cursor", "Send `cursor.next` of the reply before."))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn a_cursor_reads_what_it_wrote() {
        let id = JobId::generate();

        assert_eq!(read_cursor(&write_cursor(id)).unwrap(), id);
        for (name, text) in
            [("empty", ""), ("short", "AAAA"), ("not base64", "???"), ("long", &"A".repeat(100))]
        {
            assert!(read_cursor(text).is_err(), "{name}");
        }
    }

    #[test]
    fn names_must_be_known() {
        let states = |text| names(text, "status", |name| name.parse::<JobState>().ok());

        assert_eq!(states(None).unwrap(), []);
        assert_eq!(
            states(Some("queued, dead,queued")).unwrap(),
            [JobState::Queued, JobState::Dead]
        );
        assert!(states(Some("queued,gone")).is_err());
    }
}
