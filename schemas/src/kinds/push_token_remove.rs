//! Takes a device out of its owner's pushes.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::PushTokenId,
    job::{Claim, Job, RetryPolicy},
    queue::Queue,
    scope::Scope,
    time::Timestamp,
};

/// Sees to it that a token whose owner wanted it removed gets no pushes. Usually the request has
/// done so before its answer; the job makes up for one that was cut off.
pub enum PushTokenRemove {}

impl Job for PushTokenRemove {
    const KIND: &'static str = "push_token.remove";
    const QUEUE: Queue = Queue::PushTokens;
    const RETRY: RetryPolicy =
        RetryPolicy::doubling(20, Duration::from_millis(500), Duration::from_mins(5));
    const TIMEOUT: Duration = Duration::from_secs(30);
    const CLAIM: Claim = Claim::OnRepeat;
    const SCOPE: Option<Scope> = Some(Scope::PushDevice);
    type Payload = TokenRemoval;
    type Output = RemovalReceipt;
}

/// Which tokens to remove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenRemoval {
    /// Their numbers; their owner is the job's owner.
    pub ids: Vec<PushTokenId>,
    /// When the request came. What is registered after that stays.
    pub asked_at: Timestamp,
}

/// What a finished removal did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RemovalReceipt {
    /// Tokens that this run had to remove; 0 when the request did it.
    pub removed: u32,
}
