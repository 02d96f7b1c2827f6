//! What is known of the losses of each cohort of devices.

use schemas::{
    ApnsEnvironment, BundleId,
    push_token::{CohortRecord, cohort},
};

use crate::{Insert, Save, StoreError, aggregate::Key, engine::Engine, repository::Repository};

/// The records of cohorts, one for each app in each environment that ever lost a device.
///
/// Every method answers [`StoreError::Unavailable`] when the store does not, after about ten
/// seconds at most, and may be called again then.
#[derive(Clone)]
pub struct PushCohorts(Repository<CohortRecord>);

impl PushCohorts {
    pub(crate) fn over(engine: &Engine) -> Self {
        Self(Repository::over(engine))
    }

    /// Stores the first record of a cohort. [`Insert::Taken`] when there is one.
    ///
    /// # Errors
    ///
    /// After [`StoreError::Unavailable`] it may be stored; after [`StoreError::Busy`] it is not.
    pub async fn insert(&self, cohort: &CohortRecord) -> Result<Insert, StoreError> {
        self.0.insert(cohort).await
    }

    /// Replaces version `cohort.version - 1` of the record by `cohort`. [`Save::Stale`] also when
    /// there is no such record.
    ///
    /// # Errors
    ///
    /// As [`Self::insert`].
    pub async fn save(&self, cohort: &CohortRecord) -> Result<Save, StoreError> {
        self.0.save(cohort).await
    }

    /// The record of a cohort.
    ///
    /// # Errors
    ///
    /// See [`PushCohorts`].
    pub async fn get(
        &self,
        app: &BundleId,
        environment: ApnsEnvironment,
    ) -> Result<Option<CohortRecord>, StoreError> {
        self.0.get(Key::of(cohort(app, environment).as_str())).await
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}
