//! What was asked for: messages, and who gets them.

use std::{fmt, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    apns::{ApnsEnvironment, BundleId, DeviceToken},
    id::{PushTokenId, UserId},
    time::Timestamp,
};

/// Most messages of one request.
pub const MAX_MESSAGES: usize = 1_000;

/// Most users and device tokens that one request names, over all messages.
pub const MAX_ADDRESSEES: usize = 10_000;

/// How long a campaign is tried that does not say when it expires.
pub const USUAL_LIFE: Duration = Duration::from_hours(24);

/// The longest from start to expiry; Apple keeps no push longer.
pub const MAX_LIFE: Duration = Duration::from_hours(30 * 24);

/// One request, checked: what is sent, to whom, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PushOrder {
    /// The app whose devices get it.
    pub app: BundleId,
    /// The caller's own name for the campaign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Only devices of this environment; both without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<ApnsEnvironment>,
    /// What is said; addressees name a message by its place here.
    pub messages: Vec<PushMessage>,
    /// Who gets it.
    pub audience: Audience,
    /// Nothing is sent before.
    pub start_at: Timestamp,
    /// Nothing is sent from then on.
    pub expires_at: Timestamp,
    /// Most pushes in a second, over any few seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
}

/// Who gets a campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// These users and tokens.
    Listed(Vec<Addressee>),
    /// The first message to every device of the app of which this holds.
    Segment(Segment),
}

/// One user or token, and the message for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Addressee {
    /// Place of the message in [`PushOrder::messages`].
    #[serde(default)]
    pub message: u16,
    /// Who.
    pub to: PushAddress,
}

/// A user or a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PushAddress {
    /// Every device of the app that this user is signed in on.
    User(UserId),
    /// One device.
    Token(TokenAddress),
}

/// One device, as it was when the request was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenAddress {
    /// Apple's address of the device.
    pub token: DeviceToken,
    /// Who had it. Nobody, [`UserId::FEAT`], for a token that was not registered: it gets nothing.
    pub user: UserId,
}

/// Devices of an app; everything that is named must agree.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Segment {
    /// Range of languages and regions, by basic filtering of RFC 4647: `zh` means `zh-Hans-CN`, too.
    /// In the spelling of [`locale::spelled`](crate::locale::spelled).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Version of the app on it, in the very letters that were registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_version: Option<String>,
}

/// One message as it is stored: checked already, in the words of Apple's headers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PushMessage {
    /// `apns-push-type`.
    pub push_type: String,
    /// `apns-priority`; the usual one of the type without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// `apns-expiration`: seconds since 1970, 0 for one attempt. Apple's own choice without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiration: Option<i64>,
    /// `apns-collapse-id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collapse_id: Option<String>,
    /// `apns-topic` where it is not the one of app and type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// The JSON text that the device gets. Text, so that no store has to understand it.
    pub payload: String,
    /// Whether it is sent once more when Apple's answer was lost, so that a device may get it
    /// twice.
    #[serde(default)]
    pub repeat: bool,
}

impl fmt::Debug for PushMessage {
    /// Without the payload: it is between the app and its user.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PushMessage({}, {} bytes)", self.push_type, self.payload.len())
    }
}

/// How far the fan-out of a campaign is: where the next shard begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cursor {
    /// At this place of the list.
    Listed(u32),
    /// Behind this device of the environment.
    Segment {
        /// The environment that is read.
        environment: ApnsEnvironment,
        /// The language that is read, of those that the segment means; none when it means all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        locale: Option<String>,
        /// The last device that has its shard.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<PushTokenId>,
    },
}

impl PushOrder {
    /// Where the first shard begins.
    #[must_use]
    pub fn begin(&self) -> Cursor {
        match &self.audience {
            Audience::Listed(_) => Cursor::Listed(0),
            Audience::Segment(_) => {
                let environment = self.environment.unwrap_or(ApnsEnvironment::ALL[0]);
                Cursor::Segment { environment, locale: None, after: None }
            }
        }
    }

    /// The environment to read after `environment`, if another one is wanted.
    #[must_use]
    pub fn environment_after(&self, environment: ApnsEnvironment) -> Option<ApnsEnvironment> {
        let both = self.environment.is_none() && environment == ApnsEnvironment::ALL[0];
        both.then_some(ApnsEnvironment::ALL[1])
    }
}
