//! Returns money of one paid bill.

use std::time::Duration;

use providers::payment::{self, Call, ProviderError, RefundOrder};
use schemas::{
    BillRecord, Job, JobError, Timestamp,
    bill::{Refund, RefundState, Source},
    kinds::{
        PayRefund,
        pay_refund::{RefundStanding, RefundWish},
    },
};

use crate::{
    fault,
    handler::{Context, Handler, Undo},
    paying::{
        Step, ask_again, change, hear_of_refund, load, look_at_refund, provider, question_failed,
        refund_ref, refused, take_in_refund,
    },
};

/// After this long a call of which nothing was heard, and whose refund its provider does not know,
/// has not arrived.
const ON_ITS_WAY: Duration = Duration::from_mins(10);

impl Handler for PayRefund {
    async fn run(ctx: &Context, wish: &RefundWish) -> Result<RefundStanding, JobError> {
        let bill = load(ctx, &wish.sn).await?;
        if let Some(refund) = bill.refund_by(ctx.job).cloned() {
            return resume(ctx, bill, refund).await;
        }
        let (bill, ()) = change(ctx, bill, |bill| begin(ctx, wish, bill)).await?;
        let refund = bill.refund_by(ctx.job).cloned();
        let refund = refund.ok_or(JobError::Rejected("no_such_refund"))?;
        send(ctx, bill, &refund).await
    }

    /// A refund that was never taken by its provider, because that had no time for it, is given up.
    async fn undo(ctx: &Context, wish: &RefundWish) -> Result<Undo, JobError> {
        let bill = load(ctx, &wish.sn).await?;
        if ctx.unknown_since.is_some() {
            return Ok(Undo::TooLate);
        }
        let Some(refund) = bill.refund_by(ctx.job).cloned() else { return Ok(Undo::Undone) };
        if refund.state != RefundState::Sent {
            return Ok(Undo::TooLate);
        }
        let heard = ask(ctx, &bill, &refund).await?;
        if heard.state != payment::RefundState::NotFound {
            return Ok(Undo::TooLate);
        }
        let refused = RefundState::Refused;
        hear_of_refund(ctx, bill, refund.number, refused, Some("cancelled"), Source::Query).await?;
        Ok(Undo::Undone)
    }
}

/// Opens the refund, or takes over the one that was held and is approved.
fn begin(ctx: &Context, wish: &RefundWish, bill: BillRecord) -> Result<Step<()>, JobError> {
    if bill.refund_by(ctx.job).is_some() {
        return Ok(Step::Keep(()));
    }
    let now = Timestamp::now();
    let begun = match &wish.held {
        None => bill.begin_refund(ctx.job, wish.amount, &wish.reason, now),
        Some(held) => {
            bill.approve_refund(held.refund, ctx.job, &held.operator, &held.evidence, now)
        }
    };
    Ok(Step::Save(begun.map_err(refused)?, ()))
}

/// An earlier run has opened the refund: asks before anything is sent again.
async fn resume(
    ctx: &Context,
    bill: BillRecord,
    refund: Refund,
) -> Result<RefundStanding, JobError> {
    if refund.state != RefundState::Sent {
        return conclude(ctx, &bill, refund.number).await;
    }
    let heard = ask(ctx, &bill, &refund).await?;
    if heard.state == payment::RefundState::NotFound {
        // It never arrived. The same number again moves money once, also when it arrives late.
        if ctx.unknown_since.is_some() {
            return send(ctx, bill, &refund).await;
        }
        // Nothing has left, so it is sent as of now: a provider may refuse an old time.
        let now = Timestamp::now();
        let (bill, ()) = change(ctx, bill, |bill| {
            let sent = bill.send_refund(refund.number, now).map_err(refused)?;
            Ok(Step::Save(sent, ()))
        })
        .await?;
        let refund = bill.refund(refund.number).cloned();
        return send(ctx, bill, &refund.ok_or(JobError::Rejected("no_such_refund"))?).await;
    }
    let bill = take_in_refund(ctx, bill, refund.number, &heard, Source::Query).await?;
    conclude(ctx, &bill, refund.number).await
}

async fn ask(
    ctx: &Context,
    bill: &BillRecord,
    refund: &Refund,
) -> Result<payment::Refund, JobError> {
    let attempt = bill.attempt(refund.attempt).ok_or(JobError::Rejected("no_such_attempt"))?;
    let at = provider(ctx, attempt.channel, &attempt.app)?;
    let name = refund_ref(bill, refund).ok_or(JobError::Rejected("no_such_attempt"))?;
    let mut call = Call::default();
    let heard = at.gateway.query_refund(&name, &mut call).await;
    at.note(call);
    heard.map_err(|error| match error {
        ProviderError::OutcomeUnknown(_) => ask_again(ctx, format!("refund {}", refund.key)),
        error => question_failed(error),
    })
}

/// Calls the provider. The refund is in the bill; the same call again moves no money twice.
async fn send(
    ctx: &Context,
    bill: BillRecord,
    refund: &Refund,
) -> Result<RefundStanding, JobError> {
    let attempt = bill.attempt(refund.attempt).ok_or(JobError::Rejected("no_such_attempt"))?;
    let at = provider(ctx, attempt.channel, &attempt.app)?;
    let order = refund_order(ctx, &bill, refund)?;
    let mut call = Call::default();
    fault::point("worker.before_call", PayRefund::KIND).await;
    let answer = at.gateway.refund(&order, &mut call).await;
    fault::point("worker.in_effect", PayRefund::KIND).await;
    at.note(call);
    let number = refund.number;
    match answer {
        Ok(heard) => {
            let bill = accept(ctx, bill, number, &heard).await?;
            conclude(ctx, &bill, number).await
        }
        Err(ProviderError::Refused(_)) if may_still_arrive(ctx) => {
            Err(ask_again(ctx, format!("refund {}", refund.key)))
        }
        Err(ProviderError::Refused(code)) => {
            let refused = RefundState::Refused;
            let heard = hear_of_refund(ctx, bill, number, refused, Some(&code), Source::Answer);
            conclude(ctx, &heard.await?.0, number).await
        }
        Err(ProviderError::Conflict(_)) => {
            let heard = ask(ctx, &bill, refund).await?;
            if heard.state == payment::RefundState::NotFound {
                return Err(ask_again(ctx, format!("refund {}", refund.key)));
            }
            let bill = take_in_refund(ctx, bill, number, &heard, Source::Query).await?;
            conclude(ctx, &bill, number).await
        }
        Err(ProviderError::OutcomeUnknown(_)) => {
            Err(ask_again(ctx, format!("refund {}", refund.key)))
        }
        Err(
            other @ (ProviderError::NotNow { .. }
            | ProviderError::Throttled(_)
            | ProviderError::NotSent { .. }
            | ProviderError::Misconfigured(_)),
        ) => Err(question_failed(other)),
    }
}

/// Whether an earlier send, of which nothing was heard, may still be on its way: a refusal of the
/// one after it says nothing about that one.
fn may_still_arrive(ctx: &Context) -> bool {
    ctx.unknown_since.is_some_and(|since| Timestamp::now() < since + ON_ITS_WAY)
}

fn refund_order(
    ctx: &Context,
    bill: &BillRecord,
    refund: &Refund,
) -> Result<RefundOrder, JobError> {
    let missing = JobError::Rejected("no_such_attempt");
    let attempt = bill.attempt(refund.attempt).ok_or_else(|| missing.clone())?;
    let payment = bill.payments.iter().find(|payment| payment.attempt == refund.attempt);
    Ok(RefundOrder {
        refund: refund_ref(bill, refund).ok_or_else(|| missing.clone())?,
        paid: payment.ok_or(missing)?.amount,
        amount: refund.amount,
        reason: Some(refund.reason.clone()).filter(|reason| !reason.is_empty()),
        notify_url: Some(ctx.till.notify_url(attempt.channel, &attempt.app)),
    })
}

/// Takes in the answer to a refund. An answer that says nothing more means that it is under way.
async fn accept(
    ctx: &Context,
    bill: BillRecord,
    number: u32,
    heard: &payment::Refund,
) -> Result<BillRecord, JobError> {
    if heard.state == payment::RefundState::NotFound {
        let state = RefundState::Processing;
        let id = heard.refund_id.as_deref();
        let heard = hear_of_refund(ctx, bill, number, state, id, Source::Answer);
        return Ok(heard.await?.0);
    }
    take_in_refund(ctx, bill, number, heard, Source::Answer).await
}

/// The job's end, from what the bill says about its refund.
async fn conclude(
    ctx: &Context,
    bill: &BillRecord,
    number: u32,
) -> Result<RefundStanding, JobError> {
    let refund = bill.refund(number).ok_or(JobError::Rejected("no_such_refund"))?;
    match refund.state {
        RefundState::Succeeded => {}
        RefundState::Processing | RefundState::Abnormal => {
            look_at_refund(ctx, bill, refund, Some(0)).await?;
        }
        RefundState::Sent => return Err(ask_again(ctx, format!("refund {}", refund.key))),
        RefundState::Refused | RefundState::Held | RefundState::Dropped => {
            return Err(JobError::Rejected("refund_refused"));
        }
    }
    Ok(standing(bill, refund))
}

/// How `refund` stands, for the job's output.
pub(super) fn standing(bill: &BillRecord, refund: &Refund) -> RefundStanding {
    RefundStanding {
        sn: bill.id.clone(),
        refund: refund.number,
        refund_sn: refund.key.clone(),
        amount: refund.amount,
        state: refund.state,
    }
}
