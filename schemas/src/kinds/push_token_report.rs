//! Reports device tokens that were put aside to the back ends of their apps.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    job::{Claim, Job, RetryPolicy},
    queue::Queue,
};

/// Gathers the tokens that were put aside since the last run into as few events as possible, and
/// hands those to the deliveries.
pub enum PushTokenReport {}

impl Job for PushTokenReport {
    const KIND: &'static str = "push_token.report";
    const QUEUE: Queue = Queue::Maintenance;
    const RETRY: RetryPolicy =
        RetryPolicy::doubling(5, Duration::from_secs(2), Duration::from_secs(30));
    const TIMEOUT: Duration = Duration::from_secs(50);
    const DEADLINE: Duration = Duration::from_mins(5);
    const CLAIM: Claim = Claim::Always;
    type Payload = Reporting;
    type Output = ReportingDone;
}

/// Nothing to choose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reporting {}

/// What one run did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReportingDone {
    /// Tokens that were reported, or that nobody wants to hear of.
    pub tokens: u64,
    /// Events that they went into.
    pub events: u64,
}
