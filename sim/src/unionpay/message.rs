//! Messages: their signature, their common fields, and the answers' plain text.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use hyper::Method;

use super::{Call, Done, UnionPayAccount};
use crate::{
    clock::parse_digits,
    crypto::{Hash, PrivateKey, Unusable, hex, same, sha256, sm3},
    fault::Act,
    http::{Reply, Request, strict_form},
    ledger::Provider,
    merchant::{UNIONPAY, UNIONPAY_B, UNIONPAY_EXPIRED, UNIONPAY_SELF_SIGNED, UNIONPAY_STRANGER},
    sim::Sim,
};

pub(crate) type Fields = BTreeMap<String, String>;

/// How far `txnTime` may be from the clock.
const SKEW: TimeDelta = TimeDelta::minutes(10);
/// Most fields of a message.
const MOST_FIELDS: usize = 100;

/// Why a call is refused.
#[derive(Debug)]
pub(super) struct Fail {
    code: &'static str,
    reason: String,
    /// Refused before it is a message at all.
    plain: bool,
}

impl Fail {
    pub(super) fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), plain: false }
    }

    /// A field has the wrong form.
    pub(super) fn field(name: &str) -> Self {
        Self::new("10", format!("Invalid field[{name}]"))
    }

    /// A field is missing.
    pub(super) fn missing(name: &str) -> Self {
        Self::new("13", format!("Missing field[{name}]"))
    }

    fn plain(reason: impl Into<String>) -> Self {
        Self { plain: true, ..Self::new("", reason) }
    }

    /// The answer code.
    pub(super) fn code(&self) -> &'static str {
        self.code
    }

    /// What is wrong, for the person who made the request.
    pub(super) fn reason(&self) -> String {
        format!("{}: {}", self.code, self.reason)
    }
}

impl Call<'_> {
    /// A field that is there.
    pub(super) fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// A field that must be there, whatever it says.
    pub(super) fn required(&self, name: &str) -> Result<&str, Fail> {
        let value = self.field(name);
        if value.is_empty() { Err(Fail::missing(name)) } else { Ok(value) }
    }

    /// The amount in fen: 1 to 12 digits, 1 or more.
    pub(super) fn amount(&self) -> Result<i64, Fail> {
        let text = self.required("txnAmt")?;
        let plain = text.len() <= 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        let amount = if plain { text.parse().unwrap_or(0) } else { 0 };
        if amount < 1 { Err(Fail::field("txnAmt")) } else { Ok(amount) }
    }

    /// `orderId@txnTime`, which names one transaction.
    pub(super) fn key(&self) -> String {
        format!("{}@{}", self.field("orderId"), self.field("txnTime"))
    }

    /// Whether the types of the transaction are these.
    pub(super) fn is(&self, kind: &str, sub: &str, business: &[&str]) -> bool {
        self.field("txnType") == kind
            && self.field("txnSubType") == sub
            && business.contains(&self.field("bizType"))
    }

    /// Whether `txnTime` is the present time, as new transactions need.
    pub(super) fn is_fresh(&self) -> Result<(), Fail> {
        let moment = parse_digits(self.field("txnTime")).ok_or_else(|| Fail::field("txnTime"))?;
        if (moment - self.sim.now()).abs() > SKEW {
            return Err(Fail::new("10", "txnTime invalid[txnTime]"));
        }
        Ok(())
    }
}

/// Everything that comes before the meaning of a call. A refusal comes with the fields that the
/// answer repeats.
pub(super) fn check<'a>(
    sim: &'a Sim,
    request: &Request,
    act: Option<&'a Act>,
) -> Result<Call<'a>, (Fields, Fail)> {
    let mut fields = Fields::new();
    let form = request
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
    if request.method != Method::POST || !form {
        return Err((fields, Fail::plain("not a form post")));
    }
    if let Err(why) = strict_form(&request.body, &mut fields) {
        return Err((fields, Fail::plain(why)));
    }
    if fields.len() > MOST_FIELDS {
        return Err((fields, Fail::plain("too many fields")));
    }
    match verify(sim, &fields).and_then(|account| common(&fields).map(|()| account)) {
        Ok(account) => Ok(Call { sim, account, fields, act }),
        Err(fail) => Err((fields, fail)),
    }
}

fn verify<'a>(sim: &'a Sim, fields: &Fields) -> Result<&'a UnionPayAccount, Fail> {
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    for name in ["version", "encoding", "signMethod", "signature", "merId"] {
        if field(name).is_empty() {
            return Err(Fail::missing(name));
        }
    }
    if field("version") != "5.1.0" {
        return Err(Fail::field("version"));
    }
    if !field("encoding").eq_ignore_ascii_case("utf-8") {
        return Err(Fail::field("encoding"));
    }
    let account = sim
        .unionpay
        .get(field("merId"))
        .ok_or_else(|| Fail::new("31", "merchant unknown[merId]"))?;
    let (method, secure_key) = account.method();
    if field("signMethod") != method {
        return Err(Fail::field("signMethod"));
    }
    if let Some((name, _)) = fields.iter().find(|(_, value)| value.is_empty()) {
        // What is empty may not be sent.
        return Err(Fail::field(name));
    }
    if method != "01" {
        let fits = same(&keyed_hash(fields, method, secure_key), field("signature"));
        let refused = || Fail::new("11", "Signature verification failed: keyed hash[signature]");
        return if fits { Ok(account) } else { Err(refused()) };
    }
    if field("certId").is_empty() {
        return Err(Fail::missing("certId"));
    }
    if field("certId") != account.merchant.cert_id {
        return Err(Fail::new("11", "Signature verification failed: unknown certId[certId]"));
    }
    let digest = sha256(signed_text(fields).as_bytes());
    if !account.key.verifies(Hash::Sha256, digest.as_bytes(), field("signature")) {
        let reason = format!("Signature verification failed: SHA-256 {digest}[signature]");
        return Err(Fail::new("11", reason));
    }
    Ok(account)
}

/// The signature of methods 11 and 12.
pub(super) fn keyed_hash(fields: &Fields, method: &str, key: &str) -> String {
    let hash = |text: &str| match method {
        "12" => hex(&sm3(text.as_bytes())),
        _ => sha256(text.as_bytes()),
    };
    hash(&format!("{}&{}", signed_text(fields), hash(key)))
}

fn common(fields: &Fields) -> Result<(), Fail> {
    let field = |name: &str| fields.get(name).map_or("", String::as_str);
    for name in ["txnType", "txnSubType", "bizType", "accessType", "txnTime"] {
        if field(name).is_empty() {
            return Err(Fail::missing(name));
        }
    }
    if !["0", "1", "2"].contains(&field("accessType")) {
        return Err(Fail::field("accessType"));
    }
    let file = field("txnType") == "76";
    let order = field("orderId");
    if !file && order.is_empty() {
        return Err(Fail::missing("orderId"));
    }
    let plain = order.chars().all(|c| c.is_ascii_alphanumeric());
    if !file && (!(8..=40).contains(&order.len()) || !plain) {
        return Err(Fail::field("orderId"));
    }
    if parse_digits(field("txnTime")).is_none() {
        return Err(Fail::field("txnTime"));
    }
    let channel = field("channelType");
    if !channel.is_empty() && !["07", "08"].contains(&channel) {
        return Err(Fail::field("channelType"));
    }
    let reserved = field("reqReserved");
    if reserved.len() > 1024 || reserved.contains(['&', '{', '}', '[', ']', '"', '\'']) {
        return Err(Fail::field("reqReserved"));
    }
    for name in ["backUrl", "frontUrl"] {
        let url = field(name);
        if !url.is_empty() && !crate::http::is_address(url, 256, false) {
            return Err(Fail::field(name));
        }
    }
    Ok(())
}

/// The text of a message, before it is hashed.
pub(crate) fn signed_text(fields: &Fields) -> String {
    let pairs = fields.iter().filter(|(name, _)| *name != "signature");
    let pairs: Vec<_> = pairs.map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// Adds the signature, and the certificate where the merchant's form of signature has one.
pub(super) fn sign(sim: &Sim, fields: &mut Fields, act: Option<&Act>) -> Result<(), Unusable> {
    let account = fields.get("merId").and_then(|mer_id| sim.unionpay.get(mer_id));
    if let Some((method, key)) =
        account.map(UnionPayAccount::method).filter(|(method, _)| *method != "01")
    {
        fields.insert("signMethod".to_owned(), method.to_owned());
        let strange = matches!(act, Some(Act::BadSignature | Act::Stranger));
        let key = if strange { "nobody's key" } else { key };
        let signature = keyed_hash(fields, method, key);
        fields.insert("signature".to_owned(), signature);
        return Ok(());
    }
    let changed = sim.is_rotated(Provider::UnionPay);
    let certificate = match act {
        Some(Act::Stranger) => UNIONPAY_STRANGER,
        Some(Act::Stale) => UNIONPAY_EXPIRED,
        Some(Act::SelfSigned) => UNIONPAY_SELF_SIGNED,
        _ if changed => UNIONPAY_B,
        _ => UNIONPAY,
    };
    fields.insert("signMethod".to_owned(), "01".to_owned());
    fields.insert("signPubKeyCert".to_owned(), certificate.trim_end().to_owned());
    let key: &PrivateKey = match certificate {
        _ if act == Some(&Act::BadSignature) => &sim.keys.alipay,
        UNIONPAY_B => &sim.keys.unionpay_b,
        _ => &sim.keys.unionpay,
    };
    let digest = sha256(signed_text(fields).as_bytes());
    fields.insert("signature".to_owned(), key.sign(digest.as_bytes())?);
    Ok(())
}

/// What UnionPay says about the state of a transaction, by its code.
pub(super) fn wording(code: &str) -> &'static str {
    match code {
        "00" => "成功[0000000]",
        "A6" => "有缺陷的成功[00000A6]",
        "05" => "交易已受理，请稍后查询[5100005]",
        "60" => "交易失败，详情请咨询您的发卡行[5100060]",
        "61" => "输入的卡号无效，请确认后输入[5100061]",
        "64" => "银行卡余额不足，请确认后输入[5100064]",
        "65" => "输入的密码、有效期或CVN2有误[5100065]",
        "69" => "输入超时[5100069]",
        "71" => "短信验证码校验失败[5100071]",
        "77" => "银行卡未开通认证支付[5100077]",
        _ => "交易失败[5100001]",
    }
}

/// What an answer repeats of its request.
const REPEATED: [&str; 13] = [
    "version",
    "encoding",
    "accessType",
    "merId",
    "orderId",
    "txnTime",
    "txnType",
    "txnSubType",
    "bizType",
    "reqReserved",
    "txnAmt",
    "currencyCode",
    "origQryId",
];

pub(super) fn accept(call: &Call<'_>, done: Done, act: Option<&Act>) -> Reply {
    let mut answer = repeat(&call.fields);
    answer.insert("respCode".to_owned(), "00".to_owned());
    answer.insert("respMsg".to_owned(), wording("00").to_owned());
    answer.extend(done.fields);
    if act == Some(&Act::Pending) {
        answer.insert("respCode".to_owned(), "05".to_owned());
        answer.insert("respMsg".to_owned(), wording("05").to_owned());
    }
    let mut reply = write(call.sim, answer, act);
    reply.trade = done.trade;
    reply
}

pub(super) fn refuse(sim: &Sim, fields: &Fields, fail: &Fail, act: Option<&Act>) -> Reply {
    if fail.plain {
        return Reply::new(400, "text/html", "Invalid request.").because(&fail.reason);
    }
    let mut answer = repeat(fields);
    answer.insert("respCode".to_owned(), fail.code.to_owned());
    answer.insert("respMsg".to_owned(), format!("[91000{}]{}", fail.code, fail.reason));
    write(sim, answer, act).because(fail.reason())
}

fn repeat(fields: &Fields) -> Fields {
    let kept = fields
        .iter()
        .filter(|(name, value)| REPEATED.contains(&name.as_str()) && !value.is_empty());
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// `name=value` pairs joined by `&`, nothing encoded, in no order that means anything.
fn write(sim: &Sim, mut answer: Fields, act: Option<&Act>) -> Reply {
    if act != Some(&Act::Unsigned) {
        // An unsigned answer is refused by the merchant, as it must.
        let _ = sign(sim, &mut answer, act);
    }
    let pairs: Vec<_> =
        answer.iter().rev().map(|(name, value)| format!("{name}={value}")).collect();
    Reply::new(200, "text/html;charset=UTF-8", pairs.join("&"))
}
