//! Long-lived keys of users, for programs that cannot sign in: `Authorization: Token …`.

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{
    account::expose,
    id::{KeyId, UserId},
    scope::Scopes,
    time::Timestamp,
};

/// How exactly it is known when a key was last used, so that a busy key costs one write an hour.
pub const USE_RESOLUTION: Duration = Duration::from_hours(1);

/// One long-lived key. The key itself is shown once, when it is made; the record keeps its digest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Its name in lists; a part of the key.
    pub id: KeyId,
    /// Counts the saved changes, from 1.
    pub version: u64,
    /// Whom it speaks for.
    pub owner: UserId,
    /// What it is for, in its owner's words.
    pub name: String,
    /// SHA-256 of the key's secret, in hex. The secret is 256 random bits, so a plain digest
    /// protects it.
    #[serde(serialize_with = "expose")]
    pub digest: SecretString,
    /// What it allows.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used, to about [`USE_RESOLUTION`]; absent when it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
    /// It does not count from this moment on; absent when it counts until it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Set when it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

impl KeyRecord {
    /// Whether the key counts at `now`.
    #[must_use]
    pub fn counts(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }

    /// The record with its use at `now` written down, if the one before is long enough ago to
    /// save it.
    #[must_use]
    pub fn used(&self, now: Timestamp) -> Option<Self> {
        let due = self.last_used_at.is_none_or(|last| now.since(last) >= USE_RESOLUTION);
        due.then(|| Self { version: self.version + 1, last_used_at: Some(now), ..self.clone() })
    }

    /// Ends the key; the moment of an earlier end stays.
    #[must_use]
    pub fn revoke(mut self, now: Timestamp) -> Self {
        self.version += 1;
        self.revoked_at.get_or_insert(now);
        self
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    fn key(now: Timestamp) -> KeyRecord {
        KeyRecord {
            id: KeyId::generate(),
            version: 1,
            owner: UserId::new(7).unwrap(),
            name: "backup".to_owned(),
            digest: "5e".repeat(32).into(),
            scopes: Scopes::all(),
            created_at: now,
            last_used_at: None,
            expires_at: Some(now + Duration::from_secs(10)),
            revoked_at: None,
        }
    }

    #[test]
    fn a_key_counts_until_it_expires_or_is_revoked() {
        let now = Timestamp::now();
        let endless = KeyRecord { expires_at: None, ..key(now) };

        assert!(key(now).counts(now + Duration::from_secs(9)));
        assert!(!key(now).counts(now + Duration::from_secs(10)));
        assert!(endless.counts(now + Duration::from_hours(100_000)));
        assert!(!endless.revoke(now).counts(now));
    }

    #[test]
    fn a_use_is_written_down_once_an_hour() {
        let now = Timestamp::now();
        let used = key(now).used(now).unwrap();

        assert_eq!((used.version, used.last_used_at), (2, Some(now)));
        assert!(used.used(now + Duration::from_mins(59)).is_none());
        assert!(used.used(now + Duration::from_hours(1)).is_some());
    }

    #[test]
    fn a_digest_does_not_print() {
        assert!(!format!("{:?}", key(Timestamp::now())).contains("5e5e"));
    }
}
