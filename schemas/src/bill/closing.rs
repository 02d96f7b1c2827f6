//! How a bill that was not paid ends.

use super::{BillRecord, BillRefusal, Closing, ClosingReason};
use crate::time::Timestamp;

impl BillRecord {
    /// Begins to close the bill: from here on no attempt begins. Its open attempts have to be
    /// closed at their providers before [`Self::finish_closing`]; a payment that arrives until then
    /// still counts.
    ///
    /// # Errors
    ///
    /// [`BillRefusal::Paid`]; [`BillRefusal::Closed`] when it is closed or being closed already.
    pub fn begin_closing(
        mut self,
        reason: ClosingReason,
        now: Timestamp,
    ) -> Result<Self, BillRefusal> {
        if self.payment().is_some() {
            return Err(BillRefusal::Paid);
        }
        if self.closing.is_some() {
            return Err(BillRefusal::Closed);
        }
        self.closing = Some(Closing { reason, since: now, done_at: None });
        Ok(self.changed(now))
    }

    /// Closes the bill for good: a payment that arrives from here on is a surplus.
    ///
    /// # Errors
    ///
    /// [`BillRefusal::StillOpen`] while an attempt can be paid; [`BillRefusal::Paid`] when a payment
    /// was quicker; [`BillRefusal::Ended`] when there is nothing to finish.
    pub fn finish_closing(mut self, now: Timestamp) -> Result<Self, BillRefusal> {
        if self.payment().is_some() {
            return Err(BillRefusal::Paid);
        }
        if self.payable().next().is_some() {
            return Err(BillRefusal::StillOpen);
        }
        match &mut self.closing {
            Some(closing) if closing.done_at.is_none() => closing.done_at = Some(now),
            _ => return Err(BillRefusal::Ended),
        }
        Ok(self.changed(now))
    }
}
