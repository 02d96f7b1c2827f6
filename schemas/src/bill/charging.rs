//! Cards that are charged without the provider's page: nothing happens but by Feat's own call, so the
//! bill says before that call that it is made.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Attempt, AttemptState, BillRecord, BillRefusal};
use crate::time::Timestamp;

/// The card of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CardUse {
    /// Its number, masked.
    pub shown: String,
    /// When the provider was first asked to charge it; absent while nobody can have paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charged_at: Option<Timestamp>,
    /// When it was last asked to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
}

impl CardUse {
    pub(super) const fn of(shown: String) -> Self {
        Self { shown, charged_at: None, sent_at: None }
    }
}

impl Attempt {
    /// Whether its card was charged, as far as Feat's own calls go, and its end is not known.
    #[must_use]
    pub fn is_charging(&self) -> bool {
        self.is_charged() && self.state == AttemptState::Open
    }

    /// Whether its provider was asked to charge its card.
    #[must_use]
    pub fn is_charged(&self) -> bool {
        self.card.as_ref().is_some_and(|card| card.charged_at.is_some())
    }

    /// Whether it is one of a card that was never charged: no provider knows of it, and nobody but
    /// Feat can make it paid.
    #[must_use]
    pub fn is_uncharged(&self) -> bool {
        self.card.as_ref().is_some_and(|card| card.charged_at.is_none())
    }
}

impl BillRecord {
    /// Whether a card may be charged: one at a time, because a charge whose end is not known and
    /// another one after it may both take the money.
    ///
    /// # Errors
    ///
    /// [`BillRefusal::Charging`].
    pub fn may_charge(&self) -> Result<(), BillRefusal> {
        if self.attempts.iter().any(Attempt::is_charging) {
            return Err(BillRefusal::Charging);
        }
        Ok(())
    }

    /// The attempt whose card has this digest and waits to be charged, the latest one.
    #[must_use]
    pub fn chargeable(&self, digest: &str) -> Option<&Attempt> {
        self.attempts.iter().rfind(|attempt| {
            attempt.state == AttemptState::Open
                && attempt.is_uncharged()
                && attempt.payer.as_deref() == Some(digest)
        })
    }

    /// Notes that the card of attempt `number` is about to be charged, for the first time or once
    /// more under the same number: save it before the call.
    ///
    /// # Errors
    ///
    /// What [`Self::may_pay`] says; [`BillRefusal::Charging`] while another card is charged;
    /// [`BillRefusal::Ended`] when the attempt has ended or is none of a card;
    /// [`BillRefusal::Unheard`].
    pub fn charge(mut self, number: u32, now: Timestamp) -> Result<Self, BillRefusal> {
        self.may_pay(now)?;
        if self.attempts.iter().any(|one| one.number != number && one.is_charging()) {
            return Err(BillRefusal::Charging);
        }
        let attempt = self.attempt_mut(number)?;
        let (AttemptState::Open, Some(card)) = (attempt.state, &mut attempt.card) else {
            return Err(BillRefusal::Ended);
        };
        card.charged_at.get_or_insert(now);
        card.sent_at = Some(now);
        Ok(self.changed(now))
    }

    /// Gives up every card that was never charged: a new one takes its place.
    pub(super) fn drop_cards(&mut self) {
        for attempt in &mut self.attempts {
            let open = matches!(attempt.state, AttemptState::Sent | AttemptState::Open);
            if open && attempt.is_uncharged() {
                attempt.state = AttemptState::Closed;
            }
        }
    }
}
