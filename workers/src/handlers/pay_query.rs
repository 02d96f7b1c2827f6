//! Looks how the attempts of one bill stand at their providers.

use providers::payment::{Call, ProviderError};
use schemas::{
    BillRecord, JobError,
    bill::{Attempt, AttemptState, Source},
    kinds::{
        PayQuery,
        pay_query::{PayLook, PayStanding},
    },
};

use crate::{
    handler::{Context, Handler, Undo},
    paying::{
        Standing, close, load, look_at_trade, provider, question_failed, take_in_trade, trade_ref,
    },
};

impl Handler for PayQuery {
    async fn run(ctx: &Context, look: &PayLook) -> Result<PayStanding, JobError> {
        let mut bill = load(ctx, &look.sn).await?;
        for attempt in wanted(&bill, look) {
            bill = if attempt.is_uncharged() {
                drop_card(ctx, bill, &attempt).await?
            } else {
                look_at(ctx, bill, &attempt, look.look).await?
            };
        }
        Ok(PayStanding { sn: bill.id, status: bill.status })
    }

    async fn undo(_: &Context, _: &PayLook) -> Result<Undo, JobError> {
        Ok(Undo::Undone)
    }
}

/// The attempts that a look is about. Whoever asks about one out of turn has heard of it from its
/// provider: then one that was given up is asked about, too, because it may be paid after all.
fn wanted(bill: &BillRecord, look: &PayLook) -> Vec<Attempt> {
    if let (Some(number), None) = (look.attempt, look.look) {
        let unpaid = |attempt: &&Attempt| attempt.state != AttemptState::Paid;
        return bill.attempt(number).filter(unpaid).cloned().into_iter().collect();
    }
    let named = |attempt: &&Attempt| look.attempt.is_none_or(|one| one == attempt.number);
    bill.payable().filter(named).cloned().collect()
}

/// No provider knows of a card that was not charged; a bill that is paid needs it no more.
async fn drop_card(
    ctx: &Context,
    bill: BillRecord,
    attempt: &Attempt,
) -> Result<BillRecord, JobError> {
    if bill.payment().is_none() {
        return Ok(bill);
    }
    close(ctx, bill, attempt.number, Source::Answer).await
}

async fn look_at(
    ctx: &Context,
    bill: BillRecord,
    attempt: &Attempt,
    look: Option<u32>,
) -> Result<BillRecord, JobError> {
    let at = provider(ctx, attempt.channel, &attempt.app)?;
    let mut call = Call::default();
    let trade = trade_ref(&bill, attempt);
    let state = at.gateway.query(&trade, &mut call).await;
    at.note(call);
    let state = state.map_err(question_failed)?;
    let (bill, standing) = take_in_trade(ctx, bill, attempt.number, &state, Source::Query).await?;
    if matches!(standing, Standing::Open | Standing::Paying) && bill.payment().is_some() {
        // The bill is paid in another way: nobody should pay a second time.
        let mut call = Call::default();
        let closed = at.gateway.close(&trade, &mut call).await;
        at.note(call);
        match closed {
            Ok(()) => return close(ctx, bill, attempt.number, Source::Answer).await,
            // It has no such call, or somebody is paying just now: later looks will tell.
            Err(ProviderError::Refused(_) | ProviderError::Conflict(_)) => {}
            Err(other) => return Err(question_failed(other)),
        }
    }
    match (standing, look) {
        (Standing::Open | Standing::Paying | Standing::NotFound, Some(look)) => {
            look_at_trade(ctx, &bill.id, attempt, Some(look + 1)).await?;
        }
        (Standing::Paid | Standing::Closed, _) | (_, None) => {}
    }
    Ok(bill)
}
