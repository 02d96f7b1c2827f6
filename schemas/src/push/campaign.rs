//! The record of one campaign and every change that may happen to it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{PushCounts, PushOrder, Tally};
use crate::{
    apns::BundleId,
    id::{PushId, UserId},
    time::Timestamp,
};

/// Changes of a campaign that are kept.
pub const MAX_PUSH_HISTORY: usize = 32;

/// One campaign: where it stands, and in the end what became of its targets. While it runs, its
/// counters are the sums over its shards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushCampaign {
    /// Its name; also that of the job that fans it out.
    pub id: PushId,
    /// Whose campaign it is.
    pub owner: UserId,
    /// Counts the saved changes, from 1.
    pub version: u64,
    /// The app.
    pub app: BundleId,
    /// The owner's own name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it is in its life.
    pub state: PushState,
    /// Nothing is sent before.
    pub start_at: Timestamp,
    /// Nothing is sent from then on.
    pub expires_at: Timestamp,
    /// Most pushes in a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
    /// When its first devices were looked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Since when it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<Timestamp>,
    /// Targets that were given a place in its pace, those that were sent again not counted.
    #[serde(default)]
    pub paced: u64,
    /// When the place behind the last that was given is, at its rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace_end: Option<Timestamp>,
    /// Why nothing is sent although it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<PushBlock>,
    /// How many shards it has, once they all are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shards: Option<u32>,
    /// The search for its devices was given up: there may be more than its shards have.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut_short: bool,
    /// Shards that were given up when it ended; what was not sent of them is among the unknown.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u32,
    /// What became of the targets; set with the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totals: Option<PushCounts>,
    /// Why targets were refused; set with the end.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reasons: BTreeMap<String, u32>,
    /// Times that a push was sent once more although Apple may have taken it; set with the end.
    #[serde(default)]
    pub repeated: u64,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When nothing was left to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Timestamp>,
    /// The latest changes, oldest first.
    pub history: Vec<PushChange>,
}

/// Where a campaign is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PushState {
    /// It is sent, or waits for its time.
    Active,
    /// Nothing is sent until its owner says so.
    Paused,
    /// Nothing more is sent.
    Cancelled,
    /// Every target has its fate.
    Finished,
}

impl PushState {
    /// Whether pushes may leave. Of a finished campaign only a shard is left that was given up, and
    /// that an operator has sent on.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::Active | Self::Finished)
    }

    /// Its name in records and in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
            Self::Finished => "finished",
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Why nothing is sent although it should be; for operators to mend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushBlock {
    /// Apple's word, or Feat's.
    pub reason: String,
    /// When it was first heard.
    pub since: Timestamp,
}

/// One change of a campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushChange {
    /// When.
    pub at: Timestamp,
    /// What, in a word or two.
    pub what: String,
    /// Who made it: `owner`, a worker or a named operator.
    pub by: String,
}

/// The campaign has ended or is cancelled, so this cannot be asked of it any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the campaign is over")]
pub struct PushOver;

impl PushCampaign {
    /// The first record of the campaign that `order` asks for. Made of the accepted request alone,
    /// so that whoever misses the record makes the same one.
    #[must_use]
    pub fn of(order: &PushOrder, id: PushId, owner: UserId, created_at: Timestamp) -> Self {
        let accepted =
            PushChange { at: created_at, what: "accepted".to_owned(), by: "owner".to_owned() };
        Self {
            id,
            owner,
            version: 1,
            app: order.app.clone(),
            name: order.name.clone(),
            state: PushState::Active,
            start_at: order.start_at,
            expires_at: order.expires_at,
            rate: order.rate,
            started_at: None,
            paused_at: None,
            paced: 0,
            pace_end: None,
            blocked: None,
            shards: None,
            cut_short: false,
            lost: 0,
            totals: None,
            reasons: BTreeMap::new(),
            repeated: 0,
            created_at,
            settled_at: None,
            history: vec![accepted],
        }
    }

    /// Stops sending until [`Self::resume`]. `None` when it is paused already.
    ///
    /// # Errors
    ///
    /// [`PushOver`].
    pub fn pause(self, by: &str, now: Timestamp) -> Result<Option<Self>, PushOver> {
        match self.state {
            PushState::Paused => Ok(None),
            PushState::Cancelled | PushState::Finished => Err(PushOver),
            PushState::Active => {
                let mut next = self.step("paused", by, now);
                next.state = PushState::Paused;
                next.paused_at = Some(now);
                Ok(Some(next))
            }
        }
    }

    /// Sends again. `None` when it is not paused.
    ///
    /// # Errors
    ///
    /// [`PushOver`].
    pub fn resume(self, by: &str, now: Timestamp) -> Result<Option<Self>, PushOver> {
        match self.state {
            PushState::Active => Ok(None),
            PushState::Cancelled | PushState::Finished => Err(PushOver),
            PushState::Paused => {
                let mut next = self.step("resumed", by, now);
                next.state = PushState::Active;
                next.paused_at = None;
                Ok(Some(next))
            }
        }
    }

    /// Ends it: what is not sent yet is not sent. `None` when it is cancelled already.
    ///
    /// # Errors
    ///
    /// [`PushOver`] when every target has its fate.
    pub fn cancel(self, by: &str, now: Timestamp) -> Result<Option<Self>, PushOver> {
        match self.state {
            PushState::Cancelled => Ok(None),
            PushState::Finished => Err(PushOver),
            PushState::Active | PushState::Paused => {
                let mut next = self.step("cancelled", by, now);
                next.state = PushState::Cancelled;
                next.paused_at = None;
                Ok(Some(next))
            }
        }
    }

    /// Its first devices are looked up. `None` when that was noted before.
    #[must_use]
    pub fn start(self, by: &str, now: Timestamp) -> Option<Self> {
        if self.started_at.is_some() {
            return None;
        }
        let mut next = self.step("started", by, now);
        next.started_at = Some(now);
        Some(next)
    }

    /// All its shards are known. `None` when that was noted before.
    #[must_use]
    pub fn fanned_out(self, shards: u32, by: &str, now: Timestamp) -> Option<Self> {
        if self.shards.is_some() {
            return None;
        }
        let mut next = self.step("fanned out", by, now);
        next.shards = Some(shards);
        Some(next)
    }

    /// The search for its devices is given up; these shards are there. `None` when all were known,
    /// or that was noted before.
    #[must_use]
    pub fn cut_short(self, shards: u32, by: &str, now: Timestamp) -> Option<Self> {
        let mut next = self.fanned_out(shards, by, now)?;
        next.cut_short = true;
        Some(next)
    }

    /// The search for its devices goes on after all, so it has not ended. `None` when it was not
    /// given up.
    #[must_use]
    pub fn reopen(self, by: &str, now: Timestamp) -> Option<Self> {
        if !self.cut_short {
            return None;
        }
        let mut next = self.step("reopened", by, now);
        if next.state == PushState::Finished {
            next.state = PushState::Active;
        }
        next.cut_short = false;
        next.shards = None;
        next.lost = 0;
        next.totals = None;
        next.reasons = BTreeMap::new();
        next.repeated = 0;
        next.settled_at = None;
        Some(next)
    }

    /// Whether an operator may have it go on where it was given up: until then its shards and
    /// their devices are kept.
    #[must_use]
    pub const fn may_go_on(&self) -> bool {
        self.cut_short || self.lost > 0
    }

    /// Nothing can be sent for `reason`. `None` when that is known, or it is over.
    #[must_use]
    pub fn block(self, reason: &str, by: &str, now: Timestamp) -> Option<Self> {
        let known = self.blocked.as_ref().is_some_and(|block| block.reason == reason);
        if known || self.settled_at.is_some() {
            return None;
        }
        let mut next = self.step("blocked", by, now);
        next.blocked = Some(PushBlock { reason: reason.to_owned(), since: now });
        Some(next)
    }

    /// Something was sent again. `None` when nothing was in the way.
    #[must_use]
    pub fn unblock(self, by: &str, now: Timestamp) -> Option<Self> {
        self.blocked.as_ref()?;
        let mut next = self.step("unblocked", by, now);
        next.blocked = None;
        Some(next)
    }

    /// Every target has its fate; these are the sums. Of a campaign that has ended they count only
    /// if shards that were given up have gone on since. `None` when that is not so.
    #[must_use]
    pub fn settle(self, sums: Tally, by: &str, now: Timestamp) -> Option<Self> {
        let what = match self.totals {
            None => "settled",
            Some(known) => {
                let (left, were) = ((sums.lost, sums.counts.unknown), (self.lost, known.unknown));
                let fewer = left.0 <= were.0 && left.1 <= were.1 && left != were;
                if self.lost == 0 || !fewer {
                    return None;
                }
                "corrected"
            }
        };
        let mut next = self.step(what, by, now);
        if next.state != PushState::Cancelled {
            next.state = PushState::Finished;
            next.paused_at = None;
        }
        next.blocked = None;
        next.totals = Some(sums.counts);
        next.reasons = sums.reasons;
        next.repeated = sums.repeated;
        next.lost = sums.lost;
        next.settled_at.get_or_insert(now);
        Some(next)
    }

    fn step(mut self, what: &str, by: &str, now: Timestamp) -> Self {
        self.version += 1;
        if self.history.len() >= MAX_PUSH_HISTORY {
            self.history.remove(1);
        }
        self.history.push(PushChange { at: now, what: what.to_owned(), by: by.to_owned() });
        self
    }
}

#[cfg(test)]
mod tests;
