//! A job's changes as Server-Sent Events.
//!
//! Each event carries the version as its id, so a client that lost the connection says where it
//! was (`Last-Event-ID`) and gets what it missed, as far as the job's history is kept. The stream
//! ends with the event that settles the job, after a while (clients then resume by themselves, with
//! a fresh token), and when the process shuts down.

use std::{collections::VecDeque, time::Duration};

use futures::Stream;
use poem::web::sse::Event;
use poem_openapi::types::ToJSON;
use schemas::{JobRecord, UserId};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use crate::{
    auth::{Caller, sessions},
    places::Place,
    state::AppState,
    view::Job,
    watch::{Watcher, Woken},
};

/// Longest time of one stream. An access token that expires meanwhile does not cut a stream that was
/// begun with it; a sign-in that ends does, at the job's next change.
pub(super) const LONGEST: Duration = Duration::from_mins(10);

/// Time between two comments that keep proxies from closing a quiet stream.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The event that shows `job` after one of its changes.
pub(super) fn event(job: &Job) -> Event {
    Event::message(job.to_json_string()).event_type("status").id(job.version().to_string())
}

/// Follows one job.
pub(super) struct Follower {
    state: AppState,
    caller: Caller,
    watcher: Watcher,
    job: JobRecord,
    /// Version of the latest change that was taken over into `ready`.
    seen: u64,
    ready: VecDeque<Job>,
    until: Instant,
    _slot: Slot,
}

/// Held while a stream is open: the user's place, and one of all.
pub(super) type Slot = (Place<UserId>, OwnedSemaphorePermit);

impl Follower {
    /// Follows `job` for `caller` from version `last` on, or from how it is now. `watcher` began to watch
    /// before the job was read.
    pub(super) fn new(
        state: AppState,
        caller: Caller,
        watcher: Watcher,
        job: JobRecord,
        last: Option<u64>,
        slot: Slot,
    ) -> Self {
        let ready = match last {
            Some(last) => changes_since(&job, last),
            None => VecDeque::from([Job::of(&job)]),
        };
        let (seen, until) = (job.version, Instant::now() + LONGEST);
        Self { state, caller, watcher, job, seen, ready, until, _slot: slot }
    }

    /// The events.
    pub(super) fn stream(self) -> impl Stream<Item = Job> + Send + 'static {
        futures::stream::unfold(self, |mut follower| async move {
            let change = follower.next().await?;
            Some((change, follower))
        })
    }

    async fn next(&mut self) -> Option<Job> {
        loop {
            if let Some(change) = self.ready.pop_front() {
                return Some(change);
            }
            if self.job.state.is_settled() || self.watcher.next(self.until).await == Woken::Stop {
                return None;
            }
            // A store that does not answer ends the stream; the client resumes.
            if !sessions::is_live(&self.state, &self.caller).await.ok()? {
                return None;
            }
            self.job =
                self.state.store.jobs.get_owned(self.job.owner, self.job.id).await.ok()??;
            self.ready = changes_since(&self.job, self.seen);
            self.seen = self.seen.max(self.job.version);
        }
    }
}

/// The changes of `job` after version `last`, oldest first. The latest one shows the job as it is.
fn changes_since(job: &JobRecord, last: u64) -> VecDeque<Job> {
    let missed = job.history.iter().filter(|change| change.version > last);
    let mut changes: VecDeque<_> = missed.map(|change| Job::at(job, change)).collect();
    if let Some(latest) = changes.back_mut() {
        *latest = Job::of(job);
    }
    changes
}
