//! The applications that sign users in.

use schemas::{ClientId, account::ClientRecord};

use crate::{
    Insert, Save, StoreError,
    aggregate::Key,
    engine::Engine,
    query::{Direction::Ascending, Query},
    repository::Repository,
};

/// Most clients that are listed; an installation has a handful.
const MOST: usize = 10_000;

/// The registered clients.
///
/// Every method answers [`StoreError::Unavailable`] when the store does not, after about ten
/// seconds at most, and may be called again then.
#[derive(Clone)]
pub struct Clients(Repository<ClientRecord>);

impl Clients {
    pub(crate) fn over(engine: &Engine) -> Self {
        Self(Repository::over(engine))
    }

    /// Stores a new client. Its id is unique.
    ///
    /// # Errors
    ///
    /// After [`StoreError::Unavailable`] it may be stored; after [`StoreError::Busy`] it is not.
    pub async fn insert(&self, client: &ClientRecord) -> Result<Insert, StoreError> {
        self.0.insert(client).await
    }

    /// Replaces version `client.version - 1` of the client by `client`. [`Save::Stale`] also when
    /// there is no such client.
    ///
    /// # Errors
    ///
    /// As [`Self::insert`].
    pub async fn save(&self, client: &ClientRecord) -> Result<Save, StoreError> {
        self.0.save(client).await
    }

    /// The client `id`. Concurrent calls are one read.
    ///
    /// # Errors
    ///
    /// See [`Clients`].
    pub async fn get(&self, id: &ClientId) -> Result<Option<ClientRecord>, StoreError> {
        self.0.get(Key::of(id)).await
    }

    /// The clients by name, ten thousand at most.
    ///
    /// # Errors
    ///
    /// See [`Clients`].
    pub async fn list(&self) -> Result<Vec<ClientRecord>, StoreError> {
        self.0.find(Query::default().sorted("id", Ascending).limited(MOST)).await
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}
