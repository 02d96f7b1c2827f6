//! The audit record. Entries go in and are read; nothing here changes or removes one.

use schemas::{
    AuditId, Timestamp, UserId,
    audit::{Action, AuditRecord},
};

use crate::{
    Insert, StoreError,
    engine::Engine,
    query::{Condition, Direction::Descending, Query},
    repository::Repository,
};

/// Who did what. Append-only: there is no method that saves over an entry or removes one.
///
/// Every method answers [`StoreError::Unavailable`] when the store does not, after about ten
/// seconds at most, and may be called again then.
#[derive(Clone)]
pub struct Audit(Repository<AuditRecord>);

/// Which entries to list. An empty list stands for any.
#[derive(Debug, Default, Clone)]
pub struct AuditFilter {
    /// Only about this user.
    pub owner: Option<UserId>,
    /// Only these actions.
    pub actions: Vec<Action>,
    /// Only by this actor, as [`schemas::audit::Actor`] prints.
    pub actor: Option<String>,
    /// Only from this address.
    pub address: Option<String>,
    /// Only of this moment or later.
    pub from: Option<Timestamp>,
    /// Only before this moment.
    pub before: Option<Timestamp>,
}

impl Audit {
    pub(crate) fn over(engine: &Engine) -> Self {
        Self(Repository::over(engine))
    }

    /// Adds an entry. [`Insert::Taken`] means that this very entry is there already.
    ///
    /// # Errors
    ///
    /// After [`StoreError::Unavailable`] it may be stored: the same entry again is then `Taken`.
    /// After [`StoreError::Busy`] it is not.
    pub async fn insert(&self, entry: &AuditRecord) -> Result<Insert, StoreError> {
        self.0.insert(entry).await
    }

    /// Up to `limit` entries, newest first; `after` is the last id of the page before.
    ///
    /// # Errors
    ///
    /// See [`Audit`].
    pub async fn list(
        &self,
        filter: &AuditFilter,
        after: Option<AuditId>,
        limit: usize,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        self.0.find(listed(filter, after, limit)).await
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}

pub(crate) fn listed(filter: &AuditFilter, after: Option<AuditId>, limit: usize) -> Query {
    let mut all = Vec::new();
    all.extend(filter.owner.map(|owner| Condition::Eq("owner", owner.into())));
    if !filter.actions.is_empty() {
        let names = filter.actions.iter().map(|action| action.name().into()).collect();
        all.push(Condition::In("action", names));
    }
    all.extend(filter.actor.as_deref().map(|actor| Condition::Eq("actor", actor.into())));
    all.extend(filter.address.as_deref().map(|from| Condition::Eq("address", from.into())));
    all.extend(filter.from.map(|from| Condition::Gte("at", from.into())));
    all.extend(filter.before.map(|before| Condition::Lt("at", before.into())));
    all.extend(after.map(|id| Condition::Lt("id", id.into())));
    Query::all(all).sorted("id", Descending).limited(limit)
}
