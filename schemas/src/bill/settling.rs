//! What a named operator may say about what no provider tells: with evidence, and on record.

use super::{
    AttemptState, BillRecord, BillRefusal, Paid, PaymentNews, RefundNews, RefundState, Source,
};
use crate::time::Timestamp;

impl BillRecord {
    /// Takes the word of `operator` that attempt `number` was paid, or with `None` that it was not
    /// and cannot be any more.
    ///
    /// # Errors
    ///
    /// [`BillRefusal::Ended`] when the attempt's end is known; [`BillRefusal::Unheard`].
    pub fn settle_attempt(
        mut self,
        number: u32,
        paid: Option<&Paid>,
        operator: &str,
        evidence: &str,
        now: Timestamp,
    ) -> Result<PaymentNews, BillRefusal> {
        let attempt = self.attempt(number).ok_or(BillRefusal::Unheard)?;
        if !matches!(attempt.state, AttemptState::Sent | AttemptState::Open) {
            return Err(BillRefusal::Ended);
        }
        self.note(Source::Operator, operator, &format!("attempt {number}: {evidence}"), now);
        let Some(paid) = paid else {
            let closed = self.close_attempt(number, Source::Operator, operator, now)?;
            return Ok(PaymentNews::Counted(closed));
        };
        self.pay(number, paid, Source::Operator, operator, now)
    }

    /// Takes the word of `operator` that refund `number` reached the payer, or that it did not and
    /// never will.
    ///
    /// # Errors
    ///
    /// [`BillRefusal::Ended`] when the refund's end is known; [`BillRefusal::Unheard`].
    pub fn settle_refund(
        mut self,
        number: u32,
        succeeded: bool,
        operator: &str,
        evidence: &str,
        now: Timestamp,
    ) -> Result<RefundNews, BillRefusal> {
        let refund = self.refund(number).ok_or(BillRefusal::Unheard)?;
        if !refund.state.is_under_way() {
            return Err(BillRefusal::Ended);
        }
        self.note(Source::Operator, operator, &format!("refund {number}: {evidence}"), now);
        let (state, detail) = if succeeded {
            (RefundState::Succeeded, None)
        } else {
            (RefundState::Refused, Some("operator"))
        };
        self.hear_of_refund(number, state, detail, Source::Operator, operator, now)
    }
}
