//! Points at which a test kills the process, as the operating system would.
//!
//! Without the feature `fault-points` nothing of this is in the program.

/// Ends the process with SIGKILL when `FEAT_FAULT=name:n` is set and `name` is passed for the
/// n-th time.
#[cfg(feature = "fault-points")]
pub(crate) fn point(name: &str) {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    };

    static WANTED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);

    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("FEAT_FAULT").ok()?;
        let (name, nth) = text.rsplit_once(':')?;
        Some((name.to_owned(), nth.parse().ok()?))
    });
    let Some((point, nth)) = wanted else { return };
    if point == name && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *nth {
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Nothing.
#[cfg(not(feature = "fault-points"))]
#[inline]
pub(crate) const fn point(_: &str) {}
