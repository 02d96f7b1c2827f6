//! Keeps a card in its holder's wallet.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    card::SealedCard,
    id::AccountId,
    job::{Claim, Job, RetryPolicy},
    payment::ProviderKey,
    queue::Queue,
    scope::Scope,
    time::Timestamp,
};

/// Shows the provider the code that a card's holder got, and keeps the card when it is the right one.
///
/// A code is tried once. A run that does not know what the provider said asks for it under the same
/// number.
pub enum PayCardKeep {}

impl Job for PayCardKeep {
    const KIND: &'static str = "pay.card_keep";
    const QUEUE: Queue = Queue::Payments;
    const RETRY: RetryPolicy =
        RetryPolicy::doubling(8, Duration::from_secs(1), Duration::from_secs(30));
    const TIMEOUT: Duration = Duration::from_secs(30);
    const DEADLINE: Duration = Duration::from_mins(10);
    const CLAIM: Claim = Claim::Always;
    const SCOPE: Option<Scope> = Some(Scope::PayTradeOrder);
    type Payload = CardProof;
    type Output = CardKept;
}

/// A card, and what shows whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CardProof {
    /// Name of the configured app.
    pub app: String,
    /// The card, with its holder's telephone number.
    pub card: SealedCard,
    /// The code, sealed for [`SEALED_TEXT_CODE`](crate::card::SEALED_TEXT_CODE).
    pub code: String,
    /// Number under which the code was sent.
    pub key: ProviderKey,
    /// When that was.
    pub at: Timestamp,
}

impl CardProof {
    /// The key by which a code is tried by one job at most.
    #[must_use]
    pub fn unique_key(&self) -> String {
        format!("{}:{}", PayCardKeep::KIND, self.key)
    }
}

/// That the card is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CardKept {
    /// Its id in the owner's wallet.
    pub id: AccountId,
}
