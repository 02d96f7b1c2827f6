//! Which jobs a command is about, and the pages in which they are read.

use schemas::{JobId, JobRecord, JobState, UserId};
use store::{JobFilter, Store};

use crate::{accounts::owner, args::Filter, failure::Failure};

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
        Some(user) => Some(owner(store, user).await?),
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

/// The jobs that a filter matches, newest first, at most `left` of them.
///
/// Reads on from the last id, so jobs that change their state meanwhile are neither met twice nor
/// left out.
pub(super) struct Pages {
    store: Store,
    filter: JobFilter,
    after: Option<JobId>,
    left: u64,
    without_own: bool,
    left_out: u64,
}

impl Pages {
    pub(super) const fn new(store: Store, filter: JobFilter, limit: u64) -> Self {
        Self { store, filter, after: None, left: limit, without_own: false, left_out: 0 }
    }

    /// Leaves out the jobs that Feat started for itself.
    pub(super) const fn without_own(mut self) -> Self {
        self.without_own = true;
        self
    }

    /// How many were left out so far.
    pub(super) const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The next page, never an empty one.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<JobRecord>>, Failure> {
        loop {
            let limit = usize::try_from(self.left).unwrap_or(PAGE).min(PAGE);
            if limit == 0 {
                return Ok(None);
            }
            let mut page = self.store.jobs.list(&self.filter, self.after, limit).await?;
            let read = page.len();
            self.after = page.last().map(|job| job.id);
            if self.without_own {
                page.retain(|job| job.owner != UserId::FEAT);
            }
            self.left_out += (read - page.len()) as u64;
            self.left = if read < limit { 0 } else { self.left - page.len() as u64 };
            if !page.is_empty() {
                return Ok(Some(page));
            }
        }
    }
}
