//! Query, close and bill download.

use super::{Call, Fail, Fields, Outcome, bad, fields};
use crate::{
    book::{Refused, Trade},
    clock::{digits, span},
    fault::Act,
    http::Reply,
    wechat::{
        bill::{self, BillKind, NoBill},
        order::find,
        trade_state, trade_state_text,
    },
};

pub(super) fn order_query(call: &Call<'_>) -> Result<Outcome, Fail> {
    let trade = order(call)?;
    let state = trade_state(&trade, call.sim.now());
    let mut answer = match trade.paid_at() {
        Some(_) => paid_fields(&trade),
        None => fields([
            ("out_trade_no", trade.key.clone()),
            ("attach", trade.attach.clone().unwrap_or_default()),
            ("total_fee", trade.amount.to_string()),
        ]),
    };
    answer.insert("trade_state".to_owned(), state.to_owned());
    answer.insert("trade_state_desc".to_owned(), trade_state_text(state).to_owned());
    Ok(Outcome::Fields { fields: answer, trade: Some(trade.id) })
}

/// What a paid order tells, in the query as in the notification.
pub(in crate::wechat) fn paid_fields(trade: &Trade) -> Fields {
    fields([
        ("openid", trade.payer.clone().unwrap_or_default()),
        ("is_subscribe", "N".to_owned()),
        ("trade_type", trade.product.clone()),
        ("bank_type", "OTHERS".to_owned()),
        ("total_fee", trade.amount.to_string()),
        ("settlement_total_fee", trade.amount.to_string()),
        ("fee_type", "CNY".to_owned()),
        ("cash_fee", trade.amount.to_string()),
        ("cash_fee_type", "CNY".to_owned()),
        ("transaction_id", trade.number.clone()),
        ("out_trade_no", trade.key.clone()),
        ("attach", trade.attach.clone().unwrap_or_default()),
        ("time_end", trade.paid_at().map(digits).unwrap_or_default()),
    ])
}

fn order(call: &Call<'_>) -> Result<Trade, Fail> {
    let ids = (call.field("transaction_id"), call.field("out_trade_no"));
    if ids == (None, None) {
        let reason = "neither transaction_id nor out_trade_no is given";
        return Err(Fail::business("LACK_PARAMS", reason));
    }
    find(call.sim, call.account, ids.0, ids.1)
        .ok_or_else(|| Fail::business("ORDERNOTEXIST", "there is no such order"))
}

pub(super) fn close_order(call: &Call<'_>) -> Result<Outcome, Fail> {
    call.required("out_trade_no")?;
    let trade = order(call)?;
    let now = call.sim.now();
    if now - trade.created < span(call.sim.settings.quotas.wechat_close_gap) {
        return Err(Fail::business("SYSTEMERROR", "the order is too young to be closed"));
    }
    let closed = call.sim.book().close(trade.id, now);
    match closed {
        Err(Refused::Paid) => Err(Fail::business("ORDERPAID", "the order is paid")),
        Err(_) => Err(Fail::business("ORDERNOTEXIST", "there is no such order")),
        Ok(()) => {
            if call.act == Some(&Act::PayAfterClose) {
                let _ = call.sim.pay(trade.id, true);
            }
            Ok(Outcome::Fields { fields: Fields::new(), trade: Some(trade.id) })
        }
    }
}

pub(super) fn download_bill(call: &Call<'_>) -> Result<Outcome, Fail> {
    let date = call.required("bill_date")?;
    let noon = format!("{date}120000");
    let date =
        crate::clock::parse_digits(&noon).ok_or_else(|| bad("bill_date", "is not yyyyMMdd"))?;
    let kind = match call.field("bill_type") {
        None | Some("ALL") => BillKind::All,
        Some("SUCCESS") => BillKind::Success,
        Some("REFUND" | "RECHARGE_REFUND") => BillKind::Refund,
        Some(_) => return Err(bad("bill_type", "is none of ALL, SUCCESS, REFUND")),
    };
    let gzip = match call.field("tar_type") {
        None => false,
        Some("GZIP") => true,
        Some(_) => return Err(bad("tar_type", "is not GZIP")),
    };
    let bill = bill::trades(call.sim, call.account.mchid(), date, kind, call.act);
    match bill {
        Ok(text) if gzip => {
            Ok(Outcome::File(Reply::new(200, "application/x-gzip", bill::gzip(text.as_bytes()))))
        }
        Ok(text) => Ok(Outcome::File(Reply::new(200, "text/plain", text))),
        Err(NoBill::Creating) => Err(Fail::Bill { code: "20001", message: "bill creating" }),
        Err(NoBill::Empty) => Err(Fail::Bill { code: "20002", message: "No Bill Exist" }),
        Err(NoBill::Date) => Err(Fail::Bill { code: "20003", message: "invalid bill_date" }),
    }
}
