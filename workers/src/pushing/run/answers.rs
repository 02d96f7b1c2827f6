//! What an answer of Apple means for its target, its token, its app and its campaign.

use std::time::Duration;

use providers::apns::{Limit, Next, PushError};
use schemas::{JobError, Timestamp, push::PushState, push_token::Verdict};

use super::{Flight, Run};
use crate::pushing::campaigns::change;

/// When a shard of a paused campaign looks again by itself.
const PAUSED_LOOK: Duration = Duration::from_mins(1);

/// Pause before a push whose answer was lost is sent once more.
const AFTER_LOST: Duration = Duration::from_secs(5);

impl Run<'_> {
    /// Takes in one answer.
    pub(super) fn take_in(&mut self, flight: Flight) {
        let Flight { index, device, sent, answer } = flight;
        let now = Timestamp::now();
        self.dirty = true;
        if !matches!(answer, Err(PushError::AppBlocked { .. } | PushError::Throttled { .. })) {
            self.got_through(answer.as_ref().err());
        }
        let verdict = match answer {
            Ok(environment) => {
                self.shard.accepted(index);
                Some(Verdict::Accepted { environment })
            }
            Err(PushError::TokenGone { since, reason }) => {
                self.shard.refused(index, reason.as_str());
                Some(Verdict::Gone { since })
            }
            Err(PushError::BadToken { reason }) => {
                self.shard.refused(index, reason.as_str());
                Some(Verdict::Unknown { sent })
            }
            Err(PushError::WrongApp { reason }) => {
                self.shard.refused(index, reason.as_str());
                Some(Verdict::WrongApp { sent })
            }
            Err(error) => {
                self.put_off(index, &error, now);
                None
            }
        };
        self.verdicts.extend(verdict.map(|verdict| (device, verdict)));
    }

    /// An answer that says nothing about the token.
    fn put_off(&mut self, index: usize, error: &PushError, now: Timestamp) {
        match error {
            PushError::Throttled { limit: Limit::Device, after } => {
                self.shard.slowed(index, now, *after);
            }
            PushError::Throttled { limit: Limit::ProviderToken, after } => {
                self.shard.stay(index);
                self.stop("TooManyProviderTokenUpdates", *after);
            }
            PushError::AppBlocked { reason } => {
                if error.next() == Next::Drop {
                    self.shard.refused(index, reason.as_str());
                } else {
                    self.shard.stay(index);
                }
                self.stop(reason.as_str(), self.ctx.push.probe_after);
            }
            PushError::Unavailable { after, .. } | PushError::NotSent { after, .. } => {
                self.shard.later(index, now, *after);
            }
            PushError::Unknown(_) => {
                let repeat = self.targets.message_of(index).is_some_and(|message| message.repeat);
                self.shard.lost(index, repeat, now, AFTER_LOST);
            }
            PushError::Refused { reason }
            | PushError::TokenGone { reason, .. }
            | PushError::BadToken { reason }
            | PushError::WrongApp { reason } => self.shard.refused(index, reason.as_str()),
        }
    }

    /// Apple has answered about the push itself, so the credential is good.
    fn got_through(&mut self, error: Option<&PushError>) {
        let unsaid = matches!(
            error,
            Some(PushError::Unavailable { .. } | PushError::NotSent { .. } | PushError::Unknown(_))
        );
        if unsaid || !(self.probing || self.campaign.blocked.is_some()) {
            return;
        }
        self.through = true;
        if self.probing {
            self.probing = false;
            self.closed = None;
            self.ctx.push.stops.open(&self.targets.app);
        }
    }

    /// Nothing of the app is sent for a while.
    pub(super) fn stop(&mut self, reason: &str, pause: Duration) {
        let now = Timestamp::now();
        self.probing = false;
        self.through = false;
        self.ctx.push.stops.close(&self.targets.app, reason, now, pause);
        self.closed = Some((reason.to_owned(), now + pause));
    }

    /// Lets the campaign's record say why nothing is sent, or that it is again.
    pub(super) async fn tell_campaign(&self) -> Result<(), JobError> {
        let (owner, id, by) = (self.campaign.owner, self.campaign.id, &self.ctx.worker);
        let now = Timestamp::now();
        if let Some((reason, _)) = &self.closed {
            change(self.ctx, owner, id, |campaign| campaign.block(reason, by, now)).await?;
        } else if self.through {
            change(self.ctx, owner, id, |campaign| campaign.unblock(by, now)).await?;
        }
        Ok(())
    }

    /// When something of the shard may be sent, or should be looked at again.
    pub(super) fn next_look(&self) -> Timestamp {
        let now = Timestamp::now();
        let looks = match (self.campaign.state, &self.closed) {
            (PushState::Paused, _) => [Some(now + PAUSED_LOOK), None],
            (_, Some((_, until))) => [Some(*until), None],
            _ => {
                let fresh = self.shard.next_fresh().map(|index| {
                    let index = self.shard.first + u64::try_from(index).unwrap_or(u64::MAX);
                    self.campaign.due_at(index, now).unwrap_or(now)
                });
                let again = self.shard.next_again().map(|at| at.max(self.campaign.place_at(now)));
                [again, fresh]
            }
        };
        let next = looks.into_iter().flatten().min().unwrap_or(now);
        next.min(self.campaign.expires_at).max(now)
    }
}
