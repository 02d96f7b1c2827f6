//! Asks a provider how one refund stands.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pay_refund::RefundStanding;
use crate::{
    bill::BillSn,
    job::{Claim, Job, RetryPolicy},
    queue::Queue,
};

/// Looks once at a refund that is under way, and schedules the next look while it is. A look that
/// stands alone is also about one that was refused.
pub enum PayRefundQuery {}

impl Job for PayRefundQuery {
    const KIND: &'static str = "pay.refund_query";
    const QUEUE: Queue = Queue::Payments;
    const RETRY: RetryPolicy =
        RetryPolicy::doubling(20, Duration::from_secs(5), Duration::from_mins(30));
    const TIMEOUT: Duration = Duration::from_secs(30);
    const CLAIM: Claim = Claim::Always;
    type Payload = RefundLook;
    type Output = RefundStanding;
}

/// Which refund to ask about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefundLook {
    /// The bill; its owner is the job's owner.
    pub sn: BillSn,
    /// Number of the refund in its bill.
    pub refund: u32,
    /// Counts the looks of a schedule, from 0; a look without it stands alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<u32>,
}

impl RefundLook {
    /// The key by which a look of a schedule happens once.
    #[must_use]
    pub fn unique_key(&self) -> Option<String> {
        let look = self.look?;
        Some(format!("{}:{}:{}:{look}", PayRefundQuery::KIND, self.sn, self.refund))
    }
}
