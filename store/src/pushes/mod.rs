//! Push campaigns: their records, their shards and the devices of these.

pub(crate) mod collections;

use schemas::{
    PushId, Timestamp, UserId,
    push::{PushCampaign, PushShard, PushTargets, Tally},
};

use crate::{
    Insert, Save, StoreError,
    aggregate::Key,
    engine::Engine,
    query::{
        Condition,
        Direction::{Ascending, Descending},
        Query, Value,
    },
    repository::Repository,
};

/// Shards that are read in one go for the sums.
const PAGE: usize = 500;

/// The campaigns, each with its shards and their devices. The owner is part of every question.
///
/// Every method answers [`StoreError::Unavailable`] when the store does not, after about ten
/// seconds at most, and may be called again then. After [`StoreError::Unavailable`] a record may
/// be stored: the same insert again is then [`Insert::Taken`], the same save [`Save::Stale`].
#[derive(Clone)]
pub struct Pushes {
    campaigns: Repository<PushCampaign>,
    shards: Repository<PushShard>,
    targets: Repository<PushTargets>,
}

impl Pushes {
    pub(crate) fn over(engine: &Engine) -> Self {
        Self {
            campaigns: Repository::over(engine),
            shards: Repository::over(engine),
            targets: Repository::over(engine),
        }
    }

    /// Stores a new campaign.
    ///
    /// # Errors
    ///
    /// See [`Pushes`].
    pub async fn insert(&self, campaign: &PushCampaign) -> Result<Insert, StoreError> {
        self.campaigns.insert(campaign).await
    }

    /// Replaces version `campaign.version - 1` of the campaign.
    ///
    /// # Errors
    ///
    /// See [`Pushes`].
    pub async fn save(&self, campaign: &PushCampaign) -> Result<Save, StoreError> {
        self.campaigns.save(campaign).await
    }

    /// The campaign `id` if `owner` owns it. Concurrent calls are one read.
    ///
    /// # Errors
    ///
    /// See [`Pushes`].
    pub async fn get_owned(
        &self,
        owner: UserId,
        id: PushId,
    ) -> Result<Option<PushCampaign>, StoreError> {
        self.campaigns.get(Key::owned(id, owner)).await
    }

    /// The campaign `id`, whoever owns it; for operators.
    ///
    /// # Errors
    ///
    /// See [`Pushes`].
    pub async fn get(&self, id: PushId) -> Result<Option<PushCampaign>, StoreError> {
        self.campaigns.get(Key::of(id)).await
    }

    /// Up to `limit` campaigns, newest first, of `owner` or of everybody; `after` is the last id of
    /// the page before.
    ///
    /// # Errors
    ///
    /// See [`Pushes`].
    pub async fn list(
        &self,
        owner: Option<UserId>,
        after: Option<PushId>,
        limit: usize,
    ) -> Result<Vec<PushCampaign>, StoreError> {
        self.campaigns.find(listed(owner, after, limit)).await
    }

    /// Stores the devices of a shard, which decides which ones it has.
    ///
    /// # Errors
    ///
    /// See [`Pushes`].
    pub async fn insert_targets(&self, targets: &PushTargets) -> Result<Insert, StoreError> {
        self.targets.insert(targets).await
    }

    /// The devices of shard `seq`.
    ///
    /// # Errors
    ///
    /// See [`Pushes`].
    pub async fn targets(
        &self,
        owner: UserId,
        campaign: PushId,
        seq: u32,
    ) -> Result<Option<PushTargets>, StoreError> {
        self.targets.get(key(owner, campaign, seq)).await
    }

    /// The devices of the last shard that was stored.
    ///
    /// # Errors
    ///
    /// See [`Pushes`].
    pub async fn last_targets(
        &self,
        owner: UserId,
        campaign: PushId,
    ) -> Result<Option<PushTargets>, StoreError> {
        self.targets.first(of(owner, campaign).sorted("seq", Descending)).await
    }

    /// Stores the record of a shard.
    ///
    /// # Errors
    ///
    /// See [`Pushes`].
    pub async fn insert_shard(&self, shard: &PushShard) -> Result<Insert, StoreError> {
        self.shards.insert(shard).await
    }

    /// Replaces version `shard.version - 1` of the shard.
    ///
    /// # Errors
    ///
    /// See [`Pushes`].
    pub async fn save_shard(&self, shard: &PushShard) -> Result<Save, StoreError> {
        self.shards.save(shard).await
    }

    /// The record of shard `seq`.
    ///
    /// # Errors
    ///
    /// See [`Pushes`].
    pub async fn shard(
        &self,
        owner: UserId,
        campaign: PushId,
        seq: u32,
    ) -> Result<Option<PushShard>, StoreError> {
        self.shards.get(key(owner, campaign, seq)).await
    }

    /// Up to `limit` shards with something left to do, by number, behind shard `after`.
    ///
    /// # Errors
    ///
    /// See [`Pushes`].
    pub async fn open_shards(
        &self,
        owner: UserId,
        campaign: PushId,
        after: Option<u32>,
        limit: usize,
    ) -> Result<Vec<PushShard>, StoreError> {
        self.shards.find(open(owner, campaign, after, limit)).await
    }

    /// The sums over the shards of a campaign that has not ended.
    ///
    /// # Errors
    ///
    /// See [`Pushes`].
    pub async fn tally(&self, owner: UserId, campaign: PushId) -> Result<Tally, StoreError> {
        let mut tally = Tally::default();
        let mut after = None;
        loop {
            let page = self.shards.find(numbered(owner, campaign, after, PAGE)).await?;
            for shard in &page {
                tally.add(shard);
            }
            let Some(last) = page.last().filter(|_| page.len() == PAGE) else { return Ok(tally) };
            after = Some(last.seq);
        }
    }

    /// Forgets up to `limit` shards of a campaign and the devices of as many, and says how many
    /// records that were; 0 when nothing is left.
    ///
    /// # Errors
    ///
    /// See [`Pushes`]. Some may be gone already.
    pub async fn forget(
        &self,
        owner: UserId,
        campaign: PushId,
        limit: usize,
    ) -> Result<u64, StoreError> {
        let query = || of(owner, campaign).sorted("seq", Ascending).limited(limit);
        Ok(self.targets.remove(query()).await? + self.shards.remove(query()).await?)
    }

    /// Forgets up to `limit` campaigns that ended before this moment, earliest first, with all that
    /// was kept of them, and says how many.
    ///
    /// # Errors
    ///
    /// See [`Pushes`]. Some may be gone already.
    pub async fn remove_settled(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        for ended in self.campaigns.find(settled(before, limit)).await? {
            while ended.may_go_on() && self.forget(ended.owner, ended.id, PAGE).await? > 0 {}
        }
        self.campaigns.remove(settled(before, limit)).await
    }

    pub(crate) async fn close(&self) {
        self.campaigns.close().await;
        self.shards.close().await;
        self.targets.close().await;
    }
}

fn key(owner: UserId, campaign: PushId, seq: u32) -> Key {
    Key::owned(PushTargets::id_of(campaign, seq).as_str(), owner)
}

pub(crate) fn listed(owner: Option<UserId>, after: Option<PushId>, limit: usize) -> Query {
    let mut all: Vec<_> =
        owner.map(|owner| Condition::Eq("owner", owner.into())).into_iter().collect();
    all.extend(after.map(|id| Condition::Lt("id", id.into())));
    Query::all(all).sorted("id", Descending).limited(limit)
}

pub(crate) fn of(owner: UserId, campaign: PushId) -> Query {
    let campaign = Condition::Eq("campaign", campaign.into());
    Query::all(vec![campaign, Condition::Eq("owner", owner.into())])
}

pub(crate) fn numbered(owner: UserId, campaign: PushId, after: Option<u32>, limit: usize) -> Query {
    let mut query = of(owner, campaign);
    query.all.extend(after.map(|seq| Condition::Gt("seq", Value::Number(seq.into()))));
    query.sorted("seq", Ascending).limited(limit)
}

pub(crate) fn open(owner: UserId, campaign: PushId, after: Option<u32>, limit: usize) -> Query {
    let mut query = of(owner, campaign);
    let after = after.map_or(-1, i64::from);
    query.all.push(Condition::Gt("open", Value::Number(after)));
    query.sorted("open", Ascending).limited(limit)
}

pub(crate) fn settled(before: Timestamp, limit: usize) -> Query {
    Query::all(vec![Condition::Lt("settled_at", before.into())])
        .sorted("settled_at", Ascending)
        .limited(limit)
}
