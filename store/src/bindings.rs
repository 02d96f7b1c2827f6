//! The accounts that users have at providers, and the consents under way.

use schemas::{
    Channel, Timestamp, UserId,
    binding::{BindStateRecord, BindingRecord},
};

use crate::{
    Insert, Save, StoreError,
    aggregate::Key,
    engine::Engine,
    query::{Condition, Direction::Ascending, Query},
    repository::Repository,
};

/// The bound accounts and the states of consents.
///
/// Every method answers [`StoreError::Unavailable`] when the store does not, after about ten
/// seconds at most, and may be called again then.
#[derive(Clone)]
pub struct Bindings {
    bound: Repository<BindingRecord>,
    states: Repository<BindStateRecord>,
}

impl Bindings {
    pub(crate) fn over(engine: &Engine) -> Self {
        Self { bound: Repository::over(engine), states: Repository::over(engine) }
    }

    /// Stores the first account of its user at its provider.
    ///
    /// # Errors
    ///
    /// After [`StoreError::Unavailable`] it may be stored; after [`StoreError::Busy`] it is not.
    pub async fn insert(&self, binding: &BindingRecord) -> Result<Insert, StoreError> {
        self.bound.insert(binding).await
    }

    /// Replaces version `binding.version - 1` of the account by `binding`.
    ///
    /// # Errors
    ///
    /// As [`Self::insert`].
    pub async fn save(&self, binding: &BindingRecord) -> Result<Save, StoreError> {
        self.bound.save(binding).await
    }

    /// The account of `owner` at `channel`. Concurrent calls are one read.
    ///
    /// # Errors
    ///
    /// See [`Bindings`].
    pub async fn get(
        &self,
        owner: UserId,
        channel: Channel,
    ) -> Result<Option<BindingRecord>, StoreError> {
        let id = BindingRecord::id_of(owner, channel);
        self.bound.get(Key::owned(id.as_str(), owner)).await
    }

    /// Forgets the account if it is still as `binding` shows it; whether it did.
    ///
    /// # Errors
    ///
    /// See [`Bindings`]; it may be forgotten then, and the same call again answers `false`.
    pub async fn remove(&self, binding: &BindingRecord) -> Result<bool, StoreError> {
        Ok(self.bound.remove(exactly(binding)).await? == 1)
    }

    /// Stores a consent that was begun. Its digest is unique.
    ///
    /// # Errors
    ///
    /// As [`Self::insert`].
    pub async fn begin(&self, state: &BindStateRecord) -> Result<Insert, StoreError> {
        self.states.insert(state).await
    }

    /// The consent with this digest. Concurrent calls are one read.
    ///
    /// # Errors
    ///
    /// See [`Bindings`].
    pub async fn state(&self, digest: &str) -> Result<Option<BindStateRecord>, StoreError> {
        self.states.get(Key::of(digest)).await
    }

    /// Replaces version `state.version - 1` of a consent, as when it was used: of several who come back
    /// with one state, one is [`Save::Stored`].
    ///
    /// # Errors
    ///
    /// As [`Self::insert`].
    pub async fn save_state(&self, state: &BindStateRecord) -> Result<Save, StoreError> {
        self.states.save(state).await
    }

    /// Forgets up to `limit` consents that expired before `before`, and says how many it were.
    ///
    /// # Errors
    ///
    /// See [`Bindings`]; some may have gone then.
    pub async fn remove_expired(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.states.remove(expired(before, limit)).await
    }

    pub(crate) async fn close(&self) {
        self.bound.close().await;
        self.states.close().await;
    }
}

/// This account as it was bound then: versions begin anew once an account was forgotten.
fn exactly(binding: &BindingRecord) -> Query {
    let version = i64::try_from(binding.version).unwrap_or(i64::MAX);
    Query::all(vec![
        Condition::Eq("id", binding.id.as_str().into()),
        Condition::Eq("owner", binding.owner.into()),
        Condition::Eq("version", version.into()),
        Condition::Eq("bound_at", binding.bound_at.into()),
    ])
    .limited(1)
}

pub(crate) fn expired(before: Timestamp, limit: usize) -> Query {
    Query::all(vec![Condition::Lt("expires_at", before.into())])
        .sorted("expires_at", Ascending)
        .limited(limit)
}
