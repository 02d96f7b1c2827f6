//! The kinds of push, and what Apple takes of each.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Payload;

const MAX_PAYLOAD: usize = 4096;
const MAX_VOIP_PAYLOAD: usize = 5120;

/// What kind of push this is, as Apple names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are Apple's")]
pub enum PushType {
    Alert,
    Background,
    Voip,
    Complication,
    FileProvider,
    Mdm,
    Location,
    LiveActivity,
    PushToTalk,
    Widgets,
    Controls,
}

impl PushType {
    /// Every one.
    pub const ALL: [Self; 11] = [
        Self::Alert,
        Self::Background,
        Self::Voip,
        Self::Complication,
        Self::FileProvider,
        Self::Mdm,
        Self::Location,
        Self::LiveActivity,
        Self::PushToTalk,
        Self::Widgets,
        Self::Controls,
    ];

    /// Its name in Apple's header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Background => "background",
            Self::Voip => "voip",
            Self::Complication => "complication",
            Self::FileProvider => "fileprovider",
            Self::Mdm => "mdm",
            Self::Location => "location",
            Self::LiveActivity => "liveactivity",
            Self::PushToTalk => "pushtotalk",
            Self::Widgets => "widgets",
            Self::Controls => "controls",
        }
    }

    /// The type with this name in Apple's header.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|push_type| push_type.name() == name)
    }

    /// What follows the bundle id in the topic; MDM has a topic of its own.
    pub(super) const fn topic_suffix(self) -> Option<&'static str> {
        match self {
            Self::Alert | Self::Background => Some(""),
            Self::Voip => Some(".voip"),
            Self::Complication => Some(".complication"),
            Self::FileProvider => Some(".pushkit.fileprovider"),
            Self::Mdm => None,
            Self::Location => Some(".location-query"),
            Self::LiveActivity => Some(".push-type.liveactivity"),
            Self::PushToTalk => Some(".voip-ptt"),
            Self::Widgets => Some(".push-type.widgets"),
            Self::Controls => Some(".push-type.controls"),
        }
    }

    /// Priorities that Apple takes; the first is the usual one.
    pub(super) const fn priorities(self) -> &'static [Priority] {
        use Priority::{Immediate, PowerAware, PowerFirst};
        match self {
            Self::Background => &[PowerAware],
            Self::Voip | Self::PushToTalk => &[Immediate],
            Self::Alert | Self::FileProvider | Self::Mdm => &[Immediate, PowerAware, PowerFirst],
            Self::Complication
            | Self::Location
            | Self::LiveActivity
            | Self::Widgets
            | Self::Controls => &[Immediate, PowerAware],
        }
    }

    pub(super) fn suits(self, payload: &Payload) -> bool {
        let traits = payload.traits;
        match self {
            Self::Alert => traits.aps && !traits.activity,
            Self::Background => traits.content_available && !traits.visible,
            Self::LiveActivity => traits.activity,
            Self::Widgets | Self::Controls => traits.content_changed,
            Self::Mdm => !traits.aps,
            Self::Voip
            | Self::Complication
            | Self::FileProvider
            | Self::Location
            | Self::PushToTalk => true,
        }
    }

    pub(super) const fn max_payload(self) -> usize {
        if matches!(self, Self::Voip) { MAX_VOIP_PAYLOAD } else { MAX_PAYLOAD }
    }

    /// Whether a certificate is not enough.
    pub(super) const fn needs_provider_token(self) -> bool {
        matches!(self, Self::Location | Self::LiveActivity)
    }
}

impl fmt::Display for PushType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How urgent a push is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// 1: never wakes the device.
    PowerFirst,
    /// 5: when it suits the device's battery; may be gathered or dropped.
    PowerAware,
    /// 10: now.
    Immediate,
}

impl Priority {
    /// The priority with Apple's number.
    #[must_use]
    pub const fn of_number(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::PowerFirst),
            5 => Some(Self::PowerAware),
            10 => Some(Self::Immediate),
            _ => None,
        }
    }

    /// Apple's number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::PowerFirst => 1,
            Self::PowerAware => 5,
            Self::Immediate => 10,
        }
    }
}
