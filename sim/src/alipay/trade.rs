//! Creating, asking for and closing trades.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use serde_json::{Value, json};

use super::gateway::{Call, Done, Fail};
use crate::{
    book::{Book, Dialect, State, Trade},
    clock::{beijing, digits, parse_spaced, spaced},
    crypto::{nonce, sha256},
    fault::Act,
    http::{fen, yuan},
    ledger::Provider,
};

const MOST: i64 = 10_000_000_000;
const LIFETIME: TimeDelta = TimeDelta::days(15);
/// Codes that the payer scans in front of the merchant live shorter.
const CODE_LIFETIME: TimeDelta = TimeDelta::hours(3);
/// After it, nothing is refunded any more.
pub(super) const REFUND_WINDOW: TimeDelta = TimeDelta::days(365);

/// The name of a trade's state.
pub(super) fn status(trade: &Trade, now: DateTime<Utc>) -> &'static str {
    match trade.state(now) {
        State::Open => "WAIT_BUYER_PAY",
        State::Closed(_) => "TRADE_CLOSED",
        State::Paid(_) if trade.refunded() >= trade.amount => "TRADE_CLOSED",
        State::Paid(at) if now - at > REFUND_WINDOW => "TRADE_FINISHED",
        State::Paid(_) => "TRADE_SUCCESS",
    }
}

pub(super) fn precreate(call: &Call<'_>) -> Result<Done, Fail> {
    let order = order(call, &["QR_CODE_OFFLINE", "FACE_TO_FACE_PAYMENT"], CODE_LIFETIME)?;
    let (key, code) = (order.key.clone(), order.code().to_owned());
    let mut book = call.sim.book();
    if let Some(first) = book.by_key(Provider::Alipay, call.account.app_id(), &key) {
        let now = call.sim.now();
        return Err(match first.state(now) {
            State::Paid(_) => Fail::business("ACQ.TRADE_HAS_SUCCESS", "the trade is paid"),
            State::Closed(_) => Fail::business("ACQ.TRADE_HAS_CLOSE", "the trade is closed"),
            State::Open if first.data != order.data => {
                Fail::business("ACQ.CONTEXT_INCONSISTENT", "the number has other data")
            }
            State::Open => {
                let reason = "a second code for one number is refused";
                Fail::business("ACQ.APPLY_PC_MERCHANT_CODE_ERROR", reason)
            }
        });
    }
    let trade = add(&mut book, order)?;
    let qr_code = format!("{}/_sim/scan/{code}", call.sim.base());
    Ok(Done::node(json!({ "out_trade_no": key, "qr_code": qr_code })).about(trade))
}

pub(super) fn create(call: &Call<'_>) -> Result<Done, Fail> {
    if call.optional("op_app_id", 32)?.is_none() {
        return Err(Fail::bad("op_app_id", "is missing"));
    }
    let open_id = call.optional("buyer_open_id", 128)?;
    let Some(buyer) = open_id.or(call.optional("buyer_id", 28)?) else {
        return Err(Fail::bad("buyer_open_id", "is missing, and buyer_id as well"));
    };
    let mut order = order(call, &["JSAPI_PAY"], LIFETIME)?;
    order.payer = Some(buyer);
    order.known = true;
    let trade = place(call, order)?;
    let node = json!({ "out_trade_no": trade.key, "trade_no": trade.number });
    Ok(Done::node(node).about(trade.id))
}

/// The trade of `order`: the one that has its number already, or a new one.
pub(super) fn place(call: &Call<'_>, order: Trade) -> Result<Trade, Fail> {
    let mut book = call.sim.book();
    let now = call.sim.now();
    if let Some(first) = book.by_key(Provider::Alipay, call.account.app_id(), &order.key) {
        return match first.state(now) {
            State::Paid(_) => Err(Fail::business("ACQ.TRADE_HAS_SUCCESS", "the trade is paid")),
            State::Closed(_) => Err(Fail::business("ACQ.TRADE_HAS_CLOSE", "the trade is closed")),
            State::Open if first.data != order.data => {
                Err(Fail::business("ACQ.CONTEXT_INCONSISTENT", "the number has other data"))
            }
            State::Open => Ok(first.clone()),
        };
    }
    let trade = add(&mut book, order)?;
    let trade = book.get(trade).cloned();
    trade.ok_or_else(|| Fail::business("ACQ.SYSTEM_ERROR", "the trade is gone"))
}

fn add(book: &mut Book, mut order: Trade) -> Result<u64, Fail> {
    let serial = book.serial();
    let moment = digits(order.created);
    let (day, time) = moment.split_at(8);
    order.number = format!("{day}22001{time}{serial:09}");
    let full = |_| Fail::business("ACQ.SYSTEM_ERROR", "the simulator is full");
    book.open(order).map(|trade| trade.id).map_err(full)
}

/// A trade out of the checked fields of a creating call; it is not in the book yet.
pub(super) fn order(
    call: &Call<'_>,
    products: &[&str],
    lifetime: TimeDelta,
) -> Result<Trade, Fail> {
    let now = call.sim.now();
    let key = out_trade_no(call)?.ok_or_else(|| Fail::bad("out_trade_no", "is missing"))?;
    let total = call.required("total_amount", 12)?;
    let amount = fen(&total)
        .filter(|amount| (1..=MOST).contains(amount))
        .ok_or_else(|| Fail::bad("total_amount", "is not yuan from 0.01 to 100000000.00"))?;
    let subject = call.required("subject", 256)?;
    if subject.contains(['/', '=', '&']) {
        return Err(Fail::bad("subject", "has one of / = &"));
    }
    let product = call.required("product_code", 64)?;
    if !products.contains(&product.as_str()) {
        return Err(Fail::bad("product_code", &format!("is none of {products:?}")));
    }
    let body = call.optional("body", 128)?;
    let attach = call.optional("passback_params", 512)?;
    let seller = call.optional("seller_id", 28)?;
    if seller.is_some_and(|seller| seller != call.account.merchant.seller_id) {
        return Err(Fail::business("ACQ.PARTNER_ERROR", "seller_id is not this application's"));
    }
    let notify_url = call.params.get("notify_url");
    let parts = (&product, amount, &subject, &body, &attach, &notify_url);
    let mut facts = BTreeMap::new();
    if let Some(body) = &body {
        facts.insert("body".to_owned(), body.clone());
    }
    Ok(Trade {
        id: 0,
        provider: Provider::Alipay,
        merchant: call.account.app_id().to_owned(),
        app: call.account.app_id().to_owned(),
        key,
        number: String::new(),
        data: sha256(format!("{parts:?}").as_bytes()),
        product,
        amount,
        subject,
        attach,
        notify_url,
        return_url: call.params.get("return_url"),
        payer: None,
        codes: vec![format!("bax{}", nonce(17))],
        known: false,
        declined: false,
        refused: None,
        created: now,
        expires: expiry(call, now)?.unwrap_or(now + lifetime),
        state: State::Open,
        refunds: Vec::new(),
        dialect: Dialect::Alipay,
        facts,
    })
}

/// The merchant's number, when it is there.
fn out_trade_no(call: &Call<'_>) -> Result<Option<String>, Fail> {
    let number = call.optional("out_trade_no", 64)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if number.as_ref().is_some_and(|number| !number.chars().all(plain)) {
        return Err(Fail::bad("out_trade_no", "has more than letters, digits and _"));
    }
    Ok(number)
}

fn expiry(call: &Call<'_>, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, Fail> {
    if let Some(text) = call.optional("time_expire", 32)? {
        let moment =
            parse_spaced(&text).ok_or_else(|| Fail::bad("time_expire", "is not a time"))?;
        if moment <= now {
            let reason = "time_expire is over";
            return Err(Fail::business("ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR", reason));
        }
        return Ok(Some(moment));
    }
    let Some(text) = call.optional("timeout_express", 6)? else { return Ok(None) };
    let wrong = || Fail::bad("timeout_express", "is not from 1m to 15d, or 1c");
    if text == "1c" {
        let time = beijing(now).time();
        let passed = TimeDelta::seconds(i64::from(time.num_seconds_from_midnight()));
        return Ok(Some(now + TimeDelta::days(1) - passed));
    }
    let unit = text.chars().last().ok_or_else(wrong)?;
    let count: i64 = text.trim_end_matches(unit).parse().map_err(|_| wrong())?;
    let count = if (1..=21_600).contains(&count) { count } else { return Err(wrong()) };
    let span = match unit {
        'm' => TimeDelta::minutes(count),
        'h' => TimeDelta::hours(count),
        'd' => TimeDelta::days(count),
        _ => return Err(wrong()),
    };
    if span > LIFETIME { Err(wrong()) } else { Ok(Some(now + span)) }
}

/// The trade that a call names; `trade_no` wins. One that nobody scanned does not exist yet.
pub(super) fn named(call: &Call<'_>) -> Result<Trade, Fail> {
    let (number, key) = (call.optional("trade_no", 64)?, out_trade_no(call)?);
    let app = call.account.app_id();
    let book = call.sim.book();
    let trade = match (number, key) {
        (Some(number), _) => book.by_number(Provider::Alipay, app, &number),
        (None, Some(key)) => book.by_key(Provider::Alipay, app, &key),
        (None, None) => {
            return Err(Fail::bad("out_trade_no", "is missing, and trade_no as well"));
        }
    };
    trade
        .filter(|trade| trade.known)
        .cloned()
        .ok_or_else(|| Fail::business("ACQ.TRADE_NOT_EXIST", "there is no such trade"))
}

pub(super) fn query(call: &Call<'_>) -> Result<Done, Fail> {
    let trade = named(call)?;
    let now = call.sim.now();
    let mut node = json!({
        "trade_no": trade.number,
        "out_trade_no": trade.key,
        "trade_status": status(&trade, now),
        "total_amount": yuan(trade.amount),
        "subject": trade.subject,
        "buyer_logon_id": "159****5620",
    });
    let paid = trade.paid_at();
    let received = yuan(if paid.is_some() { trade.amount } else { 0 });
    for name in ["receipt_amount", "buyer_pay_amount", "invoice_amount"] {
        node[name] = json!(received);
    }
    node["point_amount"] = json!("0.00");
    if let Some(at) = paid {
        node["send_pay_date"] = json!(spaced(at));
        node["buyer_user_id"] = json!(trade.payer);
        let bill = json!([{ "amount": yuan(trade.amount), "fund_channel": "ALIPAYACCOUNT" }]);
        node["fund_bill_list"] = bill;
    }
    Ok(Done::node(node).about(trade.id))
}

pub(super) fn close(call: &Call<'_>) -> Result<Done, Fail> {
    let trade = named(call)?;
    let now = call.sim.now();
    match trade.state(now) {
        State::Open => {}
        State::Paid(at) if now - at > REFUND_WINDOW => {
            return Err(Fail::business("ACQ.TRADE_HAS_FINISHED", "the trade is finished"));
        }
        State::Paid(_) => {
            return Err(Fail::business("ACQ.TRADE_STATUS_ERROR", "the trade is paid"));
        }
        State::Closed(_) => {
            let reason = "the trade is closed already";
            return Err(Fail::business("ACQ.REASON_TRADE_STATUS_INVALID", reason));
        }
    }
    let closed = call.sim.book().close(trade.id, now);
    closed.map_err(|_| Fail::business("ACQ.TRADE_STATUS_ERROR", "the trade is paid"))?;
    if call.act == Some(&Act::PayAfterClose) {
        let _ = call.sim.pay(trade.id, true);
    }
    let node: Value = json!({ "trade_no": trade.number, "out_trade_no": trade.key });
    Ok(Done::node(node).about(trade.id))
}
