//! The sign-ins.

use schemas::{SessionId, Timestamp, UserId, account::SessionRecord};

use crate::{
    Insert, Save, StoreError,
    aggregate::Key,
    engine::Engine,
    query::{
        Condition,
        Direction::{Ascending, Descending},
        Query,
    },
    repository::Repository,
};

/// The sign-ins of users on devices.
///
/// Every method answers [`StoreError::Unavailable`] when the store does not, after about ten
/// seconds at most, and may be called again then.
#[derive(Clone)]
pub struct Sessions(Repository<SessionRecord>);

impl Sessions {
    pub(crate) fn over(engine: &Engine) -> Self {
        Self(Repository::over(engine))
    }

    /// Stores a new sign-in. Its id is unique.
    ///
    /// # Errors
    ///
    /// After [`StoreError::Unavailable`] it may be stored; after [`StoreError::Busy`] it is not.
    pub async fn insert(&self, session: &SessionRecord) -> Result<Insert, StoreError> {
        self.0.insert(session).await
    }

    /// Replaces version `session.version - 1` of the sign-in by `session`. [`Save::Stale`] also
    /// when there is no such sign-in.
    ///
    /// # Errors
    ///
    /// As [`Self::insert`].
    pub async fn save(&self, session: &SessionRecord) -> Result<Save, StoreError> {
        self.0.save(session).await
    }

    /// The sign-in `id`. Concurrent calls are one read.
    ///
    /// # Errors
    ///
    /// See [`Sessions`].
    pub async fn get(&self, id: SessionId) -> Result<Option<SessionRecord>, StoreError> {
        self.0.get(Key::of(id)).await
    }

    /// The sign-in `id` if it is `owner`'s. Concurrent calls are one read.
    ///
    /// # Errors
    ///
    /// See [`Sessions`].
    pub async fn get_owned(
        &self,
        owner: UserId,
        id: SessionId,
    ) -> Result<Option<SessionRecord>, StoreError> {
        self.0.get(Key::owned(id, owner)).await
    }

    /// Up to `limit` sign-ins of `owner` that have not ended at `now`, newest first; `after` is the
    /// last id of the page before.
    ///
    /// # Errors
    ///
    /// See [`Sessions`].
    pub async fn live(
        &self,
        owner: UserId,
        now: Timestamp,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        self.0.find(live(owner, now, after, limit)).await
    }

    /// Forgets up to `limit` sign-ins that ended by themselves before `before`, and says how many
    /// it were.
    ///
    /// # Errors
    ///
    /// See [`Sessions`]; some may have gone then.
    pub async fn remove_expired(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.0.remove(expired(before, limit)).await
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}

pub(crate) fn live(owner: UserId, now: Timestamp, after: Option<SessionId>, limit: usize) -> Query {
    let mut all = vec![
        Condition::Eq("owner", owner.into()),
        Condition::Absent("revoked_at"),
        Condition::Gt("expires_at", now.into()),
    ];
    all.extend(after.map(|id| Condition::Lt("id", id.into())));
    Query::all(all).sorted("id", Descending).limited(limit)
}

pub(crate) fn expired(before: Timestamp, limit: usize) -> Query {
    Query::all(vec![Condition::Lt("expires_at", before.into())])
        .sorted("expires_at", Ascending)
        .limited(limit)
}
