//! Users, clients and sign-ins, as stored.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

use crate::{
    id::{ClientId, DeviceId, SessionId, UserId},
    profile::Profile,
    redirect::RedirectUri,
    scope::Scopes,
    time::Timestamp,
};

/// Writes a secret to the store, and nowhere else: these records never leave the process otherwise.
pub(crate) fn expose<S: Serializer>(
    secret: &SecretString,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn expose_option<S: Serializer>(
    secret: &Option<SecretString>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => expose(secret, serializer),
        None => serializer.serialize_none(),
    }
}

/// One person who can sign in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UserRecord {
    /// Its name.
    pub id: UserId,
    /// Counts the saved changes, from 1.
    pub version: u64,
    /// What the person types; for phone accounts `+{calling code}-{number}`. Unique.
    pub username: String,
    /// Argon2id hash in PHC string form.
    #[serde(serialize_with = "expose")]
    pub password_hash: SecretString,
    /// When the account was made.
    pub created_at: Timestamp,
    /// Set when the account may not sign in any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<Timestamp>,
    /// What the person is called and where; empty when nobody has said.
    #[serde(default)]
    pub profile: Profile,
}

/// One application that signs users in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClientRecord {
    /// Its public name.
    pub id: ClientId,
    /// Counts the saved changes, from 1.
    pub version: u64,
    /// What a consent page calls it.
    pub name: String,
    /// SHA-256 of its secret, in hex; absent for a public client. A client's secret is made by
    /// Feat with 256 random bits, so a plain digest protects it.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "expose_option")]
    pub secret_digest: Option<SecretString>,
    /// Grants that it may use.
    pub grants: Vec<Grant>,
    /// Scopes that it may ask for.
    pub scopes: Scopes,
    /// Where users may be sent back to with a code or a token.
    #[serde(default)]
    pub redirect_uris: Vec<RedirectUri>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Set when it may not sign anybody in any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<Timestamp>,
}

/// A way to get an access token (RFC 6749).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// Username and password, section 4.3; needs a device id here.
    Password,
    /// Refresh token, section 6.
    RefreshToken,
    /// Code that a user allowed, section 4.1; a public client proves with PKCE that it is its own.
    AuthorizationCode,
    /// Token in the answer to the user's consent, section 4.2; only for clients that know no
    /// other way.
    Implicit,
    /// The client for itself, section 4.4; no user, no refresh token.
    ClientCredentials,
}

impl Grant {
    /// Every grant.
    pub const ALL: [Self; 5] = [
        Self::AuthorizationCode,
        Self::ClientCredentials,
        Self::Implicit,
        Self::Password,
        Self::RefreshToken,
    ];

    /// Value of `grant_type`; `implicit` has none and is only a name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::RefreshToken => "refresh_token",
            Self::AuthorizationCode => "authorization_code",
            Self::Implicit => "implicit",
            Self::ClientCredentials => "client_credentials",
        }
    }
}

/// One sign-in of one user on one device through one client: the family of its refresh tokens.
///
/// A refresh token names the session and a generation, under a MAC; only the latest generation
/// counts. So no token is stored, and a stolen store gives none away.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionRecord {
    /// Its name.
    pub id: SessionId,
    /// Counts the saved changes, from 1.
    pub version: u64,
    /// Who signed in.
    pub owner: UserId,
    /// Through which client.
    pub client: ClientId,
    /// How it began. Only somebody who signed in with the password may allow clients something.
    #[serde(default = "password")]
    pub grant: Grant,
    /// On which device, as the client names it.
    pub device_id: String,
    /// The record of that device; absent when the client named none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceId>,
    /// What was granted.
    pub scopes: Scopes,
    /// Number of the refresh token that counts, from 1.
    pub generation: u32,
    /// When that token was made.
    pub rotated_at: Timestamp,
    /// When the sign-in happened.
    pub created_at: Timestamp,
    /// No refresh after this moment.
    pub expires_at: Timestamp,
    /// Set when the user signed out or a refresh token was used twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

/// How sessions began before they said so.
const fn password() -> Grant {
    Grant::Password
}

/// What presenting a refresh token means for its session.
#[derive(Debug, Clone)]
pub enum Refresh {
    /// The session moves on to the next generation: save it, then answer with its token.
    Rotated(SessionRecord),
    /// The answer to the same refresh was lost a moment ago: answer again with the token that
    /// counts. Nothing to save.
    Repeated(SessionRecord),
    /// An old token was used again, so one of its holders is a thief: save the revoked session
    /// and refuse.
    Reused(SessionRecord),
    /// The session has ended: refuse.
    Ended,
}

impl SessionRecord {
    /// Judges a refresh token of `generation` presented at `now`. Within `grace` of a rotation
    /// the token before counts as a repeated request.
    #[must_use]
    pub fn refresh(mut self, generation: u32, grace: Duration, now: Timestamp) -> Refresh {
        if !self.is_live(now) {
            return Refresh::Ended;
        }
        if generation == self.generation {
            self.version += 1;
            self.generation += 1;
            self.rotated_at = now;
            return Refresh::Rotated(self);
        }
        if generation.checked_add(1) == Some(self.generation) && now.since(self.rotated_at) <= grace
        {
            return Refresh::Repeated(self);
        }
        Refresh::Reused(self.revoke(now))
    }

    /// Whether its tokens count at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }

    /// Ends the session; no refresh token of it counts any more.
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

    fn session(now: Timestamp) -> SessionRecord {
        SessionRecord {
            id: SessionId::generate(),
            version: 1,
            owner: UserId::new(7).unwrap(),
            client: "demo".parse().unwrap(),
            grant: Grant::Password,
            device_id: "web:1".to_owned(),
            device: None,
            scopes: Scopes::all(),
            generation: 5,
            rotated_at: now,
            created_at: now,
            expires_at: now + Duration::from_hours(1),
            revoked_at: None,
        }
    }

    #[test]
    fn a_refresh_token_counts_once_but_for_a_lost_answer() {
        let now = Timestamp::now();
        let grace = Duration::from_secs(30);
        let soon = now + Duration::from_secs(29);
        let late = now + Duration::from_secs(31);
        let ended = now + Duration::from_hours(1);
        let cases = [
            ("latest", 5, late, "rotated"),
            ("the one before, at once", 4, soon, "repeated"),
            ("the one before, later", 4, late, "reused"),
            ("an older one", 3, soon, "reused"),
            ("one that was never made", 6, soon, "reused"),
            ("after the end", 5, ended, "ended"),
        ];
        for (name, generation, at, expected) in cases {
            let actual = match session(now).refresh(generation, grace, at) {
                Refresh::Rotated(next) => {
                    assert_eq!((next.generation, next.version), (6, 2), "{name}");
                    "rotated"
                }
                Refresh::Repeated(_) => "repeated",
                Refresh::Reused(next) => {
                    assert!(next.revoked_at.is_some(), "{name}");
                    "reused"
                }
                Refresh::Ended => "ended",
            };
            assert_eq!(actual, expected, "{name}");
        }
    }

    #[test]
    fn a_secret_does_not_print() {
        let user = UserRecord {
            id: UserId::new(1).unwrap(),
            version: 1,
            username: "a".to_owned(),
            password_hash: "$argon2id$hash".into(),
            created_at: Timestamp::now(),
            disabled_at: None,
            profile: Profile::default(),
        };

        assert!(!format!("{user:?}").contains("argon2id"));
    }
}
