//! Which worker acts on an attempt, while the job's own record does not say so.
//!
//! The save that begins an attempt can be made once, so whoever made it may go on to the provider
//! without a second record that says the same: until the hold ends, or for good once the attempt has
//! an offer or was refused.

use super::{Attempt, AttemptState, BillRecord, BillRefusal};
use crate::{job::Lease, time::Timestamp};

impl BillRecord {
    /// Gives the attempt that [`Self::begin_attempt`] has just begun to one worker; both are one
    /// change.
    #[must_use]
    pub fn held_by(mut self, hold: Lease) -> Self {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.hold = Some(hold);
        }
        self
    }

    /// Notes that its holder is done with the attempt and that its provider was surely not reached:
    /// another run may begin at once.
    ///
    /// # Errors
    ///
    /// [`BillRefusal::Unheard`]; [`BillRefusal::Ended`] when nobody holds it.
    pub fn release_attempt(self, number: u32, now: Timestamp) -> Result<Self, BillRefusal> {
        self.end_hold(number, None, now)
    }

    /// Notes that its holder is done with the attempt and that its provider may have been reached:
    /// another run may ask at once.
    ///
    /// # Errors
    ///
    /// As [`Self::release_attempt`].
    pub fn doubt_attempt(self, number: u32, now: Timestamp) -> Result<Self, BillRefusal> {
        self.end_hold(number, Some(now), now)
    }

    fn end_hold(
        mut self,
        number: u32,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Self, BillRefusal> {
        let attempt = self.attempt_mut(number)?;
        let Some(hold) = attempt.hold.take().filter(|_| attempt.state == AttemptState::Sent) else {
            return Err(BillRefusal::Ended);
        };
        attempt.hold = until.map(|until| Lease { until, ..hold });
        Ok(self.changed(now))
    }
}

impl Attempt {
    /// Whether a worker took this attempt to its provider and has not said that nothing came of it:
    /// until when that worker may go on, which may be over. Whoever comes next notes the doubt and
    /// asks.
    #[must_use]
    pub fn held_until(&self) -> Option<Timestamp> {
        let hold = self.hold.as_ref().filter(|_| self.state == AttemptState::Sent)?;
        Some(hold.until)
    }
}
