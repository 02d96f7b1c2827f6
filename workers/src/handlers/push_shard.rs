//! Sends one shard of a push campaign.

use schemas::{
    JobError,
    kinds::{PushSend, push_shard::ShardName},
    push::PushCounts,
};

use crate::{
    handler::{Context, Handler, Undo},
    pushing,
};

impl Handler for PushSend {
    async fn run(ctx: &Context, name: &ShardName) -> Result<PushCounts, JobError> {
        pushing::run_shard(ctx, name, false).await
    }

    /// What is not sent yet is counted as cancelled; the job then ends with its counts.
    async fn undo(ctx: &Context, name: &ShardName) -> Result<Undo, JobError> {
        pushing::run_shard(ctx, name, true).await?;
        Ok(Undo::TooLate)
    }

    async fn give_up(ctx: &Context, name: &ShardName) -> Result<(), JobError> {
        pushing::give_up_shard(ctx, name).await
    }
}
