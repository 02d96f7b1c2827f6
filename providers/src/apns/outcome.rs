//! What Apple's answers mean: one table from status, reason and timestamp to what the caller may
//! do next, and to what must happen to the connection.

use std::{borrow::Cow, fmt, time::Duration};

use schemas::Timestamp;
use uuid::Uuid;

/// Apple asks for a quarter of an hour after an internal error.
const AFTER_INTERNAL_ERROR: Duration = Duration::from_mins(15);
/// First wait where Apple names none.
const AFTER_UNAVAILABLE: Duration = Duration::from_secs(30);
const AFTER_LOST: Duration = Duration::from_secs(5);
const AFTER_DEVICE_LIMIT: Duration = Duration::from_mins(1);
/// Apple counts renewals of provider tokens over this time.
const AFTER_TOKEN_LIMIT: Duration = Duration::from_mins(20);
/// Longest wait that is taken over from an answer.
const LONGEST_WAIT: Duration = Duration::from_hours(1);
/// Longest reason that is kept.
const MAX_REASON: usize = 64;

/// Apple took the push. That is the last thing known about it: not that it was delivered or seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The id that the push was sent under.
    pub id: Uuid,
    /// Key for the delivery log in Apple's console; only the sandbox gives one.
    pub unique_id: Option<String>,
}

/// Why Apple refused, in its own word: short, printable, and nothing of the request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reason(Cow<'static, str>);

impl Reason {
    pub(super) const fn local(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// Keeps the letters, digits and hyphens of what the peer wrote, at most 64 of them.
    fn of_peer(text: Option<&str>) -> Self {
        let plain =
            |character: &char| character.is_ascii_alphanumeric() || "_-".contains(*character);
        let kept: String =
            text.unwrap_or_default().chars().filter(plain).take(MAX_REASON).collect();
        if kept.is_empty() { Self::local("NoReasonGiven") } else { Self(Cow::Owned(kept)) }
    }

    /// The word, such as `BadDeviceToken`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whom a 429 slows down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// This device token only.
    Device,
    /// Every push under this provider token: it was renewed too often.
    ProviderToken,
}

/// How an answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// None came in time.
    TimedOut,
    /// The connection closed, or the peer gave up the stream, after the request had left.
    Closed,
    /// Something came that APNs does not say.
    Unreadable,
}

/// Why a push was not accepted, sorted by what the caller may do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// The token ended at `since`. Disable it if it was registered at or before that moment, in
    /// one guarded write; keep it if the app registered it again later. Never send this again.
    #[error("the device token is gone since {since}: {reason}")]
    TokenGone {
        /// Apple's moment; that of the answer when Apple named none, or one in the future.
        since: Timestamp,
        /// Apple's word.
        reason: Reason,
    },
    /// Garbage, or a token of the other environment: try that one once if nothing says where the
    /// token belongs, otherwise put it aside. Never send this again here.
    #[error("no token of this environment: {reason}")]
    BadToken {
        /// Apple's word.
        reason: Reason,
    },
    /// The token belongs to another app. Mend the record; never send this again.
    #[error("the device token belongs to another app: {reason}")]
    WrongApp {
        /// Apple's word.
        reason: Reason,
    },
    /// The message or request is at fault. The token is good; the same push would be refused again.
    #[error("refused: {reason}")]
    Refused {
        /// Apple's word, or ours.
        reason: Reason,
    },
    /// Too much in too short a time. Nothing was taken; send the same push again, but not sooner.
    #[error("throttled for {after:?}")]
    Throttled {
        /// Whom this slows down.
        limit: Limit,
        /// How long.
        after: Duration,
    },
    /// The credential, topic or team is wrong for this app. Stop all of its sends and call the
    /// operator; the push may be sent when that is mended, unless [`Self::next`] says otherwise.
    #[error("the app may not push: {reason}")]
    AppBlocked {
        /// Apple's word, or ours.
        reason: Reason,
    },
    /// Apple cannot at the moment and said so. Nothing was taken; send the same push later.
    #[error("the push service is unavailable: {reason}")]
    Unavailable {
        /// Apple's word.
        reason: Reason,
        /// How long at least; grow it with each attempt.
        after: Duration,
    },
    /// The push left and no usable answer came: it may have been delivered. Count that first;
    /// sending it again under the same id may deliver it twice.
    #[error("whether the push was taken is not known: {0:?}")]
    Unknown(Lost),
    /// The push never left: no connection, or no free stream in time. Send it again later.
    #[error("the push was not sent: {why}")]
    NotSent {
        /// What was in the way.
        why: Cow<'static, str>,
        /// How long at least.
        after: Duration,
    },
}

/// What may be done with a push that was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The same push is never sent again.
    Drop,
    /// It waits until an operator has mended the app.
    Park,
    /// It may be sent again under the same id after this time, and not later than it expires.
    Again(Duration),
}

impl PushError {
    /// What may be done with the push.
    #[must_use]
    pub fn next(&self) -> Next {
        match self {
            Self::TokenGone { .. }
            | Self::BadToken { .. }
            | Self::WrongApp { .. }
            | Self::Refused { .. } => Next::Drop,
            // Apple's list of what is never sent again has this one.
            Self::AppBlocked { reason } if reason.as_str() == "Forbidden" => Next::Drop,
            Self::AppBlocked { .. } => Next::Park,
            Self::Throttled { after, .. }
            | Self::Unavailable { after, .. }
            | Self::NotSent { after, .. } => Next::Again(*after),
            Self::Unknown(_) => Next::Again(AFTER_LOST),
        }
    }

    /// Its name in metrics.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::TokenGone { .. } => "token_gone",
            Self::BadToken { .. } => "bad_token",
            Self::WrongApp { .. } => "wrong_app",
            Self::Refused { .. } => "refused",
            Self::Throttled { .. } => "throttled",
            Self::AppBlocked { .. } => "app_blocked",
            Self::Unavailable { .. } => "unavailable",
            Self::Unknown(_) => "unknown",
            Self::NotSent { .. } => "not_sent",
        }
    }
}

/// What came back for one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) reason: Option<String>,
    /// Milliseconds since 1970.
    pub(super) timestamp: Option<u64>,
    pub(super) retry_after: Option<Duration>,
    pub(super) unique_id: Option<String>,
}

/// What must happen to the connection and the provider token after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// Nothing.
    Keep,
    /// A new provider token on a new connection, and this push once more.
    Renew,
    /// No new provider token for a while.
    HoldToken,
    /// A new connection for what comes next.
    Replace,
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ruling {
    pub(super) outcome: Result<(), PushError>,
    pub(super) then: Then,
}

/// The table. `now` is the moment of the answer.
pub(super) fn rule(answer: &Answer, now: Timestamp) -> Ruling {
    let reason = || Reason::of_peer(answer.reason.as_deref());
    let wait = |usual: Duration| answer.retry_after.unwrap_or(usual).min(LONGEST_WAIT);
    let (error, then) = match (answer.status, answer.reason.as_deref().unwrap_or_default()) {
        (200, _) => return Ruling { outcome: Ok(()), then: Then::Keep },
        (400, "BadDeviceToken") => (PushError::BadToken { reason: reason() }, Then::Keep),
        (400, "DeviceTokenNotForTopic") => (PushError::WrongApp { reason: reason() }, Then::Keep),
        (400, "BadTopic" | "MissingTopic" | "TopicDisallowed") => {
            (PushError::AppBlocked { reason: reason() }, Then::Keep)
        }
        (400, "IdleTimeout") => {
            (PushError::Unavailable { reason: reason(), after: wait(AFTER_LOST) }, Then::Replace)
        }
        (403, "ExpiredProviderToken") => (PushError::AppBlocked { reason: reason() }, Then::Renew),
        // The connection is bound to what its first push said.
        (403, "UnrelatedKeyIdInToken") => {
            (PushError::AppBlocked { reason: reason() }, Then::Replace)
        }
        (403, _) => (PushError::AppBlocked { reason: reason() }, Then::Keep),
        (410, _) => {
            (PushError::TokenGone { since: gone_since(answer, now), reason: reason() }, Then::Keep)
        }
        (429, "TooManyProviderTokenUpdates") => {
            let after = wait(AFTER_TOKEN_LIMIT);
            (PushError::Throttled { limit: Limit::ProviderToken, after }, Then::HoldToken)
        }
        (429, _) => {
            let after = wait(AFTER_DEVICE_LIMIT);
            (PushError::Throttled { limit: Limit::Device, after }, Then::Keep)
        }
        (500, _) => {
            let after = wait(AFTER_INTERNAL_ERROR);
            (PushError::Unavailable { reason: reason(), after }, Then::Keep)
        }
        (503, word) => {
            let then = if word == "Shutdown" { Then::Replace } else { Then::Keep };
            (PushError::Unavailable { reason: reason(), after: wait(AFTER_UNAVAILABLE) }, then)
        }
        (400..=499, _) => (PushError::Refused { reason: reason() }, Then::Keep),
        // A gateway on the way may say this of a push that has arrived.
        _ => (PushError::Unknown(Lost::Unreadable), Then::Replace),
    };
    Ruling { outcome: Err(error), then }
}

/// When the token ended: never later than now, or a clock that runs ahead would end tokens that
/// are registered again meanwhile.
fn gone_since(answer: &Answer, now: Timestamp) -> Timestamp {
    let named = answer.timestamp.and_then(|millis| i64::try_from(millis).ok());
    let named = named.and_then(|millis| millis.checked_mul(1000)).map(Timestamp::from_micros);
    named.map_or(now, |named| named.min(now))
}

#[cfg(test)]
mod tests;
