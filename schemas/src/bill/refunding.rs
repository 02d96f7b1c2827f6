//! How money goes back.

use super::{BillRecord, BillRefusal, MAX_REFUNDS, MAX_RENEWALS, Refund, RefundState, Source};
use crate::{id::JobId, money::Fen, time::Timestamp};

/// What a provider's word about a refund means for the bill.
#[derive(Debug, Clone, PartialEq)]
pub enum RefundNews {
    /// Save this.
    Changed(BillRecord),
    /// It was known before: there is nothing to save.
    Known,
    /// It contradicts what is recorded: save this, which keeps the first truth and notes the
    /// contradiction, and raise the alarm.
    Contradiction(BillRecord),
}

impl BillRecord {
    /// The refund that `job` asked for, if it came to that.
    #[must_use]
    pub fn refund_by(&self, job: JobId) -> Option<&Refund> {
        self.refunds.iter().find(|refund| refund.job == Some(job))
    }

    /// Whether `amount` of the payment that counts may be paid back.
    ///
    /// # Errors
    ///
    /// [`BillRefusal`] says why not.
    pub fn may_refund(&self, amount: Fen) -> Result<(), BillRefusal> {
        let payment = self.payment().ok_or(BillRefusal::NotPaid)?;
        if self.taken(payment.attempt) + amount.get() > payment.amount.get() {
            return Err(BillRefusal::ExceedsPaid);
        }
        let asked = self.refunds.iter().filter(|refund| refund.surplus.is_none()).count();
        if asked >= MAX_REFUNDS { Err(BillRefusal::TooManyRefunds) } else { Ok(()) }
    }

    /// Opens a refund of the payment that counts on behalf of `job`, as the last of the list: save
    /// it before the provider is called. From here on its sum is taken.
    ///
    /// # Errors
    ///
    /// As [`Self::may_refund`].
    pub fn begin_refund(
        mut self,
        job: JobId,
        amount: Fen,
        reason: &str,
        now: Timestamp,
    ) -> Result<Self, BillRefusal> {
        self.may_refund(amount)?;
        let attempt = self.payment().ok_or(BillRefusal::NotPaid)?.attempt;
        let number = self.next_refund();
        self.refunds.push(Refund {
            number,
            attempt,
            key: self.id.refund_key(number),
            amount,
            reason: reason.to_owned(),
            state: RefundState::Sent,
            surplus: None,
            job: Some(job),
            provider_id: None,
            refused: None,
            opened_at: now,
            sent_at: Some(now),
            ended_at: None,
            listed_on: None,
        });
        Ok(self.changed(now))
    }

    /// Gives a held refund, which `operator` has approved for `reason`, to `job`: save it before
    /// the provider is called.
    ///
    /// # Errors
    ///
    /// [`BillRefusal::Ended`] when the refund is not held any more.
    pub fn approve_refund(
        mut self,
        number: u32,
        job: JobId,
        operator: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<Self, BillRefusal> {
        let refund = self.refund_mut(number)?;
        if refund.state != RefundState::Held {
            return Err(BillRefusal::Ended);
        }
        refund.state = RefundState::Sent;
        refund.job = Some(job);
        refund.sent_at = Some(now);
        let what = format!("refund {number} approved: {reason}");
        self.note(Source::Operator, operator, &what, now);
        Ok(self.changed(now))
    }

    /// Decides against a held refund.
    ///
    /// # Errors
    ///
    /// [`BillRefusal::Ended`] when the refund is not held any more.
    pub fn drop_refund(
        mut self,
        number: u32,
        operator: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<Self, BillRefusal> {
        let refund = self.refund_mut(number)?;
        if refund.state != RefundState::Held {
            return Err(BillRefusal::Ended);
        }
        refund.state = RefundState::Dropped;
        refund.ended_at = Some(now);
        let what = format!("refund {number} dropped: {reason}");
        self.note(Source::Operator, operator, &what, now);
        Ok(self.changed(now))
    }

    /// Notes that refund `number` is sent anew at `now`, because nothing of it has left until then:
    /// save it before the provider is called.
    ///
    /// # Errors
    ///
    /// [`BillRefusal::Ended`] when the provider was heard of it, or nobody sends it.
    pub fn send_refund(mut self, number: u32, now: Timestamp) -> Result<Self, BillRefusal> {
        let refund = self.refund_mut(number)?;
        if refund.state != RefundState::Sent {
            return Err(BillRefusal::Ended);
        }
        refund.sent_at = Some(now);
        Ok(self.changed(now))
    }

    /// Takes in where the provider says that refund `number` stands: one of
    /// [`RefundState::Processing`], `Abnormal`, `Succeeded` or `Refused`; `detail` is the
    /// provider's number of the refund, or its code when it refused.
    ///
    /// Success stays, whatever comes later, and so does a refusal unless the money went back after
    /// all and the sums allow for it. When a payment that does not count is not paid back because its
    /// refund is refused, another refund of the same sum is held, up to [`MAX_RENEWALS`] times; it is
    /// dropped when the refused one goes on after all.
    ///
    /// # Errors
    ///
    /// [`BillRefusal::Unheard`] when there is no such refund, or it was never sent.
    pub fn hear_of_refund(
        mut self,
        number: u32,
        state: RefundState,
        detail: Option<&str>,
        source: Source,
        by: &str,
        now: Timestamp,
    ) -> Result<RefundNews, BillRefusal> {
        let refund = self.refund(number).ok_or(BillRefusal::Unheard)?;
        let step = match (refund.state, state) {
            (RefundState::Held | RefundState::Dropped, _) => return Err(BillRefusal::Unheard),
            (_, RefundState::Held | RefundState::Sent | RefundState::Dropped) => Step::Stay,
            (known, heard) if known == heard => Step::Stay,
            (RefundState::Succeeded, RefundState::Processing | RefundState::Abnormal) => Step::Stay,
            (RefundState::Succeeded, _) => Step::Contradict,
            (RefundState::Refused, _) if !self.has_room_for(refund) => Step::Contradict,
            _ => Step::Move,
        };
        let said = detail.unwrap_or_default();
        let what = format!("refund {number} {}: {said}", state.name());
        match step {
            Step::Stay => Ok(RefundNews::Known),
            Step::Contradict if self.evidence.iter().any(|one| one.what == what) => {
                Ok(RefundNews::Known)
            }
            Step::Contradict => {
                self.note(source, by, &what, now);
                Ok(RefundNews::Contradiction(self.changed(now)))
            }
            Step::Move => {
                self.note(source, by, &what, now);
                self.move_refund(number, state, detail, (source, by), now)?;
                Ok(RefundNews::Changed(self.changed(now)))
            }
        }
    }

    fn move_refund(
        &mut self,
        number: u32,
        state: RefundState,
        detail: Option<&str>,
        (source, by): (Source, &str),
        now: Timestamp,
    ) -> Result<(), BillRefusal> {
        let refund = self.refund_mut(number)?;
        refund.state = state;
        let ended = matches!(state, RefundState::Succeeded | RefundState::Refused);
        refund.ended_at = ended.then_some(now);
        let detail = detail.map(str::to_owned);
        match state {
            RefundState::Refused => refund.refused = detail,
            _ => refund.provider_id = detail.or(refund.provider_id.take()),
        }
        let (attempt, amount, surplus) = (refund.attempt, refund.amount, refund.surplus);
        match (state, surplus) {
            (RefundState::Refused, Some(surplus)) if self.renewals() < MAX_RENEWALS => {
                self.hold_refund(attempt, amount, surplus, now);
            }
            (RefundState::Refused, _) | (_, None) => {}
            // It goes on after all: what was held in its place is not needed.
            (_, Some(_)) => {
                if let Some(held) = self.held_of(attempt).map(|refund| refund.number) {
                    let refund = self.refund_mut(held)?;
                    refund.state = RefundState::Dropped;
                    refund.ended_at = Some(now);
                    let what = format!("refund {held} dropped: refund {number} goes on");
                    self.note(source, by, &what, now);
                }
            }
        }
        Ok(())
    }

    /// How many refunds were opened in place of a refused one.
    fn renewals(&self) -> usize {
        let opened = self.refunds.iter().filter(|refund| refund.surplus.is_some()).count();
        let first = self.payments.iter().filter(|payment| payment.surplus.is_some()).count();
        opened.saturating_sub(first)
    }

    /// The refund of `attempt` that waits for an operator.
    fn held_of(&self, attempt: u32) -> Option<&Refund> {
        let held =
            |refund: &&Refund| refund.attempt == attempt && refund.state == RefundState::Held;
        self.refunds.iter().find(held)
    }

    /// Whether the sum of a refund that was given up could be taken again. What is held in its place
    /// was never sent, so it makes room.
    fn has_room_for(&self, refund: &Refund) -> bool {
        let payment = self.payments.iter().find(|payment| payment.attempt == refund.attempt);
        let held = self.held_of(refund.attempt).map_or(0, |held| held.amount.get());
        payment.is_some_and(|payment| {
            self.taken(payment.attempt) - held + refund.amount.get() <= payment.amount.get()
        })
    }
}

enum Step {
    Stay,
    Move,
    Contradict,
}
