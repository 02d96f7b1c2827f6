//! Brings what a provider said into the bill.

use providers::payment::{self, Call, ProviderError, TradeState};
use schemas::{
    BillRecord, JobError, Timestamp,
    bill::{Attempt, BillRefusal, Paid, PaymentNews, RefundNews, RefundState, Source, Surplus},
};

use super::{
    ask::{ask_again, provider, question_failed, trade_ref},
    bills::{Step, change},
    counters::{self, RefundTrouble},
};
use crate::handler::Context;

/// How an attempt stands after its provider was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Paid; whether the payment counts is in the bill.
    Paid,
    /// It can still be paid.
    Open,
    /// The provider has taken a payment of it in and does not say yet how it ends. No clock decides
    /// that: only its word, or a named operator.
    Paying,
    /// The provider does not know of it, so far.
    NotFound,
    /// It cannot be paid any more.
    Closed,
}

/// What became of a provider's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It was known before; nothing was saved.
    Known,
    /// It was new and is in the bill.
    Recorded,
    /// A payment does not count; its refund is held. People should hear of it.
    Surplus(Surplus),
    /// A provider contradicts itself. People should hear of it.
    Contradiction,
}

/// Asks how `attempt` stands at its provider, and takes that in, before anything is done again.
///
/// # Errors
///
/// [`JobError::Unknown`] when no usable answer came; others as [`take_in_trade`] and
/// [`question_failed`].
pub(crate) async fn ask_for_trade(
    ctx: &Context,
    bill: BillRecord,
    attempt: &Attempt,
) -> Result<(BillRecord, Standing), JobError> {
    let at = provider(ctx, attempt.channel, &attempt.app)?;
    let mut call = Call::default();
    let state = at.gateway.query(&trade_ref(&bill, attempt), &mut call).await;
    at.note(call);
    let state = state.map_err(|error| match error {
        ProviderError::OutcomeUnknown(_) => ask_again(ctx, format!("trade {}", attempt.key)),
        error => question_failed(error),
    })?;
    take_in_trade(ctx, bill, attempt.number, &state, Source::Query).await
}

/// Takes in how attempt `number` stands at its provider.
///
/// # Errors
///
/// [`JobError::Again`] when the bill could not be saved; [`JobError::Rejected`] when there is no
/// such attempt.
pub(crate) async fn take_in_trade(
    ctx: &Context,
    bill: BillRecord,
    number: u32,
    state: &TradeState,
    source: Source,
) -> Result<(BillRecord, Standing), JobError> {
    if let Some(payment) = state.payment() {
        let now = Timestamp::now();
        let at = payment.paid_at.unwrap_or(now);
        let amount = payment.amount;
        let paid = Paid { transaction_id: payment.transaction_id.clone(), amount, at };
        let (bill, _) = pay(ctx, bill, number, &paid, source).await?;
        return Ok((bill, Standing::Paid));
    }
    let standing = match state {
        TradeState::NotFound => Standing::NotFound,
        TradeState::NotPaid => Standing::Open,
        TradeState::Paying => Standing::Paying,
        TradeState::Paid(_) | TradeState::Refunded(_) => Standing::Paid,
        TradeState::Closed => {
            let bill = close(ctx, bill, number, source).await?;
            return Ok((bill, Standing::Closed));
        }
    };
    Ok((bill, standing))
}

/// Takes in that attempt `number` was paid; says whether that was new.
///
/// # Errors
///
/// As [`take_in_trade`].
pub(crate) async fn pay(
    ctx: &Context,
    bill: BillRecord,
    number: u32,
    paid: &Paid,
    source: Source,
) -> Result<(BillRecord, Heard), JobError> {
    let by = format!("job {}", ctx.job);
    let (bill, heard) = change(ctx, bill, |bill| {
        let now = Timestamp::now();
        match bill.pay(number, paid, source, &by, now).map_err(refused)? {
            PaymentNews::Counted(next) => Ok(Step::Save(next, Heard::Recorded)),
            PaymentNews::Surplus(next, why) => Ok(Step::Save(next, Heard::Surplus(why))),
            PaymentNews::Contradiction(next) => Ok(Step::Save(next, Heard::Contradiction)),
            PaymentNews::Known => Ok(Step::Keep(Heard::Known)),
        }
    })
    .await?;
    tell(&bill, heard);
    if heard != Heard::Known {
        // Nobody should pay a second time; what can still be paid is closed at its provider.
        for attempt in bill.payable() {
            super::look_at_trade(ctx, &bill.id, attempt, None).await?;
        }
    }
    Ok((bill, heard))
}

/// Notes that attempt `number` cannot be paid any more. One that has ended otherwise stays so.
///
/// # Errors
///
/// As [`take_in_trade`].
pub(crate) async fn close(
    ctx: &Context,
    bill: BillRecord,
    number: u32,
    source: Source,
) -> Result<BillRecord, JobError> {
    let by = format!("job {}", ctx.job);
    let closed =
        change(ctx, bill, |bill| match bill.close_attempt(number, source, &by, Timestamp::now()) {
            Ok(next) => Ok(Step::Save(next, ())),
            Err(BillRefusal::Ended) => Ok(Step::Keep(())),
            Err(other) => Err(refused(other)),
        });
    Ok(closed.await?.0)
}

/// Takes in how refund `number` stands at its provider. One that the provider does not know stays
/// as it is.
///
/// # Errors
///
/// As [`take_in_trade`].
pub(crate) async fn take_in_refund(
    ctx: &Context,
    bill: BillRecord,
    number: u32,
    heard: &payment::Refund,
    source: Source,
) -> Result<BillRecord, JobError> {
    let state = match heard.state {
        payment::RefundState::NotFound => return Ok(bill),
        payment::RefundState::Processing => RefundState::Processing,
        payment::RefundState::Done { .. } => RefundState::Succeeded,
        payment::RefundState::Closed => RefundState::Refused,
        payment::RefundState::Abnormal => RefundState::Abnormal,
    };
    if let payment::RefundState::Done { amount: Some(found), .. } = heard.state
        && bill.refund(number).is_some_and(|refund| refund.amount != found)
    {
        // The bill keeps its sum; people have to hear of the other one.
        contradicted(&bill);
    }
    let detail = refund_detail(state, heard.refund_id.as_deref());
    Ok(hear_of_refund(ctx, bill, number, state, detail, source).await?.0)
}

/// What the bill keeps beside a refund's `state` that its provider told: why it was refused, which such
/// news do not say, or else the provider's number `id`.
pub(crate) const fn refund_detail(state: RefundState, id: Option<&str>) -> Option<&str> {
    match state {
        RefundState::Refused => Some("closed_by_provider"),
        _ => id,
    }
}

/// A provider's word about `bill` does not agree with it and is not taken in: people have to hear of
/// it.
pub(crate) fn contradicted(bill: &BillRecord) {
    tell(bill, Heard::Contradiction);
}

/// Takes in where refund `number` stands; says whether that was new.
///
/// # Errors
///
/// As [`take_in_trade`].
pub(crate) async fn hear_of_refund(
    ctx: &Context,
    bill: BillRecord,
    number: u32,
    state: RefundState,
    detail: Option<&str>,
    source: Source,
) -> Result<(BillRecord, Heard), JobError> {
    let by = format!("job {}", ctx.job);
    let (bill, heard) = change(ctx, bill, |bill| {
        let now = Timestamp::now();
        match bill.hear_of_refund(number, state, detail, source, &by, now).map_err(refused)? {
            RefundNews::Changed(next) => Ok(Step::Save(next, Heard::Recorded)),
            RefundNews::Contradiction(next) => Ok(Step::Save(next, Heard::Contradiction)),
            RefundNews::Known => Ok(Step::Keep(Heard::Known)),
        }
    })
    .await?;
    tell(&bill, heard);
    if heard == Heard::Recorded
        && let Some(refund) = bill.refund(number)
        && let Some(why) = RefundTrouble::of(refund, state, source)
    {
        counters::refund_trouble(why);
        tracing::warn!(sn = %bill.id, refund = number, why = why.name(), "a refund needs somebody");
    }
    Ok((bill, heard))
}

fn tell(bill: &BillRecord, heard: Heard) {
    match heard {
        Heard::Known | Heard::Recorded => {}
        Heard::Surplus(why) => {
            counters::surplus(why);
            tracing::error!(sn = %bill.id, why = why.name(), "a payment does not count; its refund is held");
        }
        Heard::Contradiction => {
            counters::contradiction();
            tracing::error!(sn = %bill.id, "a provider contradicts what is recorded");
        }
    }
}

/// What a bill does not allow is final for the job.
pub(crate) fn refused(refusal: BillRefusal) -> JobError {
    JobError::Rejected(refusal.code())
}
