//! Matches a provider's bill of one day with our own bills.

use std::time::Duration;

use schemas::{
    JobError, JobId, Timestamp,
    kinds::{PayBillMatch, pay_bill_match::DayRef},
    matching::{DifferenceClass, MatchReport},
};
use store::{Insert, Save};
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    handler::{Context, Handler, Undo, store_again},
    matching::{Rows, Statement, Terms, add_unlisted, any_unlisted, download, match_lines},
};

/// Files that one process has in memory at a time; one may have hundreds of megabytes.
static FILES: Semaphore = Semaphore::const_new(2);

/// How long a run waits for room, and pauses when it got none.
const NO_ROOM_PAUSE: Duration = Duration::from_mins(2);

/// Pause before a bill is asked for again that is not there yet.
const NOT_READY_PAUSE: Duration = Duration::from_mins(30);

/// After a bill should be there, this long a day without a bill may be a day without trades only
/// because the bill is late.
const LATE: Duration = Duration::from_hours(4);

/// The same where we know of trades.
const VERY_LATE: Duration = Duration::from_hours(36);

/// Times that a report is read again because another run saved it first.
const TRIES: usize = 8;

/// Pages that are removed by one statement.
const BATCH: usize = 100;

impl Handler for PayBillMatch {
    async fn run(ctx: &Context, of: &DayRef) -> Result<MatchReport, JobError> {
        let published = of.day.published_at();
        if Timestamp::now() < published {
            return Err(JobError::Throttled { until: published });
        }
        let accounts = ctx.till.gateways.bill_accounts(of.channel, &of.merchant);
        if accounts.is_empty() {
            return Err(JobError::Rejected("no_such_merchant"));
        }
        let before = MatchReport::id_of(of.channel, &of.merchant, of.day.before());
        let follows = ctx.store.matches.get(&before).await.map_err(store_again)?.is_some();
        let terms = Terms::of(ctx, of, follows);
        let Ok(Ok(_room)) = timeout(NO_ROOM_PAUSE, FILES.acquire()).await else {
            return Err(later(NO_ROOM_PAUSE));
        };
        let lines = match download(ctx, of, &accounts).await? {
            Statement::Lines(lines) => lines,
            Statement::NotReady => return Err(later(NOT_READY_PAUSE)),
            Statement::Absent if is_late(ctx, of, &terms).await? => {
                return Err(later(NOT_READY_PAUSE));
            }
            Statement::Absent => Vec::new(),
        };
        let (id, run) = (MatchReport::id_of(of.channel, &of.merchant, of.day), JobId::generate());
        let mut rows = Rows::new(ctx, id.clone(), run);
        let tally = match_lines(ctx, &terms, &lines, &mut rows).await?;
        add_unlisted(ctx, &terms, &tally.names, &mut rows).await?;
        let (differences, pages) = rows.finish().await?;
        let report = MatchReport {
            id,
            version: 1,
            channel: of.channel,
            merchant: of.merchant.clone(),
            day: of.day,
            run,
            made_at: Timestamp::now(),
            payments: tally.payments,
            refunds: tally.refunds,
            others: tally.others,
            matched: tally.matched,
            differences,
            pages,
        };
        let report = keep(ctx, report).await?;
        tell(&report);
        Ok(report)
    }

    async fn undo(_: &Context, _: &DayRef) -> Result<Undo, JobError> {
        Ok(Undo::Undone)
    }
}

fn later(pause: Duration) -> JobError {
    JobError::Throttled { until: Timestamp::now() + pause }
}

/// Whether a bill that is absent may still come.
async fn is_late(ctx: &Context, of: &DayRef, terms: &Terms) -> Result<bool, JobError> {
    let (now, published) = (Timestamp::now(), of.day.published_at());
    if now < published + LATE {
        return Ok(true);
    }
    Ok(now < published + VERY_LATE && any_unlisted(ctx, terms).await?)
}

/// Puts the report in the place of an earlier run's; one of a later run stays.
async fn keep(ctx: &Context, mut report: MatchReport) -> Result<MatchReport, JobError> {
    let matches = &ctx.store.matches;
    for _ in 0..TRIES {
        let known = matches.get(&report.id).await.map_err(store_again)?;
        let is_kept = match known {
            None => matches.insert(&report).await.map_err(store_again)? == Insert::Stored,
            Some(known) if known.run >= report.run => return Ok(report),
            Some(known) => {
                report.version = known.version + 1;
                matches.save(&report).await.map_err(store_again)? == Save::Stored
            }
        };
        if is_kept {
            while matches.remove_older(&report.id, report.run, BATCH).await.map_err(store_again)?
                > 0
            {}
            return Ok(report);
        }
    }
    Err(JobError::again("the report changes all the time"))
}

/// Raises the alarm about differences.
fn tell(report: &MatchReport) {
    let channel = report.channel.name();
    metrics::counter!("feat_pay_bills_matched_total", "channel" => channel).increment(1);
    for class in DifferenceClass::ALL {
        let count = report.differences.of(class);
        metrics::counter!("feat_pay_bill_differences_total",
            "channel" => channel, "class" => class.name())
        .increment(count);
    }
    if !report.is_clean() {
        let differences = report.differences.total();
        tracing::error!(channel, merchant = report.merchant, day = %report.day, differences,
            "a provider's bill differs from ours; `feat pay reconcile --stored` shows it");
    }
}
