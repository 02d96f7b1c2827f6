//! One call to a provider as its caller sees it: how long it may take, and a trail of what was
//! said, for operators.
//!
//! The trail is bounded, and it holds no secret, no person's name or id, no card data and no
//! signature: only fields that are named here as harmless keep their values.

use std::time::Duration;

use schemars::JsonSchema;
use schemas::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How long a call may take in all when its caller does not say.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// Most exchanges that a trail keeps.
pub const MAX_EXCHANGES: usize = 8;

/// Most fields of one side of an exchange.
const MAX_FIELDS: usize = 40;

/// How deep JSON is looked into.
const MAX_DEPTH: usize = 3;

/// Longest value that is kept, in characters.
const MAX_VALUE_CHARS: usize = 128;

/// One call: give a fresh one to every operation, and keep the trail afterwards, also when the
/// operation failed.
#[derive(Debug, Clone)]
pub struct Call {
    /// How long each request may take in all.
    pub timeout: Duration,
    /// Whose slots and circuit breaker it uses; [`Gateway::bill`](super::Gateway::bill) sets it.
    pub purpose: Purpose,
    /// What was said so far.
    pub trail: Trail,
}

/// What a call is for. Each purpose has slots and a circuit breaker of its own in every account,
/// so that trouble with one holds up no call for the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Purpose {
    /// Trades, refunds, and all that serves them.
    #[default]
    Payment,
    /// The bill of a day.
    Bill,
}

impl Default for Call {
    fn default() -> Self {
        Self { timeout: DEFAULT_TIMEOUT, purpose: Purpose::default(), trail: Trail::default() }
    }
}

/// What was said to a provider and what it answered, masked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trail {
    /// At most [`MAX_EXCHANGES`], the first ones of the call.
    pub exchanges: Vec<Exchange>,
}

/// One request and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exchange {
    /// When the request was about to be sent.
    pub at: Timestamp,
    /// What was asked, in the provider's word for it, such as `/pay/orderquery`.
    pub operation: String,
    /// The request, masked.
    pub sent: Vec<Field>,
    /// Status of HTTP, when there was an answer.
    pub status: Option<u16>,
    /// The answer, masked.
    pub received: Vec<Field>,
    /// How long it took, in milliseconds.
    pub elapsed_ms: Option<u64>,
    /// How the exchange ended, in one word.
    pub ended: String,
}

/// A name with its value, or with `…` in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Field {
    /// Name of the field.
    pub name: String,
    /// Its value, when the name is one of those that are harmless.
    pub value: String,
}

/// Fields that operators need and that say nothing about a person: numbers of trades, amounts,
/// states, codes and times. Everything else is masked.
const HARMLESS: &[&str] = &[
    "action",
    "amount",
    "amount.currency",
    "amount.refund",
    "amount.total",
    "appid",
    "app_id",
    "biz_type",
    "bizType",
    "bill_date",
    "bill_type",
    "channel",
    "channelType",
    "code",
    "currency",
    "currencyCode",
    "err_code",
    "error_code",
    "errcode",
    "event_type",
    "fee_type",
    "fund_change",
    "grant_type",
    "hash_type",
    "id",
    "mch_id",
    "mchid",
    "merId",
    "method",
    "orderId",
    "origQryId",
    "origRespCode",
    "out_refund_no",
    "out_request_no",
    "out_trade_no",
    "product_code",
    "queryId",
    "refund_amount",
    "refund_count",
    "refund_fee",
    "refund_id",
    "refund_status",
    "respCode",
    "result_code",
    "return_code",
    "seller_id",
    "settleAmt",
    "settleDate",
    "sign_type",
    "signMethod",
    "status",
    "sub_code",
    "success_time",
    "tar_type",
    "time_end",
    "time_expire",
    "total_amount",
    "total_fee",
    "total_refund_count",
    "traceTime",
    "trade_no",
    "trade_state",
    "trade_status",
    "trade_type",
    "transaction_id",
    "txnAmt",
    "txnSubType",
    "txnTime",
    "txnType",
    "version",
];

/// Harmless in an answer, where it is the provider's word for what happened; in a request it is
/// what a person's consent is exchanged for.
const SECRET_WHEN_SENT: &str = "code";

impl Trail {
    /// Notes that a request is about to be sent; nothing when the trail is full.
    pub(crate) fn begin<'f>(
        &mut self,
        operation: &str,
        sent: impl IntoIterator<Item = (&'f str, &'f str)>,
    ) {
        if self.exchanges.len() == MAX_EXCHANGES {
            return;
        }
        self.exchanges.push(Exchange {
            at: Timestamp::now(),
            operation: cut(operation),
            sent: masked(sent.into_iter().map(|(name, value)| {
                if name == SECRET_WHEN_SENT { (name, "…") } else { (name, value) }
            })),
            status: None,
            received: Vec::new(),
            elapsed_ms: None,
            // Stands when the caller is cancelled in the middle.
            ended: "abandoned".to_owned(),
        });
    }

    /// Notes how the latest request ended.
    pub(crate) fn end(&mut self, status: Option<u16>, elapsed: Duration, ended: &str) {
        if let Some(exchange) = self.exchanges.last_mut() {
            exchange.status = status;
            exchange.elapsed_ms = u64::try_from(elapsed.as_millis()).ok();
            exchange.ended = cut(ended);
        }
    }

    /// Notes the fields of the latest answer, if it is a JSON object.
    pub(crate) fn received_json(&mut self, body: &[u8]) {
        if body.first() == Some(&b'{')
            && let Ok(value) = serde_json::from_slice(body)
        {
            let fields = flat(&value);
            self.received(fields.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        }
    }

    /// Notes the fields of the latest answer.
    pub(crate) fn received<'f>(&mut self, fields: impl IntoIterator<Item = (&'f str, &'f str)>) {
        if let Some(exchange) = self.exchanges.last_mut() {
            exchange.received = masked(fields);
        }
    }
}

/// The plain values of a JSON object with the names of what they lie in, joined by dots.
pub(super) fn flat(value: &Value) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    flatten(value, "", 0, &mut fields);
    fields
}

fn flatten(value: &Value, name: &str, depth: usize, fields: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) if depth < MAX_DEPTH => {
            for (member, value) in members {
                let name =
                    if name.is_empty() { member.clone() } else { format!("{name}.{member}") };
                flatten(value, &name, depth + 1, fields);
            }
        }
        Value::String(text) => fields.push((name.to_owned(), text.clone())),
        Value::Number(number) => fields.push((name.to_owned(), number.to_string())),
        Value::Object(_) | Value::Array(_) | Value::Bool(_) | Value::Null => {}
    }
}

fn masked<'f>(fields: impl IntoIterator<Item = (&'f str, &'f str)>) -> Vec<Field> {
    let mut fields: Vec<_> = fields
        .into_iter()
        .map(|(name, value)| {
            let value = if is_harmless(name) { cut(value) } else { "…".to_owned() };
            Field { name: cut(name), value }
        })
        .collect();
    fields.sort_by(|a, b| a.name.cmp(&b.name));
    fields.truncate(MAX_FIELDS);
    fields
}

/// Whether `name`, or `name` without the number at its end (`refund_fee_0`), is harmless.
fn is_harmless(name: &str) -> bool {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_');
    HARMLESS.contains(&name) || (stem.len() < name.len() && HARMLESS.contains(&stem))
}

fn cut(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(MAX_VALUE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_fields_keep_their_values() {
        let mut trail = Trail::default();
        trail.begin(
            "/pay/orderquery",
            [
                ("out_trade_no", "20261123000000000001"),
                ("openid", "oUpF8uMuAJO"),
                ("sign", "ABC"),
                ("code", "021F1e000"),
            ],
        );
        trail.received([("refund_fee_0", "1"), ("accNo", "6216"), ("buyer_logon_id", "a@b")]);

        let shown = format!("{trail:?}");
        assert!(shown.contains("20261123000000000001") && shown.contains("refund_fee_0"));
        for secret in ["oUpF8uMuAJO", "ABC", "6216", "a@b", "021F1e000"] {
            assert!(!shown.contains(secret), "{secret}");
        }
    }

    #[test]
    fn a_trail_is_bounded() {
        let mut trail = Trail::default();
        let long = "x".repeat(10_000);
        let names: Vec<_> = (0..1_000).map(|n| format!("code_{n}")).collect();
        for _ in 0..100 {
            trail.begin(&long, names.iter().map(|name| (name.as_str(), long.as_str())));
            trail.end(Some(200), Duration::from_millis(7), &long);
        }

        assert_eq!(trail.exchanges.len(), MAX_EXCHANGES);
        let exchange = &trail.exchanges[0];
        assert_eq!(exchange.sent.len(), MAX_FIELDS);
        let fields = exchange.sent.iter().map(|field| field.value.chars().count());
        assert_eq!(fields.max(), Some(MAX_VALUE_CHARS));
    }
}
