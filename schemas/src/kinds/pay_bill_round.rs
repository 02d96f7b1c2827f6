//! Starts the matching of bills for every merchant.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    book_day::BookDay,
    id::JobId,
    job::{Claim, Job, RetryPolicy},
    payment::Channel,
    queue::Queue,
};

use super::pay_bill_match::DayRef;

/// Starts a `pay.bill_match` job for each merchant that is configured.
pub enum PayBillRound {}

impl Job for PayBillRound {
    const KIND: &'static str = "pay.bill_round";
    const QUEUE: Queue = Queue::Maintenance;
    const RETRY: RetryPolicy =
        RetryPolicy::doubling(20, Duration::from_secs(5), Duration::from_mins(10));
    const TIMEOUT: Duration = Duration::from_mins(2);
    const CLAIM: Claim = Claim::Always;
    type Payload = BillRound;
    type Output = BillRoundReport;
}

/// What to match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BillRound {
    /// This day, again if it was matched before. Without it every published day of the last week
    /// that has no report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<BookDay>,
    /// Only this provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
}

/// What was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BillRoundReport {
    /// One for each merchant and day.
    pub started: Vec<StartedMatch>,
}

/// A job that was started, or found under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StartedMatch {
    /// Whose books of which day.
    #[serde(flatten)]
    pub of: DayRef,
    /// The job.
    pub job: JobId,
}
