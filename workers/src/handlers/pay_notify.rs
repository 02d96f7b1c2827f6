//! Takes in what a provider has told by itself.

use schemas::{
    BillRecord, BillSn, JobError, Timestamp,
    bill::{Attempt, Paid, Source},
    kinds::{
        PayNotify,
        pay_notify::{TakenIn, Told, ToldNews},
    },
};

use crate::{
    handler::{Context, Handler, Undo, store_again},
    paying::{
        Heard, contradicted, foreign_notice, hear_of_refund, look_at_refund, look_at_trade, pay,
        refund_detail,
    },
};

impl Handler for PayNotify {
    async fn run(ctx: &Context, told: &Told) -> Result<TakenIn, JobError> {
        let sn = BillSn::of_key(told.key().as_str()).ok_or_else(|| foreign(told))?;
        let bill = ctx.store.bills.get(&sn).await.map_err(store_again)?;
        let bill = bill.ok_or_else(|| foreign(told))?;
        match &told.news {
            ToldNews::Paid { key, transaction_id, amount, paid_at } => {
                let number = own_attempt(told, bill.attempt_of_key(key.as_str()))?.number;
                let at = paid_at.unwrap_or_else(Timestamp::now);
                let transaction_id = transaction_id.clone();
                let paid = Paid { transaction_id, amount: *amount, at };
                let (_, heard) = pay(ctx, bill, number, &paid, Source::Notify).await?;
                Ok(taken_in(heard))
            }
            ToldNews::Trade { key } => {
                let attempt = own_attempt(told, bill.attempt_of_key(key.as_str()))?;
                look_at_trade(ctx, &bill.id, attempt, None).await?;
                Ok(TakenIn::Asked)
            }
            ToldNews::Refund { key, state, provider_id, amount } => {
                let number = own_refund(told, &bill, key.as_str())?;
                let refund = bill.refund(number).ok_or_else(|| foreign(told))?;
                if amount.is_some_and(|amount| amount != refund.amount) {
                    contradicted(&bill);
                    look_at_refund(ctx, &bill, refund, None).await?;
                    return Ok(TakenIn::Held);
                }
                let detail = refund_detail(*state, provider_id.as_deref());
                let (_, heard) =
                    hear_of_refund(ctx, bill, number, *state, detail, Source::Notify).await?;
                Ok(taken_in(heard))
            }
            ToldNews::AskRefund { key } => {
                let number = own_refund(told, &bill, key.as_str())?;
                let refund = bill.refund(number).ok_or_else(|| foreign(told))?;
                look_at_refund(ctx, &bill, refund, None).await?;
                Ok(TakenIn::Asked)
            }
        }
    }

    async fn undo(_: &Context, _: &Told) -> Result<Undo, JobError> {
        Ok(Undo::TooLate)
    }
}

/// The attempt, if it went through the account that the message came to.
fn own_attempt<'a>(told: &Told, attempt: Option<&'a Attempt>) -> Result<&'a Attempt, JobError> {
    let own = |attempt: &&Attempt| attempt.channel == told.channel && attempt.app == told.app;
    attempt.filter(own).ok_or_else(|| foreign(told))
}

/// Number of the refund, if it goes through the account that the message came to.
fn own_refund(told: &Told, bill: &BillRecord, key: &str) -> Result<u32, JobError> {
    let refund = bill.refund_of_key(key).ok_or_else(|| foreign(told))?;
    own_attempt(told, bill.attempt(refund.attempt))?;
    Ok(refund.number)
}

/// Genuine, and about nothing that Feat has begun at this account.
fn foreign(told: &Told) -> JobError {
    foreign_notice(told.channel);
    JobError::Rejected("nothing_of_ours")
}

const fn taken_in(heard: Heard) -> TakenIn {
    match heard {
        Heard::Known => TakenIn::Known,
        Heard::Recorded => TakenIn::Recorded,
        Heard::Surplus(_) | Heard::Contradiction => TakenIn::Held,
    }
}
