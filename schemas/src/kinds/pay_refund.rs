//! Returns money of one paid bill.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    bill::{BillSn, RefundState},
    job::{Claim, CutOff, Job, RetryPolicy},
    money::Fen,
    payment::ProviderKey,
    queue::Queue,
    scope::Scope,
};

/// Opens a refund in the bill and asks the provider to return the money.
///
/// One job opens one refund, and one refund moves money once: its number is saved before the
/// provider is called, and a run that finds it asks before it calls again. Done when the provider
/// has accepted it; looks at its further way follow by themselves.
pub enum PayRefund {}

impl Job for PayRefund {
    const KIND: &'static str = "pay.refund";
    const QUEUE: Queue = Queue::Payments;
    const RETRY: RetryPolicy =
        RetryPolicy::doubling(60, Duration::from_secs(2), Duration::from_mins(30));
    const TIMEOUT: Duration = Duration::from_secs(30);
    const DEADLINE: Duration = Duration::from_hours(72);
    const CLAIM: Claim = Claim::Always;
    const CUT_OFF: CutOff = CutOff::Ask;
    const SCOPE: Option<Scope> = Some(Scope::PayTradeManage);
    type Payload = RefundWish;
    type Output = RefundStanding;
}

/// What to pay back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefundWish {
    /// The bill; its owner is the job's owner.
    pub sn: BillSn,
    /// What is to be paid back.
    pub amount: Fen,
    /// What the payer is told.
    pub reason: String,
    /// The refund that was held and is approved now; without it a new one is opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Approval>,
}

/// The word of an operator for a refund that was held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Approval {
    /// Number of the refund.
    pub refund: u32,
    /// Who approved.
    pub operator: String,
    /// Why.
    pub evidence: String,
}

/// How a refund stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefundStanding {
    /// The bill.
    pub sn: BillSn,
    /// Number of the refund in its bill, from 1.
    pub refund: u32,
    /// Number of the refund at the provider.
    pub refund_sn: ProviderKey,
    /// What is paid back.
    pub amount: Fen,
    /// Where it stands.
    pub state: RefundState,
}
