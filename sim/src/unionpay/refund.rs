//! Money back: cancellation, refund, reversal.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::{
    Call, Done,
    message::Fail,
    order::{is_new, kept},
};
use crate::{
    book::{Dialect, End, Refund, Refused, Request, State, Trade},
    clock::{beijing, digits, span},
    fault::Act,
    ledger::Provider,
};

/// How long a payment by gateway or app can be refunded, and one by code.
const WINDOW: TimeDelta = TimeDelta::days(330);
const QR_WINDOW: TimeDelta = TimeDelta::days(30);

/// The settlement day of a moment: it begins at 23:00 of the day before.
pub(super) fn settlement_day(at: DateTime<Utc>) -> NaiveDate {
    beijing(at + TimeDelta::hours(1)).date_naive()
}

pub(super) fn refund(call: &Call<'_>) -> Result<Done, Fail> {
    let (original, paid) = original(call)?;
    let window = if original.product == "qr" { QR_WINDOW } else { WINDOW };
    if call.sim.now() - paid > window {
        return Err(Fail::new("39", "outside of the refund window[txnTime]"));
    }
    give_back(call, &original, call.amount()?, call.key())
}

/// The whole amount, on the settlement day of the payment.
pub(super) fn cancel(call: &Call<'_>) -> Result<Done, Fail> {
    let (original, paid) = original(call)?;
    if settlement_day(paid) != settlement_day(call.sim.now()) {
        return Err(Fail::new("39", "not on the settlement day of the payment[txnTime]"));
    }
    if call.amount()? != original.amount {
        return Err(Fail::new("36", "not the amount of the original[txnAmt]"));
    }
    if !original.refunds.is_empty() {
        return Err(Fail::new("45", "already refunded or cancelled[origQryId]"));
    }
    give_back(call, &original, original.amount, call.key())
}

fn original(call: &Call<'_>) -> Result<(Trade, DateTime<Utc>), Fail> {
    is_new(call)?;
    if call.field("txnSubType") != "00" {
        return Err(Fail::new("14", "Invalid transaction type[txnSubType]"));
    }
    let number = call.required("origQryId")?;
    call.required("backUrl")?;
    call.required("channelType")?;
    call.is_fresh()?;
    call.amount()?;
    let book = call.sim.book();
    let original = book.by_number(Provider::UnionPay, call.account.mer_id(), number);
    let original = original.ok_or_else(|| Fail::new("35", "no such original[origQryId]"))?;
    let paid = original
        .paid_at()
        .ok_or_else(|| Fail::new("35", "the original is not paid[origQryId]"))?;
    if call.field("bizType") != original.fact("bizType") {
        return Err(Fail::new("36", "not the type of the original[bizType]"));
    }
    Ok((original.clone(), paid))
}

fn give_back(call: &Call<'_>, original: &Trade, amount: i64, number: String) -> Result<Done, Fail> {
    let now = call.sim.now();
    let end = match call.act {
        Some(Act::RefundClosed) => End::Closed,
        Some(Act::RefundAbnormal) => End::Abnormal,
        _ => End::Success,
    };
    let notify_url = call.field("backUrl");
    let mut book = call.sim.book();
    if original.refunded() >= original.amount {
        return Err(Fail::new("45", "already refunded or cancelled[origQryId]"));
    }
    let serial = book.serial();
    let id = format!("{}{serial:07}", digits(now));
    let refund = Refund {
        number,
        id: id.clone(),
        amount,
        data: amount.to_string(),
        at: now,
        ended: None,
        end,
        notify_url: (!notify_url.is_empty()).then(|| notify_url.to_owned()),
        dialect: Dialect::UnionPay,
        facts: kept(call),
    };
    let request = Request { refund, gap: TimeDelta::zero(), most: usize::MAX };
    let taken = book.take_refund(original.id, request, now);
    drop(book);
    let (trade, _, fresh) = taken.map_err(|refused| match refused {
        Refused::TooMuch => Fail::new("36", "more than is left of the original[txnAmt]"),
        Refused::NotEnough => Fail::new("33", "the merchant has not as much[txnAmt]"),
        Refused::OtherData => Fail::new("12", "Duplicate transaction[orderId]"),
        _ => Fail::new("35", "the original is not paid[origQryId]"),
    })?;
    if fresh {
        let due = now + span(call.sim.settings.refund_takes);
        call.sim.outbox.end_refund(trade.id, trade.refunds.len() - 1, due);
    }
    Ok(Done { fields: [("queryId".to_owned(), id)].into(), trade: Some(trade.id) })
}

/// Undoes a payment whose outcome the merchant does not know; as often as it likes.
pub(super) fn reversal(call: &Call<'_>) -> Result<Done, Fail> {
    if call.field("txnSubType") != "01" {
        return Err(Fail::new("14", "Invalid transaction type[txnSubType]"));
    }
    let key = call.key();
    let now = call.sim.now();
    let original = {
        let book = call.sim.book();
        book.by_key(Provider::UnionPay, call.account.mer_id(), &key).cloned()
    };
    let original = original.ok_or_else(|| Fail::new("34", "no such transaction[orderId]"))?;
    let reversed = Done { fields: super::Fields::new(), trade: Some(original.id) };
    match original.state(now) {
        State::Closed(_) => Ok(reversed),
        State::Open => {
            let closed = call.sim.book().close(original.id, now);
            closed.map(|()| reversed).map_err(|_| Fail::new("03", "the state is not known"))
        }
        State::Paid(_) if original.refunded() >= original.amount => Ok(reversed),
        State::Paid(_) => {
            let left = original.amount - original.refunded();
            give_back(call, &original, left, format!("{key}@99")).map(|_| reversed)
        }
    }
}
