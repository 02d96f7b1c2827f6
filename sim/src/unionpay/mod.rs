//! UnionPay's all-channel platform, message version 5.1.0.

mod cards;
mod file;
mod message;
mod notify;
mod order;
mod page;
mod query;
mod refund;

#[cfg(test)]
mod vectors;

use hyper::Method;
use secrecy::ExposeSecret;

pub use self::cards::{TEST_CARDS, TEST_CODE, TestCard};
#[cfg(test)]
pub(crate) use self::message::signed_text;
use self::message::{Fail, Fields};
pub(crate) use self::{
    cards::{Cards, answer as answer_opening, show as show_opening, table as table_of_cards},
    notify::{payment_parcel, refund_parcel, seal_notify},
    page::return_form,
};
use crate::{
    book::Trade,
    crypto::{Certificate, PrivateKey, PublicKey, Unusable},
    fault::Act,
    http::{Reply, Request},
    merchant::{UNIONPAY, UNIONPAY_B, UnionPayKeys, UnionPayMerchant},
    sim::Sim,
};

/// A merchant account as UnionPay keeps it.
#[derive(Debug)]
pub(crate) struct UnionPayAccount {
    merchant: UnionPayMerchant,
    key: PublicKey,
    /// Serial numbers of the encryption certificates: the first one, and the one that follows.
    encrypt_cert_ids: [String; 2],
}

impl UnionPayAccount {
    pub(crate) fn new(merchant: &UnionPayMerchant) -> Result<Self, Unusable> {
        let key = Certificate::from_pem(&merchant.certificate)?.key;
        let private = PrivateKey::from_pem(merchant.private_key.expose_secret())?;
        if !private.belongs_to(&key) || !trusts(merchant)? {
            return Err(Unusable("set of UnionPay keys and certificates"));
        }
        let serial = |pem: &str| Certificate::from_pem(pem).map(|read| read.serial_decimal);
        let encrypt_cert_ids =
            [serial(&merchant.encrypt_certificate)?, serial(&merchant.next_encrypt_certificate)?];
        Ok(Self { merchant: merchant.clone(), key, encrypt_cert_ids })
    }

    fn mer_id(&self) -> &str {
        &self.merchant.mer_id
    }

    /// How its messages are signed: the number of the method, and the key where there is one.
    fn method(&self) -> (&'static str, &str) {
        let key = self.merchant.secure_key.expose_secret();
        match self.merchant.keys {
            UnionPayKeys::Certificate => ("01", ""),
            UnionPayKeys::Sha256 => ("11", key),
            UnionPayKeys::Sm3 => ("12", key),
        }
    }
}

/// Whether the merchant's roots, middle certificates and owner are those of our signing certificates.
fn trusts(merchant: &UnionPayMerchant) -> Result<bool, Unusable> {
    let (now, next) = (
        [UNIONPAY, &merchant.middle_certificate, &merchant.root_certificate],
        [UNIONPAY_B, &merchant.next_middle_certificate, &merchant.next_root_certificate],
    );
    for chain in [now, next] {
        let [ours, middle, root] = chain.map(Certificate::from_pem);
        let (ours, middle, root) = (ours?, middle?, root?);
        let chain = ours.is_issued_by(&middle) && middle.is_issued_by(&root);
        if !chain || ours.common_name.split('@').nth(2) != Some(merchant.owner.as_str()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A request whose signature is right.
struct Call<'a> {
    sim: &'a Sim,
    account: &'a UnionPayAccount,
    fields: Fields,
    act: Option<&'a Act>,
}

/// What a call answers with, besides what it repeats of the request.
struct Done {
    fields: Fields,
    trade: Option<u64>,
}

const FRONT: &str = "/gateway/api/frontTransReq.do";
const BACK: &str = "/gateway/api/backTransReq.do";
const APP: &str = "/gateway/api/appTransReq.do";
const QUERY: &str = "/gateway/api/queryTrans.do";
const CARD: &str = "/gateway/api/cardTransReq.do";

/// The name of the call that `request` makes, when its path is one of UnionPay's. The file host has
/// no path of its own: a POST to `/`.
pub(crate) fn call(request: &Request) -> Option<String> {
    let form = request.form();
    let types =
        || (form.get("txnType").map(String::as_str), form.get("txnSubType").map(String::as_str));
    let name = match request.path.as_str() {
        FRONT => "front",
        APP => "app",
        QUERY => "query",
        // Rarely used, for the same transactions.
        CARD => match types() {
            (Some("77"), _) => "back.card_code",
            (Some("78"), _) => "back.card_query",
            _ => "card",
        },
        "/" if request.method == Method::POST => "file",
        BACK => match types() {
            (Some("01"), Some("07")) => "back.qr",
            (Some("01"), Some("01")) => "back.card_pay",
            (Some("77"), _) => "back.card_code",
            (Some("78"), _) => "back.card_query",
            (Some("79"), _) => "back.card_open",
            (Some("04"), _) => "back.refund",
            (Some("31"), _) => "back.cancel",
            (Some("99"), _) => "back.reversal",
            (Some("95"), _) => "back.certificate",
            _ => "back.other",
        },
        _ => return None,
    };
    Some(format!("unionpay.{name}"))
}

/// Answers a request whose path is one of UnionPay's.
pub(crate) fn answer(sim: &Sim, request: &Request, call: &str, act: Option<&Act>) -> Reply {
    let checked = message::check(sim, request, act);
    if call == "unionpay.front" {
        return page::open(sim, checked);
    }
    let call_done = match checked {
        Ok(checked) => checked,
        Err((fields, fail)) => return message::refuse(sim, &fields, &fail, act),
    };
    let done = match act {
        Some(Act::Throttle) => Err(Fail::new("37", "a fault script throttles this call")),
        Some(Act::ErrorBefore) => return system_error(),
        _ if !within(&call_done) => Err(Fail::new("37", "calls come too fast")),
        _ => run(&call_done, call),
    };
    match done {
        Ok(done) => message::accept(&call_done, done, act),
        Err(fail) => message::refuse(sim, &call_done.fields, &fail, act),
    }
}

fn within(call: &Call<'_>) -> bool {
    let name = format!("unionpay/{}", call.account.mer_id());
    call.sim.within(name, call.sim.settings.quotas.unionpay_calls)
}

fn run(call: &Call<'_>, name: &str) -> Result<Done, Fail> {
    match name {
        "unionpay.app" => order::app(call),
        "unionpay.back.qr" => order::qr(call),
        "unionpay.back.refund" => refund::refund(call),
        "unionpay.back.cancel" => refund::cancel(call),
        "unionpay.back.reversal" => refund::reversal(call),
        "unionpay.back.certificate" => cards::certificate(call),
        "unionpay.back.card_query" => cards::status(call),
        "unionpay.back.card_code" => cards::send(call),
        "unionpay.back.card_open" => cards::open(call),
        "unionpay.back.card_pay" => cards::pay(call),
        "unionpay.query" => query::query(call),
        "unionpay.file" => file::settlement(call),
        _ => Err(cards::refusal(call)),
    }
}

/// The plain-text answer that leaves the outcome open.
pub(crate) fn system_error() -> Reply {
    Reply::new(502, "text/html", "<html><body>502 Bad Gateway</body></html>").because("a script")
}

/// What UnionPay's client library does with a `tn`.
pub(crate) fn pay_in_app(sim: &Sim, tn: &str) -> Result<Trade, String> {
    let trade = sim.book().by_code(tn).cloned();
    let trade = trade.ok_or_else(|| format!("no order has the tn {tn}"))?;
    if trade.product == "app" { Ok(trade) } else { Err("the order is not for an app".to_owned()) }
}
