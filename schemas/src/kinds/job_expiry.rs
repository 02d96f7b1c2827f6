//! Forgets settled jobs, and what is left of sign-ins, after their time of retention.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    job::{Claim, Job, RetryPolicy},
    queue::Queue,
};

/// Removes the records of jobs that settled, and of sign-ins, their devices and authorization codes
/// that expired, longer ago than the configured retention.
pub enum JobExpiry {}

impl Job for JobExpiry {
    const KIND: &'static str = "job.expiry";
    const QUEUE: Queue = Queue::Maintenance;
    const RETRY: RetryPolicy =
        RetryPolicy::doubling(3, Duration::from_secs(5), Duration::from_mins(1));
    const TIMEOUT: Duration = Duration::from_mins(4);
    const DEADLINE: Duration = Duration::from_mins(10);
    const CLAIM: Claim = Claim::Always;
    type Payload = Expiry;
    type Output = ExpiryReport;
}

/// Nothing to choose: the retention is the workers' setting.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Expiry {}

/// What one run forgot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExpiryReport {
    /// Records of jobs removed.
    pub jobs_removed: u64,
    /// Records of sign-ins removed.
    #[serde(default)]
    pub sessions_removed: u64,
    /// Records of devices removed.
    #[serde(default)]
    pub devices_removed: u64,
    /// Counts of wrong passwords removed.
    #[serde(default)]
    pub guesses_removed: u64,
    /// Records of push campaigns removed.
    #[serde(default)]
    pub pushes_removed: u64,
    /// Records of authorization codes removed.
    #[serde(default)]
    pub codes_removed: u64,
    /// Records of consents under way removed.
    #[serde(default)]
    pub consents_removed: u64,
}
