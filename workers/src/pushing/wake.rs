//! Makes the waiting shards of a campaign due.

use futures::{StreamExt, TryStreamExt, stream};
use schemas::{
    JobError, JobState, Timestamp, UserId,
    kinds::{
        push_shard::ShardName,
        push_wake::{Wake, Woken},
    },
    push::PushShard,
};
use store::Save;

use crate::handler::{Context, store_again};

/// Shards that are read in one go.
const PAGE: usize = 200;

/// Jobs that are changed at the same time; they share batches of the store.
const TOGETHER: usize = 50;

/// Makes the jobs due that wait, and says how many.
pub(crate) async fn wake(ctx: &Context, asked: &Wake) -> Result<Woken, JobError> {
    let mut woken = Woken { jobs: 0 };
    let mut after = None;
    loop {
        let page = ctx.store.pushes.open_shards(asked.owner, asked.campaign, after, PAGE).await;
        let page = page.map_err(store_again)?;
        after = page.last().map(|shard| shard.seq);
        let full = page.len() == PAGE;
        let each = stream::iter(page).map(|shard| one(ctx, shard)).buffer_unordered(TOGETHER);
        woken.jobs += each.try_fold(0, async |sum, one| Ok(sum + u64::from(one))).await?;
        if !full {
            return Ok(woken);
        }
    }
}

/// Whether the shard's job was made due. One that runs sees the change by itself, and so does one
/// that somebody else changes now.
async fn one(ctx: &Context, shard: PushShard) -> Result<bool, JobError> {
    let name = ShardName { campaign: shard.campaign, owner: shard.owner, seq: shard.seq };
    let job = ctx.store.jobs.by_unique_key(UserId::FEAT, &name.unique_key()).await;
    let Some(job) = job.map_err(store_again)? else { return Ok(false) };
    if !matches!(job.state, JobState::Waiting | JobState::Scheduled) {
        return Ok(false);
    }
    let Ok(next) = job.publish("campaign changed", &ctx.worker, Timestamp::now()) else {
        return Ok(false);
    };
    if ctx.store.jobs.save(&next).await.map_err(store_again)? == Save::Stale {
        return Ok(false);
    }
    if let Err(error) = ctx.broker.publish(&next).await {
        tracing::warn!(job_id = %next.id, %error, "a shard was not published; the sweep will do it");
    }
    Ok(true)
}
