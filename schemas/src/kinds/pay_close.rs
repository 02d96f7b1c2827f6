//! Closes a bill that was not paid, at its providers first.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pay_query::PayStanding;
use crate::{
    bill::{BillSn, ClosingReason},
    job::{Claim, CutOff, Job, RetryPolicy},
    queue::Queue,
    scope::Scope,
};

/// Closes every open attempt at its provider, then the bill. A payment that turns up on the way
/// wins.
pub enum PayClose {}

impl Job for PayClose {
    const KIND: &'static str = "pay.close";
    const QUEUE: Queue = Queue::Payments;
    const RETRY: RetryPolicy =
        RetryPolicy::doubling(30, Duration::from_secs(2), Duration::from_mins(10));
    const TIMEOUT: Duration = Duration::from_mins(1);
    const CLAIM: Claim = Claim::Always;
    const CUT_OFF: CutOff = CutOff::Ask;
    const SCOPE: Option<Scope> = Some(Scope::PayTradeManage);
    type Payload = PayClosing;
    type Output = PayStanding;
}

/// Which bill to close, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PayClosing {
    /// The bill; its owner is the job's owner.
    pub sn: BillSn,
    /// Why.
    pub reason: ClosingReason,
}

impl PayClosing {
    /// The key by which a bill is closed once for each reason.
    #[must_use]
    pub fn unique_key(&self) -> String {
        let reason = match self.reason {
            ClosingReason::Cancelled => "cancelled",
            ClosingReason::Overtime => "overtime",
        };
        format!("{}:{}:{reason}", PayClose::KIND, self.sn)
    }

    /// The key of the job that goes on with it in another `queue`, once.
    #[must_use]
    pub fn unique_key_in(&self, queue: Queue) -> String {
        format!("{}:{queue}", self.unique_key())
    }
}
