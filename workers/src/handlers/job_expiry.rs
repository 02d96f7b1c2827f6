//! Forgets settled jobs and push campaigns, and sign-ins, devices, codes and counts of wrong passwords that
//! expired, after their time of retention.

use schemas::{
    JobError, Timestamp,
    kinds::{
        JobExpiry,
        job_expiry::{Expiry, ExpiryReport},
    },
};
use store::StoreError;

use crate::handler::{Context, Handler, Undo, store_again};

/// Records removed by one statement, so that none holds up the store for long.
const BATCH: usize = 1_000;

impl Handler for JobExpiry {
    async fn run(ctx: &Context, _: &Expiry) -> Result<ExpiryReport, JobError> {
        let before = Timestamp::now() - ctx.retention;
        let store = &ctx.store;
        Ok(ExpiryReport {
            jobs_removed: all(ctx, || store.jobs.remove_settled(before, BATCH)).await?,
            sessions_removed: all(ctx, || store.sessions.remove_expired(before, BATCH)).await?,
            devices_removed: all(ctx, || store.devices.remove_expired(before, BATCH)).await?,
            guesses_removed: all(ctx, || store.guesses.remove_expired(Timestamp::now(), BATCH))
                .await?,
            pushes_removed: all(ctx, || store.pushes.remove_settled(before, BATCH)).await?,
            codes_removed: all(ctx, || store.codes.remove_expired(before, BATCH)).await?,
            consents_removed: all(ctx, || store.bindings.remove_expired(Timestamp::now(), BATCH))
                .await?,
        })
    }

    async fn undo(_: &Context, _: &Expiry) -> Result<Undo, JobError> {
        Ok(Undo::Undone)
    }
}

/// Removes batch after batch until nothing is left or the job is cancelled; says how many it were.
async fn all<F>(ctx: &Context, batch: impl Fn() -> F) -> Result<u64, JobError>
where
    F: Future<Output = Result<u64, StoreError>>,
{
    let mut all = 0;
    while !ctx.is_cancelled() {
        let removed = batch().await.map_err(store_again)?;
        all += removed;
        if removed == 0 {
            break;
        }
    }
    Ok(all)
}
