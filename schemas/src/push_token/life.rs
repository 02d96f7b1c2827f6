//! What may happen to a device token: every change of its record, as a pure function.

use super::{
    MAX_HISTORY, PushTokenChange, PushTokenReason, PushTokenRecord, PushTokenState, Registration,
    UNDO_WINDOW, cohort,
};
use crate::{apns::ApnsEnvironment, time::Timestamp};

/// What Apple's answer to a push says about the token that it was sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Apple took a push.
    Accepted {
        /// Where. In the other environment than the record's it corrects the record.
        environment: ApnsEnvironment,
    },
    /// Apple says that the token ended.
    Gone {
        /// When, by Apple's clock.
        since: Timestamp,
    },
    /// Apple does not know the token, also not in the other environment if that could be tried.
    Unknown {
        /// When the push was sent.
        sent: Timestamp,
    },
    /// Apple says that the token belongs to another app.
    WrongApp {
        /// When the push was sent.
        sent: Timestamp,
    },
}

impl PushTokenRecord {
    /// The app registers the token again, which reached us at `received` and is recorded `now`: it
    /// is active, whatever it was, and its owner's alone.
    ///
    /// The registration has to be of this token; its app and token are not looked at. `None`
    /// when it is not newer than the latest one, or than its owner's wish that the pushes end:
    /// jobs may overtake each other, and run twice.
    ///
    /// An environment that Apple has corrected stays so for as long as the app repeats its mistake.
    #[must_use]
    pub fn registered(
        mut self,
        registration: Registration,
        received: Timestamp,
        now: Timestamp,
    ) -> Option<Self> {
        let ended = self.state == PushTokenState::Removed
            && self.why().is_some_and(PushTokenReason::is_wish)
            && received <= self.state_at;
        if received <= self.registered_at || ended {
            return None;
        }
        let (moved, environment) = (self.owner != registration.owner, self.environment);
        if registration.environment != self.corrected_from.unwrap_or(self.environment) {
            self.environment = registration.environment;
            self.corrected_from = None;
        }
        if environment != self.environment || registration.locale != self.locale {
            self.moved_at = Some(now);
        }
        self.owner = registration.owner;
        self.device_id = registration.device_id;
        self.signed_in = registration.signed_in;
        self.locale = registration.locale;
        self.app_version = registration.app_version;
        self.registered_at = received;
        let why = if moved { PushTokenReason::Moved } else { PushTokenReason::Registered };
        Some(self.become_state(PushTokenState::Active, why, received))
    }

    /// What Apple's answer changes at `now`. `None` when it changes nothing: it confirms what is
    /// known, is older than the latest registration, or the token gets no pushes any more.
    #[must_use]
    pub fn judge(self, verdict: Verdict, now: Timestamp) -> Option<Self> {
        if !self.state.gets_pushes() {
            return None;
        }
        match verdict {
            Verdict::Accepted { environment } if environment != self.environment => {
                Some(self.corrected(now))
            }
            Verdict::Accepted { .. } => (self.state == PushTokenState::Suspect)
                .then(|| self.become_state(PushTokenState::Active, PushTokenReason::Accepted, now)),
            Verdict::Gone { since } => (self.registered_at <= since).then(|| {
                self.become_state(PushTokenState::Quarantined, PushTokenReason::Gone, now)
            }),
            Verdict::Unknown { sent } => self.doubted(PushTokenReason::Unknown, sent, now),
            Verdict::WrongApp { sent } => self.doubted(PushTokenReason::WrongApp, sent, now),
        }
    }

    /// It belongs to the other environment.
    fn corrected(mut self, now: Timestamp) -> Self {
        let claimed = self.corrected_from.unwrap_or(self.environment);
        self.environment = self.environment.other();
        self.corrected_from = (claimed != self.environment).then_some(claimed);
        self.moved_at = Some(now);
        self.become_state(PushTokenState::Active, PushTokenReason::WrongEnvironment, now)
    }

    /// The first time it is suspect, the second time it is put aside.
    fn doubted(self, why: PushTokenReason, sent: Timestamp, now: Timestamp) -> Option<Self> {
        let to = match self.state {
            PushTokenState::Active => PushTokenState::Suspect,
            PushTokenState::Suspect if self.state_at <= sent => PushTokenState::Quarantined,
            _ => return None,
        };
        (self.registered_at <= sent).then(|| self.become_state(to, why, now))
    }

    /// It gets no pushes any more, at once and for good. `None` when it is removed already.
    #[must_use]
    pub fn removed(self, why: PushTokenReason, now: Timestamp) -> Option<Self> {
        (self.state != PushTokenState::Removed)
            .then(|| self.become_state(PushTokenState::Removed, why, now))
    }

    /// The sign-in that registered it has ended by itself. `None` before that.
    #[must_use]
    pub fn signed_out_by_itself(self, now: Timestamp) -> Option<Self> {
        if self.signed_in.counts_at(now) {
            return None;
        }
        self.removed(PushTokenReason::SignedOut, now)
    }

    /// Nobody registered it since `before`: it is put aside. `None` when somebody did, or when it
    /// gets no pushes anyway.
    #[must_use]
    pub fn stale(self, before: Timestamp, now: Timestamp) -> Option<Self> {
        (self.state.gets_pushes() && self.registered_at < before)
            .then(|| self.become_state(PushTokenState::Quarantined, PushTokenReason::Stale, now))
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

    /// The app's back end is being told. `None` when there is nothing to tell.
    #[must_use]
    pub fn reported(mut self) -> Option<Self> {
        self.unreported_since.take()?;
        self.version += 1;
        Some(self)
    }

    fn become_state(mut self, to: PushTokenState, why: PushTokenReason, now: Timestamp) -> Self {
        let from = self.state;
        self.version += 1;
        if from != to {
            self.state = to;
            self.state_at = now;
            self.unreported_since = (to == PushTokenState::Quarantined).then_some(now);
        }
        self.reach = to.gets_pushes().then(|| cohort(&self.app, self.environment));
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
