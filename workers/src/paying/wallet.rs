//! Changes of a user's wallet.

use schemas::{JobError, ProviderKey, wallet::WalletRecord};
use store::Save;

use crate::handler::{Context, store_again};

/// Times that a wallet is read again because somebody else saved it first.
const TRIES: usize = 8;

/// Saves what `next` makes of the wallet of the job's owner, if it makes anything, and gives the wallet
/// back as it is then.
///
/// # Errors
///
/// What `next` answers, and [`JobError::Again`] when the store does not answer.
pub(crate) async fn change_wallet(
    ctx: &Context,
    next: impl Fn(&WalletRecord) -> Result<Option<WalletRecord>, JobError>,
) -> Result<WalletRecord, JobError> {
    for _ in 0..TRIES {
        let wallet = ctx.store.wallets.get(ctx.owner).await.map_err(store_again)?;
        let Some(next) = next(&wallet)? else { return Ok(wallet) };
        if ctx.store.wallets.save(&next).await.map_err(store_again)? == Save::Stored {
            return Ok(next);
        }
    }
    Err(JobError::again("the wallet changes all the time"))
}

/// The code `key` does not count any more, so that another one is sent at once.
///
/// # Errors
///
/// As [`change_wallet`].
pub(crate) async fn spend_code(ctx: &Context, key: &ProviderKey) -> Result<(), JobError> {
    change_wallet(ctx, |wallet| Ok(wallet.spend(key))).await.map(drop)
}
