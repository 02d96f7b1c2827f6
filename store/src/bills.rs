//! The bills.

use schemas::{BillRecord, BillSn, BillStatus, Timestamp, UserId};

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

/// The bills, each with everything that happened to it.
///
/// Every method answers [`StoreError::Unavailable`] when the store does not, after about ten
/// seconds at most, and may be called again then.
#[derive(Clone)]
pub struct Bills(Repository<BillRecord>);

/// Which bills to list.
#[derive(Debug, Clone)]
pub struct BillFilter {
    /// Whose bills.
    pub owner: UserId,
    /// Only these statuses; an empty list stands for any.
    pub statuses: Vec<BillStatus>,
}

/// Which bills an operator looks for, of anybody.
#[derive(Debug, Clone, Default)]
pub struct BillSearch {
    /// Only this user's; `None` stands for everybody's.
    pub owner: Option<UserId>,
    /// Only these statuses; an empty list stands for any.
    pub statuses: Vec<BillStatus>,
    /// Only made in the second of this moment or later.
    pub made_from: Option<Timestamp>,
    /// Only made before the second of this moment.
    pub made_before: Option<Timestamp>,
}

impl Bills {
    pub(crate) fn over(engine: &Engine) -> Self {
        Self(Repository::over(engine))
    }

    /// Stores a new bill. Its number, and its client's reference for each owner, are unique.
    ///
    /// # Errors
    ///
    /// After [`StoreError::Unavailable`] it may be stored; after [`StoreError::Busy`] it is not.
    pub async fn insert(&self, bill: &BillRecord) -> Result<Insert, StoreError> {
        self.0.insert(bill).await
    }

    /// Replaces version `bill.version - 1` of the bill by `bill`. [`Save::Stale`] also when there
    /// is no such bill.
    ///
    /// # Errors
    ///
    /// After [`StoreError::Unavailable`] it may be stored; after [`StoreError::Busy`] it is not.
    pub async fn save(&self, bill: &BillRecord) -> Result<Save, StoreError> {
        self.0.save(bill).await
    }

    /// The bill `sn`, whoever owns it; for what a provider tells. Concurrent calls are one read.
    ///
    /// # Errors
    ///
    /// See [`Bills`].
    pub async fn get(&self, sn: &BillSn) -> Result<Option<BillRecord>, StoreError> {
        self.0.get(Key::of(sn)).await
    }

    /// The bill `sn` if `owner` owns it. Concurrent calls are one read.
    ///
    /// # Errors
    ///
    /// See [`Bills`].
    pub async fn get_owned(
        &self,
        owner: UserId,
        sn: &BillSn,
    ) -> Result<Option<BillRecord>, StoreError> {
        self.0.get(Key::owned(sn, owner)).await
    }

    /// The bill that `owner` calls by this reference.
    ///
    /// # Errors
    ///
    /// See [`Bills`].
    pub async fn by_client_ref(
        &self,
        owner: UserId,
        reference: &str,
    ) -> Result<Option<BillRecord>, StoreError> {
        self.0.first(by_client_ref(owner, reference)).await
    }

    /// Up to `limit` bills after the first `offset`, newest first.
    ///
    /// # Errors
    ///
    /// See [`Bills`].
    pub async fn list(
        &self,
        filter: &BillFilter,
        offset: u64,
        limit: usize,
    ) -> Result<Vec<BillRecord>, StoreError> {
        self.0.find(listed(filter, offset, limit)).await
    }

    /// How many bills there are.
    ///
    /// # Errors
    ///
    /// See [`Bills`].
    pub async fn count(&self, filter: &BillFilter) -> Result<u64, StoreError> {
        self.0.count(Query::all(conditions(filter))).await
    }

    /// Up to `limit` bills for an operator, newest first; `after` is the last number of the page
    /// before.
    ///
    /// # Errors
    ///
    /// See [`Bills`].
    pub async fn search(
        &self,
        search: &BillSearch,
        after: Option<&BillSn>,
        limit: usize,
    ) -> Result<Vec<BillRecord>, StoreError> {
        self.0.find(searched(search, after, limit)).await
    }

    /// Up to `limit` bills of anybody with a refund that waits for approval since after this
    /// moment, longest waiting first.
    ///
    /// # Errors
    ///
    /// See [`Bills`].
    pub async fn held(
        &self,
        after: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<BillRecord>, StoreError> {
        self.0.find(held(after, limit)).await
    }

    /// Up to `limit` bills of anybody, by the time at which money moved last: those after the mark
    /// `after`, which is [`BillRecord::moved`] of the last bill of the page before, or the text of
    /// a moment. A bill whose money moves meanwhile may come twice, and is never left out.
    ///
    /// # Errors
    ///
    /// See [`Bills`].
    pub async fn moved(&self, after: &str, limit: usize) -> Result<Vec<BillRecord>, StoreError> {
        self.0.find(moved(after, limit)).await
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}

pub(crate) fn by_client_ref(owner: UserId, reference: &str) -> Query {
    let reference = Condition::Eq("client_ref", reference.into());
    Query::all(vec![Condition::Eq("owner", owner.into()), reference])
}

pub(crate) fn listed(filter: &BillFilter, offset: u64, limit: usize) -> Query {
    let query = Query { offset, ..Query::all(conditions(filter)) };
    query.limited(limit).sorted("id", Descending)
}

pub(crate) fn held(after: Option<Timestamp>, limit: usize) -> Query {
    let after = after.unwrap_or(Timestamp::from_micros(0));
    Query::all(vec![Condition::Gt("held_since", after.into())])
        .sorted("held_since", Ascending)
        .limited(limit)
}

pub(crate) fn moved(after: &str, limit: usize) -> Query {
    let all = vec![Condition::Gt("moved", after.into())];
    Query::all(all).sorted("moved", Ascending).limited(limit)
}

/// A number begins with its time, so the bounds in time are bounds of the order.
pub(crate) fn searched(search: &BillSearch, after: Option<&BillSn>, limit: usize) -> Query {
    let mut all: Vec<_> =
        search.owner.map(|owner| Condition::Eq("owner", owner.into())).into_iter().collect();
    all.extend(of_status(&search.statuses));
    let number = |sn: &BillSn| sn.as_str().into();
    let from = search.made_from.map(BillSn::least_of);
    all.extend(from.map(|from| Condition::Gte("id", number(&from))));
    let before = search.made_before.map(BillSn::least_of);
    let below = before.as_ref().into_iter().chain(after).min();
    all.extend(below.map(|below| Condition::Lt("id", number(below))));
    Query::all(all).sorted("id", Descending).limited(limit)
}

fn conditions(filter: &BillFilter) -> Vec<Condition> {
    let owner = Condition::Eq("owner", filter.owner.into());
    [owner].into_iter().chain(of_status(&filter.statuses)).collect()
}

fn of_status(statuses: &[BillStatus]) -> Option<Condition> {
    let numbers = || statuses.iter().map(|status| status.number().into()).collect();
    (!statuses.is_empty()).then(|| Condition::In("status", numbers()))
}
