//! What an app's back end is told by webhooks, in the form of Standard Webhooks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    apns::{ApnsEnvironment, BundleId, DeviceToken},
    id::{PushTokenId, UserId},
    push_token::PushTokenReason,
    time::Timestamp,
};

/// Most tokens in one event.
pub const MAX_TOKENS: usize = 200;

/// One event; its `type` and `data` as they stand in the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
pub enum WebhookEvent {
    /// Device tokens that get no pushes any more, because Apple refuses them or nobody has
    /// registered them for a long time.
    #[serde(rename = "push_token.invalid")]
    TokensInvalid(InvalidTokens),
    /// A campaign of pushes has come to its end.
    #[serde(rename = "campaign.finished")]
    CampaignFinished(CampaignFinished),
}

impl WebhookEvent {
    /// The names of all events.
    pub const TYPES: [&str; 2] = ["push_token.invalid", "campaign.finished"];

    /// Its name, as in [`Self::TYPES`].
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::TokensInvalid(_) => Self::TYPES[0],
            Self::CampaignFinished(_) => Self::TYPES[1],
        }
    }
}

/// Tokens that were put aside, at most [`MAX_TOKENS`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InvalidTokens {
    /// Each of them.
    pub tokens: Vec<InvalidToken>,
}

/// One token that was put aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InvalidToken {
    /// The number that the API shows.
    pub id: PushTokenId,
    /// Whose device it was.
    pub user: UserId,
    /// The app.
    pub app: BundleId,
    /// Apple's environment that it was registered for last.
    pub environment: ApnsEnvironment,
    /// Apple's address of the device.
    pub device_token: DeviceToken,
    /// The device, as the client names it.
    pub device_id: String,
    /// Why.
    pub reason: PushTokenReason,
    /// When it was put aside. A registration after that makes it valid again.
    pub at: Timestamp,
}

/// A campaign that has come to its end, with its final counters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CampaignFinished {
    /// Its id, as in `GET /api/push/{id}/`.
    pub id: String,
    /// How it ended, as in that answer.
    pub status: String,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// What became of its messages.
    pub counts: CampaignCounts,
}

/// What became of the messages of a campaign: the others add up to `targeted`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CampaignCounts {
    /// All.
    pub targeted: u64,
    /// Apple took them.
    pub accepted: u64,
    /// Their token or message was refused for good.
    pub invalid: u64,
    /// Apple kept slowing them down until their time was over.
    pub throttled: u64,
    /// Their time was over before they were sent.
    pub expired: u64,
    /// The campaign was cancelled before they were sent.
    pub cancelled: u64,
    /// Sent, and no answer came.
    pub unknown: u64,
}
