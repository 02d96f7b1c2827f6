//! What is said to any number of devices, checked once.

use std::str::FromStr;

use http::{HeaderName, HeaderValue};
use schemas::{BundleId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Payload, Priority, PushType};

const MAX_COLLAPSE_ID: usize = 64;
const MAX_TOPIC: usize = 255;

/// What is wrong with a message; the same would be wrong again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageFlaw {
    /// The payload is no JSON object, or nested too deeply.
    #[error("the payload is not a JSON object")]
    NotAnObject,
    /// `aps` is no object.
    #[error("aps is not an object")]
    Aps,
    /// A custom key would replace `aps`.
    #[error("a custom key is named aps")]
    CustomAps,
    /// A volume outside 0 to 1, or a score that is no number.
    #[error("a number is out of range")]
    Number,
    /// A Live Activity lacks keys that its event needs, or the event is unknown.
    #[error("the Live Activity lacks what its event needs")]
    Activity,
    /// More bytes than Apple takes for this push type.
    #[error("the payload has {size} bytes, and {limit} is the limit")]
    TooLarge {
        /// Of the JSON text.
        size: usize,
        /// 4,096, or 5,120 for calls.
        limit: usize,
    },
    /// The payload is not what the push type is for.
    #[error("the payload does not suit the push type {0}")]
    PayloadForType(PushType),
    /// Apple does not take this priority for the push type.
    #[error("the priority does not suit the push type {0}")]
    PriorityForType(PushType),
    /// The topic is not the one of app and push type, or MDM has none.
    #[error("the topic does not suit the push type {0}")]
    TopicForType(PushType),
    /// A push type or a priority that this build does not know.
    #[error("the push type or the priority is not known")]
    Unheard,
    /// Empty, longer than 64 bytes, or with control characters.
    #[error("a collapse id is 1 to 64 bytes without control characters")]
    CollapseId,
}

/// How long Apple keeps trying to reach a device that is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiration {
    /// One attempt, nothing is kept.
    Once,
    /// Until this moment, at most 30 days; Apple keeps one message per app and device.
    At(Timestamp),
}

impl Expiration {
    /// Seconds since 1970, at least 1 for a moment: 0 has a meaning of its own.
    pub(super) fn seconds(self) -> u64 {
        match self {
            Self::Once => 0,
            Self::At(moment) => u64::try_from(moment.as_secs()).unwrap_or(1).max(1),
        }
    }
}

/// A later push with the same one takes the place of an earlier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct CollapseId(Box<str>);

impl CollapseId {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CollapseId {
    type Err = MessageFlaw;

    fn from_str(text: &str) -> Result<Self, MessageFlaw> {
        let fits = (1..=MAX_COLLAPSE_ID).contains(&text.len());
        let trimmed = text.trim().len() == text.len();
        if fits && trimmed && !text.chars().any(char::is_control) {
            return Ok(Self(text.into()));
        }
        Err(MessageFlaw::CollapseId)
    }
}

/// What a [`Message`] is made of.
#[derive(Debug, Clone)]
pub struct MessageParts {
    /// The app, which also chooses the credential.
    pub app: BundleId,
    /// What kind of push this is.
    pub push_type: PushType,
    /// What the device gets.
    pub payload: Payload,
    /// `None` is the usual one of the type.
    pub priority: Option<Priority>,
    /// `None` leaves it to Apple.
    pub expiration: Option<Expiration>,
    /// See [`CollapseId`].
    pub collapse_id: Option<CollapseId>,
    /// `None` is the one of app and type; only MDM needs one, the UID of its certificate.
    pub topic: Option<String>,
}

/// What is said, with every rule of Apple's that can be checked beforehand kept.
#[derive(Debug, Clone)]
pub struct Message {
    app: BundleId,
    push_type: PushType,
    payload: Payload,
    priority: Priority,
    expiration: Option<Expiration>,
    collapse_id: Option<CollapseId>,
    topic: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Message {
    /// Checks size, push type, priority, topic and payload against each other.
    ///
    /// # Errors
    ///
    /// The first rule that is broken.
    pub fn new(parts: MessageParts) -> Result<Self, MessageFlaw> {
        let MessageParts { app, push_type, payload, priority, expiration, collapse_id, topic } =
            parts;
        let (size, limit) = (payload.size(), push_type.max_payload());
        if size > limit {
            return Err(MessageFlaw::TooLarge { size, limit });
        }
        if !push_type.suits(&payload) {
            return Err(MessageFlaw::PayloadForType(push_type));
        }
        let priority = priority.unwrap_or(push_type.priorities()[0]);
        if !push_type.priorities().contains(&priority) {
            return Err(MessageFlaw::PriorityForType(push_type));
        }
        let topic = topic_of(&app, push_type, topic)?;
        let headers = headers(push_type, priority, expiration, collapse_id.as_ref(), &topic)?;
        Ok(Self { app, push_type, payload, priority, expiration, collapse_id, topic, headers })
    }

    /// The app.
    #[must_use]
    pub const fn app(&self) -> &BundleId {
        &self.app
    }

    /// What kind of push this is.
    #[must_use]
    pub const fn push_type(&self) -> PushType {
        self.push_type
    }

    /// What the device gets.
    #[must_use]
    pub const fn payload(&self) -> &Payload {
        &self.payload
    }

    /// How urgent it is.
    #[must_use]
    pub const fn priority(&self) -> Priority {
        self.priority
    }

    /// How long Apple keeps trying.
    #[must_use]
    pub const fn expiration(&self) -> Option<Expiration> {
        self.expiration
    }

    /// See [`CollapseId`].
    #[must_use]
    pub const fn collapse_id(&self) -> Option<&CollapseId> {
        self.collapse_id.as_ref()
    }

    /// Apple's name for app and push type together.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The headers that are the same for every device.
    pub(super) fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }
}

fn topic_of(
    app: &BundleId,
    push_type: PushType,
    given: Option<String>,
) -> Result<String, MessageFlaw> {
    let usual = push_type.topic_suffix().map(|suffix| format!("{app}{suffix}"));
    let plain = |topic: &str| {
        (1..=MAX_TOPIC).contains(&topic.len()) && topic.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match (usual, given) {
        (Some(usual), None) => Ok(usual),
        (Some(usual), Some(given)) if usual == given => Ok(usual),
        (None, Some(given)) if plain(&given) => Ok(given),
        _ => Err(MessageFlaw::TopicForType(push_type)),
    }
}

fn headers(
    push_type: PushType,
    priority: Priority,
    expiration: Option<Expiration>,
    collapse_id: Option<&CollapseId>,
    topic: &str,
) -> Result<Vec<(HeaderName, HeaderValue)>, MessageFlaw> {
    let name = HeaderName::from_static;
    let topic = topic.parse().map_err(|_| MessageFlaw::TopicForType(push_type))?;
    let mut headers = vec![
        (name("apns-topic"), topic),
        (name("apns-push-type"), HeaderValue::from_static(push_type.name())),
        (name("apns-priority"), HeaderValue::from(u16::from(priority.number()))),
    ];
    if let Some(expiration) = expiration {
        headers.push((name("apns-expiration"), HeaderValue::from(expiration.seconds())));
    }
    if let Some(collapse_id) = collapse_id {
        let value = HeaderValue::from_bytes(collapse_id.as_str().as_bytes());
        let mut value = value.map_err(|_| MessageFlaw::CollapseId)?;
        // Apple's table for repeated headers is small; this one is rarely repeated.
        value.set_sensitive(true);
        headers.push((name("apns-collapse-id"), value));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests;
