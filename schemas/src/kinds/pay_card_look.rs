//! Asks a provider whether a card can be charged without its page.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    card::SealedCard,
    job::{Claim, Job, RetryPolicy},
    queue::Queue,
    scope::Scope,
};

/// Asks whether a card's holder has opened it for payments without the provider's page. It changes
/// nothing.
pub enum PayCardLook {}

impl Job for PayCardLook {
    const KIND: &'static str = "pay.card_look";
    const QUEUE: Queue = Queue::Payments;
    const RETRY: RetryPolicy =
        RetryPolicy::doubling(5, Duration::from_secs(1), Duration::from_secs(20));
    const TIMEOUT: Duration = Duration::from_secs(30);
    const DEADLINE: Duration = Duration::from_mins(5);
    const CLAIM: Claim = Claim::Always;
    const SCOPE: Option<Scope> = Some(Scope::PayTradeOrder);
    type Payload = CardQuestion;
    type Output = CardStanding;
}

/// Which card is asked about, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CardQuestion {
    /// Name of the configured app.
    pub app: String,
    /// The card.
    pub card: SealedCard,
}

/// How a card stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CardStanding {
    /// Whether it can be charged.
    pub open: bool,
    /// The holder's telephone number as the provider shows it, masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_no: Option<String>,
}
