//! The record of one campaign and every change that may happen to it.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{PushCounts, PushOrder};
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
    /// Milliseconds of the pauses that are over; the rate does not make up for them.
    #[serde(default)]
    pub paused_ms: u64,
    /// Why nothing is sent although it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<PushBlock>,
    /// How many shards it has, once they all are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shards: Option<u32>,
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
            paused_ms: 0,
            blocked: None,
            shards: None,
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
                next.end_pause(now);
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
                next.end_pause(now);
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

    /// Every target has its fate; these are the sums. `None` when it has ended before.
    #[must_use]
    pub fn settle(
        self,
        totals: PushCounts,
        reasons: BTreeMap<String, u32>,
        repeated: u64,
        by: &str,
        now: Timestamp,
    ) -> Option<Self> {
        if self.settled_at.is_some() {
            return None;
        }
        let mut next = self.step("settled", by, now);
        if next.state != PushState::Cancelled {
            next.state = PushState::Finished;
            next.end_pause(now);
        }
        next.blocked = None;
        next.totals = Some(totals);
        next.reasons = reasons;
        next.repeated = repeated;
        next.settled_at = Some(now);
        Some(next)
    }

    /// How many targets, counted from the first, may have been sent at `now`: those of every
    /// second that has begun.
    #[must_use]
    pub fn allowed(&self, now: Timestamp) -> u64 {
        let (Some(rate), Some(begin)) = (self.rate, self.pace_begin()) else { return u64::MAX };
        if now < begin {
            return 0;
        }
        u64::from(rate).saturating_mul(now.since(begin).as_secs() + 1)
    }

    /// When target `index`, counted from the first, may be sent at the earliest.
    #[must_use]
    pub fn due_at(&self, index: u64) -> Option<Timestamp> {
        let second = index / u64::from(self.rate?.max(1));
        Some(self.pace_begin()? + Duration::from_secs(second))
    }

    /// Where the seconds of its rate are counted from.
    fn pace_begin(&self) -> Option<Timestamp> {
        Some(self.started_at? + Duration::from_millis(self.paused_ms))
    }

    fn end_pause(&mut self, now: Timestamp) {
        if let Some(since) = self.paused_at.take() {
            // What passed before the start was no time to send in.
            let since = self.started_at.map_or(now, |start| since.max(start));
            let pause = u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX);
            self.paused_ms = self.paused_ms.saturating_add(pause);
        }
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
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;
    use crate::push::{Audience, Segment};

    fn at(second: u64) -> Timestamp {
        Timestamp::from_micros(0) + Duration::from_secs(second)
    }

    fn campaign(rate: Option<u32>) -> PushCampaign {
        let order = PushOrder {
            app: "com.example.notes".parse().unwrap(),
            name: None,
            environment: None,
            messages: Vec::new(),
            audience: Audience::Segment(Segment::default()),
            start_at: at(100),
            expires_at: at(10_000),
            rate,
        };
        PushCampaign::of(&order, PushId::generate(), UserId::new(7).unwrap(), at(100))
    }

    fn settled(campaign: PushCampaign) -> PushCampaign {
        campaign.settle(PushCounts::default(), BTreeMap::new(), 0, "w", at(900)).unwrap()
    }

    #[test]
    fn only_what_is_not_over_can_be_stopped() {
        let paused = campaign(None).pause("owner", at(110)).unwrap().unwrap();
        let cancelled = paused.clone().cancel("owner", at(120)).unwrap().unwrap();
        let finished = settled(campaign(None));

        assert_eq!(paused.clone().pause("owner", at(111)), Ok(None));
        assert_eq!(cancelled.clone().cancel("owner", at(121)), Ok(None));
        assert_eq!(cancelled.clone().resume("owner", at(121)), Err(PushOver));
        for step in [PushCampaign::pause, PushCampaign::resume, PushCampaign::cancel] {
            assert_eq!(step(finished.clone(), "owner", at(901)), Err(PushOver));
        }
        assert_eq!(settled(cancelled).state, PushState::Cancelled, "and its sums are kept");
        assert_eq!(finished.state, PushState::Finished);
    }

    #[test]
    fn the_rate_counts_seconds_and_not_pauses() {
        let started = campaign(Some(10)).start("w", at(100)).unwrap();
        let cases = [("before", 99, 0), ("at once", 100, 10), ("third second", 102, 30)];
        for (name, second, expected) in cases {
            assert_eq!(started.allowed(at(second)), expected, "{name}");
        }
        assert_eq!(started.due_at(25), Some(at(102)));

        let paused = started.pause("owner", at(101)).unwrap().unwrap();
        let resumed = paused.resume("owner", at(201)).unwrap().unwrap();
        assert_eq!(resumed.allowed(at(202)), 30, "a hundred seconds were no time to send in");
        assert_eq!(resumed.due_at(25), Some(at(202)));
        assert_eq!(campaign(None).start("w", at(1)).unwrap().allowed(at(0)), u64::MAX);
    }

    #[test]
    fn the_history_is_bounded() {
        let mut campaign = campaign(None);
        for turn in 0..100 {
            campaign = campaign.pause("owner", at(turn)).unwrap().unwrap();
            campaign = campaign.resume("owner", at(turn)).unwrap().unwrap();
        }
        assert_eq!((campaign.history.len(), campaign.version), (MAX_PUSH_HISTORY, 201));
        assert_eq!(campaign.history[0].what, "accepted");
    }
}
