//! The JSON that a device gets.
//!
//! [`Notification`] writes the keys that Apple documents; [`Payload::raw`] takes any object for
//! what it does not know. Either way the text is written anew from parsed values, so what is
//! checked is what is sent.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::MessageFlaw;

/// What a push says, by Apple's keys.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notification {
    /// What the system reads.
    #[serde(default)]
    pub aps: Aps,
    /// A Live Activity that begins, changes or ends; its keys are written into `aps`.
    #[serde(default)]
    pub activity: Option<Activity>,
    /// What only the app reads: any JSON beside `aps`.
    #[serde(default)]
    pub custom: Map<String, Value>,
}

/// The keys that the system reads. Each one that is absent is left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Aps {
    /// What is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<Alert>,
    /// Number on the app's icon; 0 removes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub badge: Option<u32>,
    /// What is heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sound: Option<Sound>,
    /// Groups notifications.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<String>,
    /// Chooses the buttons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Wakes the app in the background.
    #[serde(skip_serializing_if = "is_false", with = "one")]
    pub content_available: bool,
    /// Lets an extension of the app change the notification first.
    #[serde(skip_serializing_if = "is_false", with = "one")]
    pub mutable_content: bool,
    /// Window that is brought forward.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_content_id: Option<String>,
    /// How far it may interrupt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interruption_level: Option<InterruptionLevel>,
    /// Order in the summary: 0 to 1, for Live Activities any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relevance_score: Option<f64>,
    /// Lets the app's Focus filter decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter_criteria: Option<String>,
    /// Widgets and controls read their content anew.
    #[serde(skip_serializing_if = "is_false")]
    pub content_changed: bool,
}

/// What is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Alert {
    /// One text.
    Body(String),
    /// Texts for each place, or keys of the app's own translations.
    Text(Box<AlertText>),
}

/// Texts for each place; of text and key for one place the key wins.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the names are Apple's")]
pub struct AlertText {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtitle: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch_image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title_loc_key: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub title_loc_args: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtitle_loc_key: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subtitle_loc_args: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loc_key: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub loc_args: Vec<String>,
}

/// What is heard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Sound {
    /// A file of the app, or `default`.
    Named(String),
    /// A critical alert, which sounds even when the device is silent.
    Critical {
        /// 1.
        critical: u8,
        /// A file of the app, or `default`.
        name: String,
        /// 0 to 1.
        volume: f64,
    },
}

/// How far a notification may interrupt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are Apple's")]
pub enum InterruptionLevel {
    Passive,
    Active,
    TimeSensitive,
    Critical,
}

/// The keys of a Live Activity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Activity {
    /// When the state was so, in seconds since 1970. Older ones are ignored by the device.
    pub timestamp: u64,
    /// What happens to it.
    pub event: ActivityEvent,
    /// What it shows, in the shape that the app declares.
    pub content_state: Map<String, Value>,
    /// From when it is shown as outdated, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_date: Option<u64>,
    /// When an ended one disappears, in seconds since 1970; four hours after its end by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dismissal_date: Option<u64>,
    /// Type of the attributes; needed to start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes_type: Option<String>,
    /// What never changes; needed to start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<Map<String, Value>>,
    /// Asks for a token for updates (iOS 18 and later).
    #[serde(default, skip_serializing_if = "is_false", with = "one")]
    pub input_push_token: bool,
    /// Takes updates from this channel (iOS 18 and later).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_push_channel: Option<String>,
}

/// What happens to a Live Activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are Apple's")]
pub enum ActivityEvent {
    Start,
    Update,
    End,
}

/// A payload as it goes over the wire: a JSON object, written by us.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    text: Bytes,
    pub(super) traits: Traits,
}

/// What the rules for push types need to know of a payload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key that is there or not")]
pub(super) struct Traits {
    pub(super) aps: bool,
    pub(super) visible: bool,
    pub(super) content_available: bool,
    pub(super) content_changed: bool,
    pub(super) activity: bool,
}

impl Payload {
    /// Writes what `notification` says.
    ///
    /// # Errors
    ///
    /// A custom key is named `aps`, a number is none, or a Live Activity that starts lacks what
    /// it needs. The caller must mend it.
    pub fn new(notification: &Notification) -> Result<Self, MessageFlaw> {
        if notification.custom.contains_key("aps") {
            return Err(MessageFlaw::CustomAps);
        }
        let score = notification.aps.relevance_score;
        let volume = match &notification.aps.sound {
            Some(Sound::Critical { volume, .. }) => Some(*volume),
            _ => None,
        };
        let loud = volume.is_some_and(|volume| !(0.0..=1.0).contains(&volume));
        if loud || score.is_some_and(|score| !score.is_finite()) {
            return Err(MessageFlaw::Number);
        }
        let mut root = notification.custom.clone();
        let mut aps = object(&notification.aps)?;
        if let Some(activity) = &notification.activity {
            aps.append(&mut object(activity)?);
        }
        root.insert("aps".into(), Value::Object(aps));
        Self::of(&root)
    }

    /// Takes any JSON object. Of a key that stands twice the last one counts.
    ///
    /// # Errors
    ///
    /// The text is no JSON object, or nested deeper than 128 levels, or a Live Activity that
    /// starts lacks what it needs. The caller must mend it.
    pub fn raw(json: &str) -> Result<Self, MessageFlaw> {
        let root: Map<String, Value> =
            serde_json::from_str(json).map_err(|_| MessageFlaw::NotAnObject)?;
        Self::of(&root)
    }

    fn of(root: &Map<String, Value>) -> Result<Self, MessageFlaw> {
        let traits = match root.get("aps") {
            None => Traits::default(),
            Some(Value::Object(aps)) => traits(aps)?,
            Some(_) => return Err(MessageFlaw::Aps),
        };
        let text = serde_json::to_vec(root).map_err(|_| MessageFlaw::NotAnObject)?;
        Ok(Self { text: text.into(), traits })
    }

    /// The JSON text.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.text
    }

    /// Its size as Apple measures it, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.text.len()
    }
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Payload({} bytes)", self.text.len())
    }
}

fn object(value: &impl Serialize) -> Result<Map<String, Value>, MessageFlaw> {
    match serde_json::to_value(value) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(MessageFlaw::NotAnObject),
    }
}

fn traits(aps: &Map<String, Value>) -> Result<Traits, MessageFlaw> {
    let is_one = |key: &str| aps.get(key).is_some_and(|value| value == &Value::from(1));
    let activity = aps.contains_key("event");
    if activity {
        check_activity(aps)?;
    }
    Ok(Traits {
        aps: true,
        visible: ["alert", "badge", "sound"].iter().any(|key| aps.contains_key(*key)),
        content_available: is_one("content-available"),
        content_changed: aps.get("content-changed") == Some(&Value::Bool(true)),
        activity,
    })
}

fn check_activity(aps: &Map<String, Value>) -> Result<(), MessageFlaw> {
    let event = aps.get("event").and_then(Value::as_str).unwrap_or_default();
    let needed: &[&str] = match event {
        "start" => &["timestamp", "content-state", "attributes-type", "attributes", "alert"],
        "update" => &["timestamp", "content-state"],
        "end" => &["timestamp"],
        _ => return Err(MessageFlaw::Activity),
    };
    if needed.iter().all(|key| aps.contains_key(*key)) {
        Ok(())
    } else {
        Err(MessageFlaw::Activity)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// Apple writes some flags as 1.
mod one {
    use serde::{Deserialize, Deserializer, Serializer, de};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
    pub(super) fn serialize<S: Serializer>(value: &bool, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u8(u8::from(*value))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
        match u8::deserialize(from)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(de::Error::custom("expected 0 or 1")),
        }
    }
}
