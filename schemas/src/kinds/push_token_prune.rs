//! Keeps the device tokens in order.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    job::{Claim, Job, RetryPolicy},
    queue::Queue,
};

/// Puts aside tokens that nobody registers any more, removes those whose time to be taken back is
/// over, ends those of sign-ins that have ended by themselves, and forgets the long removed.
///
/// No cohort loses more than a set share of its devices within a day: see
/// [`CohortRecord`](crate::push_token::CohortRecord).
pub enum PushTokenPrune {}

impl Job for PushTokenPrune {
    const KIND: &'static str = "push_token.prune";
    const QUEUE: Queue = Queue::Maintenance;
    const RETRY: RetryPolicy =
        RetryPolicy::doubling(3, Duration::from_secs(5), Duration::from_mins(1));
    const TIMEOUT: Duration = Duration::from_mins(8);
    const DEADLINE: Duration = Duration::from_mins(20);
    const CLAIM: Claim = Claim::Always;
    type Payload = Pruning;
    type Output = PruningDone;
}

/// Nothing to choose: spans and shares are the workers' settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pruning {}

/// What one run did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PruningDone {
    /// Tokens of sign-ins that had ended by themselves.
    pub signed_out: u64,
    /// Tokens that nobody had registered for long, put aside.
    pub stale: u64,
    /// Tokens whose time to be taken back was over, removed.
    pub lapsed: u64,
    /// Records of removed tokens that were forgotten.
    pub forgotten: u64,
    /// Tokens that stay because too many of their cohort would go at once.
    pub held: u64,
}
