//! Matches a provider's bill of one day with Feat's own bills.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    book_day::BookDay,
    job::{Claim, Job, RetryPolicy},
    matching::MatchReport,
    payment::Channel,
    queue::Queue,
};

/// Downloads the bill of one provider, merchant and day, matches it line by line, and stores the
/// report. A later job for the same replaces the report. A bill that is not there yet is asked for
/// again every half hour.
pub enum PayBillMatch {}

impl Job for PayBillMatch {
    const KIND: &'static str = "pay.bill_match";
    const QUEUE: Queue = Queue::Payments;
    const RETRY: RetryPolicy =
        RetryPolicy::doubling(20, Duration::from_secs(10), Duration::from_mins(30));
    const TIMEOUT: Duration = Duration::from_mins(30);
    const DEADLINE: Duration = Duration::from_hours(72);
    const CLAIM: Claim = Claim::Always;
    type Payload = DayRef;
    type Output = MatchReport;
}

/// Whose books of which day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DayRef {
    /// The provider.
    pub channel: Channel,
    /// The merchant's number there.
    pub merchant: String,
    /// The day.
    pub day: BookDay,
}

impl DayRef {
    /// The key by which the timetable's job for this day is there once.
    #[must_use]
    pub fn daily_key(&self) -> String {
        let Self { channel, merchant, day } = self;
        format!("{}:{channel}:{merchant}:{day}", PayBillMatch::KIND)
    }
}
