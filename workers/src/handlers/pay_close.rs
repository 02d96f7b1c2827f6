//! Closes a bill that was not paid, at its providers first.

use std::time::Duration;

use providers::payment::{Call, ProviderError};
use schemas::{
    BillRecord, Channel, Job, JobError, Timestamp,
    bill::{Attempt, AttemptState, BillRefusal, ClosingReason, Source},
    kinds::{PayClose, pay_close::PayClosing, pay_query::PayStanding},
};

use crate::{
    fault,
    handler::{Context, Handler, Undo},
    paying::{
        Standing, Step, ask_again, change, close, close_among_checks, load, provider,
        question_failed, refused, take_in_trade, trade_ref,
    },
};

/// After this long no call to make a trade is under way any more.
const IN_FLIGHT: Duration = Duration::from_mins(1);

/// How much later than the bill a trade ends at a provider that closes by its own clock.
const PROVIDER_LAG: Duration = Duration::from_mins(5);

impl Handler for PayClose {
    async fn run(ctx: &Context, closing: &PayClosing) -> Result<PayStanding, JobError> {
        let bill = match load(ctx, &closing.sn).await {
            // It was scheduled for a bill that was then never stored.
            Err(JobError::Rejected(_)) if closing.reason == ClosingReason::Overtime => {
                return Err(JobError::Rejected("bill_not_found"));
            }
            other => other?,
        };
        let (mut bill, ()) = change(ctx, bill, |bill| {
            match bill.begin_closing(closing.reason, Timestamp::now()) {
                Ok(next) => Ok(Step::Save(next, ())),
                // An earlier run or another reason has begun it, or it needs none.
                Err(BillRefusal::Closed | BillRefusal::Paid) => Ok(Step::Keep(())),
                Err(other) => Err(refused(other)),
            }
        })
        .await?;
        let open: Vec<_> = bill.payable().cloned().collect();
        if let Some(channel) = asks_elsewhere(ctx, closing, &open) {
            close_among_checks(ctx, closing, channel).await?;
            return Ok(PayStanding { sn: bill.id, status: bill.status });
        }
        for attempt in open {
            if bill.payment().is_some() {
                break;
            }
            bill = close_attempt(ctx, bill, &attempt).await?;
        }
        finish(ctx, bill, closing.reason).await
    }

    async fn undo(ctx: &Context, closing: &PayClosing) -> Result<Undo, JobError> {
        let bill = load(ctx, &closing.sn).await?;
        let clean = bill.closing.is_none() && ctx.unknown_since.is_none();
        Ok(if clean { Undo::Undone } else { Undo::TooLate })
    }
}

/// The provider on whose queue the attempts are to be closed instead: bills end without anybody
/// waiting, on a queue where nobody else may have to wait for a provider. Of several the latest
/// one's.
fn asks_elsewhere(ctx: &Context, closing: &PayClosing, open: &[Attempt]) -> Option<Channel> {
    if closing.reason != ClosingReason::Overtime {
        return None;
    }
    if ctx.queue != PayClose::QUEUE {
        return None;
    }
    let latest = open.iter().rev().find(|attempt| !attempt.is_uncharged())?;
    Some(latest.channel)
}

async fn finish(
    ctx: &Context,
    bill: BillRecord,
    reason: ClosingReason,
) -> Result<PayStanding, JobError> {
    let (bill, ()) = change(ctx, bill, |bill| match bill.finish_closing(Timestamp::now()) {
        Ok(next) => Ok(Step::Save(next, ())),
        Err(BillRefusal::Ended | BillRefusal::Paid) => Ok(Step::Keep(())),
        Err(BillRefusal::StillOpen) => Err(JobError::again("an attempt is still open")),
        Err(other) => Err(refused(other)),
    })
    .await?;
    if bill.payment().is_some() && reason == ClosingReason::Cancelled {
        return Err(refused(BillRefusal::Paid));
    }
    Ok(PayStanding { sn: bill.id, status: bill.status })
}

/// Asks how the attempt stands, and closes it at its provider when it is open.
async fn close_attempt(
    ctx: &Context,
    bill: BillRecord,
    attempt: &Attempt,
) -> Result<BillRecord, JobError> {
    if attempt.is_uncharged() {
        // Nobody but Feat can charge it, and it does not while the bill is being closed.
        return close(ctx, bill, attempt.number, Source::Answer).await;
    }
    let at = provider(ctx, attempt.channel, &attempt.app)?;
    let trade = trade_ref(&bill, attempt);
    let mut call = Call::default();
    let state = at.gateway.query(&trade, &mut call).await;
    at.note(call);
    let state = state.map_err(question_failed)?;
    let (bill, standing) = take_in_trade(ctx, bill, attempt.number, &state, Source::Query).await?;
    match standing {
        Standing::Paid | Standing::Closed => return Ok(bill),
        Standing::NotFound if is_in_flight(attempt) => {
            return Err(JobError::Throttled { until: last_call(attempt) + IN_FLIGHT });
        }
        // Nobody has anything to pay it with, and no call is under way that could make it.
        Standing::NotFound if attempt.offer.is_none() || attempt.card.is_some() => {
            return close(ctx, bill, attempt.number, Source::Query).await;
        }
        Standing::Open | Standing::Paying | Standing::NotFound => {}
    }
    let mut call = Call::default();
    fault::point("worker.before_call", PayClose::KIND).await;
    let closed = at.gateway.close(&trade, &mut call).await;
    fault::point("worker.in_effect", PayClose::KIND).await;
    at.note(call);
    match closed {
        Ok(()) => close(ctx, bill, attempt.number, Source::Answer).await,
        Err(ProviderError::Conflict(code)) => Err(JobError::again(code)),
        Err(ProviderError::Refused(_)) => {
            // A provider without such a call, or one that has no trade yet: it ends at its expiry.
            let over = bill.expires_at + PROVIDER_LAG;
            if Timestamp::now() < over {
                return Err(JobError::Throttled { until: over });
            }
            if standing == Standing::Paying
                && let Some(until) = not_final(ctx, attempt, over)
            {
                return Err(JobError::Throttled { until });
            }
            close(ctx, bill, attempt.number, Source::Query).await
        }
        Err(ProviderError::OutcomeUnknown(_)) => {
            Err(ask_again(ctx, format!("trade {}", attempt.key)))
        }
        Err(other) => Err(question_failed(other)),
    }
}

/// When to ask again about an attempt that its provider cannot close and calls accepted after its
/// time `over`. UnionPay means that finally for what a payer begins on its page or in its app; for
/// a code or by a charge it may still be decided. If that takes longer than questions are asked, what comes later
/// is heard by notice or found in the bill file, and is a surplus.
fn not_final(ctx: &Context, attempt: &Attempt, over: Timestamp) -> Option<Timestamp> {
    let now = Timestamp::now();
    let pause =
        (attempt.code || attempt.card.is_some()).then(|| ctx.pace.again(now.since(over)))?;
    pause.map(|pause| now + pause)
}

/// Whether the call that makes the trade may still be under way.
fn is_in_flight(attempt: &Attempt) -> bool {
    let calls = attempt.state == AttemptState::Sent || attempt.is_charging();
    calls && Timestamp::now() < last_call(attempt) + IN_FLIGHT
}

/// When the call that makes the trade was last made.
fn last_call(attempt: &Attempt) -> Timestamp {
    attempt.card.as_ref().and_then(|card| card.sent_at).unwrap_or(attempt.sent_at)
}
