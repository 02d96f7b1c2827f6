//! What a job owes to others before it ends without success.

use std::sync::Arc;

use schemas::{JobError, JobRecord, JobState};
use tokio_util::sync::CancellationToken;

use crate::{Shared, handler::Context};

/// Settles what others wait for, if `next`, which is about to be saved, is the end of a job that
/// did not succeed. Where it says `false` the end must not be saved: the job comes again.
pub(crate) async fn is_settled(shared: &Shared, next: &JobRecord) -> bool {
    if !matches!(next.state, JobState::Failed | JobState::Dead) {
        return true;
    }
    let Some(entry) = shared.workers.registry.entry(&next.kind) else { return true };
    let ctx = Arc::new(Context::of(shared, next, true, CancellationToken::new()));
    match (entry.give_up)(ctx, next.payload.clone()).await {
        Ok(()) => true,
        // What cannot be read owes nothing that could be found.
        Err(JobError::Rejected(code)) => {
            tracing::error!(job_id = %next.id, code, "a job is given up and nobody is told");
            true
        }
        Err(error) => {
            tracing::warn!(job_id = %next.id, ?error, "a job cannot be given up yet");
            false
        }
    }
}
