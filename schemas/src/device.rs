//! The devices that users sign in on.

use serde::{Deserialize, Serialize};

use crate::{
    id::{ClientId, DeviceId, SessionId, UserId},
    time::Timestamp,
};

/// One device of one user. A user has one record for each `device_id`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRecord {
    /// Its name.
    pub id: DeviceId,
    /// Counts the saved changes, from 1.
    pub version: u64,
    /// Whose device.
    pub owner: UserId,
    /// What the client calls it; unique for each user.
    pub device_id: String,
    /// The client of its latest sign-in.
    pub client: ClientId,
    /// Its latest sign-in.
    pub session: SessionId,
    /// When somebody first signed in on it.
    pub first_seen: Timestamp,
    /// When somebody last signed in on it.
    pub last_seen: Timestamp,
    /// When the last sign-in on it ends by itself; it is forgotten some time after that. Absent from
    /// a device that nobody has signed in on since this is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl DeviceRecord {
    /// The device after another sign-in, the one of `latest`.
    #[must_use]
    pub fn seen(mut self, latest: &Self) -> Self {
        self.version += 1;
        self.client = latest.client.clone();
        self.session = latest.session;
        self.last_seen = self.last_seen.max(latest.last_seen);
        self.expires_at = self.expires_at.max(latest.expires_at);
        self
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::time::Duration;

    use super::*;

    #[test]
    fn a_device_remembers_its_first_and_its_latest_sign_in() {
        let now = Timestamp::now();
        let first = DeviceRecord {
            id: DeviceId::generate(),
            version: 1,
            owner: UserId::new(7).unwrap(),
            device_id: "web:1".to_owned(),
            client: "web".parse().unwrap(),
            session: SessionId::generate(),
            first_seen: now,
            last_seen: now,
            expires_at: None,
        };
        let later = now + Duration::from_secs(9);
        let next = DeviceRecord {
            client: "app".parse().unwrap(),
            session: SessionId::generate(),
            last_seen: later,
            expires_at: Some(later),
            ..first.clone()
        };
        let seen = first.clone().seen(&next);

        assert_eq!((seen.version, seen.session, seen.first_seen), (2, next.session, now));
        assert_eq!((seen.last_seen, seen.expires_at), (later, Some(later)));
        let behind = seen.seen(&first);
        assert_eq!(behind.last_seen, later, "a clock that is behind takes nothing back");
        assert_eq!(behind.expires_at, Some(later));
    }
}
