//! Asks a provider how the attempts of one bill stand.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    bill::{BillSn, BillStatus},
    job::{Claim, Job, RetryPolicy},
    queue::Queue,
    scope::Scope,
};

/// Looks once at every open attempt of a bill, or at one of them, and takes in what the provider
/// says. Asking changes nothing at the provider, so it may be repeated at will.
pub enum PayQuery {}

impl Job for PayQuery {
    const KIND: &'static str = "pay.query";
    const QUEUE: Queue = Queue::Payments;
    const RETRY: RetryPolicy =
        RetryPolicy::doubling(20, Duration::from_secs(2), Duration::from_mins(10));
    const TIMEOUT: Duration = Duration::from_mins(1);
    const CLAIM: Claim = Claim::Always;
    const SCOPE: Option<Scope> = Some(Scope::PayTradeOrder);
    type Payload = PayLook;
    type Output = PayStanding;
}

/// Which attempts to ask about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PayLook {
    /// The bill; its owner is the job's owner.
    pub sn: BillSn,
    /// This attempt alone; without it every one that is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// Counts the looks of a schedule, from 0. A look of a schedule is followed by the next one
    /// while the attempt is open; a look without it stands alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<u32>,
}

/// How the bill stands after the look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PayStanding {
    /// The bill.
    pub sn: BillSn,
    /// What its owner is told.
    pub status: BillStatus,
}

impl PayLook {
    /// The key by which a look of a schedule happens once.
    #[must_use]
    pub fn unique_key(&self) -> Option<String> {
        let (attempt, look) = (self.attempt?, self.look?);
        Some(format!("{}:{}:{attempt}:{look}", PayQuery::KIND, self.sn))
    }
}
