//! Refunds, their query, and the cancellation.

use std::collections::BTreeMap;

use serde_json::json;

use super::{
    gateway::{Call, Done, Fail, limited},
    trade::{REFUND_WINDOW, named},
};
use crate::{
    book::{Dialect, End, Refund, Refused, Request, State, Trade},
    clock::{span, spaced},
    http::{fen, yuan},
    ledger::Provider,
};

pub(super) fn refund(call: &Call<'_>) -> Result<Done, Fail> {
    let trade = named(call)?;
    let amount = call.required("refund_amount", 12)?;
    let amount = fen(&amount)
        .filter(|amount| *amount >= 1)
        .ok_or_else(|| Fail::bad("refund_amount", "is not yuan, 0.01 or more"))?;
    let number = match call.optional("out_request_no", 64)? {
        Some(number) => number,
        None if amount == trade.amount => trade.key.clone(),
        None => return Err(Fail::bad("out_request_no", "is needed for a partial refund")),
    };
    call.optional("refund_reason", 256)?;
    let (trade, refund, fresh) = take(call, &trade, number, amount)?;
    let node = json!({
        "trade_no": trade.number,
        "out_trade_no": trade.key,
        "buyer_logon_id": "159****5620",
        "buyer_user_id": trade.payer,
        "refund_fee": yuan(trade.refunded()),
        "fund_change": if fresh { "Y" } else { "N" },
        "gmt_refund_pay": spaced(refund.at),
    });
    Ok(Done::node(node).about(trade.id))
}

fn take(
    call: &Call<'_>,
    trade: &Trade,
    number: String,
    amount: i64,
) -> Result<(Trade, Refund, bool), Fail> {
    let now = call.sim.now();
    let name = trade.refund_name(&number);
    let mut book = call.sim.book();
    let repeated = book.refund(Provider::Alipay, &trade.merchant, &name).is_some();
    let full = trade.refunded() >= trade.amount;
    match trade.state(now) {
        State::Paid(at) if now - at > REFUND_WINDOW => {
            return Err(Fail::business("ACQ.TRADE_HAS_FINISHED", "the refund window is over"));
        }
        State::Paid(_) if full && !repeated => {
            return Err(Fail::business("ACQ.TRADE_HAS_CLOSE", "the trade is refunded in full"));
        }
        _ => {}
    }
    let refund = Refund {
        number,
        id: String::new(),
        amount,
        data: amount.to_string(),
        at: now,
        ended: Some(now),
        end: End::Success,
        notify_url: None,
        dialect: Dialect::Alipay,
        facts: BTreeMap::new(),
    };
    let gap = span(call.sim.settings.quotas.alipay_refund_gap);
    let request = Request { refund, gap, most: usize::MAX };
    book.take_refund(trade.id, request, now).map_err(refusal)
}

fn refusal(refused: Refused) -> Fail {
    let (sub_code, reason) = match refused {
        Refused::OtherData => ("ACQ.DISCORDANT_REPEAT_REQUEST", "the number has another amount"),
        Refused::TooMuch => ("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", "more than is left of the trade"),
        Refused::NotEnough => ("ACQ.SELLER_BALANCE_NOT_ENOUGH", "the seller has not as much"),
        Refused::TooSoon => return limited("refunds of one trade come too fast"),
        Refused::Closed => ("ACQ.TRADE_HAS_CLOSE", "the trade is closed"),
        Refused::NotPaid | Refused::Paid | Refused::TooMany => {
            ("ACQ.TRADE_STATUS_ERROR", "the trade is not paid")
        }
    };
    Fail::business(sub_code, reason)
}

/// An unknown refund answers with success, and without any field of a refund.
pub(super) fn query(call: &Call<'_>) -> Result<Done, Fail> {
    let trade = named(call)?;
    let number = call.required("out_request_no", 64)?;
    let name = trade.refund_name(&number);
    let book = call.sim.book();
    let Some((trade, refund)) = book.refund(Provider::Alipay, &trade.merchant, &name) else {
        return Ok(Done::node(json!({})).about(trade.id));
    };
    let node = json!({
        "trade_no": trade.number,
        "out_trade_no": trade.key,
        "out_request_no": refund.number,
        "total_amount": yuan(trade.amount),
        "refund_amount": yuan(refund.amount),
        "refund_status": "REFUND_SUCCESS",
        "gmt_refund_pay": spaced(refund.at),
    });
    Ok(Done::node(node).about(trade.id))
}

/// Closes what is unpaid, pays back what is paid; what does not exist is cancelled without a trace.
pub(super) fn cancel(call: &Call<'_>) -> Result<Done, Fail> {
    let now = call.sim.now();
    let trade = match named(call) {
        Ok(trade) => trade,
        Err(fail) if fail.reason().contains("TRADE_NOT_EXIST") => {
            let key = call.optional("out_trade_no", 64)?;
            return Ok(Done::node(json!({ "out_trade_no": key, "retry_flag": "N" })));
        }
        Err(fail) => return Err(fail),
    };
    let action = match trade.state(now) {
        State::Open => {
            let _ = call.sim.book().close(trade.id, now);
            Some("close")
        }
        State::Closed(_) => None,
        State::Paid(_) => {
            let left = trade.amount - trade.refunded();
            if left > 0 {
                take(call, &trade, format!("{}_cancel", trade.key), left)?;
            }
            Some("refund")
        }
    };
    let mut node = json!({
        "trade_no": trade.number, "out_trade_no": trade.key, "retry_flag": "N",
    });
    if let Some(action) = action {
        node["action"] = json!(action);
    }
    Ok(Done::node(node).about(trade.id))
}
