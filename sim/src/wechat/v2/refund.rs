//! `/secapi/pay/refund` and `/pay/refundquery`.

use super::{Call, Fail, Outcome, bad, fields};
use crate::{
    book::{End, Refund, Refused, Trade},
    clock::spaced,
    http::is_address,
    ledger::Provider,
    wechat::{
        is_number,
        order::{self, NotRefunded, Wanted, find},
        refund_state_v2,
    },
};

/// Refunds on one page of the query.
const PAGE: usize = 10;

pub(super) fn refund(call: &Call<'_>) -> Result<Outcome, Fail> {
    let wanted = wanted(call)?;
    let (trade, refund) =
        order::refund(call.sim, call.account, wanted, call.act).map_err(refusal)?;
    let answer = fields([
        ("transaction_id", trade.number.clone()),
        ("out_trade_no", trade.key.clone()),
        ("out_refund_no", refund.number.clone()),
        ("refund_id", refund.id.clone()),
        ("refund_fee", refund.amount.to_string()),
        ("settlement_refund_fee", refund.amount.to_string()),
        ("total_fee", trade.amount.to_string()),
        ("cash_fee", trade.amount.to_string()),
        ("cash_refund_fee", refund.amount.to_string()),
        ("coupon_refund_fee", "0".to_owned()),
        ("coupon_refund_count", "0".to_owned()),
    ]);
    Ok(Outcome::Fields { fields: answer, trade: Some(trade.id) })
}

fn wanted(call: &Call<'_>) -> Result<Wanted, Fail> {
    let (transaction_id, out_trade_no) =
        (call.field("transaction_id"), call.field("out_trade_no"));
    if transaction_id.is_none() && out_trade_no.is_none() {
        let reason = "neither transaction_id nor out_trade_no is given";
        return Err(Fail::business("LACK_PARAMS", reason));
    }
    let number = call.required("out_refund_no")?;
    if !is_number(number, 1, 64, true) {
        return Err(bad("out_refund_no", "is not 1 to 64 of 0-9 A-Z a-z _ - | * @"));
    }
    let notify_url = call.field("notify_url");
    if notify_url.is_some_and(|url| !is_address(url, 256, false) || url.contains('?')) {
        return Err(bad("notify_url", "is not an absolute address without a query"));
    }
    if call.field("refund_fee_type").is_some_and(|currency| currency != "CNY") {
        return Err(bad("refund_fee_type", "is not CNY"));
    }
    let accounts = ["REFUND_SOURCE_UNSETTLED_FUNDS", "REFUND_SOURCE_RECHARGE_FUNDS"];
    if call.field("refund_account").is_some_and(|account| !accounts.contains(&account)) {
        return Err(bad("refund_account", "is unknown"));
    }
    Ok(Wanted {
        transaction_id: transaction_id.map(str::to_owned),
        out_trade_no: out_trade_no.map(str::to_owned),
        number: number.to_owned(),
        total: call.amount("total_fee")?,
        amount: call.amount("refund_fee")?,
        reason: call.field("refund_desc").map(str::to_owned),
        notify_url: notify_url.map(str::to_owned),
        dialect: call.dialect(),
    })
}

fn refusal(refused: NotRefunded) -> Fail {
    let (code, reason) = match refused {
        NotRefunded::NoOrder => ("ORDERNOTEXIST", "there is no such paid order"),
        NotRefunded::Overdue => ("TRADE_OVERDUE", "the order is older than a year"),
        NotRefunded::OtherTotal => ("REFUND_FEE_MISMATCH", "total_fee is not the order's"),
        NotRefunded::TooOften => ("FREQUENCY_LIMITED", "refunds come too fast"),
        NotRefunded::Book(Refused::OtherData) => {
            ("ERROR", "out_refund_no belongs to a refund with other data")
        }
        NotRefunded::Book(Refused::TooMuch) => ("ERROR", "more than is left of the order"),
        NotRefunded::Book(Refused::NotEnough) => ("NOTENOUGH", "the merchant has not as much"),
        NotRefunded::Book(Refused::TooMany) => ("ERROR", "the order has 50 refunds"),
        NotRefunded::Book(Refused::TooSoon) => ("FREQUENCY_LIMITED", "refunds come too fast"),
        NotRefunded::Book(Refused::Closed | Refused::NotPaid | Refused::Paid) => {
            ("ORDERNOTEXIST", "there is no such paid order")
        }
    };
    Fail::business(code, reason)
}

pub(super) fn refund_query(call: &Call<'_>) -> Result<Outcome, Fail> {
    let quota = call.sim.settings.quotas.wechat_refund_queries;
    if !call.sim.within(format!("wechat.refundquery/{}", call.account.mchid()), quota) {
        return Err(Fail::business("FREQUENCY_LIMITED", "refund queries come too fast"));
    }
    let (trade, refunds) = matching(call)?;
    let offset = match call.field("offset") {
        None => 0,
        Some(text) => text.parse().map_err(|_| bad("offset", "is not a number"))?,
    };
    let page: Vec<_> = refunds.iter().skip(offset).take(PAGE).collect();
    if page.is_empty() {
        return Err(Fail::business("REFUNDNOTEXIST", "there is no such refund"));
    }
    let mut answer = fields([
        ("transaction_id", trade.number.clone()),
        ("out_trade_no", trade.key.clone()),
        ("total_fee", trade.amount.to_string()),
        ("settlement_total_fee", trade.amount.to_string()),
        ("fee_type", "CNY".to_owned()),
        ("cash_fee", trade.amount.to_string()),
        ("refund_fee", refunds.iter().map(|refund| refund.amount).sum::<i64>().to_string()),
        ("refund_count", page.len().to_string()),
        ("total_refund_count", refunds.len().to_string()),
    ]);
    for (n, refund) in page.into_iter().enumerate() {
        describe(refund, n, &mut answer);
    }
    Ok(Outcome::Fields { fields: answer, trade: Some(trade.id) })
}

fn describe(refund: &Refund, n: usize, answer: &mut super::Fields) {
    let done = refund.ended.filter(|_| refund.end == End::Success);
    let described = fields([
        ("out_refund_no", refund.number.clone()),
        ("refund_id", refund.id.clone()),
        ("refund_channel", "ORIGINAL".to_owned()),
        ("refund_fee", refund.amount.to_string()),
        ("settlement_refund_fee", refund.amount.to_string()),
        ("refund_status", refund_state_v2(refund).to_owned()),
        ("refund_account", "REFUND_SOURCE_UNSETTLED_FUNDS".to_owned()),
        ("refund_recv_accout", "支付用户的零钱".to_owned()),
        ("refund_success_time", done.map(spaced).unwrap_or_default()),
    ]);
    answer.extend(described.into_iter().map(|(name, value)| (format!("{name}_{n}"), value)));
}

/// The refunds that are asked for; `refund_id` wins, then `out_refund_no`, then the order.
fn matching(call: &Call<'_>) -> Result<(Trade, Vec<Refund>), Fail> {
    let missing = || Fail::business("REFUNDNOTEXIST", "there is no such refund");
    let mchid = call.account.mchid();
    if let Some(id) = call.field("refund_id") {
        let book = call.sim.book();
        let trade = book.trades().iter().find(|trade| {
            trade.merchant == mchid && trade.refunds.iter().any(|refund| refund.id == id)
        });
        let trade = trade.ok_or_else(missing)?.clone();
        let refunds = trade.refunds.iter().filter(|refund| refund.id == id).cloned().collect();
        return Ok((trade, refunds));
    }
    if let Some(number) = call.field("out_refund_no") {
        let book = call.sim.book();
        let (trade, refund) =
            book.refund(Provider::Wechat, mchid, number).ok_or_else(missing)?;
        return Ok((trade.clone(), vec![refund.clone()]));
    }
    let ids = (call.field("transaction_id"), call.field("out_trade_no"));
    if ids == (None, None) {
        return Err(Fail::business("LACK_PARAMS", "no number of an order or refund is given"));
    }
    let trade = find(call.sim, call.account, ids.0, ids.1).ok_or_else(missing)?;
    let refunds = trade.refunds.clone();
    Ok((trade, refunds))
}
