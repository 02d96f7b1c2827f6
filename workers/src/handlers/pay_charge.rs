//! Charges a card without the provider's page.

use std::time::Duration;

use providers::payment::{Call, Card, Charge, ProviderError};
use schemas::{
    BillRecord, Job, JobError, Timestamp,
    bill::{Attempt, AttemptState, BillRefusal, Source},
    card::SEALED_TEXT_CODE,
    kinds::{PayCharge, pay_charge::CardCharge, pay_query::PayStanding},
};

use crate::{
    fault,
    handler::{Context, Handler, Undo},
    paying::{
        Standing, Step, ask_again, ask_for_trade, change, close, load, look_at_trade, provider,
        question_failed, refused, take_in_trade, trade_ref,
    },
};

/// After this long a call of which nothing was heard, and whose trade its provider does not know, has
/// not arrived.
const ON_ITS_WAY: Duration = Duration::from_mins(10);

/// How long the holder's consent stands, from the moment their code was sent: after that nothing is
/// charged any more, however long the provider was away.
const CONSENT_LIFE: Duration = Duration::from_mins(10);

/// What UnionPay answers when the code is wrong.
const WRONG_CODE: &str = "71";

impl Handler for PayCharge {
    async fn run(ctx: &Context, wish: &CardCharge) -> Result<PayStanding, JobError> {
        let bill = load(ctx, &wish.sn).await?;
        let attempt = attempt_of(&bill, wish)?;
        match attempt.state {
            AttemptState::Open if attempt.is_uncharged() => charge(ctx, wish, bill, &attempt).await,
            AttemptState::Open => resume(ctx, wish, bill, &attempt).await,
            _ => conclude(ctx, &bill, wish),
        }
    }

    async fn undo(ctx: &Context, wish: &CardCharge) -> Result<Undo, JobError> {
        let bill = load(ctx, &wish.sn).await?;
        let charged = bill.attempt(wish.attempt).is_some_and(|one| !one.is_uncharged());
        Ok(if charged { Undo::TooLate } else { Undo::Undone })
    }

    /// A charge that never left, because the provider was away all the time, makes way for the
    /// holder's next try. One that may have left is followed until its end is known.
    async fn give_up(ctx: &Context, wish: &CardCharge) -> Result<(), JobError> {
        let bill = load(ctx, &wish.sn).await?;
        match bill.attempt(wish.attempt).cloned() {
            Some(attempt) if attempt.is_charging() => {
                look_at_trade(ctx, &bill.id, &attempt, Some(0)).await
            }
            Some(attempt) if attempt.is_uncharged() => {
                close(ctx, bill, attempt.number, Source::Answer).await.map(drop)
            }
            _ => Ok(()),
        }
    }
}

/// An earlier run has begun the charge: asks before anything is done again.
async fn resume(
    ctx: &Context,
    wish: &CardCharge,
    bill: BillRecord,
    attempt: &Attempt,
) -> Result<PayStanding, JobError> {
    match ask_for_trade(ctx, bill, attempt).await? {
        // It never arrived. The same number again charges once, also when it arrives late.
        (bill, Standing::NotFound) => charge(ctx, wish, bill, attempt).await,
        (bill, Standing::Paid | Standing::Closed) => conclude(ctx, &bill, wish),
        (_, Standing::Open | Standing::Paying) => Err(still_unknown(ctx, attempt)),
    }
}

/// Says in the bill that the card is charged, and charges it.
async fn charge(
    ctx: &Context,
    wish: &CardCharge,
    bill: BillRecord,
    attempt: &Attempt,
) -> Result<PayStanding, JobError> {
    if !is_consented(attempt, Timestamp::now()) {
        return expire(ctx, bill, attempt).await;
    }
    let (bill, ()) = change(ctx, bill, |bill| {
        let charged =
            bill.charge(wish.attempt, Timestamp::now()).map_err(|refusal| match refusal {
                BillRefusal::Ended => JobError::Rejected("attempt_closed"),
                other => refused(other),
            });
        Ok(Step::Save(charged?, ()))
    })
    .await?;
    let attempt = attempt_of(&bill, wish)?;
    let at = provider(ctx, attempt.channel, &attempt.app)?;
    let order = order(ctx, wish, &bill, &attempt)?;
    let mut call = Call::default();
    fault::point("worker.before_call", PayCharge::KIND).await;
    let answer = at.gateway.charge(&order, &mut call).await;
    fault::point("worker.in_effect", PayCharge::KIND).await;
    at.note(call);
    match answer {
        Ok(()) => confirm(ctx, wish, bill, &attempt).await,
        Err(ProviderError::Refused(_)) if may_still_arrive(&attempt) => {
            Err(still_unknown(ctx, &attempt))
        }
        Err(ProviderError::Refused(code)) => {
            let bill = refuse(ctx, bill, wish.attempt, &code).await?;
            conclude(ctx, &bill, wish)
        }
        // The number is known already: what the provider says of the trade decides.
        Err(ProviderError::Conflict(_)) => match ask_for_trade(ctx, bill, &attempt).await? {
            (bill, Standing::Paid | Standing::Closed) => conclude(ctx, &bill, wish),
            _ => Err(still_unknown(ctx, &attempt)),
        },
        Err(ProviderError::OutcomeUnknown(_)) => Err(still_unknown(ctx, &attempt)),
        Err(
            other @ (ProviderError::NotNow { .. }
            | ProviderError::Throttled(_)
            | ProviderError::NotSent { .. }
            | ProviderError::Misconfigured(_)),
        ) => Err(question_failed(other)),
    }
}

/// The provider has taken the charge: its own word about the trade is asked for, now and, while that
/// is not final, later.
async fn confirm(
    ctx: &Context,
    wish: &CardCharge,
    bill: BillRecord,
    attempt: &Attempt,
) -> Result<PayStanding, JobError> {
    let at = provider(ctx, attempt.channel, &attempt.app)?;
    let mut call = Call::default();
    let state = at.gateway.query(&trade_ref(&bill, attempt), &mut call).await;
    at.note(call);
    let bill = match state {
        Ok(state) => take_in_trade(ctx, bill, attempt.number, &state, Source::Query).await?.0,
        Err(_) => bill,
    };
    if bill.attempt(attempt.number).is_some_and(Attempt::is_charging) {
        look_at_trade(ctx, &bill.id, attempt, Some(0)).await?;
        return Ok(PayStanding { sn: bill.id, status: bill.status });
    }
    conclude(ctx, &bill, wish)
}

fn is_consented(attempt: &Attempt, now: Timestamp) -> bool {
    attempt.offer.as_ref().is_some_and(|sent| now < sent.at + CONSENT_LIFE)
}

/// Gives up an attempt whose consent is too old, and of which its provider knows nothing.
async fn expire(
    ctx: &Context,
    bill: BillRecord,
    attempt: &Attempt,
) -> Result<PayStanding, JobError> {
    let last = attempt.card.as_ref().and_then(|card| card.sent_at);
    if last.is_some_and(|last| Timestamp::now() < last + ON_ITS_WAY) {
        return Err(still_unknown(ctx, attempt));
    }
    close(ctx, bill, attempt.number, Source::Query).await?;
    Err(JobError::Rejected("code_expired"))
}

/// Whether an earlier call, of which nothing was heard, may still be on its way: a refusal of the one
/// after it says nothing about that one.
fn may_still_arrive(attempt: &Attempt) -> bool {
    attempt.card.as_ref().is_some_and(|card| {
        let repeated = card.charged_at != card.sent_at;
        repeated && card.charged_at.is_some_and(|first| Timestamp::now() < first + ON_ITS_WAY)
    })
}

async fn refuse(
    ctx: &Context,
    bill: BillRecord,
    number: u32,
    code: &str,
) -> Result<BillRecord, JobError> {
    let by = format!("job {}", ctx.job);
    let refusal =
        change(ctx, bill, |bill| match bill.refuse_attempt(number, code, &by, Timestamp::now()) {
            Ok(next) => Ok(Step::Save(next, ())),
            Err(BillRefusal::Ended) => Ok(Step::Keep(())),
            Err(other) => Err(refused(other)),
        });
    Ok(refusal.await?.0)
}

fn order(
    ctx: &Context,
    wish: &CardCharge,
    bill: &BillRecord,
    attempt: &Attempt,
) -> Result<Charge, JobError> {
    let sealer = &ctx.till.sealer;
    let unreadable = |_| JobError::again("the card's seal cannot be opened");
    Ok(Charge {
        trade: trade_ref(bill, attempt),
        amount: bill.amount,
        notify_url: ctx.till.notify_url(attempt.channel, &attempt.app),
        card: Card::open(sealer, &wish.card).map_err(unreadable)?,
        code: sealer.open(SEALED_TEXT_CODE, &wish.code).map_err(unreadable)?,
    })
}

/// The job's end, from what the bill says about its attempt.
fn conclude(ctx: &Context, bill: &BillRecord, wish: &CardCharge) -> Result<PayStanding, JobError> {
    let attempt = attempt_of(bill, wish)?;
    match (attempt.state, attempt.refused.as_deref()) {
        (AttemptState::Paid, _) => Ok(PayStanding { sn: bill.id.clone(), status: bill.status }),
        (AttemptState::Refused, Some(WRONG_CODE)) => Err(JobError::Rejected("invalid_vcode")),
        (AttemptState::Refused, _) => Err(JobError::Rejected("provider_refused")),
        (AttemptState::Closed, _) => Err(JobError::Rejected("attempt_closed")),
        (AttemptState::Sent | AttemptState::Open, _) => Err(still_unknown(ctx, &attempt)),
    }
}

fn still_unknown(ctx: &Context, attempt: &Attempt) -> JobError {
    ask_again(ctx, format!("trade {}", attempt.key))
}

fn attempt_of(bill: &BillRecord, wish: &CardCharge) -> Result<Attempt, JobError> {
    let attempt = bill.attempt(wish.attempt).cloned();
    attempt.ok_or(JobError::Rejected(BillRefusal::Unheard.code()))
}
