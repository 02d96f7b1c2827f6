//! The authorization codes.

use schemas::{Timestamp, code::CodeRecord};

use crate::{
    Insert, Save, StoreError,
    aggregate::Key,
    engine::Engine,
    query::{Condition, Direction::Ascending, Query},
    repository::Repository,
};

/// The codes that users allowed, by digest.
///
/// Every method answers [`StoreError::Unavailable`] when the store does not, after about ten
/// seconds at most, and may be called again then.
#[derive(Clone)]
pub struct Codes(Repository<CodeRecord>);

impl Codes {
    pub(crate) fn over(engine: &Engine) -> Self {
        Self(Repository::over(engine))
    }

    /// Stores a new code. Its digest is unique.
    ///
    /// # Errors
    ///
    /// After [`StoreError::Unavailable`] it may be stored; after [`StoreError::Busy`] it is not.
    pub async fn insert(&self, code: &CodeRecord) -> Result<Insert, StoreError> {
        self.0.insert(code).await
    }

    /// Replaces version `code.version - 1` of the code by `code`: of several who use one code, one
    /// is [`Save::Stored`]. [`Save::Stale`] also when there is no such code.
    ///
    /// # Errors
    ///
    /// As [`Self::insert`].
    pub async fn save(&self, code: &CodeRecord) -> Result<Save, StoreError> {
        self.0.save(code).await
    }

    /// The code with this digest. Concurrent calls are one read.
    ///
    /// # Errors
    ///
    /// See [`Codes`].
    pub async fn get(&self, digest: &str) -> Result<Option<CodeRecord>, StoreError> {
        self.0.get(Key::of(digest)).await
    }

    /// Forgets up to `limit` codes that expired before `before`, and says how many it were.
    ///
    /// # Errors
    ///
    /// See [`Codes`]; some may have gone then.
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
