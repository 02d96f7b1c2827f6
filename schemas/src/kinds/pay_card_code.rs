//! Has the holder of a card sent a code that shows that the card is theirs.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pay_card_look::CardQuestion;
use crate::{
    job::{Claim, Job, RetryPolicy},
    queue::Queue,
    scope::Scope,
};

/// Looks how a card stands, and when it is open and the telephone number is its holder's, has a code
/// sent there: one within a minute, whoever asks how often.
///
/// The code is noted in the owner's wallet before it is sent. Sending it twice after a crash voids the
/// first one.
pub enum PayCardCode {}

impl Job for PayCardCode {
    const KIND: &'static str = "pay.card_code";
    const QUEUE: Queue = Queue::Payments;
    const RETRY: RetryPolicy =
        RetryPolicy::doubling(5, Duration::from_secs(1), Duration::from_secs(20));
    const TIMEOUT: Duration = Duration::from_secs(30);
    const DEADLINE: Duration = Duration::from_mins(5);
    const CLAIM: Claim = Claim::Always;
    const SCOPE: Option<Scope> = Some(Scope::PayTradeOrder);
    type Payload = CardQuestion;
    type Output = CodeWay;
}

/// What became of the wish for a code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum CodeWay {
    /// It is on its way.
    Sent,
    /// The card's holder has to open the card first.
    NotOpen {
        /// A page of HTML that goes on to where that is done.
        template: String,
    },
    /// The bank knows its holder by another telephone number.
    OtherPhone,
}
