//! Makes the waiting shards of a push campaign due.

use schemas::{
    JobError,
    kinds::{
        PushWake,
        push_wake::{Wake, Woken},
    },
};

use crate::{
    handler::{Context, Handler, Undo},
    pushing,
};

impl Handler for PushWake {
    async fn run(ctx: &Context, asked: &Wake) -> Result<Woken, JobError> {
        pushing::wake(ctx, asked).await
    }

    async fn undo(_: &Context, _: &Wake) -> Result<Undo, JobError> {
        Ok(Undo::Undone)
    }
}
