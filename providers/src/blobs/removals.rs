//! Removals of files, a few at a time however many are asked for.
//!
//! Names of one parent are removed one after the other by the kernel anyway: a thread for each
//! removal only makes threads that wait for each other. So removals line up, and a lane, one task
//! of the blocking pool, takes them in turn until none is left. A long line gets more lanes, for
//! the sake of file systems that are far away.

use std::{
    collections::VecDeque,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// Lanes at most.
const LANES: usize = 8;

/// Removals in the line for each lane before another one opens.
const LINE: usize = 32;

/// How one `T` is removed; answers how many files were.
type Remove<T> = fn(&T) -> io::Result<u32>;

struct Removal<T> {
    what: T,
    done: oneshot::Sender<io::Result<u32>>,
}

struct Line<T> {
    waiting: VecDeque<Removal<T>>,
    lanes: usize,
}

/// The line of removals of one store of files. Cheap to clone.
pub(super) struct Removals<T> {
    line: Arc<Mutex<Line<T>>>,
    remove: Remove<T>,
}

impl<T> Clone for Removals<T> {
    fn clone(&self) -> Self {
        Self { line: Arc::clone(&self.line), remove: self.remove }
    }
}

impl<T> std::fmt::Debug for Removals<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Removals").finish_non_exhaustive()
    }
}

impl<T: Send + 'static> Removals<T> {
    /// A line in which each is removed by `remove`.
    pub(super) fn new(remove: Remove<T>) -> Self {
        let line = Line { waiting: VecDeque::new(), lanes: 0 };
        Self { line: Arc::new(Mutex::new(line)), remove }
    }

    /// Removes `what` when its turn comes. A caller that goes away does not stop the removal.
    pub(super) async fn remove(&self, what: T) -> io::Result<u32> {
        let (done, answer) = oneshot::channel();
        if self.join(Removal { what, done }) {
            let removals = self.clone();
            tokio::task::spawn_blocking(move || removals.serve());
        }
        answer.await.unwrap_or_else(|_| Err(io::Error::other("the removal was cut off")))
    }

    /// Lines up; says whether the caller opens a lane.
    fn join(&self, removal: Removal<T>) -> bool {
        let mut line = self.line();
        line.waiting.push_back(removal);
        let opens =
            line.lanes == 0 || (line.lanes < LANES && line.waiting.len() > line.lanes * LINE);
        line.lanes += usize::from(opens);
        opens
    }

    /// Serves the line until it is empty, and closes the lane. A removal that panics fails alone:
    /// the lane goes on, or whoever lined up meanwhile would wait for ever.
    fn serve(&self) {
        while let Some(Removal { what, done }) = self.next() {
            let removed = catch_unwind(AssertUnwindSafe(|| (self.remove)(&what)));
            let removed = removed.unwrap_or_else(|_| Err(io::Error::other("the removal panicked")));
            // Whoever asked may have gone.
            let _ = done.send(removed);
        }
    }

    /// The first in the line. Where there is none the lane closes in the same step, so that
    /// nobody lines up behind a lane that is about to close.
    fn next(&self) -> Option<Removal<T>> {
        let mut line = self.line();
        let next = line.waiting.pop_front();
        line.lanes -= usize::from(next.is_none());
        next
    }

    fn line(&self) -> MutexGuard<'_, Line<T>> {
        // Each change is whole when it is made.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;

    use super::*;

    static AT_ONCE: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);

    fn counted(wanted: &[u32; 4]) -> io::Result<u32> {
        let now = AT_ONCE.fetch_add(1, Ordering::SeqCst) + 1;
        MOST.fetch_max(now, Ordering::SeqCst);
        std::thread::yield_now();
        AT_ONCE.fetch_sub(1, Ordering::SeqCst);
        if wanted[0] == u32::MAX { Err(io::Error::other("no number")) } else { Ok(wanted[0]) }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_removal_gets_its_own_answer_over_a_bounded_number_of_lanes() {
        let removals = Removals::new(counted);
        for count in [1, 1_000, 3] {
            let calls = (0..count).map(|number| removals.remove([number; 4]));
            let answers = join_all(calls).await;

            for (number, answer) in answers.into_iter().enumerate() {
                assert_eq!(answer.unwrap(), u32::try_from(number).unwrap());
            }
        }
        assert!(removals.remove([u32::MAX; 4]).await.is_err());
        assert!((1..=LANES).contains(&MOST.load(Ordering::SeqCst)));
        assert!(removals.line().waiting.is_empty());
    }

    #[tokio::test]
    async fn a_removal_that_panics_blocks_nobody() {
        let removals = Removals::new(|name| {
            assert!(*name != "bad", "a panic of the removal");
            Ok(1)
        });

        assert!(removals.remove("bad").await.is_err());
        assert_eq!(removals.remove("good").await.unwrap(), 1);
    }
}
