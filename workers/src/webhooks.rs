//! Events for the back ends of apps: each becomes one delivery for every endpoint that wants it.

use schemas::{
    Job, JobError, JobRecord, Timestamp, UserId, job::NewJob, kinds::WebhookDeliver,
    kinds::webhook_deliver::WebhookMessage, webhook::WebhookEvent,
};
use store::Insert;

use crate::handler::{Context, store_again};

/// Schedules the deliveries of `event`; none when no endpoint wants it. `key` is what makes the
/// event happen once, such as the id of a campaign: a repetition under the same key changes
/// nothing. The work that caused the event should not end before this has.
///
/// # Errors
///
/// [`JobError::Again`] when the store does not answer: some may be scheduled.
pub(crate) async fn announce(
    ctx: &Context,
    key: &str,
    event: &WebhookEvent,
) -> Result<(), JobError> {
    for endpoint in ctx.webhooks.wanting(event.name()) {
        let now = Timestamp::now();
        let message = WebhookMessage::new(endpoint, event.clone(), now);
        let mut job =
            NewJob::of::<WebhookDeliver>(UserId::FEAT, &message).map_err(JobError::again)?;
        job.unique_key =
            Some(format!("{}:{endpoint}:{}:{key}", WebhookDeliver::KIND, event.name()));
        job.run_at = Some(now);
        let job = JobRecord::accept(job, &format!("job {}", ctx.job), now);
        match ctx.store.jobs.insert(&job).await.map_err(store_again)? {
            Insert::Stored | Insert::Taken => {}
        }
    }
    Ok(())
}
