//! Who waits for news of which job, in this process.
//!
//! The broker's events are hints and may get lost, so a waiter also looks by itself every second;
//! the store gathers such reads. An event wakes only those who wait for its job. The number of
//! waiters is bounded, in all and for each user, and all of them stop waiting when the process shuts
//! down. An event that brings the record along spares the read.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use broker::Broker;
use schemas::{Event, JobId, JobRecord, UserId};
use store::{Store, StoreError};
use tokio::{
    sync::{
        broadcast::{self, error::RecvError},
        watch,
    },
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::places::{Place, Places};

/// How long a waiter relies on events alone.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Waits that one user may have at a time.
const MOST_OF_ONE: usize = 256;

/// The waiters of this process. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Watch(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    waiting: Mutex<HashMap<JobId, Waiting>>,
    most: usize,
    users: Places<UserId>,
    shutdown: CancellationToken,
}

/// What was heard of a job last.
#[derive(Debug, Clone)]
enum News {
    /// There may be something new.
    Changed,
    /// It was saved like this.
    Saved(Box<JobRecord>),
    /// It is about to be saved like this, and what its caller waits for stands.
    Answered(Box<JobRecord>),
}

#[derive(Debug)]
struct Waiting {
    news: watch::Sender<News>,
    watchers: usize,
}

/// One who waits for news of one job. Dropping it ends the waiting.
#[derive(Debug)]
pub(crate) struct Watcher {
    news: watch::Receiver<News>,
    id: JobId,
    shared: Arc<Shared>,
    _place: Place<UserId>,
}

/// What somebody waits for.
#[derive(Debug, Clone, Copy)]
enum Until {
    /// That the store has the job's end.
    Saved,
    /// That what the job's caller wants stands.
    Answered,
}

/// Why a [`Watcher`] returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// There may be news: read the job.
    Look,
    /// The time is up, or the process shuts down.
    Stop,
}

impl Watch {
    /// Follows the events of `broker` until `shutdown`, for at most `most` jobs at a time.
    pub(crate) fn start(broker: &Broker, most: usize, shutdown: CancellationToken) -> Self {
        let (waiting, users) = (Mutex::default(), Places::new(MOST_OF_ONE));
        let shared = Arc::new(Shared { waiting, most, users, shutdown });
        tokio::spawn(follow(broker.events(), shared.clone()));
        Self(shared)
    }

    /// Lets `user` wait for news of job `id` from now on; `None` when too many wait already, or this
    /// user too often. Begin before the job is published or read, so that no news falls in between.
    pub(crate) fn of(&self, user: UserId, id: JobId) -> Option<Watcher> {
        let place = self.0.users.take(user)?;
        let mut waiting = self.0.lock();
        if waiting.len() >= self.0.most && !waiting.contains_key(&id) {
            return None;
        }
        let first = || Waiting { news: watch::channel(News::Changed).0, watchers: 0 };
        let entry = waiting.entry(id).or_insert_with(first);
        entry.watchers += 1;
        Some(Watcher { news: entry.news.subscribe(), id, shared: self.0.clone(), _place: place })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Waiting>> {
        // Nothing below panics half-way through a change, so a poisoned map is whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, id: JobId, news: News) {
        if let Some(waiting) = self.lock().get(&id) {
            waiting.news.send_replace(news);
        }
    }

    fn wake_all(&self) {
        for waiting in self.lock().values() {
            waiting.news.send_replace(News::Changed);
        }
    }
}

async fn follow(mut events: broadcast::Receiver<Event>, shared: Arc<Shared>) {
    loop {
        let event = tokio::select! {
            () = shared.shutdown.cancelled() => return,
            event = events.recv() => event,
        };
        match event {
            Ok(Event::Changed { id, job, .. }) => {
                shared.wake(id, job.map_or(News::Changed, News::Saved));
            }
            Ok(Event::Answered { job }) => shared.wake(job.id, News::Answered(job)),
            Ok(Event::CancelRequested { id }) => shared.wake(id, News::Changed),
            // Whoever waits for a campaign watches the job that has its name.
            Ok(Event::CampaignEnded { id }) => shared.wake(id.job(), News::Changed),
            // For the workers and the cache of sign-ins.
            Ok(Event::Held { .. } | Event::SessionEnded { .. }) => {}
            Err(RecvError::Lagged(_)) => shared.wake_all(),
            Err(RecvError::Closed) => return,
        }
    }
}

impl Watcher {
    /// Returns at the next news, after a second without any, or at `deadline`.
    pub(crate) async fn next(&mut self, deadline: Instant) -> Woken {
        let look_again = Instant::now() + LOOK_AGAIN;
        tokio::select! {
            biased;
            () = self.shared.shutdown.cancelled() => Woken::Stop,
            _ = self.news.changed() => Woken::Look,
            () = tokio::time::sleep_until(deadline) => Woken::Stop,
            () = tokio::time::sleep_until(look_again) => Woken::Look,
        }
    }

    /// The latest record of `job`: when it has ended, or after `patience` at the latest.
    pub(crate) async fn ended(
        self,
        store: &Store,
        job: JobRecord,
        patience: Duration,
    ) -> Result<JobRecord, StoreError> {
        self.until(Until::Saved, store, job, patience).await
    }

    /// As [`Self::ended`], but it may be a little ahead of the store: what the job's caller waits
    /// for stands then, and the record's end is being saved.
    pub(crate) async fn answered(
        self,
        store: &Store,
        job: JobRecord,
        patience: Duration,
    ) -> Result<JobRecord, StoreError> {
        self.until(Until::Answered, store, job, patience).await
    }

    async fn until(
        mut self,
        until: Until,
        store: &Store,
        mut job: JobRecord,
        patience: Duration,
    ) -> Result<JobRecord, StoreError> {
        let deadline = Instant::now() + patience;
        while !job.state.is_settled() && self.next(deadline).await == Woken::Look {
            if let Some(told) = self.told(until, &job) {
                return Ok(told);
            }
            match store.jobs.get_owned(job.owner, job.id).await? {
                Some(latest) => job = latest,
                None => break,
            }
        }
        Ok(job)
    }

    /// The end of `job`, if the latest news brought it along.
    fn told(&self, until: Until, job: &JobRecord) -> Option<JobRecord> {
        let news = self.news.borrow();
        let told = match (&*news, until) {
            (News::Saved(told), _) | (News::Answered(told), Until::Answered) => told.as_ref(),
            (News::Changed, _) | (News::Answered(_), Until::Saved) => return None,
        };
        let same = told.id == job.id && told.owner == job.owner && told.version > job.version;
        (same && told.state.is_settled()).then(|| told.clone())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut waiting = self.shared.lock();
        if let Entry::Occupied(mut entry) = waiting.entry(self.id) {
            entry.get_mut().watchers -= 1;
            if entry.get().watchers == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use schemas::{
        BillSn, JobState, Timestamp, UserId,
        bill::ClosingReason,
        job::NewJob,
        kinds::{PayClose, pay_close::PayClosing},
    };

    use super::*;

    fn changed(id: JobId) -> Event {
        Event::Changed { id, version: 2, state: JobState::Succeeded, job: None }
    }

    fn user(id: i64) -> UserId {
        UserId::new(id).unwrap()
    }

    fn far() -> Instant {
        Instant::now() + Duration::from_mins(5)
    }

    #[tokio::test(start_paused = true)]
    async fn news_wake_those_who_wait_for_the_job_and_nobody_else() {
        let broker = Broker::local(8);
        let watch = Watch::start(&broker, 8, CancellationToken::new());
        let (ours, theirs) = (JobId::generate(), JobId::generate());
        let of = |id| watch.of(user(7), id).unwrap();
        let (mut first, mut second) = (of(ours), of(ours));
        let mut other = of(theirs);
        let start = Instant::now();
        broker.send_event(changed(ours));

        assert_eq!(first.next(far()).await, Woken::Look);
        assert_eq!(second.next(far()).await, Woken::Look);
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(other.next(far()).await, Woken::Look);
        assert_eq!(start.elapsed(), LOOK_AGAIN);
    }

    #[tokio::test]
    async fn an_event_that_brings_the_end_along_spares_the_read() {
        let folder = tempfile::tempdir().unwrap();
        // It knows nothing of the job.
        let store = Store::sqlite(folder.path()).await.unwrap();
        let broker = Broker::local(8);
        let watch = Watch::start(&broker, 8, CancellationToken::new());
        let now = Timestamp::now();
        let sn = BillSn::generate(now);
        let closing = PayClosing { sn, reason: ClosingReason::Cancelled };
        let owner = user(7);
        let new = NewJob::of::<PayClose>(owner, &closing).unwrap();
        let job = JobRecord::accept(new, "api", now);
        let version = job.version + 2;
        let ended = JobRecord { state: JobState::Succeeded, version, ..job.clone() };
        let stranger = user(8);
        let patience = Duration::from_mins(1);

        let waiter = watch.of(owner, job.id).unwrap();
        broker.send_event(Event::ended(JobRecord { owner: stranger, ..ended.clone() }));
        assert_eq!(waiter.ended(&store, job.clone(), patience).await, Ok(job.clone()));
        let waiter = watch.of(owner, job.id).unwrap();
        broker.send_event(Event::ended(ended.clone()));
        assert_eq!(waiter.ended(&store, job, patience).await, Ok(ended));
    }

    #[tokio::test]
    async fn an_answer_ahead_of_the_record_is_for_those_who_want_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::sqlite(folder.path()).await.unwrap();
        let broker = Broker::local(8);
        let watch = Watch::start(&broker, 8, CancellationToken::new());
        let now = Timestamp::now();
        let closing = PayClosing { sn: BillSn::generate(now), reason: ClosingReason::Cancelled };
        let owner = user(7);
        let new = NewJob::of::<PayClose>(owner, &closing).unwrap();
        let job = JobRecord::accept(new, "api", now);
        assert_eq!(store.jobs.insert(&job).await, Ok(store::Insert::Stored));
        let version = job.version + 2;
        let ahead = JobRecord { state: JobState::Succeeded, version, ..job.clone() };

        let waiter = watch.of(owner, job.id).unwrap();
        broker.send_event(Event::answered(&ahead));
        let patience = Duration::from_mins(1);
        assert_eq!(waiter.answered(&store, job.clone(), patience).await, Ok(ahead.clone()));
        let waiter = watch.of(owner, job.id).unwrap();
        broker.send_event(Event::answered(&ahead));
        let patience = Duration::from_millis(50);
        assert_eq!(waiter.ended(&store, job.clone(), patience).await, Ok(job));
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_stops_at_its_deadline_and_at_shutdown() {
        let shutdown = CancellationToken::new();
        let watch = Watch::start(&Broker::local(8), 8, shutdown.clone());
        let mut waiter = watch.of(user(7), JobId::generate()).unwrap();

        let soon = Instant::now() + Duration::from_millis(10);
        assert_eq!(waiter.next(soon).await, Woken::Stop);
        shutdown.cancel();
        assert_eq!(waiter.next(far()).await, Woken::Stop);
    }

    #[tokio::test]
    async fn those_who_have_gone_leave_nothing_behind_and_too_many_are_refused() {
        let watch = Watch::start(&Broker::local(8), 1, CancellationToken::new());
        let id = JobId::generate();
        let first = watch.of(user(7), id).unwrap();
        let second = watch.of(user(8), id).unwrap();

        assert!(watch.of(user(7), JobId::generate()).is_none());
        drop(first);
        assert_eq!(watch.0.lock().len(), 1);
        drop(second);
        assert_eq!(watch.0.lock().len(), 0);
        assert!(watch.of(user(7), JobId::generate()).is_some());
    }

    #[tokio::test]
    async fn one_user_leaves_waits_to_the_others() {
        let watch = Watch::start(&Broker::local(8), 8_192, CancellationToken::new());
        let id = JobId::generate();
        let mut waits: Vec<_> = std::iter::from_fn(|| watch.of(user(7), id)).take(8_192).collect();

        assert_eq!(waits.len(), MOST_OF_ONE);
        assert!(watch.of(user(8), id).is_some());
        waits.pop();
        assert!(watch.of(user(7), id).is_some());
    }
}
