//! Binds a person's account at a provider to a user.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    job::{Claim, Job, RetryPolicy},
    payment::Channel,
    queue::Queue,
    scope::Scope,
    time::Timestamp,
};

/// Exchanges the code of a person who consented for their id, and keeps that for the job's owner.
///
/// A code works once at its provider, so an exchange whose answer is lost may end with a refusal: the
/// person then starts again.
pub enum PayBind {}

impl Job for PayBind {
    const KIND: &'static str = "pay.bind";
    const QUEUE: Queue = Queue::Payments;
    const RETRY: RetryPolicy =
        RetryPolicy::doubling(5, Duration::from_secs(1), Duration::from_secs(20));
    const TIMEOUT: Duration = Duration::from_secs(30);
    // A code lives for some minutes.
    const DEADLINE: Duration = Duration::from_mins(5);
    const CLAIM: Claim = Claim::Always;
    const SCOPE: Option<Scope> = Some(Scope::UserProfile);
    type Payload = BindOrder;
    type Output = Bound;
}

/// Who consented to what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BindOrder {
    /// The provider.
    pub channel: Channel,
    /// Name of the configured app.
    pub app: String,
    /// The code, sealed.
    pub code: String,
}

/// That it is bound. The job says nothing about the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bound {
    /// The provider.
    pub channel: Channel,
    /// When.
    pub bound_at: Timestamp,
}
