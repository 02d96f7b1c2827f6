//! Orders: by form, for apps, by code.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Call, Done, Fields, message::Fail};
use crate::{
    book::{Book, Dialect, Full, State, Trade},
    clock::{digits, parse_digits},
    crypto::nonce,
    ledger::Provider,
};

/// How long an order waits when the merchant does not say it.
const LIFETIME: TimeDelta = TimeDelta::hours(24);

/// Fields of the request that later messages repeat.
pub(super) const KEPT: [&str; 13] = [
    "version",
    "encoding",
    "accessType",
    "merId",
    "orderId",
    "txnTime",
    "txnType",
    "txnSubType",
    "bizType",
    "reqReserved",
    "txnAmt",
    "currencyCode",
    "channelType",
];

/// A new order out of a checked request, put into the book.
pub(super) fn place(call: &Call<'_>, product: &str, code: String) -> Result<Trade, Fail> {
    let trade = draft(call, product, vec![code])?;
    let mut book = call.sim.book();
    // Two calls with the same number may have come this far.
    if is_known(&book, call) {
        return Err(duplicate());
    }
    book.open(trade).map(|trade| trade.clone()).map_err(full)
}

/// A new order out of a checked request; the book has given it a number and does not know it yet.
pub(super) fn draft(call: &Call<'_>, product: &str, codes: Vec<String>) -> Result<Trade, Fail> {
    is_new(call)?;
    call.is_fresh()?;
    let amount = call.amount()?;
    currency(call)?;
    let notify_url = call.required("backUrl")?.to_owned();
    let now = call.sim.now();
    let expires = deadline(call)?;
    let front = call.field("frontUrl");
    let serial = call.sim.book().serial();
    Ok(Trade {
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
        codes,
        known: true,
        declined: false,
        refused: None,
        created: now,
        expires,
        state: State::Open,
        refunds: Vec::new(),
        dialect: Dialect::UnionPay,
        facts: kept(call),
    })
}

/// There is no room for another one.
pub(super) fn full(_: Full) -> Fail {
    Fail::new("06", "the simulator is full")
}

/// Until when a person may take their time.
pub(super) fn deadline(call: &Call<'_>) -> Result<DateTime<Utc>, Fail> {
    let now = call.sim.now();
    match call.field("payTimeout") {
        "" => Ok(now + LIFETIME),
        text => parse_digits(text).filter(|at| *at > now).ok_or_else(|| Fail::field("payTimeout")),
    }
}

/// Asks for yuan.
pub(super) fn currency(call: &Call<'_>) -> Result<(), Fail> {
    if call.required("currencyCode")? == "156" { Ok(()) } else { Err(Fail::field("currencyCode")) }
}

/// What later messages repeat of this request.
pub(super) fn kept(call: &Call<'_>) -> Fields {
    let kept = call.fields.iter().filter(|(name, _)| KEPT.contains(&name.as_str()));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The same `merId`, `orderId` and `txnTime` are one transaction, whatever else is said.
pub(super) fn is_new(call: &Call<'_>) -> Result<(), Fail> {
    if is_known(&call.sim.book(), call) { Err(duplicate()) } else { Ok(()) }
}

/// Whether some transaction has the number of `call`.
pub(super) fn is_known(book: &Book, call: &Call<'_>) -> bool {
    let (mer_id, key) = (call.account.mer_id(), call.key());
    book.by_key(Provider::UnionPay, mer_id, &key).is_some()
        || book.refund(Provider::UnionPay, mer_id, &key).is_some()
        || call.sim.cards.knows(mer_id, &key)
}

pub(super) fn duplicate() -> Fail {
    Fail::new("12", "Duplicate transaction[orderId]")
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
