//! Sends one shard of a push campaign.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::{PushId, UserId},
    job::{Claim, Job, RetryPolicy},
    push::{MAX_LIFE, PushCounts},
    queue::Queue,
};

/// Gives the pushes of one shard to Apple. The shard's own record says which of them have left,
/// so the job may be run again at any time.
pub enum PushSend {}

impl Job for PushSend {
    const KIND: &'static str = "push.shard";
    const QUEUE: Queue = Queue::Apns;
    const RETRY: RetryPolicy =
        RetryPolicy::doubling(50, Duration::from_secs(1), Duration::from_mins(5));
    const TIMEOUT: Duration = Duration::from_mins(5);
    /// Longer than any campaign is tried: to the end somebody has to count what was not sent.
    const DEADLINE: Duration = MAX_LIFE.saturating_mul(2);
    const CLAIM: Claim = Claim::Always;
    type Payload = ShardName;
    type Output = PushCounts;
}

/// Which shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShardName {
    /// The campaign.
    pub campaign: PushId,
    /// Whose campaign it is. The job is Feat's own: an owner who lists jobs sees one for each
    /// campaign.
    pub owner: UserId,
    /// Number of the shard, from 0.
    pub seq: u32,
}

impl ShardName {
    /// The key by which a shard has one job.
    #[must_use]
    pub fn unique_key(&self) -> String {
        format!("{}:{}:{}", PushSend::KIND, self.campaign, self.seq)
    }
}
