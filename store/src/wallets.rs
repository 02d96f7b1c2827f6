//! What users keep for paying and being paid.

use schemas::{UserId, wallet::WalletRecord};

use crate::{Insert, Save, StoreError, aggregate::Key, engine::Engine, repository::Repository};

/// The wallets, one for each user who keeps something.
///
/// Every method answers [`StoreError::Unavailable`] when the store does not, after about ten
/// seconds at most, and may be called again then.
#[derive(Clone)]
pub struct Wallets(Repository<WalletRecord>);

impl Wallets {
    pub(crate) fn over(engine: &Engine) -> Self {
        Self(Repository::over(engine))
    }

    /// The wallet of `owner`, an empty one of version 0 when nothing was ever kept. Concurrent calls
    /// are one read.
    ///
    /// # Errors
    ///
    /// See [`Wallets`].
    pub async fn get(&self, owner: UserId) -> Result<WalletRecord, StoreError> {
        let known = self.0.get(Key::of(owner)).await?;
        Ok(known.unwrap_or_else(|| WalletRecord::empty(owner)))
    }

    /// Replaces version `wallet.version - 1` by `wallet`; version 1 is the first.
    ///
    /// # Errors
    ///
    /// After [`StoreError::Unavailable`] it may be saved; after [`StoreError::Busy`] it is not.
    pub async fn save(&self, wallet: &WalletRecord) -> Result<Save, StoreError> {
        if wallet.version > 1 {
            return self.0.save(wallet).await;
        }
        Ok(match self.0.insert(wallet).await? {
            Insert::Stored => Save::Stored,
            Insert::Taken => Save::Stale,
        })
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}
