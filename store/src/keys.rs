//! The long-lived keys.

use schemas::{KeyId, UserId, api_key::KeyRecord};

use crate::{
    Insert, Save, StoreError,
    aggregate::Key,
    engine::Engine,
    query::{Condition, Direction::Descending, Query},
    repository::Repository,
};

/// The long-lived keys of users.
///
/// Every method answers [`StoreError::Unavailable`] when the store does not, after about ten
/// seconds at most, and may be called again then.
#[derive(Clone)]
pub struct Keys(Repository<KeyRecord>);

impl Keys {
    pub(crate) fn over(engine: &Engine) -> Self {
        Self(Repository::over(engine))
    }

    /// Stores a new key. Its id is unique.
    ///
    /// # Errors
    ///
    /// After [`StoreError::Unavailable`] it may be stored; after [`StoreError::Busy`] it is not.
    pub async fn insert(&self, key: &KeyRecord) -> Result<Insert, StoreError> {
        self.0.insert(key).await
    }

    /// Replaces version `key.version - 1` of the key by `key`. [`Save::Stale`] also when there is
    /// no such key.
    ///
    /// # Errors
    ///
    /// As [`Self::insert`].
    pub async fn save(&self, key: &KeyRecord) -> Result<Save, StoreError> {
        self.0.save(key).await
    }

    /// The key `id`, whoever owns it. Concurrent calls are one read.
    ///
    /// # Errors
    ///
    /// See [`Keys`].
    pub async fn get(&self, id: KeyId) -> Result<Option<KeyRecord>, StoreError> {
        self.0.get(Key::of(id)).await
    }

    /// Up to `limit` keys of `owner`, or of everybody, newest first, ended ones too; `after` is
    /// the last id of the page before.
    ///
    /// # Errors
    ///
    /// See [`Keys`].
    pub async fn list(
        &self,
        owner: Option<UserId>,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<KeyRecord>, StoreError> {
        self.0.find(listed(owner, after, limit)).await
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}

pub(crate) fn listed(owner: Option<UserId>, after: Option<KeyId>, limit: usize) -> Query {
    let mut all = Vec::new();
    all.extend(owner.map(|owner| Condition::Eq("owner", owner.into())));
    all.extend(after.map(|id| Condition::Lt("id", id.into())));
    Query::all(all).sorted("id", Descending).limited(limit)
}
