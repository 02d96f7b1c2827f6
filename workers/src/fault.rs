//! Points at which a test ends the process, as the operating system would, or one worker among
//! several in its own process.
//!
//! Without the feature `fault-points` nothing of this is in the program.

#[cfg(feature = "fault-points")]
mod armed {
    use std::{
        cell::RefCell,
        sync::{
            Arc, OnceLock,
            atomic::{AtomicU64, Ordering},
        },
    };

    /// Says whether a run of a job ends at a point: gets the point's name and the job's kind.
    pub type Trap = Arc<dyn Fn(&str, &str) -> bool + Send + Sync>;

    thread_local! {
        static TRAP: RefCell<Option<Trap>> = const { RefCell::new(None) };
    }

    /// Arms this thread: what runs on it stands still for ever at the point where `trap` says
    /// yes. Whoever sets the trap ends the thread's runtime then.
    pub fn arm_thread(trap: Trap) {
        TRAP.set(Some(trap));
    }

    /// Ends the process with SIGKILL when `FEAT_FAULT=name:n` is set and `name` is passed for the
    /// n-th time; stands still when this thread is armed and its trap says so.
    pub(crate) async fn point(name: &str, kind: &str) {
        kill_process(name);
        let trapped = TRAP.with_borrow(|trap| trap.as_ref().is_some_and(|trap| trap(name, kind)));
        if trapped {
            std::future::pending::<()>().await;
        }
    }

    fn kill_process(name: &str) {
        static WANTED: OnceLock<Option<(String, u64)>> = OnceLock::new();
        static PASSED: AtomicU64 = AtomicU64::new(0);

        let wanted = WANTED.get_or_init(|| {
            let text = std::env::var("FEAT_FAULT").ok()?;
            let (name, nth) = text.rsplit_once(':')?;
            Some((name.to_owned(), nth.parse().ok()?))
        });
        let Some((point, nth)) = wanted else { return };
        if point == name && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *nth {
            let own = rustix::process::getpid();
            let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
        }
    }
}

#[cfg(feature = "fault-points")]
pub(crate) use armed::point;
#[cfg(feature = "fault-points")]
pub use armed::{Trap, arm_thread};

/// Nothing.
#[cfg(not(feature = "fault-points"))]
#[inline]
pub(crate) fn point(_: &str, _: &str) -> std::future::Ready<()> {
    std::future::ready(())
}
