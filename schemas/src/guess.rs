//! How wrong passwords slow down whoever sends them.
//!
//! Failures are counted for a *source*: one account from one place, or one place alone. A few are
//! free, then each one doubles the pause before the next attempt. Nothing here locks an account:
//! whoever comes from elsewhere, or from a device that the account has signed in on, has a count
//! of its own.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// How failures turn into pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuessPolicy {
    /// Failures that cost nothing.
    pub free: u32,
    /// Pause after the first one beyond; each further one doubles it.
    pub first: Duration,
    /// Longest pause.
    pub longest: Duration,
    /// Time without a failure after which all are forgotten; longer than [`Self::longest`].
    pub memory: Duration,
}

impl GuessPolicy {
    /// The pause after so many failures.
    #[must_use]
    pub fn pause(&self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(self.free + 1) else { return Duration::ZERO };
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.longest)
    }
}

/// The recent failures of one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuessRecord {
    /// Digest of what the source is, so that no typed name is stored.
    pub id: String,
    /// Counts the saved changes, from 1.
    pub version: u64,
    /// Failures that are remembered.
    pub failures: u32,
    /// No attempt before this moment.
    pub blocked_until: Timestamp,
    /// From this moment on nothing is remembered, and the record may go.
    pub expires_at: Timestamp,
}

impl GuessRecord {
    /// The first failure of the source `id`.
    #[must_use]
    pub fn first(id: String, policy: &GuessPolicy, now: Timestamp) -> Self {
        let fresh = Self {
            id,
            version: 0,
            failures: 0,
            blocked_until: now,
            expires_at: now + policy.memory,
        };
        fresh.fail(policy, now)
    }

    /// One more failure.
    #[must_use]
    pub fn fail(mut self, policy: &GuessPolicy, now: Timestamp) -> Self {
        let before = if self.expires_at <= now { 0 } else { self.failures };
        self.version += 1;
        self.failures = before.saturating_add(1);
        self.blocked_until = now + policy.pause(self.failures);
        self.expires_at = now + policy.memory;
        self
    }

    /// The right password came: nothing is held against the source any more.
    #[must_use]
    pub fn forgive(mut self, now: Timestamp) -> Self {
        self.version += 1;
        self.failures = 0;
        self.blocked_until = now;
        self
    }

    /// How long the source has to wait at `now`; zero when it may try.
    #[must_use]
    pub fn wait(&self, now: Timestamp) -> Duration {
        self.blocked_until.since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: GuessPolicy = GuessPolicy {
        free: 3,
        first: Duration::from_secs(1),
        longest: Duration::from_secs(10),
        memory: Duration::from_mins(1),
    };

    #[test]
    fn pauses_double_up_to_the_longest() {
        let cases = [(0, 0), (3, 0), (4, 1), (5, 2), (6, 4), (7, 8), (8, 10), (100, 10)];
        for (failures, secs) in cases {
            assert_eq!(POLICY.pause(failures), Duration::from_secs(secs), "{failures} failures");
        }
    }

    #[test]
    fn failures_are_forgiven_by_the_right_password_and_forgotten_with_time() {
        let now = Timestamp::now();
        let mut record = GuessRecord::first("x".to_owned(), &POLICY, now);
        for _ in 0..4 {
            record = record.fail(&POLICY, now);
        }
        assert_eq!((record.failures, record.version), (5, 5));
        assert_eq!(record.wait(now), Duration::from_secs(2));
        assert_eq!(record.wait(now + Duration::from_secs(2)), Duration::ZERO);

        let forgiven = record.clone().forgive(now);
        assert_eq!((forgiven.failures, forgiven.wait(now)), (0, Duration::ZERO));
        let later = record.fail(&POLICY, now + Duration::from_mins(1));
        assert_eq!(later.failures, 1, "the earlier ones are forgotten");
    }
}
