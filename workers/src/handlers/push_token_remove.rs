//! Sees to it that removed tokens get no pushes.

use schemas::{
    JobError, Timestamp,
    kinds::{
        PushTokenRemove,
        push_token_remove::{RemovalReceipt, TokenRemoval},
    },
    push_token::PushTokenReason,
};
use store::Judged;

use crate::handler::{Context, Handler, Undo, store_again};

impl Handler for PushTokenRemove {
    async fn run(ctx: &Context, removal: &TokenRemoval) -> Result<RemovalReceipt, JobError> {
        let tokens = &ctx.store.push_tokens;
        let mut removed = 0;
        for device in tokens.by_numbers(&removal.ids).await.map_err(store_again)? {
            let change = tokens.change(device, |device| {
                let meant = device.owner == ctx.owner && device.registered_at <= removal.asked_at;
                if !meant {
                    return None;
                }
                device.removed(PushTokenReason::Deleted, Timestamp::now())
            });
            removed += u32::from(change.await.map_err(store_again)? != Judged::Kept);
        }
        Ok(RemovalReceipt { removed })
    }

    /// The request has removed them; registering again is what brings them back.
    async fn undo(_: &Context, _: &TokenRemoval) -> Result<Undo, JobError> {
        Ok(Undo::TooLate)
    }
}
