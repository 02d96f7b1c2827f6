//! WeChat Pay: v2 (XML) and v3 (JSON) over the same orders.

mod bill;
mod client;
mod notify;
mod oauth;
mod order;
mod v2;
mod v3;
mod xml;

#[cfg(test)]
mod vectors;

use std::sync::atomic::AtomicBool;

use secrecy::ExposeSecret;

pub(crate) use self::{
    bill::Files,
    client::pay_in_app,
    notify::{is_acknowledged, payment_parcel, refund_parcel, seal},
    oauth::{People, consent},
};
#[cfg(test)]
pub(crate) use self::{
    v2::sign as sign_v2,
    xml::{read as read_xml, write as write_xml},
};
use crate::{
    book::{End, Refund, State, Trade},
    crypto::{Certificate, PrivateKey, PublicKey, Unusable},
    fault::Act,
    http::{Reply, Request},
    merchant::WechatMerchant,
    sim::Sim,
};

/// A merchant account as WeChat Pay keeps it.
#[derive(Debug)]
pub(crate) struct WechatAccount {
    merchant: WechatMerchant,
    key: PublicKey,
    /// By which key the next notification is signed, when there are both.
    by_public_key: AtomicBool,
}

impl WechatAccount {
    pub(crate) fn new(merchant: &WechatMerchant) -> Result<Self, Unusable> {
        let key = Certificate::from_pem(&merchant.certificate)?.key;
        let private = PrivateKey::from_pem(merchant.private_key.expose_secret())?;
        if !private.belongs_to(&key) || merchant.apiv3_key.expose_secret().len() != 32 {
            return Err(Unusable("pair of WeChat Pay key and certificate, or APIv3 key"));
        }
        Ok(Self { merchant: merchant.clone(), key, by_public_key: AtomicBool::new(false) })
    }

    fn mchid(&self) -> &str {
        &self.merchant.mchid
    }

    fn api_key(&self) -> &str {
        self.merchant.api_key.expose_secret()
    }

    fn apiv3_key(&self) -> &str {
        self.merchant.apiv3_key.expose_secret()
    }

    fn has_app(&self, app: &str) -> bool {
        self.merchant.apps.iter().any(|known| known == app)
    }
}

/// The name of the call that `request` makes, when its path is one of WeChat Pay's.
pub(crate) fn call(request: &Request) -> Option<String> {
    let plain = v2::call(&request.path).or_else(|| oauth::call(&request.path));
    plain.map(str::to_owned).or_else(|| v3::call(request))
}

/// Answers a request whose path is one of WeChat Pay's.
pub(crate) fn answer(sim: &Sim, request: &Request, call: &str, act: Option<&Act>) -> Reply {
    match generation(call) {
        Generation::V2 => v2::answer(sim, request, call, act),
        Generation::V3 => v3::answer(sim, request, call, act),
        Generation::SignIn => oauth::answer(sim, request, call, act),
    }
}

/// The answer that leaves the outcome open.
pub(crate) fn system_error(call: &str) -> Reply {
    match generation(call) {
        Generation::V2 => v2::system_error(),
        Generation::V3 => v3::system_error(),
        Generation::SignIn => oauth::system_error(),
    }
}

enum Generation {
    V2,
    V3,
    SignIn,
}

fn generation(call: &str) -> Generation {
    if call.starts_with("wechat.v2.") {
        Generation::V2
    } else if call.starts_with("wechat.v3.") {
        Generation::V3
    } else {
        Generation::SignIn
    }
}

/// A closed trade is `CLOSED`; one with refunds is `REFUND`, whatever became of them.
fn trade_state(trade: &Trade, now: chrono::DateTime<chrono::Utc>) -> &'static str {
    match trade.state(now) {
        State::Open => "NOTPAY",
        State::Closed(_) => "CLOSED",
        State::Paid(_) if trade.refunds.is_empty() => "SUCCESS",
        State::Paid(_) => "REFUND",
    }
}

fn trade_state_text(state: &str) -> &'static str {
    match state {
        "NOTPAY" => "订单未支付",
        "CLOSED" => "订单已关闭",
        "REFUND" => "订单发生过退款，退款详情请查询退款单",
        _ => "支付成功",
    }
}

/// v3's name of a refund's state.
fn refund_state(refund: &Refund) -> &'static str {
    match (refund.ended, refund.end) {
        (None, _) => "PROCESSING",
        (Some(_), End::Success) => "SUCCESS",
        (Some(_), End::Closed) => "CLOSED",
        (Some(_), End::Abnormal) => "ABNORMAL",
    }
}

/// v2's name of it.
fn refund_state_v2(refund: &Refund) -> &'static str {
    match refund_state(refund) {
        "CLOSED" => "REFUNDCLOSE",
        "ABNORMAL" => "CHANGE",
        other => other,
    }
}

/// Letters, digits and `_ - | *`, and `@` in refund numbers.
fn is_number(text: &str, shortest: usize, longest: usize, refund: bool) -> bool {
    let plain = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '|' | '*') || (refund && c == '@')
    };
    (shortest..=longest).contains(&text.len()) && text.chars().all(plain)
}
