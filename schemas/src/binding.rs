//! The accounts that users have at providers, and the consent under way that binds one.
//!
//! Whatever names a person at a provider is sealed; the store alone gives nothing away.

use serde::{Deserialize, Serialize};

use crate::{id::UserId, kinds::pay_create::SealedPayer, payment::Channel, time::Timestamp};

/// What the seal of a person's code is for.
pub const SEALED_CODE: &str = "binding code";

/// What the seal of a person's id is for.
pub const SEALED_ACCOUNT: &str = "bound account";

/// What the seal of a person's name and picture is for.
pub const SEALED_PROFILE: &str = "bound profile";

/// The account of one user at one provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingRecord {
    /// See [`BindingRecord::id_of`].
    pub id: String,
    /// Counts the saved changes, from 1.
    pub version: u64,
    /// The user.
    pub owner: UserId,
    /// The provider.
    pub channel: Channel,
    /// Name of the configured app, under which the person has this id.
    pub app: String,
    /// The person's id there.
    pub account: SealedPayer,
    /// The person's id that several apps share, sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub union_account: Option<String>,
    /// [`BoundProfile`] as JSON, sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// When it was bound.
    pub bound_at: Timestamp,
}

/// What a person shows of themselves at a provider, as far as the consent covers it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundProfile {
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nickname: Option<String>,
    /// Address of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
}

impl BindingRecord {
    /// A user has one account at a provider.
    #[must_use]
    pub fn id_of(owner: UserId, channel: Channel) -> String {
        format!("{channel}:{owner}")
    }
}

/// A consent under way: whoever comes back with its state consents for its user, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindStateRecord {
    /// SHA-256 of the state, in hex. States have 256 random bits, so a plain digest protects them.
    pub id: String,
    /// Counts the saved changes, from 1.
    pub version: u64,
    /// The user who began it.
    pub owner: UserId,
    /// The provider.
    pub channel: Channel,
    /// Name of the configured app.
    pub app: String,
    /// Where the browser goes afterwards; checked before it was stored.
    pub redirect_to: String,
    /// When it was begun.
    pub created_at: Timestamp,
    /// It does not count from this moment on.
    pub expires_at: Timestamp,
    /// When somebody came back with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Timestamp>,
}

impl BindStateRecord {
    /// The state as used at `now`, coming back from `channel`: save it before anything follows.
    /// `None` when it does not count.
    #[must_use]
    pub fn consume(mut self, channel: Channel, now: Timestamp) -> Option<Self> {
        let counts = self.used_at.is_none() && now < self.expires_at && self.channel == channel;
        self.used_at = Some(now);
        self.version += 1;
        counts.then_some(self)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::time::Duration;

    use super::*;

    #[test]
    fn a_state_counts_once_and_for_a_while_and_at_its_provider() {
        let now = Timestamp::now();
        let state = BindStateRecord {
            id: "00".repeat(32),
            version: 1,
            owner: UserId::new(7).unwrap(),
            channel: Channel::Alipay,
            app: "web".to_owned(),
            redirect_to: "https://app.example.com/".to_owned(),
            created_at: now,
            expires_at: now + Duration::from_mins(10),
            used_at: None,
        };
        let used = state.clone().consume(Channel::Alipay, now).unwrap();

        assert_eq!((used.version, used.used_at), (2, Some(now)));
        assert_eq!(used.consume(Channel::Alipay, now), None, "a second time");
        assert_eq!(state.clone().consume(Channel::WeChatPay, now), None, "elsewhere");
        assert_eq!(state.clone().consume(Channel::Alipay, state.expires_at), None, "too late");
    }
}
