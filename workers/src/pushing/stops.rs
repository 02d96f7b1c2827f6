//! Apps whose pushes are stopped: after a 403 nothing of the app is sent until one push, tried from
//! time to time, gets through.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use schemas::{BundleId, Timestamp};

/// How long the answer of that push may take before another one is tried.
const PROBE_TIME: Duration = Duration::from_secs(30);

/// Whether pushes of an app may leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Gate {
    /// They may.
    Open,
    /// One may, to find out.
    Probe,
    /// None may.
    Closed {
        /// Apple's word.
        reason: String,
        /// When to ask again.
        until: Timestamp,
    },
}

/// The apps that are stopped in this process.
#[derive(Default)]
pub(super) struct Stops {
    stopped: Mutex<HashMap<BundleId, Stop>>,
    /// How many there are, so that the usual question takes no lock.
    count: AtomicUsize,
}

struct Stop {
    reason: String,
    until: Timestamp,
}

impl Stops {
    /// Whether pushes of `app` may leave at `now`. [`Gate::Probe`] is given to one caller at a
    /// time.
    pub(super) fn gate(&self, app: &BundleId, now: Timestamp) -> Gate {
        if self.count.load(Ordering::Acquire) == 0 {
            return Gate::Open;
        }
        let mut stopped = self.lock();
        let Some(stop) = stopped.get_mut(app) else { return Gate::Open };
        if now < stop.until {
            return Gate::Closed { reason: stop.reason.clone(), until: stop.until };
        }
        stop.until = now + PROBE_TIME;
        Gate::Probe
    }

    /// Stops `app` for `reason` until `pause` has passed.
    pub(super) fn close(&self, app: &BundleId, reason: &str, now: Timestamp, pause: Duration) {
        let stop = Stop { reason: reason.to_owned(), until: now + pause };
        let mut stopped = self.lock();
        let before = stopped.insert(app.clone(), stop);
        self.count.store(stopped.len(), Ordering::Release);
        if before.is_none_or(|before| before.reason != reason) {
            tracing::error!(%app, reason, "pushes of this app are stopped; mend it");
            let (name, reason) = (app.to_string(), reason.to_owned());
            metrics::counter!("feat_push_blocks_total", "app" => name.clone(), "reason" => reason)
                .increment(1);
            metrics::gauge!("feat_push_app_blocked", "app" => name).set(1);
        }
    }

    /// A push of `app` got through.
    pub(super) fn open(&self, app: &BundleId) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut stopped = self.lock();
        if stopped.remove(app).is_some() {
            tracing::info!(%app, "pushes of this app are sent again");
            metrics::gauge!("feat_push_app_blocked", "app" => app.to_string()).set(0);
        }
        self.count.store(stopped.len(), Ordering::Release);
    }

    /// The map is whole between any two calls on it, so a panic elsewhere harms nothing.
    fn lock(&self) -> MutexGuard<'_, HashMap<BundleId, Stop>> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn a_stopped_app_is_tried_by_one_push_at_a_time() {
        let stops = Stops::default();
        let (app, other) = ("com.example.a".parse().unwrap(), "com.example.b".parse().unwrap());
        let (now, pause) = (Timestamp::now(), Duration::from_mins(1));
        stops.close(&app, "InvalidProviderToken", now, pause);

        assert!(matches!(stops.gate(&app, now), Gate::Closed { .. }));
        assert_eq!(stops.gate(&other, now), Gate::Open);
        let later = now + pause;
        assert_eq!(stops.gate(&app, later), Gate::Probe);
        assert!(matches!(stops.gate(&app, later), Gate::Closed { .. }), "one at a time");
        assert_eq!(stops.gate(&app, later + PROBE_TIME), Gate::Probe, "the first one died");
        stops.open(&app);
        assert_eq!(stops.gate(&app, later), Gate::Open);
    }
}
