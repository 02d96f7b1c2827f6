//! From the file to our bills: each line against the bill that it names.

use std::collections::{HashMap, HashSet};

use futures::{StreamExt, TryStreamExt, stream};
use providers::payment::BillLine;
use schemas::{
    BillRecord, BillSn, JobError, Timestamp,
    bill::Listed,
    matching::{Movement, Sum},
};

use super::{
    judge::{Name, judge, name_of, unheard},
    rows::Rows,
    terms::Terms,
};
use crate::{
    handler::{Context, store_again},
    paying::{Step, change, look_at_refund, look_at_trade},
};

/// Lines that are looked up together.
const CHUNK: usize = 200;

/// Bills that are read or saved at a time.
const TOGETHER: usize = 64;

/// What a file has.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Payments.
    pub(crate) payments: Sum,
    /// Refunds.
    pub(crate) refunds: Sum,
    /// Other lines.
    pub(crate) others: u64,
    /// Lines that agree with ours.
    pub(crate) matched: u64,
    /// The names of its payments and refunds.
    pub(crate) names: HashSet<Name>,
}

/// Matches every line; differences go to `rows`, and each bill learns that it is listed.
///
/// # Errors
///
/// [`JobError::Again`] when the store does not answer, [`JobError::Cancelled`].
pub(crate) async fn match_lines(
    ctx: &Context,
    terms: &Terms,
    lines: &[BillLine],
    rows: &mut Rows<'_>,
) -> Result<Tally, JobError> {
    let mut tally = Tally::default();
    for chunk in lines.chunks(CHUNK) {
        if ctx.is_cancelled() {
            return Err(JobError::Cancelled);
        }
        let bills = bills_of(ctx, chunk).await?;
        let mut notes: HashMap<BillSn, Note> = HashMap::new();
        for line in chunk {
            let Some(name) = name_of(line) else {
                tally.others += 1;
                continue;
            };
            match name.0 {
                Movement::Payment => tally.payments.add(line.amount_fen),
                Movement::Refund => tally.refunds.add(line.amount_fen),
            }
            let sn = BillSn::of_key(&name.1);
            let bill = sn.as_ref().and_then(|sn| bills.get(sn));
            let is_first = tally.names.insert(name.clone());
            let verdict = if is_first {
                judge(line, bill, terms)
            } else {
                // We know one such payment at most, so this is another one.
                unheard(line, name.0, &name.1, bill)
            };
            if let Some(sn) = sn {
                let note = notes.entry(sn).or_default();
                note.listed.extend(verdict.listed);
                note.ask.extend(verdict.ask);
            }
            match verdict.difference {
                Some(difference) => rows.add(difference).await?,
                None => tally.matched += 1,
            }
        }
        take_note(ctx, terms, bills, notes).await?;
    }
    Ok(tally)
}

/// What one bill has to learn.
#[derive(Debug, Default)]
struct Note {
    listed: Vec<Listed>,
    ask: Vec<Listed>,
}

async fn bills_of(
    ctx: &Context,
    lines: &[BillLine],
) -> Result<HashMap<BillSn, BillRecord>, JobError> {
    let names = lines.iter().filter_map(name_of);
    let numbers: HashSet<_> = names.filter_map(|(_, key)| BillSn::of_key(&key)).collect();
    let bills = &ctx.store.bills;
    let found = stream::iter(numbers).map(|sn| async move { bills.get(&sn).await });
    let found: Vec<_> =
        found.buffer_unordered(TOGETHER).try_collect().await.map_err(store_again)?;
    Ok(found.into_iter().flatten().map(|bill| (bill.id.clone(), bill)).collect())
}

async fn take_note(
    ctx: &Context,
    terms: &Terms,
    mut bills: HashMap<BillSn, BillRecord>,
    notes: HashMap<BillSn, Note>,
) -> Result<(), JobError> {
    let work = notes.into_iter().filter_map(|(sn, note)| Some((bills.remove(&sn)?, note)));
    let work = work.collect::<Vec<_>>();
    stream::iter(work.into_iter().map(Ok))
        .try_for_each_concurrent(TOGETHER, |(bill, note)| async move {
            let step = |bill: BillRecord| {
                let listed = bill.clone().list(terms.day, &note.listed, Timestamp::now());
                Ok(listed.map_or(Step::Keep(()), |next| Step::Save(next, ())))
            };
            let (bill, ()) = change(ctx, bill, step).await?;
            ask(ctx, &bill, &note.ask).await
        })
        .await
}

/// Asks the provider about what it knows and we do not: its answer is evidence, the file is not.
async fn ask(ctx: &Context, bill: &BillRecord, about: &[Listed]) -> Result<(), JobError> {
    for one in about {
        match *one {
            Listed::Payment(number) => {
                if let Some(attempt) = bill.attempt(number) {
                    look_at_trade(ctx, &bill.id, attempt, None).await?;
                }
            }
            Listed::Refund(number) => {
                if let Some(refund) = bill.refund(number) {
                    look_at_refund(ctx, bill, refund, None).await?;
                }
            }
        }
    }
    Ok(())
}
