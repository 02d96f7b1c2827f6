//! Prepares the provider's page on which a card's holder opens it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pay_card_look::CardQuestion;
use crate::{
    job::{Claim, Job, RetryPolicy},
    queue::Queue,
    scope::Scope,
};

/// Makes the form with which a browser comes to the provider's page for opening a card. What the
/// holder does there is between the two; [`super::PayCardLook`] tells how it ended.
pub enum PayCardOpen {}

impl Job for PayCardOpen {
    const KIND: &'static str = "pay.card_open";
    const QUEUE: Queue = Queue::Payments;
    const RETRY: RetryPolicy =
        RetryPolicy::doubling(5, Duration::from_secs(1), Duration::from_secs(20));
    const TIMEOUT: Duration = Duration::from_secs(30);
    const DEADLINE: Duration = Duration::from_mins(5);
    const CLAIM: Claim = Claim::Always;
    const SCOPE: Option<Scope> = Some(Scope::PayTradeOrder);
    type Payload = CardQuestion;
    type Output = CardPage;
}

/// The way to the provider's page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CardPage {
    /// A page of HTML that sends its form by itself. The card's number in it is encrypted for the
    /// provider.
    pub template: String,
}
