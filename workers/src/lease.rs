//! The right of one worker to run a job, kept while the run goes on.

use schemas::{JobRecord, Timestamp};
use store::Save;

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
