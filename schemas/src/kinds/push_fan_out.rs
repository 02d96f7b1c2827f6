//! Finds out who gets a push campaign.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    job::{Claim, Job, RetryPolicy},
    push::PushOrder,
    queue::Queue,
    scope::Scope,
};

/// Divides a campaign into shards, each of which is a job of its own. The job's id is that of its
/// campaign.
pub enum PushFanOut {}

impl Job for PushFanOut {
    const KIND: &'static str = "push.fan_out";
    const QUEUE: Queue = Queue::Push;
    const RETRY: RetryPolicy =
        RetryPolicy::doubling(20, Duration::from_secs(1), Duration::from_mins(5));
    const TIMEOUT: Duration = Duration::from_mins(5);
    const DEADLINE: Duration = Duration::from_hours(24);
    const CLAIM: Claim = Claim::Always;
    const SCOPE: Option<Scope> = Some(Scope::PushSend);
    type Payload = PushOrder;
    type Output = FanOutReport;
}

/// How far the campaign reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FanOutReport {
    /// Shards that it has.
    pub shards: u32,
    /// Devices that it has.
    pub targeted: u64,
}
