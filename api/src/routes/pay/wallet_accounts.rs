//! The accounts of a user: what the wallet keeps and what is bound.

use std::time::Duration;

use schemas::{AccountId, Channel, UserId, wallet::WalletRecord};
use store::Save;

use super::{binding, wallet_shapes::Account};
use crate::{error::ApiError, state::AppState};

/// Times that a wallet is read again because somebody else saved it first.
const TRIES: usize = 8;

/// Every account of the owner of `wallet`: the kept cards, then what is bound.
pub(super) async fn accounts(
    state: &AppState,
    wallet: &WalletRecord,
) -> Result<Vec<Account>, ApiError> {
    let cards = wallet.cards.iter().map(|kept| Account {
        id: kept.id.get(),
        pay_method: Channel::UnionPay.number(),
        account_no: kept.card.shown.clone(),
        default_payment: false,
        default_receipt: false,
    });
    let mut accounts: Vec<_> = cards.chain(bound(state, wallet.id).await?).collect();
    let is = |preferred: Option<AccountId>, id: i64| preferred.is_some_and(|one| one.get() == id);
    for account in &mut accounts {
        account.default_payment = is(wallet.default_payment, account.id);
        account.default_receipt = is(wallet.default_receipt, account.id);
    }
    Ok(accounts)
}

/// The accounts that `owner` has bound by a consent.
pub(super) async fn bound(state: &AppState, owner: UserId) -> Result<Vec<Account>, ApiError> {
    let mut bound = Vec::new();
    for channel in [Channel::Alipay, Channel::WeChatPay] {
        let Some(id) = AccountId::bound_at(channel) else { continue };
        let Some(binding) = state.store.bindings.get(owner, channel).await? else { continue };
        bound.push(Account {
            id: id.get(),
            pay_method: channel.number(),
            account_no: binding::nickname(state, &binding),
            default_payment: false,
            default_receipt: false,
        });
    }
    Ok(bound)
}

/// Saves what `next` makes of the wallet of `owner`, and gives it back.
pub(super) async fn change(
    state: &AppState,
    owner: UserId,
    next: impl Fn(&WalletRecord) -> Result<WalletRecord, ApiError>,
) -> Result<WalletRecord, ApiError> {
    for _ in 0..TRIES {
        let next = next(&state.store.wallets.get(owner).await?)?;
        if state.store.wallets.save(&next).await? == Save::Stored {
            return Ok(next);
        }
    }
    Err(ApiError::unavailable(Duration::from_secs(1)))
}
