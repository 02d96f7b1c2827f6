//! Starts the matching of bills for every merchant.

use std::iter;

use schemas::{
    BookDay, JobError, JobRecord, Queue, Timestamp, UserId,
    job::NewJob,
    kinds::{
        PayBillMatch, PayBillRound,
        pay_bill_match::DayRef,
        pay_bill_round::{BillRound, BillRoundReport, StartedMatch},
    },
    matching::MatchReport,
};
use store::Insert;

use crate::handler::{Context, Handler, Undo, store_again};

/// Days that the timetable looks back: what was missed while no worker ran is made up for.
const LOOK_BACK: usize = 7;

/// Reports that are removed by one statement.
const BATCH: usize = 100;

impl Handler for PayBillRound {
    async fn run(ctx: &Context, round: &BillRound) -> Result<BillRoundReport, JobError> {
        let latest = BookDay::published(Timestamp::now());
        let days: Vec<_> = match round.day {
            Some(day) => vec![day],
            None => {
                iter::successors(Some(latest), |day| Some(day.before())).take(LOOK_BACK).collect()
            }
        };
        let wanted = |channel| round.channel.is_none_or(|only| only == channel);
        let mut started = Vec::new();
        for (channel, merchant) in ctx.till.gateways.merchants() {
            if !wanted(channel) {
                continue;
            }
            for day in days.iter().rev().copied() {
                let of = DayRef { channel, merchant: merchant.clone(), day };
                if round.day.is_some() || !is_matched(ctx, &of).await? {
                    started.push(start(ctx, of, round.day.is_some()).await?);
                }
            }
        }
        if round.day.is_none() {
            forget(ctx).await?;
        }
        Ok(BillRoundReport { started })
    }

    async fn undo(_: &Context, _: &BillRound) -> Result<Undo, JobError> {
        Ok(Undo::Undone)
    }
}

/// Removes reports that have been kept for long enough.
async fn forget(ctx: &Context) -> Result<(), JobError> {
    let before = BookDay::published(Timestamp::now() - ctx.reports_kept);
    let matches = &ctx.store.matches;
    while matches.remove_before(before, BATCH).await.map_err(store_again)? > 0 {}
    Ok(())
}

async fn is_matched(ctx: &Context, of: &DayRef) -> Result<bool, JobError> {
    let id = MatchReport::id_of(of.channel, &of.merchant, of.day);
    Ok(ctx.store.matches.get(&id).await.map_err(store_again)?.is_some())
}

/// Starts one matching, or finds the one that this round, or an earlier one of the timetable, has
/// started.
async fn start(ctx: &Context, of: DayRef, is_asked: bool) -> Result<StartedMatch, JobError> {
    let mut new = NewJob::of::<PayBillMatch>(UserId::FEAT, &of).map_err(JobError::again)?;
    let daily = of.daily_key();
    let key = if is_asked { format!("{daily}:{}", ctx.job) } else { daily };
    new.unique_key = Some(key.clone());
    new.queue = Some(Queue::of_checks(of.channel));
    new.run_at = Some(Timestamp::now());
    let job = JobRecord::accept(new, &format!("job {}", ctx.job), Timestamp::now());
    if ctx.store.jobs.insert(&job).await.map_err(store_again)? == Insert::Stored {
        return Ok(StartedMatch { of, job: job.id });
    }
    let earlier = ctx.store.jobs.by_unique_key(UserId::FEAT, &key).await.map_err(store_again)?;
    let earlier = earlier.ok_or_else(|| JobError::again("a job was forgotten just now"))?;
    Ok(StartedMatch { of, job: earlier.id })
}
