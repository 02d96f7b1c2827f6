//! From our bills to the file: what we have of the day and the file has not.

use std::collections::HashSet;

use schemas::{BillRecord, JobError};

use super::{
    judge::{Name, unlisted},
    rows::Rows,
    terms::Terms,
};
use crate::handler::{Context, store_again};

/// Bills in memory at a time.
const PAGE: usize = 500;

/// Adds to `rows` what of ours is missing in the file.
///
/// # Errors
///
/// [`JobError::Again`] when the store does not answer, [`JobError::Cancelled`].
pub(crate) async fn add_unlisted(
    ctx: &Context,
    terms: &Terms,
    file: &HashSet<Name>,
    rows: &mut Rows<'_>,
) -> Result<(), JobError> {
    let mut after = terms.from.to_string();
    while let Some(page) = next(ctx, &mut after).await? {
        for bill in &page {
            for (name, difference) in unlisted(bill, terms, file) {
                rows.add_once(name, difference).await?;
            }
        }
    }
    Ok(())
}

/// Whether anything of ours belongs to the day and was listed nowhere.
///
/// # Errors
///
/// As [`add_unlisted`].
pub(crate) async fn any_unlisted(ctx: &Context, terms: &Terms) -> Result<bool, JobError> {
    let nothing = HashSet::new();
    let mut after = terms.from.to_string();
    while let Some(page) = next(ctx, &mut after).await? {
        if page.iter().any(|bill| !unlisted(bill, terms, &nothing).is_empty()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The next bills whose money moved after the mark, which moves on; nothing at the end.
async fn next(ctx: &Context, after: &mut String) -> Result<Option<Vec<BillRecord>>, JobError> {
    if ctx.is_cancelled() {
        return Err(JobError::Cancelled);
    }
    let page = ctx.store.bills.moved(after, PAGE).await.map_err(store_again)?;
    match page.last().and_then(|bill| bill.moved.clone()) {
        Some(mark) => *after = mark,
        None => return Ok(None),
    }
    Ok(Some(page))
}
