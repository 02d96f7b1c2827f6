//! A device's token for Apple's pushes, as stored.
//!
//! One record for one token of one app, whoever owns it: so a token that changes hands moves
//! whole, and a device never gets another account's pushes. A token belongs to exactly one of
//! Apple's environments, so correcting the environment is a change of the same record. What may
//! happen to a record is in `life`; the times decide between a registration and an answer of
//! Apple that cross each other.

mod brake;
mod life;
#[cfg(test)]
mod tests;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use brake::{BrakePolicy, CohortRecord, Loss, Weighed};
pub use life::Verdict;

use crate::{
    apns::{ApnsEnvironment, BundleId, DeviceToken},
    id::{KeyId, PushTokenId, SessionId, UserId},
    time::Timestamp,
};

/// Changes of a record that are kept.
pub const MAX_HISTORY: usize = 20;

/// How long a token that was put aside can be taken back by an operator.
pub const UNDO_WINDOW: Duration = Duration::from_hours(7 * 24);

/// Most devices of one user that get pushes; one more takes the place of the one that was
/// registered longest ago.
pub const MAX_DEVICES: usize = 50;

/// One registered token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PushTokenRecord {
    /// App and token in one text: the name by which it is unique.
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
    /// Where the token belongs: what the app said, unless Apple knows it only elsewhere.
    pub environment: ApnsEnvironment,
    /// What the app wrongly says about the environment; absent when it is right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrected_from: Option<ApnsEnvironment>,
    /// Apple's address of the device.
    pub token: DeviceToken,
    /// The device, as the client names it; empty when it has no name.
    pub device_id: String,
    /// What let the app register it; its end stops the pushes.
    pub signed_in: SignedIn,
    /// Language and region of the device, such as `zh-Hans-CN`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Version of the app on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_version: Option<String>,
    /// When its environment or its language last became another one, so that segments find it
    /// elsewhere; absent when that never happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_at: Option<Timestamp>,
    /// Whether it gets pushes.
    pub state: PushTokenState,
    /// Since when it is in that state.
    pub state_at: Timestamp,
    /// [`cohort`] of the token while it gets pushes, absent otherwise: what segments are found by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<String>,
    /// Since when the app's back end has to be told that the token is invalid; absent when there
    /// is nothing to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreported_since: Option<Timestamp>,
    /// When it was first registered.
    pub created_at: Timestamp,
    /// When its latest registration reached us. An answer of Apple that is older says nothing.
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
    /// Apple does not know it, in any environment where it was tried.
    Unknown,
    /// Apple says that it belongs to another app.
    WrongApp,
    /// Apple knows it in the other environment, where it belongs now.
    WrongEnvironment,
    /// The device has a newer token for the same app.
    Superseded,
    /// Its owner has too many devices, and this one was registered longest ago.
    Crowded,
    /// Its owner asked for it.
    Deleted,
    /// The sign-in that registered it ended.
    SignedOut,
    /// Nobody registered it for a long time.
    Stale,
    /// It was not taken back in time.
    Lapsed,
    /// An operator took it back.
    Restored,
}

impl PushTokenReason {
    /// Whether its owner wanted the end: nobody else may take the token back then.
    #[must_use]
    pub const fn is_wish(self) -> bool {
        matches!(self, Self::Deleted | Self::SignedOut)
    }
}

/// What lets an app speak for a user: a sign-in or a long-lived key. Neither for a token of an
/// issuer elsewhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignedIn {
    /// The sign-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The long-lived key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl SignedIn {
    /// Whether it has not ended by itself at `now`.
    #[must_use]
    pub fn counts_at(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// What an app says about a device when it registers a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Who is signed in.
    pub owner: UserId,
    /// The app.
    pub app: BundleId,
    /// Where the token belongs, as the app says.
    pub environment: ApnsEnvironment,
    /// Apple's address of the device.
    pub token: DeviceToken,
    /// The device, as the client names it.
    pub device_id: String,
    /// What let the app speak for the owner.
    pub signed_in: SignedIn,
    /// Language and region of the device.
    pub locale: Option<String>,
    /// Version of the app on it.
    pub app_version: Option<String>,
}

/// The devices of one app in one environment, in one text: they share a fate when something is
/// wrong with a build or a key.
#[must_use]
pub fn cohort(app: &BundleId, environment: ApnsEnvironment) -> String {
    format!("{environment}/{app}")
}

impl PushTokenRecord {
    /// The name of the record of a token.
    #[must_use]
    pub fn id_of(app: &BundleId, token: &DeviceToken) -> String {
        format!("{app}/{}", token.as_str())
    }

    /// The cohort that the token belongs to, whatever its state.
    #[must_use]
    pub fn cohort(&self) -> String {
        cohort(&self.app, self.environment)
    }

    /// Whether a push of its owner may be sent to it at `now`.
    #[must_use]
    pub fn is_addressable(&self, now: Timestamp) -> bool {
        self.state.gets_pushes() && self.signed_in.counts_at(now)
    }

    /// Whether `next`, a later record of the same token, takes no other place among its owner's
    /// devices than this one has.
    #[must_use]
    pub fn has_the_place_of(&self, next: &Self) -> bool {
        self.state.gets_pushes()
            && self.owner == next.owner
            && self.device_id == next.device_id
            && self.environment == next.environment
    }

    /// Why it is in its state.
    #[must_use]
    pub fn why(&self) -> Option<PushTokenReason> {
        self.history.last().map(|change| change.why)
    }

    /// The record of a token that was never registered before; the registration reached us at
    /// `received`.
    #[must_use]
    pub fn new(registration: Registration, received: Timestamp) -> Self {
        let id = Self::id_of(&registration.app, &registration.token);
        let Registration { owner, app, environment, token, .. } = registration;
        let to = PushTokenState::Active;
        let why = PushTokenReason::Registered;
        Self {
            id,
            number: PushTokenId::generate(),
            owner,
            version: 1,
            reach: Some(cohort(&app, environment)),
            app,
            environment,
            corrected_from: None,
            token,
            device_id: registration.device_id,
            signed_in: registration.signed_in,
            locale: registration.locale,
            app_version: registration.app_version,
            moved_at: None,
            state: to,
            state_at: received,
            unreported_since: None,
            created_at: received,
            registered_at: received,
            history: vec![PushTokenChange { at: received, from: None, to, why }],
        }
    }
}
