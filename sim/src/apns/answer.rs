//! Every answer that the push service gives, by status and reason.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A push that is refused, with what the body says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Apple's word; none at all leaves the body empty.
    #[serde(default)]
    pub reason: Option<String>,
    /// Milliseconds since 1970; only with 410.
    #[serde(default)]
    pub timestamp: Option<u64>,
    /// Seconds in a `Retry-After` header.
    #[serde(default)]
    pub retry_after: Option<u64>,
}

/// Every documented reason of device pushes and the status it comes with.
pub const REASONS: [(u16, &str); 34] = [
    (400, "BadCollapseId"),
    (400, "BadDeviceToken"),
    (400, "BadExpirationDate"),
    (400, "BadMessageId"),
    (400, "BadPriority"),
    (400, "BadTopic"),
    (400, "DeviceTokenNotForTopic"),
    (400, "DuplicateHeaders"),
    (400, "IdleTimeout"),
    (400, "InvalidPushType"),
    (400, "MissingDeviceToken"),
    (400, "MissingTopic"),
    (400, "PayloadEmpty"),
    (400, "TopicDisallowed"),
    (403, "BadCertificate"),
    (403, "BadCertificateEnvironment"),
    (403, "BadEnvironmentKeyIdInToken"),
    (403, "BadEnvironmentKeyInToken"),
    (403, "ExpiredProviderToken"),
    (403, "Forbidden"),
    (403, "InvalidProviderToken"),
    (403, "MissingProviderToken"),
    (403, "UnrelatedKeyIdInToken"),
    (404, "BadPath"),
    (405, "MethodNotAllowed"),
    (410, "ExpiredToken"),
    (410, "Unregistered"),
    (413, "PayloadTooLarge"),
    (429, "TooManyProviderTokenUpdates"),
    (429, "TooManyRequests"),
    (500, "InternalServerError"),
    (503, "ServiceUnavailable"),
    (503, "Shutdown"),
    // Not of Apple: what a sender makes of a word that it does not know.
    (400, "ReasonOfTomorrow"),
];

impl Refusal {
    /// A refusal with status and reason only.
    #[must_use]
    pub fn new(status: u16, reason: &str) -> Self {
        Self { status, reason: Some(reason.to_owned()), timestamp: None, retry_after: None }
    }

    /// The documented refusal of this name.
    pub(super) fn of(reason: &str) -> Self {
        let known = REASONS.iter().find(|(_, known)| *known == reason);
        Self::new(known.map_or(400, |(status, _)| *status), reason)
    }

    /// The JSON of the body.
    pub(super) fn body(&self) -> String {
        match (&self.reason, self.timestamp) {
            (None, _) => String::new(),
            (Some(reason), None) => serde_json::json!({ "reason": reason }).to_string(),
            (Some(reason), Some(timestamp)) => {
                serde_json::json!({ "reason": reason, "timestamp": timestamp }).to_string()
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.reason.as_deref().unwrap_or("-"))
    }
}
