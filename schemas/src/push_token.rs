//! A device's token for Apple's pushes, as stored.
//!
//! One record for one token of one app in one environment, whoever owns it: so a token that
//! changes hands moves whole, and a device never gets another account's pushes. The times decide
//! between a registration and an answer of Apple that cross each other.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    apns::{ApnsEnvironment, BundleId, DeviceToken},
    id::{PushTokenId, UserId},
    time::Timestamp,
};

/// Changes of a record that are kept.
pub const MAX_HISTORY: usize = 20;

/// How long a token that Apple has ended can be taken back by an operator.
pub const UNDO_WINDOW: Duration = Duration::from_hours(7 * 24);

/// One registered token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PushTokenRecord {
    /// Environment, app and token in one text: the name by which it is unique.
    pub id: String,
    /// The number that clients see.
    pub number: PushTokenId,
    /// Whose pushes the device gets. Stored as `user`: an owner is part of a record's name, and
    /// a token may change hands.
    #[serde(rename = "user")]
    pub owner: UserId,
    /// Counts the saved changes, from 1.
    pub version: u64,
    /// The app.
    pub app: BundleId,
    /// Where the token belongs.
    pub environment: ApnsEnvironment,
    /// Apple's address of the device.
    pub token: DeviceToken,
    /// The device, as the client names it.
    pub device_id: String,
    /// Language and region of the device, such as `zh-Hans-CN`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Version of the app on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_version: Option<String>,
    /// Whether it gets pushes.
    pub state: PushTokenState,
    /// Since when it is in that state.
    pub state_at: Timestamp,
    /// When it was first registered.
    pub created_at: Timestamp,
    /// When it was last registered, by our clock. An answer of Apple that is older says nothing.
    pub registered_at: Timestamp,
    /// The latest changes, oldest first, at most [`MAX_HISTORY`].
    pub history: Vec<PushTokenChange>,
}

/// Whether a token gets pushes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum PushTokenState {
    /// It does.
    Active,
    /// It does, but Apple did not know it the last time.
    Suspect,
    /// It does not, and it can be taken back.
    Quarantined,
    /// It does not.
    Removed,
}

impl PushTokenState {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Active, Self::Suspect, Self::Quarantined, Self::Removed];

    /// Whether pushes are sent to it.
    #[must_use]
    pub const fn gets_pushes(self) -> bool {
        matches!(self, Self::Active | Self::Suspect)
    }

    /// Its name in records and in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspect => "suspect",
            Self::Quarantined => "quarantined",
            Self::Removed => "removed",
        }
    }
}

/// One change of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PushTokenChange {
    /// When.
    pub at: Timestamp,
    /// State before; absent for the first registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<PushTokenState>,
    /// State after.
    pub to: PushTokenState,
    /// Why.
    pub why: PushTokenReason,
}

/// Why a record changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PushTokenReason {
    /// The app registered the token, again or for the first time.
    Registered,
    /// It did so for another account: the token changed hands.
    Moved,
    /// Apple took a push for it.
    Accepted,
    /// Apple says that it ended.
    Gone,
    /// Apple does not know it in this environment.
    Unknown,
    /// Apple knows it in the other environment, where it is registered now.
    WrongEnvironment,
    /// The device has a newer token for the same app.
    Superseded,
    /// Its owner asked for it.
    Deleted,
    /// Nobody registered it for a long time.
    Stale,
    /// It was not taken back in time.
    Lapsed,
    /// An operator took it back.
    Restored,
}

/// What an app says about a device when it registers a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Who is signed in.
    pub owner: UserId,
    /// The app.
    pub app: BundleId,
    /// Where the token belongs.
    pub environment: ApnsEnvironment,
    /// Apple's address of the device.
    pub token: DeviceToken,
    /// The device, as the client names it.
    pub device_id: String,
    /// Language and region of the device.
    pub locale: Option<String>,
    /// Version of the app on it.
    pub app_version: Option<String>,
}

impl Registration {
    /// The name of the record that this makes or renews.
    #[must_use]
    pub fn record_id(&self) -> String {
        PushTokenRecord::id_of(&self.app, self.environment, &self.token)
    }
}

impl PushTokenRecord {
    /// The name of the record of a token.
    #[must_use]
    pub fn id_of(app: &BundleId, environment: ApnsEnvironment, token: &DeviceToken) -> String {
        format!("{environment}/{app}/{}", token.as_str())
    }

    /// The record of a token that was never registered before.
    #[must_use]
    pub fn new(registration: Registration, now: Timestamp) -> Self {
        let id = registration.record_id();
        let Registration { owner, app, environment, token, device_id, locale, app_version } =
            registration;
        let to = PushTokenState::Active;
        let first = PushTokenChange { at: now, from: None, to, why: PushTokenReason::Registered };
        Self {
            id,
            number: PushTokenId::generate(),
            owner,
            version: 1,
            app,
            environment,
            token,
            device_id,
            locale,
            app_version,
            state: to,
            state_at: now,
            created_at: now,
            registered_at: now,
            history: vec![first],
        }
    }

    /// The app registers the token again: it is active, whatever it was, and its owner's alone.
    ///
    /// The registration has to be of this token; its app, environment and token are not looked at.
    /// A registration that is older than the latest one changes nothing: jobs may overtake each
    /// other.
    #[must_use]
    pub fn registered(mut self, registration: Registration, now: Timestamp) -> Option<Self> {
        if now < self.registered_at {
            return None;
        }
        let moved = self.owner != registration.owner;
        self.owner = registration.owner;
        self.device_id = registration.device_id;
        self.locale = registration.locale;
        self.app_version = registration.app_version;
        self.registered_at = now;
        let why = if moved { PushTokenReason::Moved } else { PushTokenReason::Registered };
        Some(self.become_state(PushTokenState::Active, why, now))
    }

    /// Apple says that the token ended at `since`. `None` when it was registered after that, or
    /// gets no pushes any more: the answer is old news.
    #[must_use]
    pub fn gone(self, since: Timestamp, now: Timestamp) -> Option<Self> {
        let counts = self.state.gets_pushes() && self.registered_at <= since;
        counts.then(|| self.become_state(PushTokenState::Quarantined, PushTokenReason::Gone, now))
    }

    /// Apple does not know the token of a push that was sent at `sent`: the first time it is
    /// suspect, the second time quarantined. `None` when it was registered after that, or gets no
    /// pushes any more.
    #[must_use]
    pub fn unknown_to_apple(self, sent: Timestamp, now: Timestamp) -> Option<Self> {
        let to = match self.state {
            PushTokenState::Active => PushTokenState::Suspect,
            PushTokenState::Suspect if self.state_at <= sent => PushTokenState::Quarantined,
            _ => return None,
        };
        (self.registered_at <= sent).then(|| self.become_state(to, PushTokenReason::Unknown, now))
    }

    /// Apple took a push: a suspect token is a good one. `None` when nothing changes.
    #[must_use]
    pub fn accepted(self, now: Timestamp) -> Option<Self> {
        (self.state == PushTokenState::Suspect)
            .then(|| self.become_state(PushTokenState::Active, PushTokenReason::Accepted, now))
    }

    /// It gets no pushes any more, at once. `None` when it is removed already.
    #[must_use]
    pub fn removed(self, why: PushTokenReason, now: Timestamp) -> Option<Self> {
        (self.state != PushTokenState::Removed)
            .then(|| self.become_state(PushTokenState::Removed, why, now))
    }

    /// Nobody took it back while that could be done. `None` before that, and in any other state.
    #[must_use]
    pub fn lapsed(self, now: Timestamp) -> Option<Self> {
        let over = now.since(self.state_at) >= UNDO_WINDOW;
        (self.state == PushTokenState::Quarantined && over)
            .then(|| self.become_state(PushTokenState::Removed, PushTokenReason::Lapsed, now))
    }

    /// An operator takes a quarantined token back. `None` in any other state.
    #[must_use]
    pub fn restored(self, now: Timestamp) -> Option<Self> {
        (self.state == PushTokenState::Quarantined)
            .then(|| self.become_state(PushTokenState::Active, PushTokenReason::Restored, now))
    }

    fn become_state(mut self, to: PushTokenState, why: PushTokenReason, now: Timestamp) -> Self {
        let from = self.state;
        self.version += 1;
        if from != to {
            self.state = to;
            self.state_at = now;
        }
        // That an app registers at each launch is no news.
        if from != to || why != PushTokenReason::Registered {
            if self.history.len() >= MAX_HISTORY {
                self.history.drain(..=self.history.len() - MAX_HISTORY);
            }
            self.history.push(PushTokenChange { at: now, from: Some(from), to, why });
        }
        self
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    fn registration(owner: i64) -> Registration {
        Registration {
            owner: UserId::new(owner).unwrap(),
            app: "com.example.notes".parse().unwrap(),
            environment: ApnsEnvironment::Production,
            token: "abcd".parse().unwrap(),
            device_id: "phone".into(),
            locale: None,
            app_version: None,
        }
    }

    fn record() -> PushTokenRecord {
        PushTokenRecord::new(registration(1), at(100))
    }

    #[test]
    fn an_answer_of_apple_counts_only_if_the_token_was_not_registered_again() {
        let rows = [
            ("older than the registration", 99, None),
            ("of the same moment", 100, Some(PushTokenState::Quarantined)),
            ("newer", 101, Some(PushTokenState::Quarantined)),
        ];
        for (name, since, expected) in rows {
            let found = record().gone(at(since), at(200)).map(|record| record.state);
            assert_eq!(found, expected, "{name}");
        }
        let again = record().gone(at(150), at(200)).unwrap();
        let again = again.registered(registration(1), at(300)).unwrap();
        assert_eq!((again.state, again.version), (PushTokenState::Active, 3));
        assert_eq!(again.gone(at(299), at(400)), None, "a late answer");
    }

    #[test]
    fn a_token_that_apple_does_not_know_is_suspect_first() {
        let suspect = record().unknown_to_apple(at(110), at(120)).unwrap();
        assert_eq!(suspect.state, PushTokenState::Suspect);
        let sent_before = suspect.clone().unknown_to_apple(at(111), at(121));
        assert_eq!(sent_before, None, "two pushes of the same moment count once");
        assert_eq!(suspect.clone().accepted(at(130)).unwrap().state, PushTokenState::Active);
        let put_aside = suspect.unknown_to_apple(at(130), at(140)).unwrap();
        assert_eq!(put_aside.state, PushTokenState::Quarantined);
        assert_eq!(put_aside.clone().unknown_to_apple(at(150), at(150)), None);
        assert_eq!(put_aside.restored(at(150)).unwrap().state, PushTokenState::Active);
    }

    #[test]
    fn a_token_that_changes_hands_moves_whole() {
        let moved = record().registered(registration(2), at(200)).unwrap();
        assert_eq!(moved.owner.get(), 2);
        assert_eq!(moved.number, record_number(&moved));
        assert_eq!(moved.history.last().unwrap().why, PushTokenReason::Moved);
        let overtaken = moved.registered(registration(1), at(199));
        assert_eq!(overtaken, None, "the registration before that one comes late");
    }

    fn record_number(record: &PushTokenRecord) -> PushTokenId {
        record.number
    }

    #[test]
    fn what_was_put_aside_lapses_after_its_window() {
        let put_aside = record().gone(at(100), at(200)).unwrap();
        let week = UNDO_WINDOW;

        assert_eq!(put_aside.clone().lapsed(at(199) + week), None);
        let removed = put_aside.lapsed(at(200) + week).unwrap();
        assert_eq!(removed.state, PushTokenState::Removed);
        assert_eq!(removed.clone().restored(at(300) + week), None);
        assert_eq!(removed.clone().removed(PushTokenReason::Deleted, at(300) + week), None);
        let back = removed.registered(registration(1), at(400) + week).unwrap();
        assert_eq!(back.state, PushTokenState::Active);
    }

    #[test]
    fn the_history_is_bounded_and_launches_are_no_news() {
        let mut record = record();
        for launch in 0..100 {
            record = record.registered(registration(1), at(200 + launch)).unwrap();
        }
        assert_eq!((record.history.len(), record.version), (1, 101));
        for change in 0..100 {
            record = record.registered(registration(1 + change % 2), at(400 + change)).unwrap();
        }
        assert_eq!(record.history.len(), MAX_HISTORY);
        let times: Vec<_> = record.history.iter().map(|change| change.at).collect();
        assert!(times.is_sorted());
    }
}
