//! The end of a campaign whose work was given up, because one of its jobs has ended without success.
//!
//! What nobody works on is counted as unknown, so the campaign comes to its end. When an operator
//! gives the job new attempts it goes on where it was, and the sums are corrected.

use schemas::{JobError, Timestamp, kinds::push_shard::ShardName, push::PushOrder};
use store::Save;

use super::{
    campaigns::{change, ensure, finish_if_done},
    fan_out::place,
};
use crate::handler::{Context, store_again};

/// Saves that are tried when a run that was taken for dead still saves.
const TRIES: usize = 8;

/// Nobody sends the shard any more. A repetition changes nothing.
pub(crate) async fn give_up_shard(ctx: &Context, name: &ShardName) -> Result<(), JobError> {
    let (owner, id, pushes) = (name.owner, name.campaign, &ctx.store.pushes);
    for _ in 0..TRIES {
        let shard = pushes.shard(owner, id, name.seq).await.map_err(store_again)?;
        // Of a campaign that has ended nothing is left.
        let Some(mut shard) = shard else { return Ok(()) };
        if !shard.give_up() {
            return finish_if_done(ctx, owner, id).await;
        }
        shard.turn();
        if pushes.save_shard(&shard).await.map_err(store_again)? == Save::Stored {
            let unknown = shard.counts().unknown;
            tracing::error!(campaign = %id, shard = name.seq, unknown, "a shard was given up");
            metrics::counter!("feat_push_given_up_total", "what" => "shard").increment(1);
            return finish_if_done(ctx, owner, id).await;
        }
    }
    Err(JobError::again("others change the shard all the time"))
}

/// Nobody looks for further devices of the campaign any more. A repetition changes nothing.
pub(crate) async fn give_up_fan_out(ctx: &Context, order: &PushOrder) -> Result<(), JobError> {
    let campaign = ensure(ctx, order).await?;
    let (owner, id) = (campaign.owner, campaign.id);
    if campaign.shards.is_none() {
        let last = ctx.store.pushes.last_targets(owner, id).await.map_err(store_again)?;
        if let Some(last) = &last {
            place(ctx, &campaign, last).await?;
        }
        let (now, shards) = (Timestamp::now(), last.map_or(0, |last| last.seq + 1));
        change(ctx, owner, id, |campaign| campaign.cut_short(shards, &ctx.worker, now)).await?;
        tracing::error!(campaign = %id, shards, "the fan-out of a campaign was given up");
        metrics::counter!("feat_push_given_up_total", "what" => "fan_out").increment(1);
    }
    finish_if_done(ctx, owner, id).await
}
