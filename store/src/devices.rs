//! The devices that users sign in on.

use schemas::{Timestamp, UserId, device::DeviceRecord};

use crate::{
    Insert, Save, StoreError,
    engine::Engine,
    query::{Condition, Direction::Ascending, Query},
    repository::Repository,
};

/// The devices, by user and by the name that the client gives them.
///
/// Every method answers [`StoreError::Unavailable`] when the store does not, after about ten
/// seconds at most, and may be called again then.
#[derive(Clone)]
pub struct Devices(Repository<DeviceRecord>);

impl Devices {
    pub(crate) fn over(engine: &Engine) -> Self {
        Self(Repository::over(engine))
    }

    /// Stores a new device. Its `device_id` is unique for each user: after [`Insert::Taken`] read
    /// the earlier one.
    ///
    /// # Errors
    ///
    /// After [`StoreError::Unavailable`] it may be stored; after [`StoreError::Busy`] it is not.
    pub async fn insert(&self, device: &DeviceRecord) -> Result<Insert, StoreError> {
        self.0.insert(device).await
    }

    /// Replaces version `device.version - 1` of the device by `device`. [`Save::Stale`] also when
    /// there is no such device.
    ///
    /// # Errors
    ///
    /// As [`Self::insert`].
    pub async fn save(&self, device: &DeviceRecord) -> Result<Save, StoreError> {
        self.0.save(device).await
    }

    /// The device of `owner` that clients call `device_id`.
    ///
    /// # Errors
    ///
    /// See [`Devices`].
    pub async fn by_device(
        &self,
        owner: UserId,
        device_id: &str,
    ) -> Result<Option<DeviceRecord>, StoreError> {
        self.0.first(by_device(owner, device_id)).await
    }

    /// Up to `limit` devices of `owner`, by `device_id`.
    ///
    /// # Errors
    ///
    /// See [`Devices`].
    pub async fn list(&self, owner: UserId, limit: usize) -> Result<Vec<DeviceRecord>, StoreError> {
        self.0.find(listed(owner, limit)).await
    }

    /// Forgets up to `limit` devices on which the last sign-in ended by itself before `before`, and
    /// says how many it were.
    ///
    /// # Errors
    ///
    /// See [`Devices`]; some may have gone then.
    pub async fn remove_expired(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.0.remove(expired(before, limit)).await
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}

pub(crate) fn by_device(owner: UserId, device_id: &str) -> Query {
    Query::all(vec![
        Condition::Eq("owner", owner.into()),
        Condition::Eq("device_id", device_id.into()),
    ])
}

pub(crate) fn expired(before: Timestamp, limit: usize) -> Query {
    Query::all(vec![Condition::Lt("expires_at", before.into())])
        .sorted("expires_at", Ascending)
        .limited(limit)
}

pub(crate) fn listed(owner: UserId, limit: usize) -> Query {
    Query::all(vec![Condition::Eq("owner", owner.into())])
        .sorted("device_id", Ascending)
        .limited(limit)
}
