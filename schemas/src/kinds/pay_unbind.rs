//! Forgets a person's account at a provider.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pay_bind::BindOrder;
use crate::{
    job::{Claim, Job, RetryPolicy},
    payment::Channel,
    queue::Queue,
    scope::Scope,
    time::Timestamp,
};

/// Exchanges the code of a person who consented for their id, and forgets the account of the job's
/// owner if it is that person's.
///
/// Whoever holds the owner's token alone does not part the owner from their account: the person at the
/// provider has to agree. A code works once at its provider, so an exchange whose answer is lost may end
/// with a refusal: the person then starts again.
pub enum PayUnbind {}

impl Job for PayUnbind {
    const KIND: &'static str = "pay.unbind";
    const QUEUE: Queue = Queue::Payments;
    const RETRY: RetryPolicy =
        RetryPolicy::doubling(5, Duration::from_secs(1), Duration::from_secs(20));
    const TIMEOUT: Duration = Duration::from_secs(30);
    // A code lives for some minutes.
    const DEADLINE: Duration = Duration::from_mins(5);
    const CLAIM: Claim = Claim::Always;
    const SCOPE: Option<Scope> = Some(Scope::UserProfile);
    type Payload = BindOrder;
    type Output = Unbound;
}

/// That no account is bound any more. The job says nothing about the one that was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unbound {
    /// The provider.
    pub channel: Channel,
    /// When.
    pub unbound_at: Timestamp,
}
