//! Refunds and their query.

use serde_json::{Value, json};

use super::{Call, Done, Problem, body::Body};
use crate::{
    book::{Dialect, End, Refund, Refused, Trade},
    clock::rfc3339,
    http::is_address,
    ledger::Provider,
    wechat::{
        is_number,
        order::{self, NotRefunded, Wanted},
        refund_state,
    },
};

pub(super) fn refund(call: &Call<'_>) -> Result<Done, Problem> {
    let wanted = wanted(call)?;
    let (trade, refund) =
        order::refund(call.sim, call.account, wanted, call.act).map_err(refusal)?;
    Ok(Done::json(describe(&trade, &refund)).about(trade.id))
}

fn wanted(call: &Call<'_>) -> Result<Wanted, Problem> {
    let body = Body::read(call)?;
    let transaction_id = body.optional("/transaction_id", 32)?;
    let out_trade_no = body.optional("/out_trade_no", 32)?;
    if transaction_id.is_some() == out_trade_no.is_some() {
        let issue = "exactly one of it and /transaction_id is needed";
        return Err(body.bad("/out_trade_no", issue));
    }
    let number = body.text("/out_refund_no", 64)?;
    if !is_number(&number, 1, 64, true) {
        return Err(body.bad("/out_refund_no", "is not 1 to 64 of 0-9 A-Z a-z _ - | * @"));
    }
    let notify_url = body.optional("/notify_url", 256)?;
    let usable = |url: &String| is_address(url, 256, true) && !url.contains('?');
    if notify_url.as_ref().is_some_and(|url| !usable(url)) {
        return Err(body.bad("/notify_url", "is not an https address without a query"));
    }
    if body.text("/amount/currency", 16)? != "CNY" {
        return Err(body.bad("/amount/currency", "is not CNY"));
    }
    if body.optional("/funds_account", 32)?.is_some_and(|account| account != "AVAILABLE") {
        return Err(body.bad("/funds_account", "is not AVAILABLE"));
    }
    let (amount, total) = (body.amount("/amount/refund")?, body.amount("/amount/total")?);
    if amount > total {
        return Err(body.bad("/amount/refund", "is more than the total"));
    }
    Ok(Wanted {
        transaction_id,
        out_trade_no,
        number,
        total,
        amount,
        reason: body.optional("/reason", 80)?,
        notify_url,
        dialect: Dialect::WechatV3,
    })
}

fn refusal(refused: NotRefunded) -> Problem {
    let (status, code, message) = match refused {
        NotRefunded::NoOrder => (404, "RESOURCE_NOT_EXISTS", "订单不存在或未支付"),
        NotRefunded::Overdue => (403, "TRADE_OVERDUE", "订单已超过退款期限"),
        NotRefunded::OtherTotal => (400, "INVALID_REQUEST", "订单金额不一致"),
        NotRefunded::TooOften => (429, "FREQUENCY_LIMITED", "退款频率过高"),
        NotRefunded::Book(Refused::OtherData) => {
            (400, "INVALID_REQUEST", "商户退款单号重复：数据不同")
        }
        NotRefunded::Book(Refused::TooMuch) => (400, "INVALID_REQUEST", "累计退款金额大于支付金额"),
        NotRefunded::Book(Refused::NotEnough) => (403, "NOT_ENOUGH", "余额不足"),
        NotRefunded::Book(Refused::TooMany) => (403, "RULE_LIMIT", "部分退款次数超限"),
        NotRefunded::Book(Refused::TooSoon) => (429, "FREQUENCY_LIMITED", "退款频率过高"),
        NotRefunded::Book(Refused::Closed | Refused::NotPaid | Refused::Paid) => {
            (404, "RESOURCE_NOT_EXISTS", "订单不存在或未支付")
        }
    };
    Problem::new(status, code, message)
}

pub(super) fn query(call: &Call<'_>) -> Result<Done, Problem> {
    let quota = call.sim.settings.quotas.wechat_refund_queries;
    if !call.sim.within(format!("wechat.refundquery/{}", call.account.mchid()), quota) {
        return Err(Problem::new(429, "FREQUENCY_LIMITED", "查询频率过高"));
    }
    let number = call.segments.last().map(String::as_str).unwrap_or_default();
    let book = call.sim.book();
    let (trade, refund) = book
        .refund(Provider::Wechat, call.account.mchid(), number)
        .ok_or_else(|| Problem::new(404, "RESOURCE_NOT_EXISTS", "退款单不存在"))?;
    Ok(Done::json(describe(trade, refund)).about(trade.id))
}

fn describe(trade: &Trade, refund: &Refund) -> Value {
    let mut answer = json!({
        "refund_id": refund.id,
        "out_refund_no": refund.number,
        "transaction_id": trade.number,
        "out_trade_no": trade.key,
        "channel": "ORIGINAL",
        "user_received_account": "支付用户零钱",
        "create_time": rfc3339(refund.at),
        "status": refund_state(refund),
        "funds_account": "AVAILABLE",
        "amount": {
            "total": trade.amount,
            "refund": refund.amount,
            "payer_total": trade.amount,
            "payer_refund": refund.amount,
            "settlement_refund": refund.amount,
            "settlement_total": trade.amount,
            "discount_refund": 0,
            "currency": "CNY",
        },
    });
    if let Some(ended) = refund.ended.filter(|_| refund.end == End::Success) {
        answer["success_time"] = json!(rfc3339(ended));
    }
    answer
}
