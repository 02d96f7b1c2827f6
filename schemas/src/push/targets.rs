//! The devices of one shard and what they get. Written once, gone when the campaign has ended.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Cursor, PushMessage};
use crate::{
    apns::{BundleId, DeviceToken},
    id::{PushId, UserId},
};

/// Targets of a shard, unless one user has very many devices.
pub const SHARD_TARGETS: usize = 500;

/// Targets of a campaign's first shard: they are sent while the next ones are being read.
const FIRST_SHARD: usize = 50;

/// How many targets shard `seq` should have: few in the first ones, so that sending begins at once.
#[must_use]
pub fn shard_size(seq: u32) -> usize {
    (FIRST_SHARD << seq.min(8)).min(SHARD_TARGETS)
}

/// The devices of one shard.
///
/// Storing it decides which devices the shard has: whoever fans out the same campaign again finds
/// it and goes on behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushTargets {
    /// Campaign and number of the shard in one text.
    pub id: String,
    /// Whose campaign it is.
    pub owner: UserId,
    /// Always 1: it never changes.
    pub version: u64,
    /// The campaign.
    pub campaign: PushId,
    /// Number of the shard, from 0.
    pub seq: u32,
    /// The app.
    pub app: BundleId,
    /// Targets of all shards before.
    pub first: u64,
    /// Where the next shard begins; nothing after the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
    /// What the targets get.
    pub messages: Vec<PushMessage>,
    /// The devices.
    pub targets: Vec<PushTarget>,
}

/// One device of a shard. The names are short because there are many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushTarget {
    /// Apple's address of the device.
    #[serde(rename = "t")]
    pub token: DeviceToken,
    /// Who had it when it was targeted; nobody else gets the push.
    #[serde(rename = "u")]
    pub user: UserId,
    /// Place of its message in [`PushTargets::messages`].
    #[serde(rename = "m", default)]
    pub message: u16,
}

impl PushTargets {
    /// The id of shard `seq` of `campaign`. Ids of one campaign sort by number.
    #[must_use]
    pub fn id_of(campaign: PushId, seq: u32) -> String {
        format!("{campaign}/{seq:010}")
    }

    /// The `apns-id` of target `index`: the same on every repetition, another for every target.
    #[must_use]
    pub fn apns_id(&self, index: usize) -> Uuid {
        let index = u64::try_from(index).unwrap_or(u64::MAX);
        self.campaign.apns_id(self.first.saturating_add(index))
    }

    /// What target `index` gets.
    #[must_use]
    pub fn message_of(&self, index: usize) -> Option<&PushMessage> {
        self.messages.get(usize::from(self.targets.get(index)?.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_shards_are_small() {
        let sizes: Vec<_> = (0..6).map(shard_size).collect();
        assert_eq!(sizes, [50, 100, 200, 400, 500, 500]);
        assert_eq!(shard_size(u32::MAX), SHARD_TARGETS);
    }

    #[test]
    fn ids_of_a_campaign_sort_by_number() {
        let campaign = PushId::generate();
        let ids: Vec<_> =
            [0, 1, 9, 10, 99_999, u32::MAX].map(|seq| PushTargets::id_of(campaign, seq)).into();
        assert!(ids.is_sorted());
    }
}
