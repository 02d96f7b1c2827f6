//! Forgets a person's account at a provider.

use providers::payment::BoundAccount;
use schemas::{
    JobError, Timestamp,
    binding::{BindingRecord, SEALED_ACCOUNT},
    kinds::{PayUnbind, pay_bind::BindOrder, pay_unbind::Unbound},
};
use secrecy::ExposeSecret;

use super::pay_bind::{TRIES, digest, exchange};
use crate::handler::{Context, Handler, Undo, store_again};

impl Handler for PayUnbind {
    async fn run(ctx: &Context, order: &BindOrder) -> Result<Unbound, JobError> {
        let unbound = || Unbound { channel: order.channel, unbound_at: Timestamp::now() };
        // An earlier run may have forgotten it, whose code would not work a second time.
        if bound(ctx, order).await?.is_none() {
            return Ok(unbound());
        }
        let account = exchange(ctx, order).await?;
        for _ in 0..TRIES {
            let Some(bound) = bound(ctx, order).await? else { return Ok(unbound()) };
            if !is_of(ctx, order, &bound, &account) {
                return Err(JobError::Rejected("another_account"));
            }
            if ctx.store.bindings.remove(&bound).await.map_err(store_again)? {
                return Ok(unbound());
            }
        }
        Err(JobError::again("the binding changes all the time"))
    }

    async fn undo(_: &Context, _: &BindOrder) -> Result<Undo, JobError> {
        Ok(Undo::Undone)
    }
}

async fn bound(ctx: &Context, order: &BindOrder) -> Result<Option<BindingRecord>, JobError> {
    ctx.store.bindings.get(ctx.owner, order.channel).await.map_err(store_again)
}

/// Whether the bound account is that of the person who consented: by their id under the same app, or
/// by the id that several apps share.
fn is_of(ctx: &Context, order: &BindOrder, bound: &BindingRecord, account: &BoundAccount) -> bool {
    let sealer = &ctx.till.sealer;
    let is_same =
        bound.app == order.app && bound.account.digest == digest(ctx, order, account.id.expose());
    let shared = bound.union_account.as_ref().zip(account.union_id.as_ref());
    is_same
        || shared.is_some_and(|(sealed, union_id)| {
            let opened = sealer.open(SEALED_ACCOUNT, sealed);
            opened.is_ok_and(|known| known.expose_secret() == union_id.expose())
        })
}
