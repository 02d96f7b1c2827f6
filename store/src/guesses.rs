//! The recent wrong passwords, by source.

use schemas::{Timestamp, guess::GuessRecord};

use crate::{
    Insert, Save, StoreError,
    aggregate::Key,
    engine::Engine,
    query::{Condition, Direction::Ascending, Query},
    repository::Repository,
};

/// How often which source has failed to sign in, shared by every API process.
///
/// Every method answers [`StoreError::Unavailable`] when the store does not, after about ten
/// seconds at most, and may be called again then.
#[derive(Clone)]
pub struct Guesses(Repository<GuessRecord>);

impl Guesses {
    pub(crate) fn over(engine: &Engine) -> Self {
        Self(Repository::over(engine))
    }

    /// Stores the first failure of a source. Its id is unique.
    ///
    /// # Errors
    ///
    /// After [`StoreError::Unavailable`] it may be stored; after [`StoreError::Busy`] it is not.
    pub async fn insert(&self, guess: &GuessRecord) -> Result<Insert, StoreError> {
        self.0.insert(guess).await
    }

    /// Replaces version `guess.version - 1` of the record by `guess`. [`Save::Stale`] also when
    /// there is no such record.
    ///
    /// # Errors
    ///
    /// As [`Self::insert`].
    pub async fn save(&self, guess: &GuessRecord) -> Result<Save, StoreError> {
        self.0.save(guess).await
    }

    /// What is remembered of the source `id`. Concurrent calls are one read.
    ///
    /// # Errors
    ///
    /// See [`Guesses`].
    pub async fn get(&self, id: &str) -> Result<Option<GuessRecord>, StoreError> {
        self.0.get(Key::of(id)).await
    }

    /// Forgets up to `limit` records whose time is over at `now`, and says how many. Fewer than
    /// `limit` means that none is left.
    ///
    /// # Errors
    ///
    /// See [`Guesses`]. Some may be gone already.
    pub async fn remove_expired(&self, now: Timestamp, limit: usize) -> Result<u64, StoreError> {
        if limit == 0 {
            return Ok(0);
        }
        self.0.remove(expired(now, limit)).await
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}

pub(crate) fn expired(now: Timestamp, limit: usize) -> Query {
    Query::all(vec![Condition::Lte("expires_at", now.into())])
        .sorted("expires_at", Ascending)
        .limited(limit)
}
