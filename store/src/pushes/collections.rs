//! Where campaigns lie, and how their records name themselves.

use schemas::push::{PushCampaign, PushShard, PushTargets};

use crate::{
    aggregate::{Aggregate, Collection, IdKind, Index, Key},
    query::Direction::{Ascending, Descending},
};

pub(crate) static PUSH_CAMPAIGNS: Collection = Collection {
    name: "push_campaigns",
    id: IdKind::Text,
    indexes: &[
        Index::on("owner_id", &[("owner", Ascending), ("id", Descending)]),
        Index::on("settled_at", &[("settled_at", Ascending)]).present("settled_at"),
    ],
};

pub(crate) static PUSH_SHARDS: Collection = Collection {
    name: "push_shards",
    id: IdKind::Text,
    indexes: &[
        Index::on("campaign_seq", &[("campaign", Ascending), ("seq", Ascending)]),
        Index::on("campaign_open", &[("campaign", Ascending), ("open", Ascending)]).present("open"),
    ],
};

pub(crate) static PUSH_TARGETS: Collection = Collection {
    name: "push_targets",
    id: IdKind::Text,
    indexes: &[Index::on("campaign_seq", &[("campaign", Ascending), ("seq", Descending)])],
};

impl Aggregate for PushCampaign {
    const COLLECTION: &'static Collection = &PUSH_CAMPAIGNS;

    fn key(&self) -> Key {
        Key::owned(self.id, self.owner)
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl Aggregate for PushShard {
    const COLLECTION: &'static Collection = &PUSH_SHARDS;

    fn key(&self) -> Key {
        Key::owned(self.id.as_str(), self.owner)
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl Aggregate for PushTargets {
    const COLLECTION: &'static Collection = &PUSH_TARGETS;

    fn key(&self) -> Key {
        Key::owned(self.id.as_str(), self.owner)
    }

    fn version(&self) -> u64 {
        self.version
    }
}
