//! Takes in what a provider has told by itself.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    bill::RefundState,
    job::{Claim, Job, RetryPolicy},
    money::Fen,
    payment::{Channel, ProviderKey},
    queue::Queue,
    time::Timestamp,
};

/// Brings a verified message of a provider to the bill that it is about. Repeats change nothing.
pub enum PayNotify {}

impl Job for PayNotify {
    const KIND: &'static str = "pay.notify";
    const QUEUE: Queue = Queue::Payments;
    const RETRY: RetryPolicy =
        RetryPolicy::doubling(30, Duration::from_secs(1), Duration::from_mins(10));
    const TIMEOUT: Duration = Duration::from_secs(30);
    const CLAIM: Claim = Claim::Always;
    type Payload = Told;
    type Output = TakenIn;
}

/// What a provider has told, after its signature, app and merchant were checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Told {
    /// The provider.
    pub channel: Channel,
    /// Name of the configured app that was addressed.
    pub app: String,
    /// The provider's name of the event; repeats have the same one.
    pub event: String,
    /// What it is about.
    pub news: ToldNews,
}

/// What a message of a provider is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum ToldNews {
    /// A trade was paid.
    Paid {
        /// Number of the trade.
        key: ProviderKey,
        /// The provider's number of the payment.
        transaction_id: String,
        /// The order's sum.
        amount: Fen,
        /// When, by the provider's clock.
        paid_at: Option<Timestamp>,
    },
    /// Something else happened to a trade, or the provider wants its news confirmed: ask.
    Trade {
        /// Number of the trade.
        key: ProviderKey,
    },
    /// A refund moved.
    Refund {
        /// Number of the refund.
        key: ProviderKey,
        /// Where it stands.
        state: RefundState,
        /// The provider's number of the refund.
        provider_id: Option<String>,
        /// What went back, if the message says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<Fen>,
    },
    /// Something happened to a refund that has to be confirmed by a question.
    AskRefund {
        /// Number of the refund.
        key: ProviderKey,
    },
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TakenIn {
    /// It was new and is recorded.
    Recorded,
    /// It was known before.
    Known,
    /// It is recorded, and does not agree with what is known: an operator has to look.
    Held,
    /// A question about it is on its way.
    Asked,
}

impl Told {
    /// The key by which an event is worked on once. What it tells is part of it: a provider that gives
    /// one name to two events has told of both.
    #[must_use]
    pub fn unique_key(&self) -> String {
        let news = match &self.news {
            ToldNews::Paid { key, transaction_id, amount, .. } => {
                format!("paid:{key}:{transaction_id}:{}", amount.get())
            }
            ToldNews::Trade { key } => format!("trade:{key}"),
            ToldNews::Refund { key, state, .. } => format!("refund:{key}:{}", state.name()),
            ToldNews::AskRefund { key } => format!("ask:{key}"),
        };
        format!("{}:{}:{}:{}:{news}", PayNotify::KIND, self.channel, self.app, self.event)
    }

    /// The number of the trade or refund that it is about.
    #[must_use]
    pub fn key(&self) -> &ProviderKey {
        match &self.news {
            ToldNews::Paid { key, .. }
            | ToldNews::Trade { key }
            | ToldNews::Refund { key, .. }
            | ToldNews::AskRefund { key } => key,
        }
    }
}
