//! Points at which tests kill the process, to prove that nothing accepted is lost.
//!
//! Without the feature `fault-points`, which no release has, a point is nothing at all.

/// Kills this process with SIGKILL when `FEAT_FAULT` is `{name}:{n}` and the point called `name`
/// is passed for the n-th time, counted from 1.
#[cfg(feature = "fault-points")]
pub fn point(name: &str) {
    use std::sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    };

    static WANTED: LazyLock<Option<(String, u64)>> = LazyLock::new(|| {
        let wanted = std::env::var("FEAT_FAULT").ok()?;
        let (name, count) = wanted.rsplit_once(':')?;
        Some((name.to_owned(), count.parse().ok()?))
    });
    static PASSES: AtomicU64 = AtomicU64::new(0);

    let Some((wanted, count)) = &*WANTED else { return };
    if wanted == name && PASSES.fetch_add(1, Ordering::Relaxed) + 1 == *count {
        // There is nothing to do about a failure; the test then notices that the process lives.
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Nothing: this build has no fault points.
#[cfg(not(feature = "fault-points"))]
#[inline]
pub const fn point(_name: &str) {}
