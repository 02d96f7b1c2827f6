//! How calls begin whose caller waits for the work: one after the other.
//!
//! Callers who are answered together ask again together. Each step of such a crowd competes for the
//! same processors and waits for the same batches, so everybody is answered when everybody is, and
//! they stay together. A door that lets one in at a time draws the crowd out into a line, which
//! finds no crowd the next time.

use std::time::Duration;

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

/// The longest that a call waits for its turn. A store that does not answer holds up only the call
/// that asks it.
const TURN: Duration = Duration::from_millis(50);
/// So many wait for their turn at a time. Where more come, work gathers in large batches, which
/// serve them better than a line would.
const LINE: usize = 16;

/// Lets calls in.
pub(crate) struct Door {
    turn: Semaphore,
    line: Semaphore,
}

impl Door {
    /// With nobody inside.
    pub(crate) fn new() -> Self {
        Self { turn: Semaphore::new(1), line: Semaphore::new(LINE) }
    }

    /// Returns when the one before is in, which is when its permit is dropped. Without a permit when
    /// that takes too long or too many wait already: go in all the same.
    #[must_use = "the next one comes in when it is dropped"]
    pub(crate) async fn enter(&self) -> Option<SemaphorePermit<'_>> {
        let _place = self.line.try_acquire().ok()?;
        timeout(TURN, self.turn.acquire()).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use tokio::time::{Instant, sleep};

    use super::*;

    const WORK: Duration = Duration::from_millis(5);

    /// When each of `count` that come at once is in, counted from then.
    async fn come_in(door: &Door, count: u32, work: Duration) -> Vec<Duration> {
        let start = Instant::now();
        let come = |_| async move {
            let _inside = door.enter().await;
            let waited = start.elapsed();
            sleep(work).await;
            waited
        };
        join_all((0..count).map(come)).await
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_at_once_goes_in_one_after_the_other() {
        let door = Door::new();
        for _ in 0..2 {
            let line: Vec<_> = (0..4).map(|n| WORK * n).collect();
            assert_eq!(come_in(&door, 4, WORK).await, line);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_a_turn() {
        let door = Door::new();
        let waited = come_in(&door, 4, TURN * 100).await;
        assert_eq!(waited, [Duration::ZERO, TURN, TURN, TURN]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_place_in_line_goes_in() {
        let door = Door::new();
        let waited = come_in(&door, 50, TURN * 100).await;
        let at_once = waited.iter().filter(|waited| waited.is_zero()).count();
        // All but the line: the one whose turn it is, and those for whom it is too long.
        assert_eq!(at_once, 50 - LINE);
        assert_eq!(come_in(&door, 2, WORK).await, [Duration::ZERO, WORK], "places are given back");
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_the_line_holds_up_nobody() {
        let door = Door::new();
        let inside = door.enter().await;
        let gone = timeout(WORK, door.enter()).await;
        assert!(gone.is_err());
        drop(inside);
        assert_eq!(come_in(&door, 1, WORK).await, [Duration::ZERO]);
    }
}
