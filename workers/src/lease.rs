//! The right of one worker to run a job, kept while the run goes on.

use schemas::{JobRecord, Timestamp, job::Lease};
use store::Save;
use tokio::time::timeout;

use crate::{Shared, handler::Context};

/// Who may run a job.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// This process.
    Us,
    /// Another process.
    Another,
    /// No process.
    Nobody,
}

/// Who holds `job`, as seen by the process called `me`.
pub(crate) fn holder(job: &JobRecord, me: &str) -> Holder {
    match &job.lease {
        Some(lease) if lease.holder == me => Holder::Us,
        Some(_) => Holder::Another,
        None => Holder::Nobody,
    }
}

/// Renews the lease of `job` three times in its length. Returns only when the lease is lost: the
/// run must stop. Passes on a cancellation that it finds in the record, and at once renews the lease
/// of a run that gets on after crashes.
pub(crate) async fn keep(shared: &Shared, job: &JobRecord, ctx: &Context) {
    let settings = &shared.workers.settings;
    let jobs = &shared.workers.store.jobs;
    let mut job = job.clone();
    let (mut valid_until, mut gets_on) = (job.wake_at, false);
    loop {
        tokio::select! {
            () = tokio::time::sleep(settings.lease / 3) => {}
            () = ctx.gets_on.notified() => gets_on = true,
        }
        let now = Timestamp::now();
        if valid_until.is_none_or(|until| until <= now) {
            return;
        }
        let until = now + settings.lease;
        let held = if gets_on { job.clone().gets_on() } else { job.clone() };
        let Ok(next) = held.renew(&settings.name, until, now) else {
            return;
        };
        match jobs.save(&next).await {
            Ok(Save::Stored) => {
                valid_until = Some(until);
                job = next;
            }
            Ok(Save::Stale) => match jobs.get(job.id).await {
                Ok(Some(current)) if holder(&current, &settings.name) == Holder::Us => {
                    if current.cancel_requested_at.is_some() {
                        ctx.cancelled.cancel();
                    }
                    valid_until = current.wake_at;
                    job = current;
                }
                Ok(_) => return,
                Err(error) => tracing::warn!(?error, "a lease could not be read"),
            },
            Err(error) => tracing::warn!(?error, "a lease could not be renewed"),
        }
    }
}

/// Takes `job` under a lease, for a run that goes on although it began with no more than `hold`, and
/// keeps it. Returns only when somebody else has the job, or when the hold ended first: the run must
/// stop.
pub(crate) async fn follow(shared: &Shared, job: &JobRecord, hold: &Lease, ctx: &Context) {
    let left = hold.until.since(Timestamp::now());
    if left.is_zero() {
        return;
    }
    if let Ok(Some(claimed)) = timeout(left, claim_late(shared, job)).await {
        keep(shared, &claimed, ctx).await;
    }
}

/// The job under a lease, a third of a lease from now; `None` when somebody else has it.
async fn claim_late(shared: &Shared, job: &JobRecord) -> Option<JobRecord> {
    let settings = &shared.workers.settings;
    let jobs = &shared.workers.store.jobs;
    let mut job = job.clone();
    loop {
        tokio::time::sleep(settings.lease / 3).await;
        let now = Timestamp::now();
        let claimed = job.clone().claim(&settings.name, now + settings.lease, now).ok()?;
        match jobs.save(&claimed).await {
            Ok(Save::Stored) => return Some(claimed),
            Ok(Save::Stale) => match jobs.get(job.id).await {
                // By ourselves, when an answer was lost.
                Ok(Some(current)) if holder(&current, &settings.name) == Holder::Us => {
                    return Some(current);
                }
                Ok(Some(current)) if current.is_untried() => job = current,
                Ok(_) => return None,
                Err(error) => tracing::warn!(?error, "a job could not be read"),
            },
            Err(error) => tracing::warn!(?error, "a job could not be claimed"),
        }
    }
}
