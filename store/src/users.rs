//! The people who can sign in.

use schemas::{UserId, account::UserRecord};

use crate::{
    Insert, Save, StoreError,
    aggregate::Key,
    engine::Engine,
    query::{Condition, Direction::Ascending, Query},
    repository::Repository,
};

/// The accounts.
///
/// Every method answers [`StoreError::Unavailable`] when the store does not, after about ten
/// seconds at most, and may be called again then.
#[derive(Clone)]
pub struct Users(Repository<UserRecord>);

impl Users {
    pub(crate) fn over(engine: &Engine) -> Self {
        Self(Repository::over(engine))
    }

    /// Stores a new account. Its id and its username are unique.
    ///
    /// # Errors
    ///
    /// After [`StoreError::Unavailable`] it may be stored; after [`StoreError::Busy`] it is not.
    pub async fn insert(&self, user: &UserRecord) -> Result<Insert, StoreError> {
        self.0.insert(user).await
    }

    /// Replaces version `user.version - 1` of the account by `user`. [`Save::Stale`] also when
    /// there is no such account.
    ///
    /// # Errors
    ///
    /// As [`Self::insert`]; [`StoreError::Unreadable`] when its new username is another's.
    pub async fn save(&self, user: &UserRecord) -> Result<Save, StoreError> {
        self.0.save(user).await
    }

    /// The account `id`. Concurrent calls are one read.
    ///
    /// # Errors
    ///
    /// See [`Users`].
    pub async fn get(&self, id: UserId) -> Result<Option<UserRecord>, StoreError> {
        self.0.get(Key::of(id)).await
    }

    /// The account that signs in with exactly this username.
    ///
    /// # Errors
    ///
    /// See [`Users`].
    pub async fn by_username(&self, username: &str) -> Result<Option<UserRecord>, StoreError> {
        self.0.first(by_username(username)).await
    }

    /// Up to `limit` accounts, oldest first; `after` is the last id of the page before.
    ///
    /// # Errors
    ///
    /// See [`Users`].
    pub async fn list(
        &self,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<UserRecord>, StoreError> {
        let beyond = after.map(|id| Condition::Gt("id", id.into())).into_iter().collect();
        self.0.find(Query::all(beyond).sorted("id", Ascending).limited(limit)).await
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}

pub(crate) fn by_username(username: &str) -> Query {
    Query::all(vec![Condition::Eq("username", username.into())])
}
