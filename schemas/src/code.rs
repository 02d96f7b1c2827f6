//! Authorization codes (RFC 6749 4.1): what a user allowed, until the client fetches it.

use serde::{Deserialize, Serialize};

use crate::{
    id::{ClientId, SessionId, UserId},
    scope::Scopes,
    time::Timestamp,
};

/// One code. The code itself is not here: a stolen store gives none away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeRecord {
    /// SHA-256 of the code, in hex. Codes have 256 random bits, so a plain digest protects them.
    pub id: String,
    /// Counts the saved changes, from 1.
    pub version: u64,
    /// Who allowed it.
    pub owner: UserId,
    /// To which client.
    pub client: ClientId,
    /// The address that the code was sent to, as the request named it.
    pub redirect_uri: String,
    /// What was granted.
    pub scopes: Scopes,
    /// What SHA-256 of the client's verifier must be, in base64url (RFC 7636, S256).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<String>,
    /// The sign-in that the code becomes. Its name is known before it exists, so that whoever
    /// uses the code twice ends it, however the two meet.
    pub session: SessionId,
    /// What the sign-in's device is called.
    pub device_id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// It does not count from this moment on.
    pub expires_at: Timestamp,
    /// When it was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redeemed_at: Option<Timestamp>,
    /// When somebody tried to use it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reused_at: Option<Timestamp>,
}

/// What presenting a code means.
#[derive(Debug, Clone)]
pub enum Redeem {
    /// It counts: save it, then start its session. When the session is stored read the code
    /// again: if it was reused meanwhile, the session must end.
    Redeemed(CodeRecord),
    /// It was used before, so one of the two who have it is a thief: save it, end its session and
    /// refuse.
    Reused(CodeRecord),
    /// It came too late: refuse.
    Expired,
}

impl CodeRecord {
    /// Judges the code, presented at `now` by the client that it belongs to.
    #[must_use]
    pub fn redeem(mut self, now: Timestamp) -> Redeem {
        if self.redeemed_at.is_some() {
            self.version += 1;
            self.reused_at.get_or_insert(now);
            return Redeem::Reused(self);
        }
        if self.expires_at <= now {
            return Redeem::Expired;
        }
        self.version += 1;
        self.redeemed_at = Some(now);
        Redeem::Redeemed(self)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::time::Duration;

    use super::*;

    #[test]
    fn a_code_counts_once_and_for_a_short_time() {
        let now = Timestamp::now();
        let code = CodeRecord {
            id: "00".repeat(32),
            version: 1,
            owner: UserId::new(7).unwrap(),
            client: "web".parse().unwrap(),
            redirect_uri: "https://app.example.com/oauth".to_owned(),
            scopes: Scopes::all(),
            challenge: None,
            session: SessionId::generate(),
            device_id: "AUTHORIZE".to_owned(),
            created_at: now,
            expires_at: now + Duration::from_mins(1),
            redeemed_at: None,
            reused_at: None,
        };
        let late = now + Duration::from_mins(2);

        assert!(matches!(code.clone().redeem(late), Redeem::Expired));
        let Redeem::Redeemed(used) = code.redeem(now) else { panic!("it counts") };
        assert_eq!((used.version, used.redeemed_at), (2, Some(now)));
        for again in [now, late] {
            let Redeem::Reused(reused) = used.clone().redeem(again) else { panic!("used") };
            assert_eq!((reused.version, reused.reused_at), (3, Some(again)));
        }
    }
}
