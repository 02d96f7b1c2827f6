//! What became of targets, in numbers.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{MAX_REASONS, PushShard, shard::OTHER};

/// How many targets ended how. [`Self::targeted`] is always the sum of all the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct PushCounts {
    /// All of them.
    pub targeted: u64,
    /// Apple took the push. Not proof that it was shown.
    pub accepted: u64,
    /// Apple or Feat refused it for good: the token ended, changed hands or was never registered,
    /// or the message is at fault.
    pub invalid: u64,
    /// Apple slows the device down; tried again until the campaign expires.
    pub throttled: u64,
    /// Not taken by Apple until the campaign expired.
    pub expired: u64,
    /// Not sent, because the campaign was cancelled.
    pub cancelled: u64,
    /// Sent, and no answer was recorded: it may have arrived. Also what was left to do of a part
    /// whose work was given up.
    pub unknown: u64,
    /// Not sent yet, or under way.
    pub pending: u64,
}

impl PushCounts {
    /// Whether the numbers add up, which they always do.
    #[must_use]
    pub const fn add_up(&self) -> bool {
        let sum = self.accepted
            + self.invalid
            + self.throttled
            + self.expired
            + self.cancelled
            + self.unknown
            + self.pending;
        self.targeted == sum
    }
}

impl std::ops::AddAssign for PushCounts {
    fn add_assign(&mut self, other: Self) {
        self.targeted += other.targeted;
        self.accepted += other.accepted;
        self.invalid += other.invalid;
        self.throttled += other.throttled;
        self.expired += other.expired;
        self.cancelled += other.cancelled;
        self.unknown += other.unknown;
        self.pending += other.pending;
    }
}

/// Sums over shards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Shards that were added.
    pub shards: u32,
    /// Those of them that were given up.
    pub lost: u32,
    /// What became of their targets.
    pub counts: PushCounts,
    /// Why targets were refused.
    pub reasons: BTreeMap<String, u32>,
    /// Times that a push was sent once more although Apple may have taken it.
    pub repeated: u64,
}

impl Tally {
    /// Adds a shard.
    pub fn add(&mut self, shard: &PushShard) {
        self.shards += 1;
        self.lost += u32::from(shard.lost);
        self.counts += shard.counts();
        self.repeated += u64::from(shard.repeated);
        for (reason, count) in &shard.reasons {
            let known = self.reasons.len() < MAX_REASONS || self.reasons.contains_key(reason);
            let reason = if known { reason } else { OTHER };
            *self.reasons.entry(reason.to_owned()).or_default() += count;
        }
    }
}
