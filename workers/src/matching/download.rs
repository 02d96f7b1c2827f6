//! Getting a day's bill from its provider.

use std::{collections::HashSet, time::Duration};

use providers::payment::{BillLine, Call, DayBill, Gateway, ProviderError};
use schemas::{JobError, Timestamp, kinds::pay_bill_match::DayRef};

use crate::{
    handler::Context,
    paying::{provider, question_failed},
};

/// Longest time for one file.
const DOWNLOAD_TIME: Duration = Duration::from_mins(3);

/// Pause after a call that could not be made, or not now. Nobody waits for a bill, and a server of
/// files that is away is rarely back within seconds.
const AWAY_PAUSE: Duration = Duration::from_mins(5);

/// What a provider has of a day.
#[derive(Debug)]
pub(crate) enum Statement {
    /// It is not there yet.
    NotReady,
    /// There is none, and nobody says whether one will come.
    Absent,
    /// Everything that is listed; nothing on a day without trades.
    Lines(Vec<BillLine>),
}

/// Downloads the bill of `of`, from each account that has a part of it.
///
/// # Errors
///
/// What to do with the job: nothing changes by this, so it is repeated.
pub(crate) async fn download(
    ctx: &Context,
    of: &DayRef,
    accounts: &[&Gateway],
) -> Result<Statement, JobError> {
    let mut all = Vec::new();
    let mut absent = false;
    for gateway in accounts {
        let at = provider(ctx, of.channel, gateway.name())?;
        let mut call = Call { timeout: DOWNLOAD_TIME, ..Call::default() };
        let bill = gateway.bill(of.day.date(), &mut call).await;
        at.note(call);
        match bill.map_err(failed)? {
            DayBill::NotReady => return Ok(Statement::NotReady),
            DayBill::Absent => absent = true,
            DayBill::Empty => {}
            DayBill::Lines(lines) => all.push(lines),
        }
    }
    if absent && all.is_empty() {
        return Ok(Statement::Absent);
    }
    Ok(Statement::Lines(joined(all)))
}

/// What the job does when a bill could not be had. Where the provider, or our own breaker, names a
/// pause, it is meant for payments: a bill waits longer.
fn failed(error: ProviderError) -> JobError {
    match error {
        ProviderError::Throttled(after)
        | ProviderError::NotSent { after, .. }
        | ProviderError::NotNow { after, .. } => {
            JobError::Throttled { until: Timestamp::now() + after.max(AWAY_PAUSE) }
        }
        other => question_failed(other),
    }
}

/// The lines of several files; what one has of another is there once.
fn joined(mut all: Vec<Vec<BillLine>>) -> Vec<BillLine> {
    let Some(mut lines) = all.pop() else { return Vec::new() };
    for more in all {
        let known: HashSet<_> = lines.iter().map(of_line).collect();
        let more: Vec<_> =
            more.iter().filter(|line| !known.contains(&of_line(line))).cloned().collect();
        lines.extend(more);
    }
    lines
}

fn of_line(line: &BillLine) -> (providers::payment::BillLineKind, String, Option<String>, String) {
    (line.kind, line.key.clone(), line.refund_key.clone(), line.transaction_id.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bill_that_cannot_be_fetched_is_asked_for_minutes_later() {
        let second = Duration::from_secs(1);
        let longer = Duration::from_mins(20);
        let not_sent = |reason, after| ProviderError::NotSent { reason, after };
        let cases = [
            ("breaker", not_sent("circuit_open", second), AWAY_PAUSE),
            ("nobody there", not_sent("unreachable", second), AWAY_PAUSE),
            ("all slots taken", not_sent("busy", second), AWAY_PAUSE),
            ("asked for a pause", ProviderError::Throttled(second), AWAY_PAUSE),
            ("asked for a long pause", ProviderError::Throttled(longer), longer),
        ];
        for (name, error, pause) in cases {
            let before = Timestamp::now();
            let JobError::Throttled { until } = failed(error) else {
                unreachable!("{name}: spends an attempt")
            };
            assert!(until >= before + pause, "{name}: {until}");
            assert!(until <= Timestamp::now() + pause, "{name}: {until}");
        }
    }
}
