//! One attempt of a job: what its handler answers, or what befell it.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt;
use schemas::{JobError, JobRecord, JobSpec, Verdict};
use tokio::time::timeout;

use crate::{
    handler::{Context, Undo},
    registry::{Entry, Prepare},
};

/// The handler's answer, or what befell it.
pub(crate) async fn guarded(entry: Entry, ctx: Arc<Context>, job: &JobRecord) -> Verdict {
    let attempt = attempt(entry, ctx, job);
    match timeout(entry.spec.timeout, AssertUnwindSafe(attempt).catch_unwind()).await {
        Ok(Ok(Ok(output))) => Verdict::Done(output),
        Ok(Ok(Err(error))) => Verdict::Error(error),
        Ok(Err(_panic)) => Verdict::Panicked,
        Err(_elapsed) => Verdict::TimedOut,
    }
}

/// Lets the handler prepare its run. A panic or a time-out is met again by the run, which counts it.
pub(crate) async fn prepare(prepare: Prepare, spec: &JobSpec, ctx: Arc<Context>, job: &JobRecord) {
    let prepared = prepare(ctx, job.payload.clone());
    let _ = timeout(spec.timeout, AssertUnwindSafe(prepared).catch_unwind()).await;
}

/// Runs the job, or takes it back when it was cancelled and that is still possible.
async fn attempt(
    entry: Entry,
    ctx: Arc<Context>,
    job: &JobRecord,
) -> Result<serde_json::Value, JobError> {
    let undo = || async {
        match (entry.undo)(Arc::clone(&ctx), job.payload.clone()).await? {
            Undo::Undone => Err(JobError::Cancelled),
            Undo::TooLate => Ok(()),
        }
    };
    if job.cancel_requested_at.is_some() {
        undo().await?;
    }
    match (entry.run)(Arc::clone(&ctx), job.payload.clone()).await {
        Err(JobError::Cancelled) if ctx.claimed => {
            undo().await?;
            Err(JobError::again("too late to cancel"))
        }
        // Without a lease nothing may be taken back: come again with one.
        Err(JobError::Cancelled) => Err(JobError::Again {
            after: Some(std::time::Duration::ZERO),
            reason: "cancellation heard of".to_owned(),
        }),
        answer => answer,
    }
}

pub(crate) const fn label(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Done(_) => "done",
        Verdict::Error(JobError::Rejected(_)) => "rejected",
        Verdict::Error(JobError::Again { .. }) => "again",
        Verdict::Error(JobError::Throttled { .. }) => "throttled",
        Verdict::Error(JobError::Unknown { .. }) => "unknown",
        Verdict::Error(JobError::Cancelled) => "cancelled",
        Verdict::Panicked => "panicked",
        Verdict::TimedOut => "timed_out",
        Verdict::Interrupted => "interrupted",
    }
}
