//! Orders and refunds, as both generations see them.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::WechatAccount;
use crate::{
    book::{self, Dialect, End, Refund, Refused, State, Trade},
    clock::{digits, span},
    crypto::{nonce, sha256},
    fault::Act,
    ledger::Provider,
    sim::Sim,
};

/// Orders close by themselves after a week.
const LIFETIME: TimeDelta = TimeDelta::days(7);
/// Refunds are taken for a year.
const REFUND_WINDOW: TimeDelta = TimeDelta::days(365);

/// An order that the merchant asks for, its fields checked.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) app: String,
    pub(super) key: String,
    pub(super) product: &'static str,
    pub(super) amount: i64,
    pub(super) subject: String,
    pub(super) attach: Option<String>,
    pub(super) notify_url: String,
    pub(super) payer: Option<String>,
    pub(super) expires: Option<DateTime<Utc>>,
    pub(super) dialect: Dialect,
    /// What else belongs to the data that must not change.
    pub(super) rest: String,
}

impl Order {
    /// What a repeated request must say again. Times and addresses of the payer are not part of it.
    fn data(&self) -> String {
        let generation = if self.dialect == Dialect::WechatV3 { "v3" } else { "v2" };
        let Self { app, product, amount, subject, attach, notify_url, payer, rest, .. } = self;
        let parts = (generation, app, product, amount, subject, attach, notify_url, payer, rest);
        sha256(format!("{parts:?}").as_bytes())
    }
}

/// Why an order was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotPlaced {
    /// It is paid.
    Paid,
    /// It is closed.
    Closed,
    /// The number belongs to an order with other data.
    OtherData,
    /// The simulators are full.
    Full,
}

/// A fresh prepay result.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) trade: u64,
    pub(super) prepay_id: String,
    /// The part of `code_url` that differs.
    pub(super) code: String,
}

/// Makes an order, or a fresh prepay result for the order that is there.
pub(super) fn place(sim: &Sim, account: &WechatAccount, order: Order) -> Result<Placed, NotPlaced> {
    let now = sim.now();
    let data = order.data();
    let mut book = sim.book();
    let prepay_id = format!("wx{}{}", digits(now), nonce(20));
    let code = nonce(9);
    if let Some(trade) = book.by_key(Provider::Wechat, account.mchid(), &order.key) {
        match trade.state(now) {
            State::Paid(_) => return Err(NotPlaced::Paid),
            State::Closed(_) => return Err(NotPlaced::Closed),
            State::Open if trade.data != data => return Err(NotPlaced::OtherData),
            State::Open => {}
        }
        let trade = trade.id;
        book.add_code(trade, code.clone());
        book.add_code(trade, prepay_id.clone());
        return Ok(Placed { trade, prepay_id, code });
    }
    let serial = book.serial();
    let trade = Trade {
        id: 0,
        provider: Provider::Wechat,
        merchant: account.mchid().to_owned(),
        app: order.app,
        key: order.key,
        number: format!("4200{}{serial:010}", digits(now)),
        product: order.product.to_owned(),
        amount: order.amount,
        subject: order.subject,
        attach: order.attach,
        notify_url: Some(order.notify_url),
        return_url: None,
        payer: order.payer,
        data,
        codes: vec![code.clone(), prepay_id.clone()],
        known: true,
        declined: false,
        refused: None,
        created: now,
        expires: order.expires.unwrap_or(now + LIFETIME),
        state: State::Open,
        refunds: Vec::new(),
        dialect: order.dialect,
        facts: BTreeMap::new(),
    };
    let trade = book.open(trade).map_err(|book::Full| NotPlaced::Full)?.id;
    Ok(Placed { trade, prepay_id, code })
}

/// The merchant's order by either number; the provider's wins.
pub(super) fn find(
    sim: &Sim,
    account: &WechatAccount,
    transaction_id: Option<&str>,
    out_trade_no: Option<&str>,
) -> Option<Trade> {
    let book = sim.book();
    let trade = match (transaction_id, out_trade_no) {
        (Some(number), _) => book.by_number(Provider::Wechat, account.mchid(), number),
        (None, Some(key)) => book.by_key(Provider::Wechat, account.mchid(), key),
        (None, None) => None,
    };
    // An unpaid order has no transaction id yet.
    let hidden = transaction_id.is_some();
    trade.filter(|trade| !hidden || trade.paid_at().is_some()).cloned()
}

/// A refund that the merchant asks for, its fields checked.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) transaction_id: Option<String>,
    pub(super) out_trade_no: Option<String>,
    pub(super) number: String,
    pub(super) total: i64,
    pub(super) amount: i64,
    pub(super) reason: Option<String>,
    pub(super) notify_url: Option<String>,
    pub(super) dialect: Dialect,
}

/// Why a refund was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotRefunded {
    /// There is no such order, or it is not paid.
    NoOrder,
    /// The order is older than a year.
    Overdue,
    /// The order has another total.
    OtherTotal,
    /// More calls than the merchant may make, or the order's last refund is too fresh.
    TooOften,
    /// As the book says.
    Book(Refused),
}

/// Takes a refund, or finds the one that is there.
pub(super) fn refund(
    sim: &Sim,
    account: &WechatAccount,
    wanted: Wanted,
    act: Option<&Act>,
) -> Result<(Trade, Refund), NotRefunded> {
    let quotas = &sim.settings.quotas;
    let failing = format!("wechat.refund.failing/{}", account.mchid());
    let taken = format!("wechat.refund/{}", account.mchid());
    if sim.exhausted(&failing, quotas.wechat_failing_refunds)
        || !sim.within(taken, quotas.wechat_refunds)
    {
        return Err(NotRefunded::TooOften);
    }
    let outcome = take(sim, account, wanted, act);
    if outcome.is_err() {
        sim.within(failing, quotas.wechat_failing_refunds);
    }
    outcome
}

fn take(
    sim: &Sim,
    account: &WechatAccount,
    wanted: Wanted,
    act: Option<&Act>,
) -> Result<(Trade, Refund), NotRefunded> {
    let now = sim.now();
    let ids = (wanted.transaction_id.as_deref(), wanted.out_trade_no.as_deref());
    let trade = find(sim, account, ids.0, ids.1).ok_or(NotRefunded::NoOrder)?;
    let paid = trade.paid_at().ok_or(NotRefunded::NoOrder)?;
    if wanted.total != trade.amount {
        return Err(NotRefunded::OtherTotal);
    }
    if now - paid > REFUND_WINDOW {
        return Err(NotRefunded::Overdue);
    }
    let data = sha256(format!("{:?}", (trade.id, wanted.amount, wanted.total)).as_bytes());
    let end = match act {
        Some(Act::RefundClosed) => End::Closed,
        Some(Act::RefundAbnormal) => End::Abnormal,
        _ => End::Success,
    };
    let mut facts = BTreeMap::new();
    if let Some(reason) = wanted.reason {
        facts.insert("reason".to_owned(), reason);
    }
    let mut book = sim.book();
    let serial = book.serial();
    let refund = Refund {
        number: wanted.number,
        id: format!("5030{}{serial:011}", digits(now)),
        amount: wanted.amount,
        data,
        at: now,
        ended: None,
        end,
        notify_url: wanted.notify_url,
        dialect: wanted.dialect,
        facts,
    };
    let quotas = &sim.settings.quotas;
    let (gap, most) = (span(quotas.wechat_refund_gap), quotas.wechat_partial_refunds);
    let request = book::Request { refund, gap, most };
    let (trade, refund, fresh) = match book.take_refund(trade.id, request, now) {
        Ok(taken) => taken,
        Err(Refused::TooSoon) => return Err(NotRefunded::TooOften),
        Err(refused) => return Err(NotRefunded::Book(refused)),
    };
    drop(book);
    if fresh {
        let due = now + span(sim.settings.refund_takes);
        sim.outbox.end_refund(trade.id, trade.refunds.len() - 1, due);
    }
    Ok((trade, refund))
}
