//! WeChat Pay v3: JSON, signed with RSA by both sides.

mod auth;
mod bills;
mod body;
mod create;
mod orders;
mod refund;

use hyper::Method;
use serde_json::{Value, json};

pub(super) use self::orders::describe;
use super::WechatAccount;
use crate::{
    crypto::{Certificate, PrivateKey, nonce},
    fault::Act,
    http::{Reply, Request},
    ledger::Provider,
    merchant::{PLATFORM_A, PLATFORM_B, WechatKeys},
    sim::Sim,
};

/// The only form of signature.
pub(super) const SCHEME: &str = "WECHATPAY2-SHA256-RSA2048";
/// What a signature probe starts with.
const PROBE: &str = "WECHATPAY/SIGNTEST/";
/// How old a stale answer says it is, in seconds.
const STALE: i64 = 600;

/// Why a call is refused.
#[derive(Debug)]
pub(super) struct Problem {
    status: u16,
    code: &'static str,
    message: String,
    detail: Option<Value>,
}

impl Problem {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), detail: None }
    }

    /// A field of the request is wrong.
    pub(super) fn field(field: &str, value: &Value, issue: &str, location: &str) -> Self {
        let detail = json!({
            "field": field, "value": value, "issue": issue, "location": location,
        });
        let message = format!("参数错误：{field} {issue}");
        Self { detail: Some(detail), ..Self::new(400, "PARAM_ERROR", message) }
    }

    fn reply(self) -> Reply {
        if self.status == 404 && self.code.is_empty() || self.status == 405 {
            return Reply::empty(self.status).because(self.message);
        }
        let mut body = json!({ "code": self.code, "message": self.message });
        if let Some(detail) = self.detail {
            body["detail"] = detail;
        }
        let reason = format!("{}: {}", self.code, self.message);
        Reply::json(self.status, &body).because(reason)
    }
}

/// A request whose signature is right.
pub(super) struct Call<'a> {
    pub(super) sim: &'a Sim,
    pub(super) account: &'a WechatAccount,
    pub(super) request: &'a Request,
    pub(super) segments: Vec<String>,
    pub(super) act: Option<&'a Act>,
}

/// What a call answers with.
pub(super) struct Done {
    status: u16,
    body: Value,
    trade: Option<u64>,
    file: Option<Vec<u8>>,
}

impl Done {
    pub(super) fn json(body: Value) -> Self {
        Self { status: 200, body, trade: None, file: None }
    }

    pub(super) fn nothing() -> Self {
        Self { status: 204, ..Self::json(Value::Null) }
    }

    pub(super) fn file(file: Vec<u8>) -> Self {
        Self { file: Some(file), ..Self::json(Value::Null) }
    }

    pub(super) fn about(self, trade: u64) -> Self {
        Self { trade: Some(trade), ..self }
    }
}

/// The name of a v3 call; `unknown` for a path or a method that v3 does not have.
pub(super) fn call(request: &Request) -> Option<String> {
    let rest = request.path.strip_prefix("/v3/")?;
    let segments: Vec<_> = rest.split('/').collect();
    let name = match segments.as_slice() {
        ["certificates"] => "certificates",
        ["pay", "transactions", "native" | "app" | "jsapi" | "h5"] => "create",
        ["pay", "transactions", "id" | "out-trade-no", _] => "query",
        ["pay", "transactions", "out-trade-no", _, "close"] => "close",
        ["refund", "domestic", "refunds"] => "refund",
        ["refund", "domestic", "refunds", _] => "refundquery",
        ["bill", "tradebill"] => "tradebill",
        ["bill", "fundflowbill"] => "fundflowbill",
        ["billdownload", "file"] => "billdownload",
        _ => "unknown",
    };
    Some(format!("wechat.v3.{name}"))
}

pub(super) fn answer(sim: &Sim, request: &Request, call: &str, act: Option<&Act>) -> Reply {
    let name = call.trim_start_matches("wechat.v3.");
    let done = auth::check(sim, request, name, act).and_then(|call| {
        match act {
            Some(Act::Throttle) => {
                let message = "频率超限，a fault script throttles this call";
                return Err(Problem::new(429, "FREQUENCY_LIMITED", message));
            }
            Some(Act::ErrorBefore) => return Err(error_problem()),
            _ => {}
        }
        run(&call, name).map(|done| (call.account, done))
    });
    match done {
        Ok((account, done)) => seal(sim, account, request, done, act),
        Err(problem) => problem.reply().with("request-id", nonce(32)),
    }
}

fn run(call: &Call<'_>, name: &str) -> Result<Done, Problem> {
    match name {
        "certificates" => bills::certificates(call),
        "create" => create::create(call),
        "query" => orders::query(call),
        "close" => orders::close(call),
        "refund" => refund::refund(call),
        "refundquery" => refund::query(call),
        "tradebill" => bills::trade_bill(call),
        "fundflowbill" => bills::fund_bill(call),
        "billdownload" => bills::download(call),
        _ => Err(Problem::new(404, "", "there is no such path")),
    }
}

/// Which method a call takes.
fn method(name: &str) -> Method {
    if matches!(name, "create" | "close" | "refund") { Method::POST } else { Method::GET }
}

fn error_problem() -> Problem {
    Problem::new(500, "SYSTEM_ERROR", "系统错误，a fault script")
}

/// The answer that leaves the outcome open.
pub(super) fn system_error() -> Reply {
    error_problem().reply()
}

fn seal(
    sim: &Sim,
    account: &WechatAccount,
    request: &Request,
    done: Done,
    act: Option<&Act>,
) -> Reply {
    let mut reply = match (done.file, done.status) {
        (Some(file), _) => return Reply::new(200, "application/octet-stream", file),
        (None, 204) => Reply::empty(204),
        (None, status) => Reply::json(status, &done.body),
    };
    reply.trade = done.trade;
    if act == Some(&Act::Unsigned) {
        return reply;
    }
    let wanted = request.header("wechatpay-serial");
    let by_public_key = match account.merchant.keys {
        WechatKeys::Certificate => false,
        WechatKeys::PublicKey => true,
        WechatKeys::Both => wanted == Some(account.merchant.public_key_id.as_str()),
    };
    let signed = sign(sim, account, by_public_key, &reply.body, act);
    reply.headers.extend(signed);
    reply.headers.push(("request-id", nonce(32)));
    reply
}

/// The headers that prove who sent `body`.
pub(super) fn sign(
    sim: &Sim,
    account: &WechatAccount,
    by_public_key: bool,
    body: &[u8],
    act: Option<&Act>,
) -> Vec<(&'static str, String)> {
    let age = if act == Some(&Act::Stale) { STALE } else { 0 };
    let timestamp = (sim.now().timestamp() - age).to_string();
    let nonce = nonce(32);
    let mut text = format!("{timestamp}\n{nonce}\n").into_bytes();
    text.extend_from_slice(body);
    text.push(b'\n');

    let (mut serial, key) = if by_public_key {
        (account.merchant.public_key_id.clone(), &sim.keys.wechat_public)
    } else {
        platform(sim)
    };
    let stranger: &PrivateKey = &sim.keys.unionpay;
    let signer = if act == Some(&Act::BadSignature) { stranger } else { key };
    let mut signature = signer.sign(&text).unwrap_or_default();
    match act {
        Some(Act::Probe) => signature = format!("{PROBE}{signature}"),
        Some(Act::Stranger) => serial = "0F".repeat(20),
        _ => {}
    }
    vec![
        ("wechatpay-timestamp", timestamp),
        ("wechatpay-nonce", nonce),
        ("wechatpay-serial", serial),
        ("wechatpay-signature", signature),
        ("wechatpay-signature-type", SCHEME.to_owned()),
    ]
}

/// The active platform certificate's serial and key.
fn platform(sim: &Sim) -> (String, &PrivateKey) {
    let (pem, key) = if sim.is_rotated(Provider::Wechat) {
        (PLATFORM_B, &sim.keys.platform_b)
    } else {
        (PLATFORM_A, &sim.keys.platform_a)
    };
    (Certificate::from_pem(pem).map(|read| read.serial_hex).unwrap_or_default(), key)
}
