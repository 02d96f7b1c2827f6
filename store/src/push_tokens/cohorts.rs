//! The devices of an app in an environment: by page, by state, by age.

use schemas::{
    ApnsEnvironment, BundleId, PushTokenId, Timestamp,
    push_token::{PushTokenRecord, PushTokenState},
};

use super::{
    PushTokenFilter, PushTokens,
    queries::{
        corrected, listed, next_app, next_locale, quiet, signed_out, standing, standing_since,
        unreported,
    },
};
use crate::StoreError;

impl PushTokens {
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

    /// The first language and region, in alphabetical order, of those that `range` means and that a
    /// device of a cohort has which gets pushes; behind `after`, if that is given. `range` is
    /// spelled by [`schemas::locale::spelled`].
    ///
    /// # Errors
    ///
    /// See [`PushTokens`].
    pub async fn next_locale(
        &self,
        app: &BundleId,
        environment: ApnsEnvironment,
        range: &str,
        after: Option<&str>,
    ) -> Result<Option<String>, StoreError> {
        let found = self.0.first(next_locale(app, environment, range, after)).await?;
        Ok(found.and_then(|device| device.locale))
    }

    /// Up to `limit` devices of a cohort that get pushes and that nobody has registered since
    /// `before`, the oldest first.
    ///
    /// # Errors
    ///
    /// See [`PushTokens`].
    pub async fn quiet_since(
        &self,
        app: &BundleId,
        environment: ApnsEnvironment,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<PushTokenRecord>, StoreError> {
        self.0.find(quiet(app, environment, before, limit)).await
    }

    /// How many devices of a cohort nobody has registered since `before`, counted up to `cap`,
    /// which is not 0.
    ///
    /// # Errors
    ///
    /// See [`PushTokens`].
    pub async fn count_quiet(
        &self,
        app: &BundleId,
        environment: ApnsEnvironment,
        before: Timestamp,
        cap: usize,
    ) -> Result<u64, StoreError> {
        self.0.count(quiet(app, environment, before, cap)).await
    }

    /// Up to `limit` devices of a cohort that get pushes although the sign-in that registered them
    /// has ended by itself at `now`.
    ///
    /// # Errors
    ///
    /// See [`PushTokens`].
    pub async fn signed_out_by_itself(
        &self,
        app: &BundleId,
        environment: ApnsEnvironment,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<PushTokenRecord>, StoreError> {
        self.0.find(signed_out(app, environment, now, limit)).await
    }

    /// Up to `limit` records of a cohort that came into `state` before `before`, and not before
    /// `since`, the longest ago first.
    ///
    /// # Errors
    ///
    /// See [`PushTokens`].
    pub async fn in_state(
        &self,
        app: &BundleId,
        environment: ApnsEnvironment,
        state: PushTokenState,
        since: Option<Timestamp>,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<PushTokenRecord>, StoreError> {
        self.0.find(standing_since(app, environment, state, since, before, limit)).await
    }

    /// How many records of a cohort came into `state` before `before`, and not before `since`,
    /// counted up to `cap`, which is not 0.
    ///
    /// # Errors
    ///
    /// See [`PushTokens`].
    pub async fn count_since(
        &self,
        app: &BundleId,
        environment: ApnsEnvironment,
        state: PushTokenState,
        since: Option<Timestamp>,
        before: Timestamp,
        cap: usize,
    ) -> Result<u64, StoreError> {
        self.0.count(standing_since(app, environment, state, since, before, cap)).await
    }

    /// How many records of a cohort are in `state`, counted up to `cap`, which is not 0.
    ///
    /// # Errors
    ///
    /// See [`PushTokens`].
    pub async fn count(
        &self,
        app: &BundleId,
        environment: ApnsEnvironment,
        state: PushTokenState,
        cap: usize,
    ) -> Result<u64, StoreError> {
        self.0.count(standing(app, environment, state).limited(cap)).await
    }

    /// Every app with a record, sorted.
    ///
    /// # Errors
    ///
    /// See [`PushTokens`].
    pub async fn apps(&self) -> Result<Vec<BundleId>, StoreError> {
        let mut found: Vec<BundleId> = Vec::new();
        while let Some(device) = self.0.first(next_app(found.last())).await? {
            found.push(device.app);
        }
        Ok(found)
    }

    /// Up to `limit` devices of an app whose wrong environment was corrected, in no order.
    ///
    /// # Errors
    ///
    /// See [`PushTokens`].
    pub async fn corrected(
        &self,
        app: &BundleId,
        from: ApnsEnvironment,
        limit: usize,
    ) -> Result<Vec<PushTokenRecord>, StoreError> {
        self.0.find(corrected(app, from).limited(limit)).await
    }

    /// How many devices of an app wrongly say `from`, counted up to `cap`, which is not 0.
    ///
    /// # Errors
    ///
    /// See [`PushTokens`].
    pub async fn count_corrected(
        &self,
        app: &BundleId,
        from: ApnsEnvironment,
        cap: usize,
    ) -> Result<u64, StoreError> {
        self.0.count(corrected(app, from).limited(cap)).await
    }

    /// Up to `limit` records that the app's back end has to be told of, the oldest first.
    ///
    /// # Errors
    ///
    /// See [`PushTokens`].
    pub async fn unreported(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<PushTokenRecord>, StoreError> {
        self.0.find(unreported(now, limit)).await
    }

    /// Forgets up to `limit` records of a cohort that were removed before `before`, and says how
    /// many.
    ///
    /// # Errors
    ///
    /// See [`PushTokens`]. Some may be gone already.
    pub async fn forget_removed(
        &self,
        app: &BundleId,
        environment: ApnsEnvironment,
        before: Timestamp,
        limit: usize,
    ) -> Result<u64, StoreError> {
        let removed = PushTokenState::Removed;
        self.0.remove(standing_since(app, environment, removed, None, before, limit)).await
    }
}
