//! The jobs.

use schemas::{JobId, JobRecord, JobState, Queue, Timestamp, UserId};

use crate::{
    Insert, Save, StoreError,
    aggregate::Key,
    engine::Engine,
    query::{
        Condition,
        Direction::{Ascending, Descending},
        Query, Value,
    },
    repository::Repository,
};

/// The jobs, by id, by key, by owner and by what the scheduler looks for.
///
/// Every method answers [`StoreError::Unavailable`] when the store does not, after about ten
/// seconds at most, and may be called again then.
#[derive(Clone)]
pub struct Jobs(Repository<JobRecord>);

/// Which jobs to list. An empty list stands for any.
#[derive(Debug, Default, Clone)]
pub struct JobFilter {
    /// Only jobs of this user.
    pub owner: Option<UserId>,
    /// Only these kinds.
    pub kinds: Vec<String>,
    /// Only these states.
    pub states: Vec<JobState>,
    /// Only jobs whose latest attempt failed with this code.
    pub error: Option<String>,
    /// Only jobs accepted at this moment or later.
    pub created_from: Option<Timestamp>,
    /// Only jobs accepted before this moment.
    pub created_before: Option<Timestamp>,
}

impl Jobs {
    pub(crate) fn over(engine: &Engine) -> Self {
        Self(Repository::over(engine))
    }

    /// Stores a new job. The id, the owner's idempotency key and the owner's unique key are each
    /// unique: after [`Insert::Taken`] read the earlier job by the one or the other.
    ///
    /// # Errors
    ///
    /// After [`StoreError::Unavailable`] the job may be stored: the same record again is then
    /// `Taken` by itself. After [`StoreError::Busy`] it is not.
    pub async fn insert(&self, job: &JobRecord) -> Result<Insert, StoreError> {
        self.0.insert(job).await
    }

    /// Replaces version `job.version - 1` of the job by `job`. [`Save::Stale`] also when there is
    /// no such job.
    ///
    /// # Errors
    ///
    /// After [`StoreError::Unavailable`] the change may be stored: the same record again is then
    /// `Stale`. After [`StoreError::Busy`] it is not.
    pub async fn save(&self, job: &JobRecord) -> Result<Save, StoreError> {
        self.0.save(job).await
    }

    /// The job `id`, whoever owns it. Concurrent calls are one read.
    ///
    /// # Errors
    ///
    /// See [`Jobs`].
    pub async fn get(&self, id: JobId) -> Result<Option<JobRecord>, StoreError> {
        self.0.get(Key::of(id)).await
    }

    /// The job `id` if `owner` owns it. Concurrent calls are one read.
    ///
    /// # Errors
    ///
    /// See [`Jobs`].
    pub async fn get_owned(
        &self,
        owner: UserId,
        id: JobId,
    ) -> Result<Option<JobRecord>, StoreError> {
        self.0.get(Key::owned(id, owner)).await
    }

    /// The job that `owner` asked for with this idempotency key.
    ///
    /// # Errors
    ///
    /// See [`Jobs`].
    pub async fn by_idempotency_key(
        &self,
        owner: UserId,
        key: &str,
    ) -> Result<Option<JobRecord>, StoreError> {
        self.0.first(by_key(owner, "idempotency.key", key)).await
    }

    /// The job of `owner` that holds this unique key.
    ///
    /// # Errors
    ///
    /// See [`Jobs`].
    pub async fn by_unique_key(
        &self,
        owner: UserId,
        key: &str,
    ) -> Result<Option<JobRecord>, StoreError> {
        self.0.first(by_key(owner, "unique_key", key)).await
    }

    /// Up to `limit` jobs, newest first; `after` is the last id of the page before.
    ///
    /// # Errors
    ///
    /// See [`Jobs`].
    pub async fn list(
        &self,
        filter: &JobFilter,
        after: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<JobRecord>, StoreError> {
        self.0.find(listed(filter, after, limit)).await
    }

    /// How many jobs there are, counting no further than `cap`.
    ///
    /// # Errors
    ///
    /// See [`Jobs`].
    pub async fn count(&self, filter: &JobFilter, cap: u64) -> Result<u64, StoreError> {
        if cap == 0 {
            return Ok(0);
        }
        self.0.count(Query { limit: Some(cap), ..Query::all(conditions(filter)) }).await
    }

    /// Up to `limit` scheduled, waiting and unknown jobs whose time has come at `now`, longest
    /// due first.
    ///
    /// # Errors
    ///
    /// See [`Jobs`].
    pub async fn due(&self, now: Timestamp, limit: usize) -> Result<Vec<JobRecord>, StoreError> {
        let states = [JobState::Scheduled, JobState::Waiting, JobState::Unknown];
        self.0.find(awake(&states, &Queue::ALL, Condition::Lte("wake_at", now.into()), limit)).await
    }

    /// Up to `limit` running jobs whose lease has ended at `now`, longest ended first.
    ///
    /// # Errors
    ///
    /// See [`Jobs`].
    pub async fn lapsed(&self, now: Timestamp, limit: usize) -> Result<Vec<JobRecord>, StoreError> {
        let ended = Condition::Lte("wake_at", now.into());
        self.0.find(awake(&[JobState::Running], &Queue::ALL, ended, limit)).await
    }

    /// Up to `limit` queued jobs of `queue` whose latest message was published before this moment,
    /// oldest first.
    ///
    /// # Errors
    ///
    /// See [`Jobs`].
    pub async fn lingering(
        &self,
        queue: Queue,
        published_before: Timestamp,
        limit: usize,
    ) -> Result<Vec<JobRecord>, StoreError> {
        let published = Condition::Lt("wake_at", published_before.into());
        self.0.find(awake(&[JobState::Queued], &[queue], published, limit)).await
    }

    /// Forgets up to `limit` jobs that settled before this moment, earliest first, and says how
    /// many. Fewer than `limit` means that none is left.
    ///
    /// # Errors
    ///
    /// See [`Jobs`]. Some may be gone already.
    pub async fn remove_settled(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        if limit == 0 {
            return Ok(0);
        }
        self.0.remove(settled(before, limit)).await
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}

pub(crate) fn by_key(owner: UserId, field: &'static str, key: &str) -> Query {
    Query::all(vec![Condition::Eq("owner", owner.into()), Condition::Eq(field, key.into())])
}

pub(crate) fn listed(filter: &JobFilter, after: Option<JobId>, limit: usize) -> Query {
    let mut all = conditions(filter);
    all.extend(after.map(|id| Condition::Lt("id", id.into())));
    Query::all(all).sorted("id", Descending).limited(limit)
}

pub(crate) fn awake(
    states: &[JobState],
    queues: &[Queue],
    wake_at: Condition,
    limit: usize,
) -> Query {
    let states = states.iter().map(|state| state.name().into()).collect();
    let queues = queues.iter().map(|queue| queue.name().into()).collect();
    Query::all(vec![Condition::In("state", states), Condition::In("queue", queues), wake_at])
        .sorted("wake_at", Ascending)
        .limited(limit)
}

pub(crate) fn settled(before: Timestamp, limit: usize) -> Query {
    Query::all(vec![Condition::Lt("settled_at", before.into())])
        .sorted("settled_at", Ascending)
        .limited(limit)
}

fn conditions(filter: &JobFilter) -> Vec<Condition> {
    let mut all = Vec::new();
    let texts = |texts: &[String]| texts.iter().map(|text| text.as_str().into()).collect();
    let states = |states: &[JobState]| -> Vec<Value> {
        states.iter().map(|state| state.name().into()).collect()
    };
    all.extend(filter.owner.map(|owner| Condition::Eq("owner", owner.into())));
    if !filter.kinds.is_empty() {
        all.push(Condition::In("kind", texts(&filter.kinds)));
    }
    if !filter.states.is_empty() {
        all.push(Condition::In("state", states(&filter.states)));
    }
    all.extend(filter.error.as_deref().map(|code| Condition::Eq("error.code", code.into())));
    all.extend(filter.created_from.map(|from| Condition::Gte("created_at", from.into())));
    all.extend(filter.created_before.map(|before| Condition::Lt("created_at", before.into())));
    all
}
