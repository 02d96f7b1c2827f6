//! The audit record: who did what, to whom, from where. Entries are added and never changed.
//!
//! An entry holds names and reasons, never a secret: no password, no token, no key, no code. Every
//! text is cut to a length that a stranger cannot misuse to fill the store.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    id::{AuditId, ClientId, UserId},
    time::Timestamp,
};

/// Most characters of any text of an entry.
pub const MAX_TEXT: usize = 128;

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// What was done, or refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Action {
            $($(#[$doc])* #[serde(rename = $text)] $name),+
        }

        impl Action {
            /// Every action.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Name on the wire and in the store; never renamed.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

actions! {
    /// A person signed in, by password or by consent to a client.
    SignIn = "sign_in",
    /// A sign-in was refused; the detail says why.
    SignInRefused = "sign_in_refused",
    /// A client did not prove who it is, or asked for what it may not have.
    ClientRefused = "client_refused",
    /// A used refresh token or code came again, so what it gave was taken back.
    SessionStolen = "session_stolen",
    /// A person signed out, on one device or on all.
    SignOut = "sign_out",
    /// An operator ended a user's sign-ins.
    SessionsEnded = "sessions_ended",
    /// A long-lived key was made.
    KeyMade = "key_made",
    /// A long-lived key was revoked.
    KeyRevoked = "key_revoked",
    /// An account was added.
    UserAdded = "user_added",
    /// An account may not sign in any more.
    UserDisabled = "user_disabled",
    /// An account may sign in again.
    UserEnabled = "user_enabled",
    /// An account got another password.
    PasswordChanged = "password_changed",
    /// A client was registered.
    ClientAdded = "client_added",
    /// A client may do something else, or is called or reached otherwise.
    ClientChanged = "client_changed",
    /// A client may not be used any more.
    ClientDisabled = "client_disabled",
    /// A client may be used again.
    ClientEnabled = "client_enabled",
    /// A client got another secret.
    ClientSecretRotated = "client_secret_rotated",
    /// A person let a client act for them.
    ConsentGiven = "consent_given",
    /// A person did not let a client act for them.
    ConsentRefused = "consent_refused",
    /// An operator gave a job new attempts.
    JobRetried = "job_retried",
    /// An operator asked a job to stop.
    JobCancelled = "job_cancelled",
    /// An operator let a held refund go out.
    RefundApproved = "refund_approved",
    /// An operator decided against a held refund.
    RefundDropped = "refund_dropped",
    /// An operator said what became of an attempt or a refund.
    BillSettled = "bill_settled",
    /// An operator had a day's bills matched again.
    BillsMatched = "bills_matched",
    /// An operator took device tokens back that had been put aside.
    DevicesRestored = "devices_restored",
    /// An operator let the devices of a cohort go past the brake.
    CohortReleased = "cohort_released",
    /// An operator had pushes sent.
    CampaignMade = "campaign_made",
    /// Nothing further of a campaign is sent for now, at the word of its owner or an operator.
    CampaignPaused = "campaign_paused",
    /// A paused campaign goes on, at such a word.
    CampaignResumed = "campaign_resumed",
    /// What was left of a campaign is not sent, at such a word.
    CampaignCancelled = "campaign_cancelled",
    /// An operator had an event sent to an app's back end once more.
    WebhookResent = "webhook_resent",
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no action.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no such action")]
pub struct UnknownAction;

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(name: &str) -> Result<Self, UnknownAction> {
        Self::ALL.iter().copied().find(|action| action.name() == name).ok_or(UnknownAction)
    }
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Somebody who did not prove who they are.
    Nobody,
    /// A user.
    User(UserId),
    /// A client for itself.
    Client(ClientId),
    /// A person at the command line, by the name they gave.
    Operator(String),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("nobody"),
            Self::User(user) => write!(f, "user {user}"),
            Self::Client(client) => write!(f, "client {client}"),
            Self::Operator(name) => write!(f, "operator {name}"),
        }
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Its name.
    pub id: AuditId,
    /// Always 1: an entry is never changed.
    pub version: u64,
    /// When it happened.
    pub at: Timestamp,
    /// Whom it is about; [`UserId::FEAT`] when it is about no user, or none is known.
    pub owner: UserId,
    /// What was done or refused.
    pub action: Action,
    /// Who did it, as [`Actor`] prints.
    pub actor: String,
    /// Through which client, or about which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientId>,
    /// From which address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// On which device, as the client names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The thing that was changed: id of a session, key or job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Why, or how much, in a few words of Feat's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The request that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl AuditRecord {
    /// `actor` did `action` now; about no user unless [`Self::about`] says which.
    #[must_use]
    pub fn of(action: Action, actor: &Actor) -> Self {
        let owner = if let Actor::User(user) = actor { *user } else { UserId::FEAT };
        Self {
            id: AuditId::generate(),
            version: 1,
            at: Timestamp::now(),
            owner,
            action,
            actor: cut(&actor.to_string()),
            client: None,
            address: None,
            device: None,
            subject: None,
            detail: None,
            request_id: None,
        }
    }

    /// Whom it is about.
    #[must_use]
    pub fn about(mut self, user: UserId) -> Self {
        self.owner = user;
        self
    }

    /// Through which client, or about which.
    #[must_use]
    pub fn client(mut self, client: &ClientId) -> Self {
        self.client = Some(client.clone());
        self
    }

    /// From which address.
    #[must_use]
    pub fn address(mut self, address: impl fmt::Display) -> Self {
        self.address = Some(cut(&address.to_string()));
        self
    }

    /// On which device.
    #[must_use]
    pub fn device(mut self, device: &str) -> Self {
        self.device = Some(cut(device));
        self
    }

    /// The thing that was changed.
    #[must_use]
    pub fn subject(mut self, subject: impl fmt::Display) -> Self {
        self.subject = Some(cut(&subject.to_string()));
        self
    }

    /// Why, or how much.
    #[must_use]
    pub fn detail(mut self, detail: impl fmt::Display) -> Self {
        self.detail = Some(cut(&detail.to_string()));
        self
    }

    /// The request that caused it.
    #[must_use]
    pub fn request(mut self, request_id: &str) -> Self {
        self.request_id = Some(cut(request_id));
        self
    }
}

/// At most [`MAX_TEXT`] characters, none of which could forge a line where entries are printed.
fn cut(text: &str) -> String {
    let safe = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().take(MAX_TEXT).map(safe).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn texts_are_cut_and_cannot_forge_lines() {
        let long = format!("web:1\n{}", "ä".repeat(10_000));
        let entry = AuditRecord::of(Action::SignIn, &Actor::Operator(long.clone())).device(&long);

        assert_eq!(entry.device.as_deref().unwrap().chars().count(), MAX_TEXT);
        assert_eq!(entry.actor.chars().count(), MAX_TEXT);
        assert!(!entry.device.unwrap().contains('\n'));
    }

    #[test]
    fn an_entry_of_a_user_is_about_the_user() {
        let user = UserId::new(7).unwrap();
        let own = AuditRecord::of(Action::SignOut, &Actor::User(user));
        let operator = AuditRecord::of(Action::UserDisabled, &Actor::Operator("ada".to_owned()));

        assert_eq!((own.owner, own.actor.as_str()), (user, "user 7"));
        assert_eq!(operator.owner, UserId::FEAT);
        assert_eq!(operator.about(user).owner, user);
    }

    #[test]
    fn names_on_the_wire_and_in_the_store_agree_and_are_read_back() {
        for action in Action::ALL {
            assert_eq!(serde_json::json!(action), action.name());
            assert_eq!(action.name().parse(), Ok(*action));
        }
    }
}
