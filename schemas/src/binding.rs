//! The accounts that users have at providers, and the consent under way that binds or unbinds one.
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

/// What a consent is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The account becomes that of the user.
    #[default]
    Bind,
    /// The account, which is that of the user, is forgotten.
    Unbind,
}

impl Purpose {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    const fn is_bind(&self) -> bool {
        matches!(self, Self::Bind)
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
    /// What it is for.
    #[serde(default, skip_serializing_if = "Purpose::is_bind")]
    pub purpose: Purpose,
    /// Where the browser goes afterwards; checked before it was stored.
    pub redirect_to: String,
    /// When it was begun.
    pub created_at: Timestamp,
    /// It does not count from this moment on.
    pub expires_at: Timestamp,
    /// SHA-256 of the browser's cookie, in hex: of the browser that began, and once another one came
    /// back, of that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub browser: Option<String>,
    /// When the person in a browser that did not begin was asked whether they mean it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<Timestamp>,
    /// When somebody came back with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Timestamp>,
}

/// How a browser that comes back stands to a consent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visitor {
    /// It began the consent: it may finish it.
    Beginner,
    /// It did not begin it and is the first such one: save this, then ask the person.
    Asked(Box<BindStateRecord>),
    /// It is the one whose person was asked: only the answer finishes it.
    AskedBefore,
    /// Another one was asked: it has no say.
    Stranger,
}

impl BindStateRecord {
    /// Whether a browser that comes back from `channel` at `now` comes in time, at the right place and
    /// as the first.
    #[must_use]
    pub fn counts(&self, channel: Channel, now: Timestamp) -> bool {
        self.used_at.is_none() && now < self.expires_at && self.channel == channel
    }

    /// Who comes back: `browser` is the digest of the visitor's cookie.
    ///
    /// Whoever knows the address of a provider's consent can let somebody else open it. So only the
    /// browser that began may finish without a word.
    #[must_use]
    pub fn visitor(&self, browser: &str, now: Timestamp) -> Visitor {
        let is_known = self.browser.as_deref() == Some(browser);
        match (self.asked_at, is_known) {
            (None, true) => Visitor::Beginner,
            (Some(_), true) => Visitor::AskedBefore,
            (Some(_), false) => Visitor::Stranger,
            (None, false) => Visitor::Asked(Box::new(Self {
                browser: Some(browser.to_owned()),
                asked_at: Some(now),
                version: self.version + 1,
                ..self.clone()
            })),
        }
    }

    /// The state as used at `now`, coming back from `channel`: save it before anything follows.
    /// `None` when it does not count.
    #[must_use]
    pub fn consume(mut self, channel: Channel, now: Timestamp) -> Option<Self> {
        let counts = self.counts(channel, now);
        self.used_at = Some(now);
        self.version += 1;
        counts.then_some(self)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

    use std::time::Duration;

    use super::*;

    fn state(now: Timestamp) -> BindStateRecord {
        BindStateRecord {
            id: "00".repeat(32),
            version: 1,
            owner: UserId::new(7).unwrap(),
            channel: Channel::Alipay,
            app: "web".to_owned(),
            purpose: Purpose::Bind,
            redirect_to: "https://app.example.com/".to_owned(),
            created_at: now,
            expires_at: now + Duration::from_mins(10),
            browser: Some("aa".repeat(32)),
            asked_at: None,
            used_at: None,
        }
    }

    #[test]
    fn only_the_browser_that_began_finishes_without_a_word() {
        let now = Timestamp::now();
        let (begun, other, third) = (state(now), "bb".repeat(32), "cc".repeat(32));
        let first = "aa".repeat(32);

        assert_eq!(begun.visitor(&first, now), Visitor::Beginner);
        let Visitor::Asked(asked) = begun.visitor(&other, now) else { panic!("not asked") };
        assert_eq!((asked.version, asked.asked_at), (2, Some(now)));
        assert_eq!(asked.visitor(&other, now), Visitor::AskedBefore, "a reload asks again");
        assert_eq!(asked.visitor(&third, now), Visitor::Stranger);
        assert_eq!(asked.visitor(&first, now), Visitor::Stranger, "the beginner comes too late");
        let nobody = BindStateRecord { browser: None, ..begun };
        assert!(matches!(nobody.visitor(&first, now), Visitor::Asked(_)), "begun without a cookie");
    }

    #[test]
    fn a_state_counts_once_and_for_a_while_and_at_its_provider() {
        let now = Timestamp::now();
        let state = state(now);
        let used = state.clone().consume(Channel::Alipay, now).unwrap();

        assert_eq!((used.version, used.used_at), (2, Some(now)));
        assert_eq!(used.consume(Channel::Alipay, now), None, "a second time");
        assert_eq!(state.clone().consume(Channel::WeChatPay, now), None, "elsewhere");
        assert_eq!(state.clone().consume(Channel::Alipay, state.expires_at), None, "too late");
    }
}
