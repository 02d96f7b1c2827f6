//! Jobs that follow from others: later looks, and what is left to a provider's own queue.
//!
//! Each has a key, so that it is there once however often it is asked for.

use std::time::Duration;

use schemas::{
    BillRecord, BillSn, Channel, JobError, JobRecord, Queue, Timestamp, UserId,
    bill::{Attempt, Refund},
    job::NewJob,
    kinds::{
        PayClose, PayQuery, PayRefundQuery, pay_close::PayClosing, pay_query::PayLook,
        pay_refund_query::RefundLook,
    },
};
use store::Insert;

use crate::handler::{Context, store_again};

/// Most looks at one trade. At the default pace that is about eight days, longer than any bill can be
/// paid.
const MAX_TRADE_LOOKS: u32 = 400;

/// Most looks at one refund. At the default pace that is about eight days: banks take their time.
const MAX_REFUND_LOOKS: u32 = 400;

/// Whether a refund that is still under way at look number `look` is an operator's from here on.
pub(crate) const fn is_last_refund_look(look: u32) -> bool {
    look + 1 >= MAX_REFUND_LOOKS
}

/// Schedules look number `look` at an attempt; without a number one that stands alone, at once.
///
/// # Errors
///
/// [`JobError::Again`] when the store does not answer.
pub(crate) async fn look_at_trade(
    ctx: &Context,
    sn: &BillSn,
    attempt: &Attempt,
    look: Option<u32>,
) -> Result<(), JobError> {
    // A trade was just given to its client, who needs some time to pay it, and then its provider
    // tells by itself: the first step of the pace would only ask for what cannot be yet.
    let step = look.map(|look| look + 1);
    let Some(pause) = pause(ctx, step, MAX_TRADE_LOOKS) else { return Ok(()) };
    let payload = PayLook { sn: sn.clone(), attempt: Some(attempt.number), look };
    let mut job = NewJob::of::<PayQuery>(UserId::FEAT, &payload).map_err(JobError::again)?;
    job.unique_key = payload.unique_key();
    insert(ctx, job, attempt.channel, pause).await
}

/// Schedules look number `look` at a refund; without a number one that stands alone, at once.
///
/// # Errors
///
/// [`JobError::Again`] when the store does not answer.
pub(crate) async fn look_at_refund(
    ctx: &Context,
    bill: &BillRecord,
    refund: &Refund,
    look: Option<u32>,
) -> Result<(), JobError> {
    let Some(attempt) = bill.attempt(refund.attempt) else { return Ok(()) };
    let Some(pause) = pause(ctx, look, MAX_REFUND_LOOKS) else { return Ok(()) };
    let payload = RefundLook { sn: bill.id.clone(), refund: refund.number, look };
    let mut job = NewJob::of::<PayRefundQuery>(UserId::FEAT, &payload).map_err(JobError::again)?;
    job.unique_key = payload.unique_key();
    insert(ctx, job, attempt.channel, pause).await
}

/// Leaves the rest of `closing` to the checks of the provider `channel`.
///
/// # Errors
///
/// [`JobError::Again`] when the store does not answer.
pub(crate) async fn close_among_checks(
    ctx: &Context,
    closing: &PayClosing,
    channel: Channel,
) -> Result<(), JobError> {
    let mut job = NewJob::of::<PayClose>(ctx.owner, closing).map_err(JobError::again)?;
    job.unique_key = Some(closing.unique_key_in(Queue::of_checks(channel)));
    insert(ctx, job, channel, Duration::ZERO).await
}

/// `None` when there have been enough looks.
fn pause(ctx: &Context, step: Option<u32>, most: u32) -> Option<Duration> {
    match step {
        None => Some(Duration::ZERO),
        Some(step) => (step < most).then(|| ctx.pace.pause(step)),
    }
}

async fn insert(
    ctx: &Context,
    mut job: NewJob,
    channel: Channel,
    pause: Duration,
) -> Result<(), JobError> {
    job.queue = Some(Queue::of_checks(channel));
    job.run_at = Some(Timestamp::now() + pause);
    let by = format!("job {}", ctx.job);
    let job = JobRecord::accept(job, &by, Timestamp::now());
    match ctx.store.jobs.insert(&job).await.map_err(store_again)? {
        Insert::Stored | Insert::Taken => Ok(()),
    }
}
