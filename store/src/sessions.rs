//! The sign-ins.

use schemas::{SessionId, Timestamp, account::SessionRecord};

use crate::{
    Insert, Save, StoreError,
    aggregate::Key,
    engine::Engine,
    query::{Condition, Direction::Ascending, Query},
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

pub(crate) fn expired(before: Timestamp, limit: usize) -> Query {
    Query::all(vec![Condition::Lt("expires_at", before.into())])
        .sorted("expires_at", Ascending)
        .limited(limit)
}
