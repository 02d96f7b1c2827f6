//! Which jobs a command is about, and the pages in which they are read.

use schemas::{JobId, JobRecord, JobState, UserId};
use store::{JobFilter, Store};

use crate::{args::Filter, failure::Failure};

/// Records in memory at a time.
const PAGE: usize = 200;

/// The store's filter for what the person asked; `states` when no state was named.
///
/// # Errors
///
/// The user is not known.
pub(super) async fn filter(
    store: &Store,
    args: &Filter,
    states: &[JobState],
) -> Result<JobFilter, Failure> {
    let owner = match &args.user {
        Some(user) => Some(user_id(store, user).await?),
        None => None,
    };
    let states = if args.state.is_empty() { states.to_vec() } else { args.state.clone() };
    Ok(JobFilter {
        owner,
        kinds: args.kind.clone(),
        states,
        error: args.error.clone(),
        created_from: args.since.map(|when| when.0),
        created_before: args.until.map(|when| when.0),
    })
}

/// A number is an id and anything else a username; so is a number that is nobody's id.
async fn user_id(store: &Store, user: &str) -> Result<UserId, Failure> {
    if let Ok(id) = user.parse::<UserId>() {
        return Ok(id);
    }
    let found = store.users.by_username(user).await?;
    found.map(|user| user.id).ok_or_else(|| {
        Failure::setup(format!("there is no user {user}"), "`feat user list` shows all of them")
    })
}

/// The jobs that a filter matches, newest first, at most `left` of them.
///
/// Reads on from the last id, so jobs that change their state meanwhile are neither met twice nor
/// left out.
pub(super) struct Pages {
    store: Store,
    filter: JobFilter,
    after: Option<JobId>,
    left: u64,
}

impl Pages {
    pub(super) const fn new(store: Store, filter: JobFilter, limit: u64) -> Self {
        Self { store, filter, after: None, left: limit }
    }

    /// The next page, never an empty one.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<JobRecord>>, Failure> {
        let limit = usize::try_from(self.left).unwrap_or(PAGE).min(PAGE);
        if limit == 0 {
            return Ok(None);
        }
        let page = self.store.jobs.list(&self.filter, self.after, limit).await?;
        self.left = if page.len() < limit { 0 } else { self.left - page.len() as u64 };
        self.after = page.last().map(|job| job.id);
        Ok(Some(page).filter(|page| !page.is_empty()))
    }
}
