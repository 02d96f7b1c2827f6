//! How often and how far apart a failed attempt is repeated.

use std::time::Duration;

/// A bounded number of attempts with doubling pauses between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    attempts: u32,
    first: Duration,
    cap: Duration,
}

impl RetryPolicy {
    /// At most `attempts` attempts (1 or more). The pause after the first failure lies between
    /// half of `first` and `first`; each further failure doubles it, up to `cap`.
    #[must_use]
    pub const fn doubling(attempts: u32, first: Duration, cap: Duration) -> Self {
        Self { attempts, first, cap }
    }

    /// Attempts that a job may spend before it is dead.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The pause after `spent` failed attempts. `jitter` between 0 and 1 spreads jobs that failed
    /// together over the later half of the pause.
    #[must_use]
    pub fn pause(&self, spent: u32, jitter: f64) -> Duration {
        let doublings = spent.saturating_sub(1).min(31);
        let full = self.first.saturating_mul(1 << doublings).min(self.cap);
        full.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_cap() {
        let policy = RetryPolicy::doubling(8, Duration::from_secs(1), Duration::from_mins(1));
        let cases = [
            ("first failure", 1, 1.0, 1_000),
            ("least jitter", 1, 0.0, 500),
            ("third failure", 3, 1.0, 4_000),
            ("cap", 20, 1.0, 60_000),
            ("no overflow", u32::MAX, 1.0, 60_000),
        ];
        for (name, spent, jitter, expected_ms) in cases {
            assert_eq!(policy.pause(spent, jitter).as_millis(), expected_ms, "{name}");
        }
    }
}
