//! The device tokens for Apple's pushes.

use schemas::{
    ApnsEnvironment, BundleId, DeviceToken, PushTokenId, Timestamp, UserId,
    push_token::{PushTokenRecord, PushTokenState},
};

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

/// The records of device tokens, one for each token of an app in an environment.
///
/// Every method answers [`StoreError::Unavailable`] when the store does not, after about ten
/// seconds at most, and may be called again then.
#[derive(Clone)]
pub struct PushTokens(Repository<PushTokenRecord>);

/// Which devices of an app get a push.
#[derive(Debug, Clone)]
pub struct PushTokenFilter {
    /// The app.
    pub app: BundleId,
    /// Where the tokens belong.
    pub environment: ApnsEnvironment,
    /// Only devices with this language and region, in the very letters that were registered.
    pub locale: Option<String>,
    /// Only devices with this version of the app.
    pub app_version: Option<String>,
}

impl PushTokenFilter {
    /// Every device of `app` in `environment`.
    #[must_use]
    pub const fn of(app: BundleId, environment: ApnsEnvironment) -> Self {
        Self { app, environment, locale: None, app_version: None }
    }
}

impl PushTokens {
    pub(crate) fn over(engine: &Engine) -> Self {
        Self(Repository::over(engine))
    }

    /// Stores the record of a token that was never registered. [`Insert::Taken`] when it was,
    /// by whomever.
    ///
    /// # Errors
    ///
    /// After [`StoreError::Unavailable`] it may be stored; after [`StoreError::Busy`] it is not.
    pub async fn insert(&self, device: &PushTokenRecord) -> Result<Insert, StoreError> {
        self.0.insert(device).await
    }

    /// Replaces version `device.version - 1` of the record by `device`, whose owner may be
    /// another. [`Save::Stale`] also when there is no such record.
    ///
    /// # Errors
    ///
    /// As [`Self::insert`].
    pub async fn save(&self, device: &PushTokenRecord) -> Result<Save, StoreError> {
        self.0.save(device).await
    }

    /// The record of a token, whoever owns it. Concurrent calls are one read.
    ///
    /// # Errors
    ///
    /// See [`PushTokens`].
    pub async fn get(
        &self,
        app: &BundleId,
        environment: ApnsEnvironment,
        token: &DeviceToken,
    ) -> Result<Option<PushTokenRecord>, StoreError> {
        self.0.get(Key::of(PushTokenRecord::id_of(app, environment, token).as_str())).await
    }

    /// Up to `limit` records of `owner`, in every state, newest first; `after` is the last number
    /// of the page before.
    ///
    /// # Errors
    ///
    /// See [`PushTokens`].
    pub async fn list(
        &self,
        owner: UserId,
        after: Option<PushTokenId>,
        limit: usize,
    ) -> Result<Vec<PushTokenRecord>, StoreError> {
        self.0.find(owned(owner, after, limit)).await
    }

    /// Up to `limit` devices of an app that get pushes, by rising number; `after` is the last
    /// number of the page before. What is registered between two pages may be in neither or in
    /// the later one, and is never in both.
    ///
    /// # Errors
    ///
    /// See [`PushTokens`].
    pub async fn segment(
        &self,
        filter: &PushTokenFilter,
        after: Option<PushTokenId>,
        limit: usize,
    ) -> Result<Vec<PushTokenRecord>, StoreError> {
        self.0.find(listed(filter, after, limit)).await
    }

    /// Up to `limit` records in `state` that nobody has registered since `before`, the oldest
    /// first.
    ///
    /// # Errors
    ///
    /// See [`PushTokens`].
    pub async fn quiet_since(
        &self,
        state: PushTokenState,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<PushTokenRecord>, StoreError> {
        self.0.find(quiet(state, before, limit)).await
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}

pub(crate) fn owned(owner: UserId, after: Option<PushTokenId>, limit: usize) -> Query {
    let mut all = vec![Condition::Eq("user", owner.into())];
    all.extend(after.map(|number| Condition::Lt("number", number.into())));
    Query::all(all).sorted("number", Descending).limited(limit)
}

pub(crate) fn listed(filter: &PushTokenFilter, after: Option<PushTokenId>, limit: usize) -> Query {
    let states = PushTokenState::ALL.into_iter().filter(|state| state.gets_pushes());
    let mut all = vec![
        Condition::Eq("app", filter.app.as_str().into()),
        Condition::Eq("environment", filter.environment.name().into()),
        Condition::In("state", states.map(|state| state.name().into()).collect()),
    ];
    all.extend(after.map(|number| Condition::Gt("number", number.into())));
    let exactly = |field, text: &Option<String>| {
        text.as_deref().map(|text| Condition::Eq(field, text.into()))
    };
    all.extend(exactly("locale", &filter.locale));
    all.extend(exactly("app_version", &filter.app_version));
    Query::all(all).sorted("number", Ascending).limited(limit)
}

pub(crate) fn quiet(state: PushTokenState, before: Timestamp, limit: usize) -> Query {
    let all = vec![
        Condition::Eq("state", state.name().into()),
        Condition::Lt("registered_at", before.into()),
    ];
    Query::all(all).sorted("registered_at", Ascending).limited(limit)
}
