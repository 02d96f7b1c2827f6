//! Forgets settled jobs after their time of retention.

use schemas::{
    JobError, Timestamp,
    kinds::{
        JobExpiry,
        job_expiry::{Expiry, ExpiryReport},
    },
};

use crate::handler::{Context, Handler, Undo, store_again};

/// Records removed by one statement, so that none holds up the store for long.
const BATCH: usize = 1_000;

impl Handler for JobExpiry {
    async fn run(ctx: &Context, _: &Expiry) -> Result<ExpiryReport, JobError> {
        let before = Timestamp::now() - ctx.retention;
        let mut jobs_removed = 0;
        while !ctx.is_cancelled() {
            let removed =
                ctx.store.jobs.remove_settled(before, BATCH).await.map_err(store_again)?;
            jobs_removed += removed;
            if removed == 0 {
                break;
            }
        }
        Ok(ExpiryReport { jobs_removed })
    }

    async fn undo(_: &Context, _: &Expiry) -> Result<Undo, JobError> {
        Ok(Undo::Undone)
    }
}
