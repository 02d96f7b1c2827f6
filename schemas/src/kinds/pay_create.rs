//! Makes one trade at a provider, so that a client can pay a bill.

use std::{net::IpAddr, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    bill::{BillSn, Way},
    card::SealedCard,
    job::{Claim, CutOff, Job, RetryPolicy},
    payment::{Channel, Scene},
    queue::Queue,
    scope::Scope,
};

/// Begins an attempt to pay a bill and gets from its provider what the client pays with.
///
/// One attempt has one trade however often the job runs: the attempt and its number are saved
/// before the provider is called, and a run that finds them asks before it calls again.
pub enum PayCreate {}

impl Job for PayCreate {
    const KIND: &'static str = "pay.create";
    const QUEUE: Queue = Queue::Payments;
    const RETRY: RetryPolicy =
        RetryPolicy::doubling(12, Duration::from_secs(1), Duration::from_mins(5));
    const TIMEOUT: Duration = Duration::from_secs(30);
    const CLAIM: Claim = Claim::Always;
    const CUT_OFF: CutOff = CutOff::Ask;
    const SCOPE: Option<Scope> = Some(Scope::PayTradeOrder);
    type Payload = PayOrder;
    type Output = PayOffer;
}

/// Who wants to pay which bill, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PayOrder {
    /// The bill; its owner is the job's owner.
    pub sn: BillSn,
    /// Through which provider.
    pub channel: Channel,
    /// From what kind of client.
    pub scene: Scene,
    /// Whether the payer is shown a code instead of the provider's page.
    #[serde(default)]
    pub code: bool,
    /// Name of the configured app.
    pub app: String,
    /// Counts the attempts of this way, from 0.
    pub ordinal: u32,
    /// The payer's id at the provider, sealed, where the provider asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer: Option<SealedPayer>,
    /// Where the payer's device is, where the provider asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer_ip: Option<IpAddr>,
    /// The card that is charged without the provider's page: what the payer gets is a code by text
    /// message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<SealedCard>,
}

/// The id of a payer at a provider, as it is stored and sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SealedPayer {
    /// Tells two payers of one bill apart and says nothing about them.
    pub digest: String,
    /// The id, encrypted.
    pub sealed: String,
}

/// What a client pays with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PayOffer {
    /// The bill.
    pub sn: BillSn,
    /// Number of the attempt.
    pub attempt: u32,
    /// The documented reply.
    pub reply: Value,
    /// Whether the documented reply stands in `data`.
    pub wrapped: bool,
}

impl PayOrder {
    /// The way of paying that two calls have to agree in to mean the same attempt.
    #[must_use]
    pub fn way(&self) -> Way {
        Way {
            channel: self.channel,
            scene: self.scene,
            code: self.code,
            app: self.app.clone(),
            account: self.account().map(str::to_owned),
            card: self.card.as_ref().map(|card| card.shown.clone()),
        }
    }

    /// What tells the payer's account or card apart.
    fn account(&self) -> Option<&str> {
        let payer = self.payer.as_ref().map(|payer| payer.digest.as_str());
        payer.or_else(|| self.card.as_ref().map(|card| card.digest.as_str()))
    }

    /// The key by which an attempt has one job at most.
    #[must_use]
    pub fn unique_key(&self) -> String {
        let payer = self.account().unwrap_or_default();
        let Self { sn, channel, scene, code, app, ordinal, .. } = self;
        let code = u8::from(*code);
        format!("{}:{sn}:{channel}:{scene}:{code}:{app}:{payer}:{ordinal}", PayCreate::KIND)
    }
}
