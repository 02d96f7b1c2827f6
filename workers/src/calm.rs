//! Moments in which nobody waits for this process, for what can be put off until then.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    time::{Instant, sleep_until},
};

/// So long after the last stir it is calm.
const CALM: Duration = Duration::from_millis(15);
/// So many wait for it at a time. They keep their slots meanwhile, and where more is going on, work
/// gathers in large batches anyway.
const WAITING: usize = 32;

/// Knows when work was last begun, or told of, that somebody waits for.
pub(crate) struct Calm {
    started: Instant,
    /// Microseconds from the start to the last stir.
    stirred: AtomicU64,
    places: Semaphore,
}

impl Calm {
    pub(crate) fn new() -> Self {
        let places = Semaphore::new(WAITING);
        Self { started: Instant::now(), stirred: AtomicU64::new(0), places }
    }

    /// Somebody waits for what is done now.
    pub(crate) fn stir(&self) {
        let micros = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.stirred.fetch_max(micros, Ordering::Relaxed);
    }

    /// Returns when it is calm, and after `patience` in any case; at once when too many wait already.
    pub(crate) async fn wait(&self, patience: Duration) {
        let Ok(_place) = self.places.try_acquire() else { return };
        let latest = Instant::now() + patience;
        loop {
            let stirred = Duration::from_micros(self.stirred.load(Ordering::Relaxed));
            let calm = (self.started + stirred + CALM).min(latest);
            if Instant::now() >= calm {
                return;
            }
            sleep_until(calm).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::future::{join, join_all};
    use tokio::time::sleep;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(1);

    async fn waited(calm: &Calm) -> Duration {
        let start = Instant::now();
        calm.wait(PATIENCE).await;
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn calm_comes_a_moment_after_the_last_stir() {
        let calm = Calm::new();
        sleep(CALM * 4).await;
        assert_eq!(waited(&calm).await, Duration::ZERO);

        calm.stir();
        let stirring = async {
            for _ in 0..5 {
                sleep(CALM / 3).await;
                calm.stir();
            }
        };
        let (waited, ()) = join(waited(&calm), stirring).await;
        assert_eq!(waited, CALM / 3 * 5 + CALM);
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_place_to_wait_goes_on() {
        let calm = Calm::new();
        calm.stir();
        let mut all = join_all((0..WAITING + 3).map(|_| waited(&calm))).await;
        all.sort();
        assert_eq!(all[..3], [Duration::ZERO; 3]);
        assert_eq!(all[3..], [CALM; WAITING]);

        calm.stir();
        assert_eq!(waited(&calm).await, CALM, "places are given back");
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_where_no_calm_comes() {
        let calm = Calm::new();
        let stirring = async {
            loop {
                calm.stir();
                sleep(CALM / 3).await;
            }
        };
        let waited = tokio::select! {
            waited = waited(&calm) => waited,
            () = stirring => Duration::MAX,
        };
        assert_eq!(waited, PATIENCE);
    }
}
