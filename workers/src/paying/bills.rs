//! Reading and changing bills.

use schemas::{BillRecord, BillSn, JobError, UserId};
use store::Save;

use crate::handler::{Context, store_again};

/// Saves that are tried when others change the bill at the same time. 200 refunds of one bill at
/// once must come through, each of which loses to every other one at most once.
const TRIES: usize = 256;

/// What to do with a bill as it stands.
#[expect(clippy::large_enum_variant, reason = "made once and taken apart at once")]
pub(crate) enum Step<T> {
    /// Save this, which comes from it.
    Save(BillRecord, T),
    /// Nothing: it is as it should be.
    Keep(T),
}

/// The bill `sn`, if it is the job's owner's; Feat's own jobs see every bill.
///
/// # Errors
///
/// [`JobError::Rejected`] when there is none.
pub(crate) async fn load(ctx: &Context, sn: &BillSn) -> Result<BillRecord, JobError> {
    let bills = &ctx.store.bills;
    let found = if ctx.owner == UserId::FEAT {
        bills.get(sn).await
    } else {
        bills.get_owned(ctx.owner, sn).await
    };
    found.map_err(store_again)?.ok_or(JobError::Rejected("bill_not_found"))
}

/// Changes a bill: `step` decides from the bill as it stands, again whenever somebody else was
/// quicker. Gives the bill as it stands afterwards.
///
/// # Errors
///
/// What `step` answers; [`JobError::Again`] when the store does not answer or others change the
/// bill all the time. Whether the change was saved is then not known; a later run finds it.
pub(crate) async fn change<T>(
    ctx: &Context,
    mut bill: BillRecord,
    step: impl Fn(BillRecord) -> Result<Step<T>, JobError>,
) -> Result<(BillRecord, T), JobError> {
    for _ in 0..TRIES {
        let sn = bill.id.clone();
        let (next, made) = match step(bill.clone())? {
            Step::Keep(made) => return Ok((bill, made)),
            Step::Save(next, made) => (next, made),
        };
        match ctx.store.bills.save(&next).await.map_err(store_again)? {
            Save::Stored => return Ok((next, made)),
            Save::Stale => bill = load(ctx, &sn).await?,
        }
    }
    Err(JobError::again("the bill changes all the time"))
}
