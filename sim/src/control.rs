//! The simulators' own interface under `/_sim`: what tests and people ask and change.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    alipay,
    book::{End, Refused, State, Trade},
    clock::span,
    fault::Fault,
    http::{Reply, Request},
    ledger::Provider,
    page, running,
    sim::Sim,
    unionpay, wechat,
};

/// Longest that the clock is moved in one step.
const FARTHEST: Duration = Duration::from_hours(24 * 3660);

/// A trade, as the simulators tell it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TradeView {
    /// The simulators' own number.
    pub id: u64,
    /// Where.
    pub provider: Provider,
    /// Merchant number or application number.
    pub merchant: String,
    /// The merchant's number; UnionPay's is `orderId@txnTime`.
    pub trade: String,
    /// The provider's number.
    pub number: String,
    /// The provider's name for how it is paid.
    pub product: String,
    /// In fen.
    pub amount: i64,
    /// `open`, `paid` or `closed`.
    pub state: String,
    /// When it was paid.
    pub paid_at: Option<DateTime<Utc>>,
    /// What a QR code shows, or the code that leads to it.
    pub code: String,
    /// Its refunds.
    pub refunds: Vec<RefundView>,
}

/// A refund, as the simulators tell it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundView {
    /// The merchant's number.
    pub refund: String,
    /// In fen.
    pub amount: i64,
    /// `processing`, `success`, `closed` or `abnormal`.
    pub state: String,
}

impl TradeView {
    pub(crate) fn of(trade: &Trade, now: DateTime<Utc>) -> Self {
        let refunds = trade.refunds.iter().map(|refund| RefundView {
            refund: refund.number.clone(),
            amount: refund.amount,
            state: match (refund.ended, refund.end) {
                (None, _) => "processing",
                (Some(_), End::Success) => "success",
                (Some(_), End::Closed) => "closed",
                (Some(_), End::Abnormal) => "abnormal",
            }
            .to_owned(),
        });
        let state = match trade.state(now) {
            State::Open => "open",
            State::Paid(_) => "paid",
            State::Closed(_) => "closed",
        };
        Self {
            id: trade.id,
            provider: trade.provider,
            merchant: trade.merchant.clone(),
            trade: trade.key.clone(),
            number: trade.number.clone(),
            product: trade.product.clone(),
            amount: trade.amount,
            state: state.to_owned(),
            paid_at: trade.paid_at(),
            code: page::link(trade),
            refunds: refunds.collect(),
        }
    }
}

/// What a payer does with a trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payer {
    Approve,
    Decline,
    Expire,
}

/// Why a payer could not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayError {
    /// No trade has that name.
    #[error("there is no trade {0}")]
    Unknown(String),
    /// It is paid already.
    #[error("it is paid already")]
    Paid,
    /// It is closed, or its time is over.
    #[error("it is closed")]
    Closed,
    /// What the merchant handed to the payer's client is not right.
    #[error("the payer's client refuses: {0}")]
    Refused(String),
}

/// Does it, for the trade that `name` means.
pub(crate) fn pay(sim: &Sim, name: &str, payer: Payer) -> Result<TradeView, PayError> {
    let unknown = || PayError::Unknown(name.to_owned());
    let id = sim.book().find(name).map(|trade| trade.id).ok_or_else(unknown)?;
    let trade = match payer {
        Payer::Approve => sim.pay(id, false).map_err(|refused| match refused {
            Refused::Paid => PayError::Paid,
            _ => PayError::Closed,
        })?,
        Payer::Decline => sim.decline(id).ok_or_else(unknown)?,
        Payer::Expire => sim.expire(id).ok_or_else(unknown)?,
    };
    Ok(TradeView::of(&trade, sim.now()))
}

/// Moves what happened to a trade into the past.
pub(crate) fn backdate(sim: &Sim, name: &str, by: Duration) -> Result<TradeView, PayError> {
    let unknown = || PayError::Unknown(name.to_owned());
    let now = sim.now();
    let mut book = sim.book();
    let id = book.find(name).map(|trade| trade.id).ok_or_else(unknown)?;
    let trade = book.get_mut(id).ok_or_else(unknown)?;
    trade.backdate(span(by));
    Ok(TradeView::of(trade, now))
}

/// Pays as the provider's client library does with what the merchant handed to the app or page.
pub(crate) fn pay_in_app(
    sim: &Sim,
    provider: Provider,
    parameters: &Value,
) -> Result<TradeView, PayError> {
    let text = |name: &str| {
        let inner = parameters.get(name).unwrap_or(parameters);
        inner.as_str().ok_or_else(|| format!("expected a text, or {name}")).map(str::to_owned)
    };
    let trade = match provider {
        Provider::Wechat => wechat::pay_in_app(sim, parameters),
        Provider::Alipay => text("orderStr").and_then(|order| alipay::pay_in_app(sim, &order)),
        Provider::UnionPay => text("tn").and_then(|tn| unionpay::pay_in_app(sim, &tn)),
    };
    let trade = trade.map_err(PayError::Refused)?;
    pay(sim, &trade.id.to_string(), Payer::Approve)
}

/// Answers a request under `/_sim`.
pub(crate) async fn answer(sim: &Arc<Sim>, request: &Request) -> Reply {
    let parts: Vec<_> = request.path.trim_matches('/').split('/').skip(1).collect();
    let method = if request.method == Method::HEAD { "GET" } else { request.method.as_str() };
    match (method, parts.as_slice()) {
        ("GET", []) => Reply::html(200, page::index()),
        ("GET", ["scan", code]) => match alipay::cashier_of(sim, code) {
            Some(trade) => Reply::html(200, page::trade(sim, &trade)),
            None => missing(),
        },
        ("GET", ["pay", provider]) => known(provider)
            .map_or_else(missing, |provider| Reply::html(200, page::list(sim, provider))),
        ("GET", ["pay", _, id]) => {
            let trade = id.parse().ok().and_then(|id| sim.book().get(id).cloned());
            trade.map_or_else(missing, |trade| Reply::html(200, page::trade(sim, &trade)))
        }
        ("POST", ["pay", _, id]) => {
            id.parse().map_or_else(|_| missing(), |id| page::choose(sim, request, id))
        }
        ("GET", ["open", page]) => unionpay::show_opening(sim, page),
        ("POST", ["open", page]) => unionpay::answer_opening(sim, request, page),
        ("POST", ["consent"]) => alipay::consent(sim, request),
        ("POST", ["wechat-consent"]) => wechat::consent(sim, request),
        ("GET", ["faults"]) => show(&sim.faults.list()),
        ("POST", ["faults"]) => add_fault(sim, request),
        ("GET", ["ledger"]) => {
            let ledger = sim.book().ledger.clone();
            show(&ledger)
        }
        ("GET", ["trades"]) => {
            let now = sim.now();
            let trades: Vec<_> =
                sim.book().trades().iter().map(|trade| TradeView::of(trade, now)).collect();
            show(&trades)
        }
        ("GET", ["notifies"]) => show(&sim.outbox.attempts()),
        ("GET", ["merchant"]) => {
            let merchants: Vec<_> =
                sim.settings.merchants.iter().map(crate::Merchant::to_json).collect();
            Reply::json(200, &json!({ "merchants": merchants }))
        }
        ("POST", ["trades", name, "backdate"]) => move_back(sim, name, request),
        ("POST", ["trades", name, answer]) => choose(sim, name, answer),
        ("POST", ["app", provider]) => in_app(sim, provider, request),
        ("POST", ["rotate"]) => rotate(sim, Provider::Wechat),
        ("POST", ["rotate", provider]) => {
            known(provider).map_or_else(missing, |provider| rotate(sim, provider))
        }
        ("POST", ["advance"]) => advance(sim, request).await,
        ("POST", ["withdraw"]) => withdraw(sim, request),
        ("DELETE", ["faults"]) => {
            sim.faults.clear();
            Reply::empty(204)
        }
        _ => missing(),
    }
}

fn show(value: &impl Serialize) -> Reply {
    match serde_json::to_vec(value) {
        Ok(body) => Reply::new(200, "application/json", body),
        Err(error) => refused(500, &error.to_string()),
    }
}

fn missing() -> Reply {
    refused(404, "there is nothing here")
}

fn refused(status: u16, why: &str) -> Reply {
    Reply::json(status, &json!({ "error": why }))
}

fn known(provider: &str) -> Option<Provider> {
    Provider::ALL.into_iter().find(|known| known.name() == provider)
}

fn add_fault(sim: &Sim, request: &Request) -> Reply {
    match serde_json::from_slice::<Fault>(&request.body) {
        Err(error) => refused(400, &error.to_string()),
        Ok(fault) => match sim.faults.add(fault) {
            Ok(id) => Reply::json(201, &json!({ "id": id })),
            Err(bad) => refused(400, &bad.to_string()),
        },
    }
}

fn told(done: Result<TradeView, PayError>) -> Reply {
    match done {
        Ok(trade) => show(&trade),
        Err(error @ PayError::Unknown(_)) => refused(404, &error.to_string()),
        Err(error) => refused(409, &error.to_string()),
    }
}

fn choose(sim: &Sim, name: &str, answer: &str) -> Reply {
    let payer = match answer {
        "approve" => Payer::Approve,
        "decline" => Payer::Decline,
        "expire" => Payer::Expire,
        _ => return missing(),
    };
    let name = form_urlencoded::parse(name.as_bytes()).next().map(|(name, _)| name.into_owned());
    told(pay(sim, &name.unwrap_or_default(), payer))
}

fn move_back(sim: &Sim, name: &str, request: &Request) -> Reply {
    let Ok(Advance { seconds }) = serde_json::from_slice(&request.body) else {
        return refused(400, "expected {\"seconds\": N}");
    };
    let by = Duration::from_secs(seconds);
    if by > FARTHEST {
        return refused(400, "that is too far");
    }
    told(backdate(sim, name, by))
}

fn in_app(sim: &Sim, provider: &str, request: &Request) -> Reply {
    let Some(provider) = known(provider) else { return missing() };
    match serde_json::from_slice(&request.body) {
        Ok(parameters) => told(pay_in_app(sim, provider, &parameters)),
        Err(error) => refused(400, &error.to_string()),
    }
}

fn rotate(sim: &Sim, provider: Provider) -> Reply {
    sim.rotate_keys(provider);
    Reply::json(200, &json!({ "rotated": sim.is_rotated(provider) }))
}

#[derive(Deserialize)]
struct Advance {
    seconds: u64,
}

async fn advance(sim: &Arc<Sim>, request: &Request) -> Reply {
    let Ok(Advance { seconds }) = serde_json::from_slice(&request.body) else {
        return refused(400, "expected {\"seconds\": N}");
    };
    let by = Duration::from_secs(seconds);
    if by > FARTHEST {
        return refused(400, "that is too far");
    }
    match running::advance(sim, by).await {
        Ok(now) => Reply::json(200, &json!({ "now": now })),
        Err(error) => refused(409, &error.to_string()),
    }
}

#[derive(Deserialize)]
struct Withdraw {
    provider: Provider,
    merchant: String,
    amount: i64,
}

fn withdraw(sim: &Sim, request: &Request) -> Reply {
    let Ok(wanted) = serde_json::from_slice::<Withdraw>(&request.body) else {
        return refused(400, "expected {\"provider\", \"merchant\", \"amount\"}");
    };
    let now = sim.now();
    let taken = sim.book().withdraw(wanted.provider, &wanted.merchant, wanted.amount, now);
    Reply::json(200, &json!({ "withdrawn": taken }))
}
