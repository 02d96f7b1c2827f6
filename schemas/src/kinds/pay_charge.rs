//! Charges a card without the provider's page.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pay_query::PayStanding;
use crate::{
    bill::BillSn,
    card::SealedCard,
    job::{Claim, CutOff, Job, RetryPolicy},
    queue::Queue,
    scope::Scope,
};

/// Charges the card of an attempt, with the code that its holder got by text message.
///
/// One attempt is charged once: that it is charged is saved before the provider is called, and a run
/// that finds it asks before it calls again, under the same number. Done when the provider has
/// accepted it; looks at its further way follow by themselves.
pub enum PayCharge {}

impl Job for PayCharge {
    const KIND: &'static str = "pay.charge";
    const QUEUE: Queue = Queue::Payments;
    const RETRY: RetryPolicy =
        RetryPolicy::doubling(12, Duration::from_secs(1), Duration::from_mins(5));
    const TIMEOUT: Duration = Duration::from_secs(30);
    const CLAIM: Claim = Claim::Always;
    const CUT_OFF: CutOff = CutOff::Ask;
    const SCOPE: Option<Scope> = Some(Scope::PayTradeOrder);
    type Payload = CardCharge;
    type Output = PayStanding;
}

/// What is charged, and the holder's consent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CardCharge {
    /// The bill; its owner is the job's owner.
    pub sn: BillSn,
    /// Number of the attempt, which has the sum, the provider and the account.
    pub attempt: u32,
    /// The card.
    pub card: SealedCard,
    /// The code that came by text message, sealed for [`SEALED_TEXT_CODE`](crate::card::SEALED_TEXT_CODE).
    pub code: String,
}

impl CardCharge {
    /// The key by which an attempt is charged by one job at most.
    #[must_use]
    pub fn unique_key(&self) -> String {
        format!("{}:{}:{}", PayCharge::KIND, self.sn, self.attempt)
    }
}
