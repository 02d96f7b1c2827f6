//! The jobs that this process has in hand, and the cancellations that it has heard of.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use schemas::{Event, JobId, Timestamp};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::{Shared, held};

/// Cancellations remembered for jobs whose message has not come yet. A forgotten one costs
/// nothing but a job that runs although its owner changed their mind.
const REMEMBERED: usize = 10_000;

/// A job is in hand once at most, however often its message comes.
pub(crate) struct InFlight(Arc<Mutex<Inner>>);

struct Inner {
    jobs: HashMap<JobId, CancellationToken>,
    wishes: HashSet<JobId>,
    wish_order: VecDeque<JobId>,
    /// Cancellations of jobs that were published before may have gone unheard.
    hears_since: Timestamp,
}

/// How long a process may take to be reached by news after it began to listen, with the clocks of
/// two machines between.
const TUNING_IN: Duration = Duration::from_secs(5);

/// The place of one job in hand; dropping it, in whatever way a run ends, frees the place.
pub(crate) struct InHand {
    inner: Arc<Mutex<Inner>>,
    job: JobId,
    pub(crate) cancelled: CancellationToken,
    /// A cancellation was heard of before the message came.
    pub(crate) wished: bool,
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    // The maps stay whole at every panic: each change is one call.
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

impl InFlight {
    /// Nothing in hand, nothing heard of.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            jobs: HashMap::new(),
            wishes: HashSet::new(),
            wish_order: VecDeque::new(),
            hears_since: now + TUNING_IN,
        })))
    }

    /// Whether a cancellation of a job that was published at this moment would have been heard.
    pub(crate) fn hears_of(&self, published_at: Timestamp) -> bool {
        published_at >= lock(&self.0).hears_since
    }

    /// News was lost: only what is published from now on is heard of for certain.
    fn missed(&self, now: Timestamp) {
        lock(&self.0).hears_since = now;
    }

    /// Takes `job` in hand; `None` when this process already has it.
    pub(crate) fn take(&self, job: JobId) -> Option<InHand> {
        let mut inner = lock(&self.0);
        if inner.jobs.contains_key(&job) {
            return None;
        }
        let cancelled = CancellationToken::new();
        inner.jobs.insert(job, cancelled.clone());
        let wished = inner.wishes.contains(&job);
        Some(InHand { inner: Arc::clone(&self.0), job, cancelled, wished })
    }

    /// Whether this process has `job` in hand.
    pub(crate) fn has(&self, job: JobId) -> bool {
        lock(&self.0).jobs.contains_key(&job)
    }

    fn cancel(&self, job: JobId) {
        let mut inner = lock(&self.0);
        if let Some(token) = inner.jobs.get(&job) {
            token.cancel();
        } else if inner.wishes.insert(job) {
            inner.wish_order.push_back(job);
            if inner.wish_order.len() > REMEMBERED
                && let Some(oldest) = inner.wish_order.pop_front()
            {
                inner.wishes.remove(&oldest);
            }
        }
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        lock(&self.inner).jobs.remove(&self.job);
    }
}

/// Passes cancellations on to the runs in hand, and word of what others hold to the sweep, until
/// `shutdown`.
pub(crate) async fn hear_events(shared: Arc<Shared>, shutdown: CancellationToken) {
    let mut events = shared.workers.broker.worker_events();
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = shutdown.cancelled() => return,
        };
        match event {
            Ok(Event::CancelRequested { id }) => shared.in_flight.cancel(id),
            Ok(Event::Held { worker, queue, published_at }) => {
                held::heard(&shared, worker, queue, published_at);
            }
            Ok(
                Event::Changed { .. }
                | Event::Answered { .. }
                | Event::CampaignEnded { .. }
                | Event::SessionEnded { .. },
            ) => {}
            Err(RecvError::Lagged(_)) => shared.in_flight.missed(Timestamp::now()),
            Err(RecvError::Closed) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn a_job_is_in_hand_once_until_its_run_ends() {
        let jobs = InFlight::new(Timestamp::now());
        let id = JobId::generate();
        let first = jobs.take(id).unwrap();

        assert!(jobs.take(id).is_none());
        drop(first);
        assert!(jobs.take(id).is_some());
    }

    #[test]
    fn a_wish_reaches_the_run_before_and_after_it_starts() {
        let jobs = InFlight::new(Timestamp::now());
        let (early, late) = (JobId::generate(), JobId::generate());
        let running = jobs.take(late).unwrap();
        jobs.cancel(early);
        jobs.cancel(late);

        assert!(jobs.take(early).unwrap().wished);
        assert!(running.cancelled.is_cancelled());
    }

    #[test]
    fn what_was_published_before_anybody_listened_is_not_heard_of() {
        let now = Timestamp::now();
        let jobs = InFlight::new(now);
        assert!(!jobs.hears_of(now));
        assert!(jobs.hears_of(now + TUNING_IN));
        jobs.missed(now + Duration::from_mins(1));
        assert!(!jobs.hears_of(now + TUNING_IN));
    }

    #[test]
    fn wishes_for_jobs_that_never_come_do_not_pile_up() {
        let jobs = InFlight::new(Timestamp::now());
        for _ in 0..REMEMBERED + 100 {
            jobs.cancel(JobId::generate());
        }

        let inner = lock(&jobs.0);
        assert_eq!((inner.wishes.len(), inner.wish_order.len()), (REMEMBERED, REMEMBERED));
    }
}
