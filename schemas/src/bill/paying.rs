//! How a bill is paid: attempts, what the provider offers, and payments.

use super::{
    Attempt, AttemptState, BillRecord, BillRefusal, CardUse, MAX_ATTEMPTS, Offer, Payment, Refund,
    RefundState, Source, Surplus,
};
use crate::{
    money::Fen,
    payment::{Channel, Scene},
    time::Timestamp,
};

/// Who wants to pay, and how. Two calls that agree in all of it mean the same attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// Through which provider.
    pub channel: Channel,
    /// From what kind of client.
    pub scene: Scene,
    /// Whether the payer is shown a code instead of the provider's page.
    pub code: bool,
    /// Name of the configured app.
    pub app: String,
    /// Digest of the payer's account or card, where the provider asks for it.
    pub account: Option<String>,
    /// The card's masked number, when a card is charged without the provider's page.
    pub card: Option<String>,
}

/// A payment as its provider tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paid {
    /// The provider's number.
    pub transaction_id: String,
    /// The order's sum.
    pub amount: Fen,
    /// When the payer paid, by the provider's clock.
    pub at: Timestamp,
}

/// What a confirmed payment means for the bill.
#[derive(Debug, Clone, PartialEq)]
pub enum PaymentNews {
    /// It is the payment that counts: save this.
    Counted(BillRecord),
    /// It does not count: save this, with its held refund, and raise the alarm.
    Surplus(BillRecord, Surplus),
    /// It was known before: there is nothing to save.
    Known,
    /// It contradicts what the same attempt's provider said before: save this, which keeps the
    /// first truth and notes the contradiction, and raise the alarm.
    Contradiction(BillRecord),
}

impl Way {
    fn is_of(&self, attempt: &Attempt) -> bool {
        attempt.channel == self.channel
            && attempt.scene == self.scene
            && attempt.code == self.code
            && attempt.app == self.app
            && attempt.payer == self.account
            && attempt.card.is_some() == self.card.is_some()
    }
}

impl BillRecord {
    /// The attempt of this way that should be used at `now`, by its ordinal: the latest one while it is
    /// under way or its offer can be used, else the next one.
    #[must_use]
    pub fn ordinal_for(&self, way: &Way, now: Timestamp) -> u32 {
        let latest = self.attempts.iter().rfind(|attempt| way.is_of(attempt));
        match latest {
            None => 0,
            Some(attempt) => attempt.ordinal + u32::from(!is_usable(attempt, now)),
        }
    }

    /// The attempt of this way with this ordinal, if it was begun.
    #[must_use]
    pub fn attempt_by(&self, way: &Way, ordinal: u32) -> Option<&Attempt> {
        self.attempts.iter().find(|one| one.ordinal == ordinal && way.is_of(one))
    }

    /// Whether a payer may be given anything to pay the bill with at `now`.
    ///
    /// # Errors
    ///
    /// [`BillRefusal::Paid`], [`BillRefusal::Closed`] or [`BillRefusal::Overdue`].
    pub fn may_pay(&self, now: Timestamp) -> Result<(), BillRefusal> {
        if self.payment().is_some() {
            return Err(BillRefusal::Paid);
        }
        if self.closing.is_some() {
            return Err(BillRefusal::Closed);
        }
        if now >= self.expires_at {
            return Err(BillRefusal::Overdue);
        }
        Ok(())
    }

    /// Whether another attempt may begin at `now`.
    ///
    /// # Errors
    ///
    /// As [`Self::may_pay`], or [`BillRefusal::TooManyAttempts`].
    pub fn may_begin(&self, now: Timestamp) -> Result<(), BillRefusal> {
        self.may_pay(now)?;
        if self.attempts.len() >= MAX_ATTEMPTS {
            return Err(BillRefusal::TooManyAttempts);
        }
        Ok(())
    }

    /// Begins the attempt of this way with this ordinal: save it before the provider is called. The
    /// attempt is the last of the list.
    ///
    /// # Errors
    ///
    /// [`BillRefusal`], as [`Self::may_begin`]; of a card also as [`Self::may_charge`].
    pub fn begin_attempt(
        mut self,
        way: &Way,
        ordinal: u32,
        now: Timestamp,
    ) -> Result<Self, BillRefusal> {
        self.may_begin(now)?;
        if way.card.is_some() {
            self.may_charge()?;
            self.drop_cards();
        }
        // At most `MAX_ATTEMPTS`, so the number fits.
        let number = u32::try_from(self.attempts.len()).unwrap_or(u32::MAX) + 1;
        self.attempts.push(Attempt {
            number,
            channel: way.channel,
            scene: way.scene,
            code: way.code,
            app: way.app.clone(),
            payer: way.account.clone(),
            card: way.card.clone().map(CardUse::of),
            ordinal,
            key: self.id.attempt_key(number),
            sent_at: now,
            state: AttemptState::Sent,
            hold: None,
            offer: None,
            refused: None,
        });
        Ok(self.changed(now))
    }

    /// Keeps what the provider gave for the client. An attempt that was paid or closed meanwhile
    /// stays so.
    ///
    /// # Errors
    ///
    /// [`BillRefusal::Unheard`]; [`BillRefusal::Ended`] when the attempt has ended, or what
    /// [`Self::may_pay`] says: no client may get the offer.
    pub fn offer(mut self, number: u32, offer: Offer, now: Timestamp) -> Result<Self, BillRefusal> {
        let payable = self.may_pay(now);
        let attempt = self.attempt_mut(number)?;
        if !matches!(attempt.state, AttemptState::Sent | AttemptState::Open) {
            return Err(BillRefusal::Ended);
        }
        payable?;
        attempt.state = AttemptState::Open;
        attempt.hold = None;
        attempt.offer = Some(offer);
        Ok(self.changed(now))
    }

    /// Notes that the provider refused to make the trade, or to charge the card: the attempt is over.
    /// Of a charge whose end was heard before its answer this gives the reason.
    ///
    /// # Errors
    ///
    /// As [`Self::offer`].
    pub fn refuse_attempt(
        mut self,
        number: u32,
        code: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<Self, BillRefusal> {
        let attempt = self.attempt_mut(number)?;
        let refusable = match attempt.state {
            AttemptState::Sent => true,
            AttemptState::Open | AttemptState::Closed => attempt.is_charged(),
            AttemptState::Paid | AttemptState::Refused => false,
        };
        if !refusable {
            return Err(BillRefusal::Ended);
        }
        attempt.state = AttemptState::Refused;
        attempt.hold = None;
        attempt.refused = Some(code.to_owned());
        self.note(Source::Answer, by, &format!("attempt {number} refused: {code}"), now);
        Ok(self.changed(now))
    }

    /// Notes that the attempt cannot be paid any more.
    ///
    /// # Errors
    ///
    /// [`BillRefusal::Ended`] when it has ended already.
    pub fn close_attempt(
        mut self,
        number: u32,
        source: Source,
        by: &str,
        now: Timestamp,
    ) -> Result<Self, BillRefusal> {
        let attempt = self.attempt_mut(number)?;
        if !matches!(attempt.state, AttemptState::Sent | AttemptState::Open) {
            return Err(BillRefusal::Ended);
        }
        attempt.state = AttemptState::Closed;
        self.note(source, by, &format!("attempt {number} closed"), now);
        Ok(self.changed(now))
    }

    /// Takes in that the provider has confirmed a payment of attempt `number`.
    ///
    /// The first one of the owed sum on a bill that is not closed counts, for ever. Any other is a
    /// surplus and opens a held refund of its whole sum. Hearing the same again changes nothing.
    ///
    /// # Errors
    ///
    /// [`BillRefusal::Unheard`] when there is no such attempt.
    pub fn pay(
        mut self,
        number: u32,
        paid: &Paid,
        source: Source,
        by: &str,
        now: Timestamp,
    ) -> Result<PaymentNews, BillRefusal> {
        self.attempt(number).ok_or(BillRefusal::Unheard)?;
        if let Some(known) = self.payments.iter().find(|payment| payment.attempt == number) {
            if known.transaction_id == paid.transaction_id && known.amount == paid.amount {
                return Ok(PaymentNews::Known);
            }
            let what = format!(
                "attempt {number} contradicted: transaction {} over {}",
                paid.transaction_id, paid.amount
            );
            if self.evidence.iter().any(|one| one.what == what) {
                return Ok(PaymentNews::Known);
            }
            self.note(source, by, &what, now);
            return Ok(PaymentNews::Contradiction(self.changed(now)));
        }
        let surplus = self.surplus_of(paid);
        self.attempt_mut(number)?.state = AttemptState::Paid;
        self.payments.push(Payment {
            attempt: number,
            transaction_id: paid.transaction_id.clone(),
            amount: paid.amount,
            paid_at: paid.at,
            heard_at: now,
            surplus,
            listed_on: None,
        });
        let what = format!("attempt {number} paid: transaction {}", paid.transaction_id);
        self.note(source, by, &what, now);
        let Some(surplus) = surplus else {
            // A closing that had not come to its end is overtaken by the payment.
            self.closing = None;
            return Ok(PaymentNews::Counted(self.changed(now)));
        };
        self.hold_refund(number, paid.amount, surplus, now);
        Ok(PaymentNews::Surplus(self.changed(now), surplus))
    }

    fn surplus_of(&self, paid: &Paid) -> Option<Surplus> {
        if self.payment().is_some() {
            Some(Surplus::SecondPayment)
        } else if self.closing.is_some_and(|closing| closing.done_at.is_some()) {
            Some(Surplus::AfterClose)
        } else if paid.amount != self.amount {
            Some(Surplus::OtherAmount)
        } else {
            None
        }
    }

    /// Opens a refund that waits for an operator's approval.
    pub(super) fn hold_refund(
        &mut self,
        attempt: u32,
        amount: Fen,
        surplus: Surplus,
        now: Timestamp,
    ) {
        let number = self.next_refund();
        self.refunds.push(Refund {
            number,
            attempt,
            key: self.id.refund_key(number),
            amount,
            reason: surplus.name().to_owned(),
            state: RefundState::Held,
            surplus: Some(surplus),
            job: None,
            provider_id: None,
            refused: None,
            opened_at: now,
            sent_at: None,
            ended_at: None,
            listed_on: None,
        });
    }

    pub(super) fn next_refund(&self) -> u32 {
        // `MAX_REFUNDS`, `MAX_ATTEMPTS` and `MAX_RENEWALS` together at most, so the number fits.
        u32::try_from(self.refunds.len()).unwrap_or(u32::MAX) + 1
    }
}

fn is_usable(attempt: &Attempt, now: Timestamp) -> bool {
    match attempt.state {
        AttemptState::Sent => true,
        AttemptState::Open => attempt.offer.as_ref().is_none_or(|offer| now < offer.until),
        AttemptState::Paid | AttemptState::Closed | AttemptState::Refused => false,
    }
}
