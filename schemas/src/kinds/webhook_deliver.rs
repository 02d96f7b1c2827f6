//! Tells the back end of an app of an event.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    job::{Claim, Job, RetryPolicy},
    queue::Queue,
    time::Timestamp,
    webhook::WebhookEvent,
};

/// Sends one event to one configured endpoint until it is taken, for about two days. The receiver
/// may get it more than once, always under the same id.
pub enum WebhookDeliver {}

impl Job for WebhookDeliver {
    const KIND: &'static str = "webhook.deliver";
    const QUEUE: Queue = Queue::Webhooks;
    const RETRY: RetryPolicy =
        RetryPolicy::doubling(18, Duration::from_secs(1), Duration::from_hours(12));
    const TIMEOUT: Duration = Duration::from_secs(30);
    const DEADLINE: Duration = Duration::from_hours(72);
    const CLAIM: Claim = Claim::OnRepeat;
    type Payload = WebhookMessage;
    type Output = WebhookReceipt;
}

/// One event for one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookMessage {
    /// Name of the configured endpoint.
    pub endpoint: String,
    /// The message's name, `msg_…`: the receiver's means to tell repetitions.
    pub id: String,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// What happened.
    pub event: WebhookEvent,
}

impl WebhookMessage {
    /// A message with a name of its own about what happened at `now`.
    #[must_use]
    pub fn new(endpoint: &str, event: WebhookEvent, now: Timestamp) -> Self {
        let id = format!("msg_{}", Uuid::now_v7().simple());
        Self { endpoint: endpoint.to_owned(), id, occurred_at: now, event }
    }
}

/// A delivery that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookReceipt {
    /// When.
    pub taken_at: Timestamp,
}
