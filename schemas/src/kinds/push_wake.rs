//! Makes the shards of a campaign look at it again.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::{PushId, UserId},
    job::{Claim, Job, RetryPolicy},
    queue::Queue,
};

/// Makes the waiting jobs of a campaign due, because it was resumed or cancelled. Without it they
/// would see that by themselves, a minute later.
pub enum PushWake {}

impl Job for PushWake {
    const KIND: &'static str = "push.wake";
    const QUEUE: Queue = Queue::Push;
    const RETRY: RetryPolicy =
        RetryPolicy::doubling(5, Duration::from_secs(1), Duration::from_secs(30));
    const TIMEOUT: Duration = Duration::from_mins(4);
    const DEADLINE: Duration = Duration::from_mins(10);
    const CLAIM: Claim = Claim::OnRepeat;
    type Payload = Wake;
    type Output = Woken;
}

/// Which campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Wake {
    /// The campaign.
    pub campaign: PushId,
    /// Whose campaign it is.
    pub owner: UserId,
}

/// What was woken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Woken {
    /// Jobs that were made due.
    pub jobs: u64,
}
