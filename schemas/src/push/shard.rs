//! How far the work on one shard is.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Fate, Fates, PushCounts, PushTargets};
use crate::{
    id::{PushId, UserId},
    time::Timestamp,
};

/// Different reasons that are counted by name; further ones are counted as `Other`.
pub const MAX_REASONS: usize = 24;

/// Name of all the others.
pub(super) const OTHER: &str = "Other";

/// Longest pause before a push is tried again, unless Apple asks for more.
const LONGEST_PAUSE: Duration = Duration::from_mins(15);

/// What became of each target of a shard so far. Small, because it is saved often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushShard {
    /// That of its [`PushTargets`].
    pub id: String,
    /// Whose campaign it is.
    pub owner: UserId,
    /// Counts the saved changes, from 1.
    pub version: u64,
    /// The campaign.
    pub campaign: PushId,
    /// Number of the shard, from 0.
    pub seq: u32,
    /// Targets of all shards before.
    pub first: u64,
    /// Its number again while something is left to do and somebody does it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<u32>,
    /// What became of each target.
    pub fates: Fates,
    /// Targets that were not taken at first and are sent again, by place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub again: Vec<Again>,
    /// Why targets were refused, and how many for each reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reasons: BTreeMap<String, u32>,
    /// Times that a push was sent once more although Apple may have taken it before.
    #[serde(default)]
    pub repeated: u32,
    /// Its job has ended without success, so nobody works on it: what has no fate is unknown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
}

/// A target that waits for another attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    /// Place of the target.
    #[serde(rename = "i")]
    pub target: u16,
    /// Attempts so far.
    #[serde(rename = "n")]
    pub attempts: u8,
    /// Not before this moment.
    #[serde(rename = "at")]
    pub at: Timestamp,
}

impl PushShard {
    /// The record of a shard of which nothing is sent.
    #[must_use]
    pub fn new(targets: &PushTargets) -> Self {
        Self {
            id: targets.id.clone(),
            owner: targets.owner,
            version: 1,
            campaign: targets.campaign,
            seq: targets.seq,
            first: targets.first,
            open: Some(targets.seq),
            fates: Fates::pending(targets.targets.len()),
            again: Vec::new(),
            reasons: BTreeMap::new(),
            repeated: 0,
            lost: false,
        }
    }

    /// The sums.
    #[must_use]
    pub fn counts(&self) -> PushCounts {
        let mut counts = self.fates.counts();
        if self.lost {
            counts.unknown += counts.pending + counts.throttled;
            (counts.pending, counts.throttled) = (0, 0);
        }
        counts
    }

    /// Whether every target has its final fate.
    #[must_use]
    pub fn is_done(&self) -> bool {
        !self.fates.iter().any(|fate| fate.waits() || fate == Fate::InFlight)
    }

    /// The next version of the record, to be saved.
    pub fn turn(&mut self) {
        self.version += 1;
        self.open = (!self.is_done() && !self.lost).then_some(self.seq);
    }

    /// Nobody works on it any more. Says whether anything changed.
    pub fn give_up(&mut self) -> bool {
        let changed = !self.lost && !self.is_done();
        self.lost |= changed;
        changed
    }

    /// Somebody works on it again. Says whether anything changed.
    pub fn take_up(&mut self) -> bool {
        std::mem::take(&mut self.lost)
    }

    /// Takes over from a run that was cut off: what was in flight may have arrived. It is sent
    /// again only where `repeat` says so, and counted; else it stays unknown. Says whether
    /// anything changed.
    pub fn take_over(&mut self, repeat: impl Fn(usize) -> bool) -> bool {
        let doubtful: Vec<_> = self.places(|fate| fate == Fate::InFlight).collect();
        for index in &doubtful {
            self.lost(*index, repeat(*index), Timestamp::now(), Duration::ZERO);
        }
        !doubtful.is_empty()
    }

    /// Up to `limit` targets that may be sent at `now`, in order.
    #[must_use]
    pub fn due(&self, limit: usize, now: Timestamp) -> Vec<usize> {
        let ready = |index: &usize| self.attempts(*index).is_none_or(|again| again.at <= now);
        self.places(Fate::waits).filter(ready).take(limit).collect()
    }

    /// How many of these targets were never sent.
    #[must_use]
    pub fn fresh(&self, targets: &[usize]) -> u64 {
        targets.iter().filter(|index| self.attempts(**index).is_none()).count() as u64
    }

    /// When a target that was not taken is due again, the earliest of them.
    #[must_use]
    pub fn next_again(&self) -> Option<Timestamp> {
        let waits = |again: &&Again| self.fates.get(usize::from(again.target)).waits();
        self.again.iter().filter(waits).map(|again| again.at).min()
    }

    /// The first target that was never sent.
    #[must_use]
    pub fn next_fresh(&self) -> Option<usize> {
        self.places(Fate::waits).find(|index| self.attempts(*index).is_none())
    }

    /// Target `index` is about to be sent.
    pub fn depart(&mut self, index: usize) {
        self.fates.set(index, Fate::InFlight);
    }

    /// Target `index` was not sent after all.
    pub fn stay(&mut self, index: usize) {
        self.fates.set(index, Fate::Pending);
    }

    /// Apple took it.
    pub fn accepted(&mut self, index: usize) {
        self.end(index, Fate::Accepted);
    }

    /// It is refused for good, for `reason`.
    pub fn refused(&mut self, index: usize, reason: &str) {
        self.end(index, Fate::Invalid);
        let known = self.reasons.len() < MAX_REASONS || self.reasons.contains_key(reason);
        let reason = if known { reason } else { OTHER };
        *self.reasons.entry(reason.to_owned()).or_default() += 1;
    }

    /// It was certainly not taken; it is sent again after `pause`, which grows with every attempt.
    pub fn later(&mut self, index: usize, now: Timestamp, pause: Duration) {
        self.fates.set(index, Fate::Pending);
        self.note_attempt(index, now, pause);
    }

    /// Apple slows the device down; it is sent again after `pause`.
    pub fn slowed(&mut self, index: usize, now: Timestamp, pause: Duration) {
        self.fates.set(index, Fate::Throttled);
        self.note_attempt(index, now, pause);
    }

    /// No answer came. With `repeat` it is sent once more after `pause`, and that is counted.
    pub fn lost(&mut self, index: usize, repeat: bool, now: Timestamp, pause: Duration) {
        if repeat {
            self.repeated += 1;
            self.later(index, now, pause);
        } else {
            self.end(index, Fate::Unknown);
        }
    }

    /// The campaign has expired: nothing more is sent, neither for the first time nor again. Says
    /// whether anything changed.
    pub fn expire(&mut self) -> bool {
        self.close(Fate::Expired)
    }

    /// The campaign is cancelled: nothing more is sent. Says whether anything changed.
    pub fn cancel(&mut self) -> bool {
        self.close(Fate::Cancelled)
    }

    fn close(&mut self, fate: Fate) -> bool {
        let left: Vec<_> = self.places(Fate::waits).collect();
        for index in &left {
            self.end(*index, fate);
        }
        !left.is_empty()
    }

    fn end(&mut self, index: usize, fate: Fate) {
        self.fates.set(index, fate);
        if let Ok(place) = self.place(index) {
            self.again.remove(place);
        }
    }

    fn note_attempt(&mut self, index: usize, now: Timestamp, pause: Duration) {
        let Ok(target) = u16::try_from(index) else { return };
        let place = self.place(index);
        let attempts = place.map_or(0, |place| self.again[place].attempts).saturating_add(1);
        let grown = pause.saturating_mul(1 << (attempts - 1).min(10)).min(LONGEST_PAUSE);
        let again = Again { target, attempts, at: now + grown.max(pause) };
        match place {
            Ok(place) => self.again[place] = again,
            Err(place) => self.again.insert(place, again),
        }
    }

    fn attempts(&self, index: usize) -> Option<&Again> {
        self.place(index).ok().map(|place| &self.again[place])
    }

    /// Where the entry of target `index` is, or would be.
    fn place(&self, index: usize) -> Result<usize, usize> {
        self.again.binary_search_by_key(&index, |again| usize::from(again.target))
    }

    fn places(&self, wanted: impl Fn(Fate) -> bool) -> impl Iterator<Item = usize> {
        let of = move |(index, fate): (usize, Fate)| wanted(fate).then_some(index);
        self.fates.iter().enumerate().filter_map(of)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;
    use crate::push::PushTarget;

    fn shard(targets: usize) -> PushShard {
        let campaign = PushId::generate();
        let target = |number: usize| PushTarget {
            token: format!("{number:04x}").parse().unwrap(),
            user: UserId::new(7).unwrap(),
            message: 0,
        };
        PushShard::new(&PushTargets {
            id: PushTargets::id_of(campaign, 3),
            owner: UserId::new(1).unwrap(),
            version: 1,
            campaign,
            seq: 3,
            app: "com.example.notes".parse().unwrap(),
            first: 350,
            next: None,
            messages: Vec::new(),
            targets: (0..targets).map(target).collect(),
        })
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    #[test]
    fn what_was_in_flight_is_unknown_unless_it_may_be_repeated() {
        let mut shard = shard(4);
        (0..3).for_each(|index| shard.depart(index));
        shard.accepted(0);

        assert!(shard.take_over(|index| index == 1));
        assert!(!shard.take_over(|_| true));
        let counts = shard.counts();
        assert_eq!((counts.accepted, counts.unknown, counts.pending), (1, 1, 2));
        assert_eq!(shard.repeated, 1);
        assert_eq!(shard.due(9, Timestamp::now()), [1, 3]);
    }

    #[test]
    fn pauses_grow_and_nothing_is_sent_before_its_time() {
        let mut shard = shard(2);
        let second = Duration::from_secs(1);
        for expected in [1, 2, 4, 8] {
            shard.depart(0);
            shard.later(0, at(100), second);
            assert_eq!(shard.next_again(), Some(at(100 + expected)));
        }
        assert_eq!(shard.due(9, at(100)), [1]);
        assert_eq!(shard.due(9, at(108)), [0, 1]);
        assert_eq!(shard.fresh(&[0, 1]), 1);
        shard.slowed(0, at(200), Duration::from_hours(1));
        assert_eq!(shard.next_again(), Some(at(200 + 3_600)), "Apple's own pause counts");
    }

    #[test]
    fn a_shard_is_open_until_every_target_has_ended() {
        let mut shard = shard(4);
        shard.depart(0);
        shard.accepted(0);
        shard.depart(1);
        shard.refused(1, "Unregistered");
        shard.slowed(2, at(1), Duration::ZERO);
        shard.turn();
        assert_eq!((shard.open, shard.version), (Some(3), 2));

        assert!(shard.cancel());
        shard.turn();
        assert_eq!((shard.open, shard.again.len()), (None, 0));
        assert!(shard.counts().add_up() && shard.counts().cancelled == 2);
        assert_eq!(shard.reasons["Unregistered"], 1);
    }

    #[test]
    fn what_was_given_up_is_unknown_until_somebody_goes_on() {
        let mut shard = shard(4);
        shard.depart(0);
        shard.accepted(0);
        shard.depart(1);
        shard.slowed(2, at(1), Duration::ZERO);

        assert!(shard.give_up() && !shard.give_up());
        shard.turn();
        let counts = shard.counts();
        assert!(counts.add_up());
        assert_eq!((shard.open, counts.accepted, counts.unknown), (None, 1, 3));
        assert!(shard.take_up() && !shard.take_up());
        shard.turn();
        let counts = shard.counts();
        assert_eq!((shard.open, counts.pending, counts.throttled), (Some(3), 2, 1));
        shard.take_over(|_| false);
        shard.cancel();
        assert!(!shard.give_up(), "nothing is left to give up");
    }

    #[test]
    fn reasons_are_bounded() {
        let mut shard = shard(100);
        for index in 0..100 {
            shard.refused(index, &format!("Reason{index}"));
        }
        assert_eq!(shard.reasons.len(), MAX_REASONS + 1);
        assert_eq!(shard.reasons.values().sum::<u32>(), 100);
    }
}
