//! Getting a day's bill from its provider.

use std::{collections::HashSet, time::Duration};

use providers::payment::{BillLine, Call, DayBill, Gateway};
use schemas::{JobError, kinds::pay_bill_match::DayRef};

use crate::{
    handler::Context,
    paying::{provider, question_failed},
};

/// Longest time for one file.
const DOWNLOAD_TIME: Duration = Duration::from_mins(3);

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
        match bill.map_err(question_failed)? {
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
