//! Orders: by form, for apps, by code.

use chrono::TimeDelta;

use super::{
    Call, Done, Fields,
    message::Fail,
};
use crate::{
    book::{Dialect, State, Trade},
    clock::{digits, parse_digits},
    crypto::nonce,
    ledger::Provider,
};

/// How long an order waits when the merchant does not say it.
const LIFETIME: TimeDelta = TimeDelta::hours(24);

/// Fields of the request that later messages repeat.
pub(super) const KEPT: [&str; 13] = [
    "version", "encoding", "accessType", "merId", "orderId", "txnTime", "txnType", "txnSubType",
    "bizType", "reqReserved", "txnAmt", "currencyCode", "channelType",
];

/// A new order out of a checked request, put into the book.
pub(super) fn place(call: &Call<'_>, product: &str, code: String) -> Result<Trade, Fail> {
    is_new(call)?;
    call.is_fresh()?;
    let amount = call.amount()?;
    if call.required("currencyCode")? != "156" {
        return Err(Fail::field("currencyCode"));
    }
    let notify_url = call.required("backUrl")?.to_owned();
    let now = call.sim.now();
    let expires = match call.field("payTimeout") {
        "" => now + LIFETIME,
        text => parse_digits(text).filter(|at| *at > now).ok_or_else(|| Fail::field("payTimeout"))?,
    };
    let front = call.field("frontUrl");
    let mut book = call.sim.book();
    let serial = book.serial();
    let trade = Trade {
        id: 0,
        provider: Provider::UnionPay,
        merchant: call.account.mer_id().to_owned(),
        app: call.account.mer_id().to_owned(),
        key: call.key(),
        number: format!("{}{serial:07}", digits(now)),
        product: product.to_owned(),
        amount,
        subject: call.field("orderDesc").to_owned(),
        attach: None,
        notify_url: Some(notify_url),
        return_url: (!front.is_empty()).then(|| front.to_owned()),
        payer: None,
        data: String::new(),
        codes: vec![code],
        known: true,
        declined: false,
        created: now,
        expires,
        state: State::Open,
        refunds: Vec::new(),
        dialect: Dialect::UnionPay,
        facts: kept(call),
    };
    let placed = book.open(trade).map(|trade| trade.clone());
    placed.map_err(|_| Fail::new("06", "the simulator is full"))
}

/// What later messages repeat of this request.
pub(super) fn kept(call: &Call<'_>) -> Fields {
    let kept = call.fields.iter().filter(|(name, _)| KEPT.contains(&name.as_str()));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The same `merId`, `orderId` and `txnTime` are one transaction, whatever else is said.
pub(super) fn is_new(call: &Call<'_>) -> Result<(), Fail> {
    let (mer_id, key) = (call.account.mer_id(), call.key());
    let book = call.sim.book();
    let known = book.by_key(Provider::UnionPay, mer_id, &key).is_some()
        || book.refund(Provider::UnionPay, mer_id, &key).is_some();
    if known { Err(Fail::new("12", "Duplicate transaction[orderId]")) } else { Ok(()) }
}

/// Asks for a channel.
pub(super) fn channel(call: &Call<'_>, allowed: &[&str]) -> Result<(), Fail> {
    if allowed.contains(&call.required("channelType")?) {
        Ok(())
    } else {
        Err(Fail::field("channelType"))
    }
}

pub(super) fn app(call: &Call<'_>) -> Result<Done, Fail> {
    if !call.is("01", "01", &["000201"]) {
        return Err(Fail::new("14", "Invalid transaction type[txnType]"));
    }
    channel(call, &["08"])?;
    let tn: u64 = rand::random_range(0..10_000_000);
    let tn = format!("{}{tn:07}", digits(call.sim.now()));
    let trade = place(call, "app", tn.clone())?;
    Ok(Done { fields: [("tn".to_owned(), tn)].into(), trade: Some(trade.id) })
}

pub(super) fn qr(call: &Call<'_>) -> Result<Done, Fail> {
    if !call.is("01", "07", &["000000"]) {
        return Err(Fail::new("14", "Invalid transaction type[bizType]"));
    }
    channel(call, &["08"])?;
    let code = nonce(30);
    let trade = place(call, "qr", code.clone())?;
    let qr_code = format!("{}/_sim/scan/{code}", call.sim.base());
    Ok(Done { fields: [("qrCode".to_owned(), qr_code)].into(), trade: Some(trade.id) })
}
