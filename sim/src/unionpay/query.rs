//! What became of a transaction.

use chrono::{DateTime, Utc};

use super::{
    Call, Done, Fields,
    message::{Fail, wording},
};
use crate::{
    book::{End, Refund, State, Trade},
    clock::beijing,
    fault::Act,
    ledger::Provider,
};

/// What is told of a transaction besides the code and what was asked for.
pub(super) fn settled(number: &str, amount: i64, at: DateTime<Utc>) -> Fields {
    let day = super::refund::settlement_day(at).format("%m%d").to_string();
    let time = beijing(at).format("%m%d%H%M%S").to_string();
    let trace = number.get(number.len().saturating_sub(6)..).unwrap_or_default().to_owned();
    [
        ("queryId", number.to_owned()),
        ("settleAmt", amount.to_string()),
        ("settleCurrencyCode", "156".to_owned()),
        ("settleDate", day),
        ("traceNo", trace),
        ("traceTime", time),
        ("payCardType", "01".to_owned()),
        ("payType", "0001".to_owned()),
        ("accNo", "6216***********0018".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

pub(super) fn query(call: &Call<'_>) -> Result<Done, Fail> {
    if !call.is("00", "00", &["000000", "000201", "000301"])
        && !call.is("00", "02", &["000000", "000201", "000301"])
    {
        return Err(Fail::new("14", "Invalid transaction type[txnType]"));
    }
    let (mer_id, key) = (call.account.mer_id(), call.key());
    let now = call.sim.now();
    let book = call.sim.book();
    let number = call.field("queryId");
    let trade = if call.field("txnSubType") == "02" && !number.is_empty() {
        book.by_number(Provider::UnionPay, mer_id, number)
    } else {
        book.by_key(Provider::UnionPay, mer_id, &key)
    };
    if let Some(trade) = trade
        && is_of_business(call, &trade.facts)
    {
        let fields = of_trade(trade, call.act, now);
        return Ok(Done { fields, trade: Some(trade.id) });
    }
    if let Some((trade, refund)) = book.refund(Provider::UnionPay, mer_id, &key)
        && is_of_business(call, &refund.facts)
    {
        return Ok(Done { fields: of_refund(trade, refund), trade: Some(trade.id) });
    }
    if let Some((fields, code)) = call.sim.cards.opening(mer_id, &key, now) {
        return Ok(Done { fields: answer(fields, code), trade: None });
    }
    Err(Fail::new("34", "no such transaction[orderId]"))
}

/// Cards without redirect are a business of their own: only who asks there is told of them.
fn is_of_business(call: &Call<'_>, facts: &Fields) -> bool {
    let asked = call.field("bizType") == "000301";
    asked == facts.get("bizType").is_some_and(|business| business == "000301")
}

fn of_trade(trade: &Trade, act: Option<&Act>, now: DateTime<Utc>) -> Fields {
    let code = match trade.state(now) {
        State::Paid(_) if act == Some(&Act::Defective) => "A6",
        State::Paid(_) => "00",
        State::Closed(_) => trade.refused.unwrap_or("69"),
        State::Open if trade.declined => "60",
        State::Open => "05",
    };
    let mut fields = match trade.paid_at() {
        Some(at) => settled(&trade.number, trade.amount, at),
        None => unsettled(trade),
    };
    fields.extend(trade.facts.clone());
    answer(fields, code)
}

/// What is told of a transaction that is not paid.
pub(super) fn unsettled(trade: &Trade) -> Fields {
    let mut fields = settled(&trade.number, 0, trade.created);
    for name in ["accNo", "payCardType", "payType"] {
        fields.remove(name);
    }
    fields
}

/// What is told of a refund that is under way or ended; the money goes to the card that paid.
pub(super) fn given_back(trade: &Trade, refund: &Refund) -> Fields {
    let mut fields = settled(&refund.id, refund.amount, refund.ended.unwrap_or(refund.at));
    for name in ["accNo", "payCardType"] {
        if let Some(value) = trade.facts.get(name) {
            fields.insert(name.to_owned(), value.clone());
        }
    }
    fields
}

fn of_refund(trade: &Trade, refund: &Refund) -> Fields {
    let code = match (refund.ended, refund.end) {
        (None, _) => "05",
        (Some(_), End::Success) => "00",
        (Some(_), _) => "01",
    };
    let mut fields = given_back(trade, refund);
    fields.extend(refund.facts.clone());
    answer(fields, code)
}

fn answer(mut fields: Fields, code: &str) -> Fields {
    for name in ["version", "encoding", "accessType", "channelType"] {
        fields.remove(name);
    }
    fields.insert("origRespCode".to_owned(), code.to_owned());
    fields.insert("origRespMsg".to_owned(), wording(code).to_owned());
    fields
}
