//! Query and close.

use serde_json::{Map, Value, json};

use super::{
    Call, Done, Problem,
    body::{Body, query as parameter},
};
use crate::{
    book::{Refused, Trade},
    clock::rfc3339,
    fault::Act,
    wechat::{order::find, trade_state, trade_state_text},
};

pub(super) fn query(call: &Call<'_>) -> Result<Done, Problem> {
    if parameter(call, "mchid")? != call.account.mchid() {
        let value = Value::from(parameter(call, "mchid")?);
        return Err(Problem::field("mchid", &value, "is not the merchant who signed", "query"));
    }
    let number = call.segments.last().map(String::as_str);
    let by_id = call.segments.get(2).map(String::as_str) == Some("id");
    let trade = if by_id {
        find(call.sim, call.account, number, None)
    } else {
        find(call.sim, call.account, None, number)
    };
    let trade = trade.ok_or_else(|| Problem::new(404, "ORDER_NOT_EXIST", "订单不存在"))?;
    let id = trade.id;
    Ok(Done::json(describe(&trade, trade_state(&trade, call.sim.now()))).about(id))
}

/// An order as the query and the notification tell it.
pub(in crate::wechat) fn describe(trade: &Trade, state: &str) -> Value {
    let mut answer = Map::new();
    let mut put = |name: &str, value: Value| answer.insert(name.to_owned(), value);
    put("appid", json!(trade.app));
    put("mchid", json!(trade.merchant));
    put("out_trade_no", json!(trade.key));
    put("trade_state", json!(state));
    put("trade_state_desc", json!(trade_state_text(state)));
    if let Some(attach) = &trade.attach {
        put("attach", json!(attach));
    }
    let mut amount = json!({ "total": trade.amount, "currency": "CNY" });
    if let Some(paid) = trade.paid_at() {
        amount["payer_total"] = json!(trade.amount);
        amount["payer_currency"] = json!("CNY");
        put("transaction_id", json!(trade.number));
        put("trade_type", json!(trade.product));
        put("bank_type", json!("OTHERS"));
        put("success_time", json!(rfc3339(paid)));
        put("payer", json!({ "openid": trade.payer }));
    }
    put("amount", amount);
    Value::Object(answer)
}

pub(super) fn close(call: &Call<'_>) -> Result<Done, Problem> {
    let body = Body::read(call)?;
    body.merchant(call)?;
    let missing = || Problem::new(404, "ORDER_NOT_EXIST", "订单不存在");
    let number = call.segments.get(3).map(String::as_str);
    let trade = find(call.sim, call.account, None, number).ok_or_else(missing)?;
    let closed = call.sim.book().close(trade.id, call.sim.now());
    match closed {
        Err(Refused::Paid) => Err(Problem::new(403, "ORDERPAID", "该订单已支付")),
        Err(_) => Err(missing()),
        Ok(()) => {
            if call.act == Some(&Act::PayAfterClose) {
                let _ = call.sim.pay(trade.id, true);
            }
            Ok(Done::nothing().about(trade.id))
        }
    }
}
