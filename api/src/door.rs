//! How calls begin whose caller waits for the work: a few at a time.
//!
//! Callers who are answered together ask again together. Each step of such a crowd competes for the
//! same processors and waits for the same batches, so everybody is answered when everybody is, and
//! they stay together. A door that lets a few in at a time draws the crowd out into a line, which
//! finds no crowd the next time.

use std::time::Duration;

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

/// The longest that a call waits for its turn. A store that does not answer holds up only the call
/// that asks it.
const TURN: Duration = Duration::from_millis(50);
/// So many are inside at a time. One would draw a crowd out faster, but the last of sixteen who come
/// once then waits for fifteen records; with three it waits for five.
const INSIDE: usize = 3;
/// So many wait for their turn at a time. Where more come, work gathers in large batches, which
/// serve them better than a line would.
const LINE: usize = 16;

const ENTERED: &str = "feat_waiting_calls_total";
const IN_TURN: &str = "in_turn";
const TOO_LONG: &str = "too_long";
const NO_PLACE: &str = "no_place";

/// Lets calls in.
pub(crate) struct Door {
    turn: Semaphore,
    line: Semaphore,
}

impl Door {
    /// With nobody inside.
    pub(crate) fn new() -> Self {
        Self { turn: Semaphore::new(INSIDE), line: Semaphore::new(LINE) }
    }

    /// Returns when there is room inside, which is when a permit of one before is dropped. Without a
    /// permit when that takes too long or too many wait already: go in all the same.
    #[must_use = "the next one comes in when it is dropped"]
    pub(crate) async fn enter(&self) -> Option<SemaphorePermit<'_>> {
        let Ok(_place) = self.line.try_acquire() else {
            count(NO_PLACE, 1);
            return None;
        };
        let turn = timeout(TURN, self.turn.acquire()).await.ok().and_then(Result::ok);
        count(if turn.is_some() { IN_TURN } else { TOO_LONG }, 1);
        turn
    }
}

fn count(how: &'static str, calls: u64) {
    metrics::counter!(ENTERED, "how" => how).increment(calls);
}

/// Says what the counter means, and begins it.
pub(crate) fn describe_metrics() {
    metrics::describe_counter!(
        ENTERED,
        "Calls that wait for their job, by how they came to record it: in_turn a few at a \
         time, too_long without a turn because the store took too long, no_place because too \
         many waited for theirs."
    );
    for how in [IN_TURN, TOO_LONG, NO_PLACE] {
        count(how, 0);
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
    async fn who_comes_at_once_goes_in_a_few_at_a_time() {
        let door = Door::new();
        for _ in 0..2 {
            let waited = come_in(&door, 8, WORK).await;
            assert_eq!(waited, [0, 0, 0, 1, 1, 1, 2, 2].map(|turns| WORK * turns));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_a_turn() {
        let door = Door::new();
        let waited = come_in(&door, 6, TURN * 100).await;
        assert_eq!(waited, [0, 0, 0, 1, 1, 1].map(|turns| TURN * turns));
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_place_in_line_goes_in() {
        let door = Door::new();
        let waited = come_in(&door, 50, TURN * 100).await;
        let at_once = waited.iter().filter(|waited| waited.is_zero()).count();
        // All but the line: those who are inside, and those for whom it is too long.
        assert_eq!(at_once, 50 - LINE);
        let again = come_in(&door, 4, WORK).await;
        assert_eq!(again, [0, 0, 0, 1].map(|turns| WORK * turns), "places are given back");
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_the_line_holds_up_nobody() {
        let door = Door::new();
        let inside = join_all((0..INSIDE).map(|_| door.enter())).await;
        let gone = timeout(WORK, door.enter()).await;
        assert!(gone.is_err());
        drop(inside);
        assert_eq!(come_in(&door, 1, WORK).await, [Duration::ZERO]);
    }
}
