//! Removals of folders, a few at a time however many are asked for.
//!
//! Names of one parent are removed one after the other by the kernel anyway: a thread for each
//! removal only makes threads that wait for each other. So removals line up, and a lane, one task
//! of the blocking pool, takes them in turn until none is left. A long line gets more lanes, for
//! the sake of file systems that are far away.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// Lanes at most.
const LANES: usize = 8;

/// Removals in the line for each lane before another one opens.
const LINE: usize = 32;

/// How one folder is removed; answers how many files were.
type Remove = fn(&Path) -> io::Result<u32>;

struct Removal {
    path: PathBuf,
    done: oneshot::Sender<io::Result<u32>>,
}

#[derive(Default)]
struct Line {
    waiting: VecDeque<Removal>,
    lanes: usize,
}

/// The line of removals of one store of files. Cheap to clone.
#[derive(Clone)]
pub(super) struct Removals {
    line: Arc<Mutex<Line>>,
    remove: Remove,
}

impl std::fmt::Debug for Removals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Removals").finish_non_exhaustive()
    }
}

impl Removals {
    /// A line in which each folder is removed by `remove`.
    pub(super) fn new(remove: Remove) -> Self {
        Self { line: Arc::default(), remove }
    }

    /// Removes `path` when its turn comes. A caller that goes away does not stop the removal.
    pub(super) async fn remove(&self, path: PathBuf) -> io::Result<u32> {
        let (done, answer) = oneshot::channel();
        if self.join(Removal { path, done }) {
            let removals = self.clone();
            tokio::task::spawn_blocking(move || removals.serve());
        }
        answer.await.unwrap_or_else(|_| Err(io::Error::other("the removal was cut off")))
    }

    /// Lines up; says whether the caller opens a lane.
    fn join(&self, removal: Removal) -> bool {
        let mut line = self.line();
        line.waiting.push_back(removal);
        let opens =
            line.lanes == 0 || (line.lanes < LANES && line.waiting.len() > line.lanes * LINE);
        line.lanes += usize::from(opens);
        opens
    }

    /// Serves the line until it is empty, and closes the lane.
    fn serve(&self) {
        let mut lane = Lane { removals: self, open: true };
        while let Some(Removal { path, done }) = lane.next() {
            // Whoever asked may have gone.
            let _ = done.send((self.remove)(&path));
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // Each change is whole when it is made.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open lane. It closes when it finds the line empty, in one step, so that nobody lines up
/// behind a lane that is about to close; and when a removal panics.
struct Lane<'a> {
    removals: &'a Removals,
    open: bool,
}

impl Lane<'_> {
    fn next(&mut self) -> Option<Removal> {
        let mut line = self.removals.line();
        let next = line.waiting.pop_front();
        if next.is_none() {
            line.lanes -= 1;
            self.open = false;
        }
        next
    }
}

impl Drop for Lane<'_> {
    fn drop(&mut self) {
        if self.open {
            self.removals.line().lanes -= 1;
        }
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

    fn counted(path: &Path) -> io::Result<u32> {
        let now = AT_ONCE.fetch_add(1, Ordering::SeqCst) + 1;
        MOST.fetch_max(now, Ordering::SeqCst);
        std::thread::yield_now();
        AT_ONCE.fetch_sub(1, Ordering::SeqCst);
        path.to_str().unwrap().parse().map_err(io::Error::other)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_removal_gets_its_own_answer_over_a_bounded_number_of_lanes() {
        let removals = Removals::new(counted);
        for count in [1, 1_000, 3] {
            let calls = (0..count).map(|number| removals.remove(number.to_string().into()));
            let answers = join_all(calls).await;

            for (number, answer) in answers.into_iter().enumerate() {
                assert_eq!(answer.unwrap(), u32::try_from(number).unwrap());
            }
        }
        assert!(removals.remove("no number".into()).await.is_err());
        assert!((1..=LANES).contains(&MOST.load(Ordering::SeqCst)));
        assert!(removals.line().waiting.is_empty());
    }

    #[tokio::test]
    async fn a_removal_that_panics_blocks_nobody() {
        let removals = Removals::new(|path| {
            assert!(path.as_os_str() != "bad", "a panic of the removal");
            Ok(1)
        });

        assert!(removals.remove("bad".into()).await.is_err());
        assert_eq!(removals.remove("good".into()).await.unwrap(), 1);
    }
}
