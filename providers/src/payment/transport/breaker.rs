//! A circuit breaker: after a row of failures nothing is sent for a while, then one probe.
//!
//! A pure state machine on a clock that is given to it.

use std::time::{Duration, Instant};

/// Failures in a row that open the circuit.
const FAILURES: u32 = 10;

/// First pause, doubled after each failed probe.
const PAUSE: Duration = Duration::from_secs(5);

/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

#[derive(Debug, Default)]
pub(super) struct Breaker {
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Requests pass; so many failed in a row.
    Closed { failures: u32 },
    /// Nothing passes before `until`.
    Open { until: Instant, pause: Duration },
    /// One request is out to see whether the provider works again. If its end is never heard
    /// of, another may go at `until`.
    Probing { until: Instant, pause: Duration },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// Whether a request may be sent now; if not, how long to wait.
    pub(super) fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        match self.state {
            State::Closed { .. } => Ok(()),
            State::Open { until, pause } | State::Probing { until, pause } if until <= now => {
                self.state = State::Probing { until: now + pause, pause };
                Ok(())
            }
            State::Open { until, .. } | State::Probing { until, .. } => {
                Err(until.saturating_duration_since(now))
            }
        }
    }

    /// Notes how an admitted request ended.
    pub(super) fn record(&mut self, worked: bool, now: Instant) {
        self.state = match (self.state, worked) {
            (_, true) => State::default(),
            (State::Closed { failures }, false) if failures + 1 < FAILURES => {
                State::Closed { failures: failures + 1 }
            }
            (State::Closed { .. }, false) => State::Open { until: now + PAUSE, pause: PAUSE },
            (State::Probing { pause, .. }, false) => {
                let pause = (pause * 2).min(LONGEST_PAUSE);
                State::Open { until: now + pause, pause }
            }
            // A request that was admitted before the circuit opened.
            (open @ State::Open { .. }, false) => open,
        };
    }

    /// 0 closed, 1 probing, 2 open.
    pub(super) fn gauge(&self, now: Instant) -> f64 {
        match self.state {
            State::Closed { .. } => 0.0,
            State::Probing { .. } => 1.0,
            State::Open { until, .. } => {
                if until <= now {
                    1.0
                } else {
                    2.0
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES {
            assert_eq!(breaker.admit(now), Ok(()));
            breaker.record(false, now);
        }
        breaker
    }

    #[test]
    fn a_row_of_failures_opens_it_and_a_success_breaks_the_row() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for turn in 0..100 {
            breaker.record(turn % 5 == 0, now);
            assert_eq!(breaker.admit(now), Ok(()), "turn {turn}");
        }
        assert_eq!(opened(now).admit(now), Err(PAUSE));
    }

    #[test]
    fn one_probe_goes_after_the_pause() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let later = now + PAUSE;

        assert_eq!(breaker.admit(later), Ok(()));
        assert_eq!(breaker.admit(later), Err(PAUSE), "a second probe");
        breaker.record(true, later);
        assert_eq!(breaker.admit(later), Ok(()));
    }

    #[test]
    fn failed_probes_lengthen_the_pause_up_to_a_bound() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        let mut pauses = Vec::new();
        for _ in 0..6 {
            let wait = breaker.admit(now).err().unwrap_or_default();
            pauses.push(wait.as_secs());
            now += wait;
            assert_eq!(breaker.admit(now), Ok(()));
            breaker.record(false, now);
        }
        assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
    }

    #[test]
    fn a_probe_that_is_never_heard_of_does_not_hold_the_circuit_open() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let probe = now + PAUSE;

        assert_eq!(breaker.admit(probe), Ok(()));
        assert_eq!(breaker.admit(probe + PAUSE), Ok(()));
    }

    #[test]
    fn late_failures_do_not_lengthen_the_pause() {
        let now = Instant::now();
        let mut breaker = opened(now);
        breaker.record(false, now + Duration::from_secs(1));

        assert_eq!(breaker.admit(now + PAUSE), Ok(()));
    }
}
