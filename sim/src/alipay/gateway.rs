//! `gateway.do`: who calls, what is asked, and the signature of the answer.

use serde_json::{Value, json};

use super::{AlipayAccount, bill, oauth, page, params::Params, refund, trade};
use crate::{
    clock::parse_spaced,
    crypto::Hash,
    fault::Act,
    http::{Reply, Request},
    merchant::AlipayKeys,
    sim::Sim,
};

const HTML: &str = "text/html;charset=utf-8";

/// Why a call is refused.
#[derive(Debug)]
pub(super) struct Fail {
    code: &'static str,
    sub_code: String,
    reason: String,
    /// Gateway errors carry no signature.
    signed: bool,
}

impl Fail {
    /// The business says no.
    pub(super) fn business(sub_code: &str, reason: impl Into<String>) -> Self {
        Self { code: "40004", sub_code: sub_code.to_owned(), reason: reason.into(), signed: true }
    }

    /// A parameter of the business is wrong.
    pub(super) fn bad(name: &str, issue: &str) -> Self {
        Self::business("ACQ.INVALID_PARAMETER", format!("{name} {issue}"))
    }

    /// A parameter is wrong, with one of the gateway's own codes, after the signature was right.
    pub(super) fn invalid(sub_code: &str, reason: impl Into<String>) -> Self {
        Self { code: "40002", sub_code: sub_code.to_owned(), reason: reason.into(), signed: true }
    }

    /// The application may not do that.
    pub(super) fn forbidden(reason: impl Into<String>) -> Self {
        let sub_code = "isv.insufficient-isv-permissions".to_owned();
        Self { code: "40006", sub_code, reason: reason.into(), signed: true }
    }

    fn gateway(code: &'static str, sub_code: &str, reason: impl Into<String>) -> Self {
        Self { code, sub_code: sub_code.to_owned(), reason: reason.into(), signed: false }
    }

    /// What is wrong, for the person who made the request.
    pub(super) fn reason(&self) -> String {
        format!("{}: {}", self.sub_code, self.reason)
    }

    fn node(&self) -> Value {
        let msg = match self.code {
            "20000" => "Service Currently Unavailable",
            "40001" => "Missing Required Arguments",
            "40002" => "Invalid Arguments",
            "40005" => "Call Limited",
            "40006" => "Insufficient Permissions",
            _ => "Business Failed",
        };
        json!({ "code": self.code, "msg": msg, "sub_code": self.sub_code, "sub_msg": self.reason })
    }
}

/// A request whose signature is right.
pub(super) struct Call<'a> {
    pub(super) sim: &'a Sim,
    pub(super) account: &'a AlipayAccount,
    pub(super) params: Params,
    pub(super) method: String,
    pub(super) biz: Value,
    pub(super) act: Option<&'a Act>,
}

impl Call<'_> {
    /// A text of the business content of at most `longest` characters, when it is there.
    pub(super) fn optional(&self, name: &str, longest: usize) -> Result<Option<String>, Fail> {
        let text = match &self.biz[name] {
            Value::Null => return Ok(None),
            Value::String(text) if text.is_empty() => return Ok(None),
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return Err(Fail::bad(name, "is not a text")),
        };
        if text.chars().count() > longest {
            return Err(Fail::bad(name, &format!("is longer than {longest}")));
        }
        Ok(Some(text))
    }

    /// The same, and it must be there.
    pub(super) fn required(&self, name: &str, longest: usize) -> Result<String, Fail> {
        self.optional(name, longest)?.ok_or_else(|| Fail::bad(name, "is missing"))
    }
}

/// What a call answers with: the node without `code` and `msg`, or, for tokens, the whole node.
pub(super) struct Done {
    pub(super) node: Value,
    pub(super) trade: Option<u64>,
    pub(super) bare: bool,
}

impl Done {
    pub(super) fn node(node: Value) -> Self {
        Self { node, trade: None, bare: false }
    }

    pub(super) fn about(self, trade: u64) -> Self {
        Self { trade: Some(trade), ..self }
    }
}

/// The method that is called, as far as it can be read.
pub(super) fn method(request: &Request) -> String {
    let method = Params::of(request).ok().and_then(|params| params.get("method"));
    method
        .filter(|method| method.starts_with("alipay."))
        .unwrap_or_else(|| "alipay.unknown".to_owned())
}

pub(super) fn answer(sim: &Sim, request: &Request, act: Option<&Act>) -> Reply {
    let method = method(request);
    let checked = Params::of(request)
        .map_err(|why| Fail::gateway("40002", "isv.invalid-parameter", why))
        .and_then(|params| check(sim, params, act));
    if page::is_page(&method) {
        return page::open(sim, checked);
    }
    let call = match checked {
        Ok(call) => call,
        Err(fail) => return refuse(None, sim, &method, &fail, act),
    };
    let account = call.account;
    let done = match act {
        Some(Act::Throttle) => Err(limited("a fault script throttles this call")),
        Some(Act::ErrorBefore) => return unknown_error(sim, request),
        _ if !sim
            .within(format!("alipay/{}", account.app_id()), sim.settings.quotas.alipay_calls) =>
        {
            Err(limited("calls come too fast"))
        }
        _ => run(&call),
    };
    match done {
        Ok(done) => {
            let mut node = done.node;
            if !done.bare {
                node["code"] = json!("10000");
                node["msg"] = json!("Success");
            }
            let mut reply = seal(Some(account), sim, &method, &node, act);
            reply.trade = done.trade;
            reply
        }
        Err(fail) => refuse(Some(account), sim, &method, &fail, act),
    }
}

pub(super) fn limited(reason: &str) -> Fail {
    let sub_code = "isv.app-call-limited".to_owned();
    Fail { code: "40005", sub_code, reason: reason.to_owned(), signed: true }
}

fn run(call: &Call<'_>) -> Result<Done, Fail> {
    match call.method.as_str() {
        "alipay.trade.precreate" => trade::precreate(call),
        "alipay.trade.create" => trade::create(call),
        "alipay.trade.query" => trade::query(call),
        "alipay.trade.close" => trade::close(call),
        "alipay.trade.cancel" => refund::cancel(call),
        "alipay.trade.refund" => refund::refund(call),
        "alipay.trade.fastpay.refund.query" => refund::query(call),
        "alipay.data.dataservice.bill.downloadurl.query" => bill::address(call),
        "alipay.system.oauth.token" => oauth::token(call),
        "alipay.user.info.share" => oauth::user(call),
        other => Err(Fail::gateway("40002", "isv.invalid-method", format!("{other} is unknown"))),
    }
}

/// The checks of the gateway, in its order.
pub(super) fn check<'a>(
    sim: &'a Sim,
    params: Params,
    act: Option<&'a Act>,
) -> Result<Call<'a>, Fail> {
    let need = |name: &str, sub_code: &str| {
        params
            .get(name)
            .ok_or_else(|| Fail::gateway("40001", sub_code, format!("{name} is missing")))
    };
    let wrong = |sub_code: &str, reason: String| Fail::gateway("40002", sub_code, reason);
    let app_id = need("app_id", "isv.missing-app-id")?;
    let account = sim
        .alipay
        .get(&app_id)
        .ok_or_else(|| wrong("isv.invalid-app-id", format!("{app_id} is unknown")))?;
    let method = need("method", "isv.missing-method")?;
    if need("version", "isv.missing-version")? != "1.0" {
        return Err(wrong("isv.invalid-parameter", "version is not 1.0".to_owned()));
    }
    let charset = params.get("charset").unwrap_or_default().to_lowercase();
    if !["utf-8", "gbk"].contains(&charset.as_str()) {
        return Err(wrong("isv.invalid-charset", format!("charset is {charset:?}")));
    }
    if params.get("format").is_some_and(|format| !format.eq_ignore_ascii_case("json")) {
        return Err(wrong("isv.invalid-format", "format is not JSON".to_owned()));
    }
    let sign_type = need("sign_type", "isv.missing-signature-type")?;
    if sign_type != "RSA2" {
        return Err(wrong("isv.invalid-signature-type", format!("{sign_type} is not RSA2")));
    }
    let timestamp = need("timestamp", "isv.missing-timestamp")?;
    if parse_spaced(&timestamp).is_none() {
        return Err(wrong("isv.invalid-timestamp", format!("{timestamp} is not a time")));
    }
    certificates(account, &params)?;
    let sign = need("sign", "isv.missing-signature")?;
    let text = params.signed_text();
    if !account.key.verifies(Hash::Sha256, &text, &sign) {
        let text = String::from_utf8_lossy(&text).into_owned();
        return Err(wrong("isv.invalid-signature", format!("the signature does not fit {text}")));
    }
    for name in ["notify_url", "return_url"] {
        let url = params.get(name);
        if url.is_some_and(|url| !crate::http::is_address(&url, 256, false)) {
            return Err(wrong("isv.invalid-parameter", format!("{name} is not an address")));
        }
    }
    let biz = match params.get("biz_content") {
        None => Value::Null,
        Some(text) => serde_json::from_str::<Value>(&text)
            .ok()
            .filter(Value::is_object)
            .ok_or_else(|| Fail::invalid("isv.illegal-json", "biz_content is not a JSON object"))?,
    };
    Ok(Call { sim, account, params, method, biz, act })
}

fn certificates(account: &AlipayAccount, params: &Params) -> Result<(), Fail> {
    if account.merchant.keys == AlipayKeys::PublicKey {
        return Ok(());
    }
    let pairs = [
        ("app_cert_sn", "isv.missing-app-cert-sn", &account.app_cert_sn),
        ("alipay_root_cert_sn", "isv.missing-alipay-root-cert-sn", &account.root_cert_sn),
    ];
    for (name, missing, expected) in pairs {
        let given = params
            .get(name)
            .ok_or_else(|| Fail::gateway("40001", missing, format!("{name} is missing")))?;
        if given != *expected {
            let reason = format!("{name} is {given}, not {expected}");
            return Err(Fail::gateway("40002", "isv.invalid-parameter", reason));
        }
    }
    Ok(())
}

fn refuse(
    account: Option<&AlipayAccount>,
    sim: &Sim,
    method: &str,
    fail: &Fail,
    act: Option<&Act>,
) -> Reply {
    let account = account.filter(|_| fail.signed);
    seal(account, sim, method, &fail.node(), act).because(fail.reason())
}

/// The answer text, signed over the exact bytes of its node when there is an account.
fn seal(
    account: Option<&AlipayAccount>,
    sim: &Sim,
    method: &str,
    node: &Value,
    act: Option<&Act>,
) -> Reply {
    let name = match method {
        "alipay.unknown" => "error_response".to_owned(),
        method => format!("{}_response", method.replace('.', "_")),
    };
    // Both spellings of a slash are right; whoever parses and prints again is found out.
    let node = node.to_string().replace("//", "\\/\\/");
    let Some(account) = account.filter(|_| act != Some(&Act::Unsigned)) else {
        return Reply::new(200, HTML, format!("{{\"{name}\":{node}}}"));
    };
    let strange = act == Some(&Act::BadSignature);
    let (own, serial) = account.signs_with(sim);
    let key = if strange { &sim.keys.unionpay } else { own };
    let sign = key.sign(node.as_bytes()).unwrap_or_default();
    let certificate = match account.merchant.keys {
        AlipayKeys::PublicKey => String::new(),
        AlipayKeys::Certificate if act == Some(&Act::Stranger) => {
            format!("\"alipay_cert_sn\":\"{}\",", "0f".repeat(16))
        }
        AlipayKeys::Certificate => format!("\"alipay_cert_sn\":\"{serial}\","),
    };
    let text = format!("{{\"{name}\":{node},{certificate}\"sign\":\"{sign}\"}}");
    Reply::new(200, HTML, text)
}

/// The unsigned answer that leaves the outcome open.
pub(super) fn unknown_error(sim: &Sim, request: &Request) -> Reply {
    let fail = Fail::gateway("20000", "isp.unknow-error", "a fault script");
    refuse(None, sim, &method(request), &fail, None)
}
