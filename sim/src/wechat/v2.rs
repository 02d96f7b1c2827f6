//! WeChat Pay v2: XML, signed with a key that both sides hold.
//!
//! The refund needs a client certificate at the real provider. The simulators speak plain HTTP on
//! loopback, where the address alone stands for it.

mod calls;
mod create;
mod refund;

use std::collections::BTreeMap;

use hyper::Method;

pub(super) use self::calls::paid_fields;
use super::{WechatAccount, xml};
use crate::{
    book::Dialect,
    crypto::{hmac_sha256, md5, nonce, same},
    fault::Act,
    http::{Reply, Request},
    sim::Sim,
};

pub(super) type Fields = BTreeMap<String, String>;

/// Why a call is refused.
#[derive(Debug)]
pub(super) enum Fail {
    /// Before the signature was right: unsigned.
    Transport { message: &'static str, reason: String },
    /// After it: signed, with a code.
    Business { code: &'static str, reason: String },
    /// The failures of the bill download, which are neither.
    Bill { code: &'static str, message: &'static str },
}

impl Fail {
    pub(super) fn business(code: &'static str, reason: impl Into<String>) -> Self {
        Self::Business { code, reason: reason.into() }
    }

    fn transport(message: &'static str, reason: impl Into<String>) -> Self {
        Self::Transport { message, reason: reason.into() }
    }
}

/// What a call answers with: the fields besides the common ones, or a file.
pub(super) enum Outcome {
    Fields { fields: Fields, trade: Option<u64> },
    File(Reply),
}

/// A request whose signature is right.
pub(super) struct Call<'a> {
    pub(super) sim: &'a Sim,
    pub(super) account: &'a WechatAccount,
    pub(super) fields: Fields,
    pub(super) hmac: bool,
    pub(super) act: Option<&'a Act>,
}

impl Call<'_> {
    /// The call's own form of signature, which its notifications keep.
    pub(super) fn dialect(&self) -> Dialect {
        if self.hmac { Dialect::WechatHmac } else { Dialect::WechatMd5 }
    }

    /// A field that is there and not empty.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A field that must be there.
    pub(super) fn required(&self, name: &str) -> Result<&str, Fail> {
        self.field(name)
            .ok_or_else(|| Fail::business("LACK_PARAMS", format!("{name} is missing")))
    }

    /// A whole amount in fen, 1 or more.
    pub(super) fn amount(&self, name: &str) -> Result<i64, Fail> {
        let text = self.required(name)?;
        let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() <= 12;
        let amount = if plain { text.parse().unwrap_or(0) } else { 0 };
        if amount < 1 {
            return Err(bad(name, "is not a whole number of fen, 1 or more"));
        }
        Ok(amount)
    }
}

pub(super) fn bad(name: &str, issue: &str) -> Fail {
    Fail::business("PARAM_ERROR", format!("{name} {issue}"))
}

/// The longest value of each field, in bytes.
const LENGTHS: &[(&str, usize)] = &[
    ("appid", 32),
    ("mch_id", 32),
    ("device_info", 32),
    ("nonce_str", 32),
    ("sign", 64),
    ("sign_type", 32),
    ("body", 127),
    ("detail", 6000),
    ("attach", 127),
    ("out_trade_no", 32),
    ("fee_type", 16),
    ("spbill_create_ip", 64),
    ("time_start", 14),
    ("time_expire", 14),
    ("goods_tag", 32),
    ("notify_url", 256),
    ("trade_type", 16),
    ("product_id", 32),
    ("limit_pay", 32),
    ("openid", 128),
    ("receipt", 8),
    ("scene_info", 256),
    ("transaction_id", 32),
    ("out_refund_no", 64),
    ("refund_id", 32),
    ("refund_fee_type", 8),
    ("refund_desc", 80),
    ("refund_account", 30),
];

pub(super) fn call(path: &str) -> Option<&'static str> {
    Some(match path {
        "/pay/unifiedorder" => "wechat.v2.unifiedorder",
        "/pay/orderquery" => "wechat.v2.orderquery",
        "/pay/closeorder" => "wechat.v2.closeorder",
        "/secapi/pay/refund" => "wechat.v2.refund",
        "/pay/refundquery" => "wechat.v2.refundquery",
        "/pay/downloadbill" => "wechat.v2.downloadbill",
        "/pay/micropay" => "wechat.v2.micropay",
        "/secapi/pay/reverse" => "wechat.v2.reverse",
        _ => return None,
    })
}

pub(super) fn answer(sim: &Sim, request: &Request, call: &str, act: Option<&Act>) -> Reply {
    let checked = match check(sim, request, act) {
        Ok(checked) => checked,
        Err(fail) => return refuse(None, &fail, act),
    };
    match act {
        Some(Act::Throttle) => {
            let fail = Fail::business("FREQUENCY_LIMITED", "a fault script throttles this call");
            return refuse(Some(&checked), &fail, act);
        }
        Some(Act::ErrorBefore) => return system_error(),
        _ => {}
    }
    let outcome = common(&checked).and_then(|()| match call {
        "wechat.v2.unifiedorder" => create::unified_order(&checked),
        "wechat.v2.orderquery" => calls::order_query(&checked),
        "wechat.v2.closeorder" => calls::close_order(&checked),
        "wechat.v2.refund" => refund::refund(&checked),
        "wechat.v2.refundquery" => refund::refund_query(&checked),
        "wechat.v2.downloadbill" => calls::download_bill(&checked),
        _ => Err(Fail::business("NOAUTH", "payment codes are not simulated")),
    });
    match outcome {
        Ok(Outcome::Fields { fields, trade }) => {
            let mut reply = signed(&checked, fields, act);
            reply.trade = trade;
            reply
        }
        Ok(Outcome::File(reply)) => reply,
        Err(fail) => refuse(Some(&checked), &fail, act),
    }
}

/// Everything that comes before the meaning of a call.
fn check<'a>(
    sim: &'a Sim,
    request: &Request,
    act: Option<&'a Act>,
) -> Result<Call<'a>, Fail> {
    if request.method != Method::POST {
        return Err(Fail::transport("请使用post方法", "REQUIRE_POST_METHOD"));
    }
    if request.body.is_empty() {
        return Err(Fail::transport("post数据为空", "POST_DATA_EMPTY"));
    }
    if std::str::from_utf8(&request.body).is_err() {
        return Err(Fail::transport("编码格式错误", "NOT_UTF8"));
    }
    let fields = xml::read(&request.body)
        .map_err(|why| Fail::transport("XML格式错误", format!("XML_FORMAT_ERROR: {why}")))?;
    let mch_id = fields.get("mch_id").map(String::as_str).unwrap_or_default();
    let account = sim.wechat.get(mch_id).ok_or_else(|| {
        Fail::transport("商户号不存在", format!("MCHID_NOT_EXIST: {mch_id:?}"))
    })?;
    let hmac = match fields.get("sign_type").map(String::as_str) {
        None | Some("" | "MD5") => false,
        Some("HMAC-SHA256") => true,
        Some(other) => {
            let reason = format!("SIGNERROR: sign_type {other:?} is unknown");
            return Err(Fail::transport("签名错误", reason));
        }
    };
    let expected = sign(&fields, account.api_key(), hmac);
    let given = fields.get("sign").map(String::as_str).unwrap_or_default();
    if !same(given, &expected) {
        let text = signed_text(&fields);
        let reason = format!("SIGNERROR: the signature does not fit the text {text}&key=…");
        return Err(Fail::transport("签名错误", reason));
    }
    Ok(Call { sim, account, fields, hmac, act })
}

/// What every call needs.
fn common(call: &Call<'_>) -> Result<(), Fail> {
    let app = call.required("appid")?;
    call.required("nonce_str")?;
    for (name, longest) in LENGTHS {
        if call.field(name).is_some_and(|value| value.len() > *longest) {
            return Err(bad(name, &format!("is longer than {longest} bytes")));
        }
    }
    if !call.account.has_app(app) {
        let elsewhere = call.sim.wechat.values().any(|account| account.has_app(app));
        let code = if elsewhere { "APPID_MCHID_NOT_MATCH" } else { "APPID_NOT_EXIST" };
        return Err(Fail::business(code, format!("{app} does not belong to this merchant")));
    }
    Ok(())
}

/// The text that is signed, without the key.
pub(super) fn signed_text(fields: &Fields) -> String {
    let pairs = fields.iter().filter(|(name, value)| *name != "sign" && !value.is_empty());
    let pairs: Vec<_> = pairs.map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// The signature of `fields`, in upper-case hex.
pub(super) fn sign(fields: &Fields, key: &str, hmac: bool) -> String {
    let text = format!("{}&key={key}", signed_text(fields));
    let hash = if hmac {
        hmac_sha256(key.as_bytes(), text.as_bytes())
    } else {
        md5(text.as_bytes())
    };
    hash.to_uppercase()
}

/// `pairs` as fields; empty values are left out.
pub(super) fn fields<const N: usize>(pairs: [(&str, String); N]) -> Fields {
    let full = pairs.into_iter().filter(|(_, value)| !value.is_empty());
    full.map(|(name, value)| (name.to_owned(), value)).collect()
}

fn signed(call: &Call<'_>, mut answer: Fields, act: Option<&Act>) -> Reply {
    let defaults = [
        ("return_code", "SUCCESS"),
        ("return_msg", "OK"),
        ("result_code", "SUCCESS"),
        ("appid", call.field("appid").unwrap_or_default()),
        ("mch_id", call.account.mchid()),
    ];
    for (name, value) in defaults {
        answer.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
    answer.insert("nonce_str".to_owned(), nonce(16));
    if act != Some(&Act::Unsigned) {
        let key = if act == Some(&Act::BadSignature) {
            "nobody's key"
        } else {
            call.account.api_key()
        };
        let sign = sign(&answer, key, call.hmac);
        answer.insert("sign".to_owned(), sign);
    }
    Reply::new(200, "text/plain", xml::write("xml", &answer))
}

fn refuse(call: Option<&Call<'_>>, fail: &Fail, act: Option<&Act>) -> Reply {
    let failed = |message: &str| ("return_msg", message.to_owned());
    let fail_code = ("return_code", "FAIL".to_owned());
    match (fail, call) {
        (Fail::Business { code, reason }, Some(call)) => {
            let answer = fields([
                ("result_code", "FAIL".to_owned()),
                ("err_code", (*code).to_owned()),
                ("err_code_des", reason.clone()),
            ]);
            signed(call, answer, act).because(format!("{code}: {reason}"))
        }
        (Fail::Business { code, reason }, None) => {
            let answer = fields([fail_code, failed(code)]);
            Reply::new(200, "text/plain", xml::write("xml", &answer)).because(reason)
        }
        (Fail::Transport { message, reason }, _) => {
            let answer = fields([fail_code, failed(message)]);
            Reply::new(200, "text/plain", xml::write("xml", &answer)).because(reason)
        }
        (Fail::Bill { code, message }, _) => {
            let answer = fields([fail_code, failed(message), ("error_code", (*code).to_owned())]);
            Reply::new(200, "text/plain", xml::write("xml", &answer)).because(*message)
        }
    }
}

/// The unsigned answer that leaves the outcome open.
pub(super) fn system_error() -> Reply {
    let answer = fields([
        ("return_code", "FAIL".to_owned()),
        ("return_msg", "SYSTEMERROR".to_owned()),
    ]);
    Reply::new(200, "text/plain", xml::write("xml", &answer)).because("SYSTEMERROR by a script")
}
