//! Divides a push campaign into shards.

use schemas::{
    JobError,
    kinds::{PushFanOut, push_fan_out::FanOutReport},
    push::PushOrder,
};

use crate::{
    handler::{Context, Handler, Undo},
    pushing,
};

impl Handler for PushFanOut {
    async fn run(ctx: &Context, order: &PushOrder) -> Result<FanOutReport, JobError> {
        pushing::fan_out(ctx, order).await
    }

    /// To cancel this job is to cancel its campaign.
    async fn undo(ctx: &Context, order: &PushOrder) -> Result<Undo, JobError> {
        let nothing_begun = pushing::call_off(ctx, order).await?;
        Ok(if nothing_begun { Undo::Undone } else { Undo::TooLate })
    }

    async fn give_up(ctx: &Context, order: &PushOrder) -> Result<(), JobError> {
        pushing::give_up_fan_out(ctx, order).await
    }
}
