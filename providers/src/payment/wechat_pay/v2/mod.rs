//! WeChat Pay's XML protocol (v2): symmetric signatures, and mutual TLS for refunds.

mod bill;
mod notify;
mod outcome;
mod sign;
#[cfg(test)]
mod vectors;
mod xml;

use reqwest::Method;
use schemas::{Fen, ProviderKey, Scene};
use secrecy::SecretString;
use serde_json::json;

use self::outcome::{Seen, outcome};
pub(super) use self::sign::{sign, verify};
use super::WeChatPay;
use crate::payment::{
    Call, Created, Order, Payer, Payment, ProviderError, Refund, RefundOrder, RefundRef,
    RefundState, TradeRef, TradeState, V2SignType, beijing,
    crypto::nonce,
    fields::{Fields, cut, encoded},
    operation::{Operation, Outcome},
    transport::{MESSAGE_BYTES, Request},
};

/// Keys of the XML protocol. No `Debug`.
pub(super) struct Keys {
    pub(super) api_key: SecretString,
    pub(super) sign_type: V2SignType,
    /// A client with the merchant's certificate.
    pub(super) mutual_tls: Option<reqwest::Client>,
}

/// The XML protocol for one app, with the keys in force.
pub(super) struct V2<'a> {
    pub(super) app: &'a WeChatPay,
    pub(super) keys: &'a Keys,
}

impl V2<'_> {
    pub(super) async fn create(
        &self,
        order: &Order,
        call: &mut Call,
    ) -> Result<Created, ProviderError> {
        let fields = self.order_fields(order)?;
        let answer = self.ask(Operation::Create, "/pay/unifiedorder", fields, call).await;
        let answer = answer.map_err(Outcome::into_error)?;
        let prepay = answer.need("prepay_id")?.to_owned();
        self.for_client(order, &answer, &prepay)
    }

    pub(super) async fn query(
        &self,
        trade: &TradeRef,
        call: &mut Call,
    ) -> Result<TradeState, ProviderError> {
        // An unpaid trade has no transaction id, and a paid one is known by its number as well.
        let fields = Fields::of([("out_trade_no", trade.key.as_str())]);
        match self.ask(Operation::Query, "/pay/orderquery", fields, call).await {
            Ok(answer) => {
                same_key(&answer, "out_trade_no", &trade.key)?;
                trade_state(answer.need("trade_state")?, &answer)
            }
            Err(Outcome::NotFound) => Ok(TradeState::NotFound),
            Err(other) => Err(other.into_error()),
        }
    }

    pub(super) async fn close(
        &self,
        trade: &TradeRef,
        call: &mut Call,
    ) -> Result<(), ProviderError> {
        let fields = Fields::of([("out_trade_no", trade.key.as_str())]);
        match self.ask(Operation::Close, "/pay/closeorder", fields, call).await {
            Ok(_) | Err(Outcome::AlreadySo) => Ok(()),
            Err(other) => Err(other.into_error()),
        }
    }

    pub(super) async fn refund(
        &self,
        order: &RefundOrder,
        call: &mut Call,
    ) -> Result<Refund, ProviderError> {
        let reason = order.reason.as_deref().map(|text| cut(text, 80, "")).unwrap_or_default();
        let fields = Fields::of([
            ("out_trade_no", order.refund.trade.key.as_str()),
            ("out_refund_no", order.refund.key.as_str()),
            ("total_fee", &order.paid.to_string()),
            ("refund_fee", &order.amount.to_string()),
            ("refund_fee_type", "CNY"),
            ("refund_desc", &reason),
            ("notify_url", order.notify_url.as_deref().unwrap_or_default()),
        ]);
        let answer = self.ask(Operation::Refund, "/secapi/pay/refund", fields, call).await;
        let answer = answer.map_err(Outcome::into_error)?;
        same_key(&answer, "out_refund_no", &order.refund.key)?;
        if amount(answer.need("refund_fee")?)? != order.amount {
            return Err(ProviderError::unknown("other_amount"));
        }
        let refund_id = answer.get("refund_id").map(str::to_owned);
        // Success means accepted, not paid back.
        Ok(Refund { state: RefundState::Processing, refund_id })
    }

    pub(super) async fn query_refund(
        &self,
        refund: &RefundRef,
        call: &mut Call,
    ) -> Result<Refund, ProviderError> {
        let fields = Fields::of([("out_refund_no", refund.key.as_str())]);
        match self.ask(Operation::QueryRefund, "/pay/refundquery", fields, call).await {
            Ok(answer) => refund_of(&answer, &refund.key),
            Err(Outcome::NotFound) => Ok(Refund { state: RefundState::NotFound, refund_id: None }),
            Err(other) => Err(other.into_error()),
        }
    }

    /// Signs and sends one message, and verifies the answer. Only a signed success comes back.
    async fn ask(
        &self,
        operation: Operation,
        path: &'static str,
        fields: Fields,
        call: &mut Call,
    ) -> Result<Fields, Outcome> {
        let fields = self.signed(fields);
        let client = match (operation, self.app.needs_mutual_tls()) {
            (Operation::Refund, true) => Some(self.keys.mutual_tls.as_ref().ok_or_else(|| {
                let missing = "refunds need client_certificate".to_owned();
                Outcome::Failed(ProviderError::Misconfigured(missing))
            })?),
            _ => None,
        };
        let request = Request {
            operation: path,
            method: Method::POST,
            url: self.app.at(path).map_err(Outcome::Failed)?,
            headers: vec![(reqwest::header::CONTENT_TYPE, "text/xml; charset=utf-8".to_owned())],
            body: Some(xml::write(&fields)),
            fields: fields.iter().collect(),
            max_bytes: MESSAGE_BYTES,
            client,
        };
        let answer = self.app.transport.send(request, call).await;
        let answer = answer.map_err(|error| Outcome::Failed(error.into()))?;
        let read = xml::read(&answer.body, &["xml"]).unwrap_or_default();
        call.trail.received(read.iter());
        match self.seen(&read) {
            None if answer.status == 200 => Ok(read),
            seen => Err(outcome(operation, answer.status, seen.unwrap_or(Seen::Unreadable))),
        }
    }

    /// The fields of a message with what every message has, signed.
    fn signed(&self, mut fields: Fields) -> Fields {
        fields.set("appid", &self.app.app_id);
        fields.set("mch_id", &self.app.merchant_id);
        fields.set("nonce_str", &nonce());
        fields.set("sign_type", self.keys.sign_type.name());
        let signature = sign(&fields, "sign", &self.keys.api_key, self.keys.sign_type);
        fields.set("sign", &signature);
        fields
    }

    /// What keeps an answer from being a success; nothing when it is one.
    fn seen<'f>(&self, answer: &'f Fields) -> Option<Seen<'f>> {
        match answer.get("return_code") {
            None => return Some(Seen::Unreadable),
            Some("SUCCESS") => {}
            Some(_) => return Some(Seen::Unsigned),
        }
        if !verify(answer, &self.keys.api_key, self.keys.sign_type) {
            return Some(Seen::BadSignature);
        }
        if !self.is_ours(answer) {
            return Some(Seen::Foreign);
        }
        match answer.get("result_code") {
            Some("SUCCESS") => None,
            Some(_) => Some(Seen::Failed(answer.get("err_code").unwrap_or_default())),
            None => Some(Seen::Unreadable),
        }
    }

    fn is_ours(&self, message: &Fields) -> bool {
        message.is("appid", &self.app.app_id) && message.is("mch_id", &self.app.merchant_id)
    }

    fn order_fields(&self, order: &Order) -> Result<Fields, ProviderError> {
        let ip = order.payer_ip.map_or_else(|| "127.0.0.1".to_owned(), |ip| ip.to_string());
        let mut fields = Fields::of([
            ("body", cut(&order.subject, 127, "").as_str()),
            ("out_trade_no", order.trade.key.as_str()),
            ("fee_type", "CNY"),
            ("total_fee", &order.amount.to_string()),
            ("spbill_create_ip", &ip),
            ("time_start", &beijing::write(order.trade.begun_at, beijing::COMPACT)),
            ("time_expire", &beijing::write(order.expires_at, beijing::COMPACT)),
            ("notify_url", &order.notify_url),
            ("trade_type", trade_type(order.scene)),
        ]);
        match order.scene {
            Scene::Native => fields.set("product_id", order.trade.key.as_str()),
            Scene::App => {}
            Scene::Jsapi => fields.set("openid", super::payer_of(order)?),
            Scene::H5 => {
                let site = self.app.h5_site()?;
                let scene = json!({ "h5_info":
                    { "type": "Wap", "wap_url": site.url, "wap_name": site.name } });
                fields.set("scene_info", &scene.to_string());
            }
        }
        Ok(fields)
    }

    fn for_client(
        &self,
        order: &Order,
        answer: &Fields,
        prepay: &str,
    ) -> Result<Created, ProviderError> {
        let mut created = match order.scene {
            Scene::Native => {
                let code = answer.need("code_url")?;
                let client =
                    json!({ "trade_type": "NATIVE", "code_url": code, "prepay_id": prepay });
                Created { code: Some(code.to_owned()), ..Created::wrapped(client) }
            }
            Scene::App => Created::wrapped(self.app_parameters(prepay)),
            Scene::Jsapi => {
                let mut created = Created::wrapped(self.page_parameters(prepay));
                created.wrapped = false;
                created
            }
            Scene::H5 => {
                let mut address = answer.need("mweb_url")?.to_owned();
                if let Some(back) = &order.return_url {
                    address.extend(["&redirect_url=", &encoded(back)]);
                }
                Created::wrapped(
                    json!({ "trade_type": "MWEB", "mweb_url": address, "prepay_id": prepay }),
                )
            }
        };
        created.reference = Some(prepay.to_owned());
        Ok(created)
    }

    /// What the mobile library is given: exactly six signed names.
    fn app_parameters(&self, prepay: &str) -> serde_json::Value {
        let (seconds, nonce) = (schemas::Timestamp::now().as_secs(), nonce());
        let fields = Fields::of([
            ("appid", self.app.app_id.as_str()),
            ("partnerid", &self.app.merchant_id),
            ("prepayid", prepay),
            ("package", "Sign=WXPay"),
            ("noncestr", &nonce),
            ("timestamp", &seconds.to_string()),
        ]);
        let signature = sign(&fields, "sign", &self.keys.api_key, self.keys.sign_type);
        json!({ "package": "Sign=WXPay", "timestamp": seconds, "prepayid": prepay,
            "appid": self.app.app_id, "partnerid": self.app.merchant_id, "noncestr": nonce,
            "sign": signature })
    }

    /// What a page inside WeChat gives to WeChat's own script.
    fn page_parameters(&self, prepay: &str) -> serde_json::Value {
        let (seconds, nonce) = (schemas::Timestamp::now().as_secs(), nonce());
        let package = format!("prepay_id={prepay}");
        let fields = Fields::of([
            ("appId", self.app.app_id.as_str()),
            ("timeStamp", &seconds.to_string()),
            ("nonceStr", &nonce),
            ("package", &package),
            ("signType", self.keys.sign_type.name()),
        ]);
        let signature = sign(&fields, "paySign", &self.keys.api_key, self.keys.sign_type);
        json!({ "appId": self.app.app_id, "timeStamp": seconds, "nonceStr": nonce,
            "package": package, "signType": self.keys.sign_type.name(), "paySign": signature })
    }
}

const fn trade_type(scene: Scene) -> &'static str {
    match scene {
        Scene::Native => "NATIVE",
        Scene::App => "APP",
        Scene::Jsapi => "JSAPI",
        Scene::H5 => "MWEB",
    }
}

/// How the trade stands of which signed fields speak.
fn trade_state(state: &str, answer: &Fields) -> Result<TradeState, ProviderError> {
    Ok(match state {
        "NOTPAY" => TradeState::NotPaid,
        "USERPAYING" | "ACCEPT" => TradeState::Paying,
        "CLOSED" | "REVOKED" | "PAYERROR" => TradeState::Closed,
        "SUCCESS" => TradeState::Paid(payment(answer)?),
        "REFUND" => TradeState::Refunded(payment(answer)?),
        _ => return Err(ProviderError::unknown("trade_state")),
    })
}

fn payment(fields: &Fields) -> Result<Payment, ProviderError> {
    if fields.get("fee_type").is_some_and(|currency| currency != "CNY") {
        return Err(ProviderError::unknown("other_currency"));
    }
    Ok(Payment {
        transaction_id: super::transaction_id(fields.need("transaction_id")?)?,
        amount: amount(fields.need("total_fee")?)?,
        paid_at: fields.get("time_end").and_then(|time| beijing::read(time, beijing::COMPACT)),
        payer: fields.get("openid").and_then(Payer::new),
    })
}

fn amount(text: &str) -> Result<Fen, ProviderError> {
    let amount = text.parse().ok().and_then(Fen::new);
    amount.ok_or_else(|| ProviderError::unknown("amount"))
}

/// Refuses an answer about something else than what was asked for.
fn same_key(answer: &Fields, name: &str, key: &ProviderKey) -> Result<(), ProviderError> {
    if answer.is(name, key.as_str()) { Ok(()) } else { Err(ProviderError::unknown("other_trade")) }
}

/// The refund `key` in an answer that numbers refunds from 0.
fn refund_of(answer: &Fields, key: &ProviderKey) -> Result<Refund, ProviderError> {
    let place = (0..50).find(|n| answer.is(&format!("out_refund_no_{n}"), key.as_str()));
    let place = place.ok_or_else(|| ProviderError::unknown("other_refund"))?;
    let field = |name: &str| answer.get(&format!("{name}_{place}"));
    let status = field("refund_status").unwrap_or_default();
    let returned = field("refund_fee").map(amount).transpose()?;
    let at = field("refund_success_time").and_then(|time| beijing::read(time, beijing::SPACED));
    let state = refund_state(status, returned, at)?;
    Ok(Refund { state, refund_id: field("refund_id").map(str::to_owned) })
}

fn refund_state(
    status: &str,
    amount: Option<Fen>,
    at: Option<schemas::Timestamp>,
) -> Result<RefundState, ProviderError> {
    Ok(match status {
        "SUCCESS" => RefundState::Done { amount, at },
        "PROCESSING" => RefundState::Processing,
        "REFUNDCLOSE" => RefundState::Closed,
        "CHANGE" => RefundState::Abnormal,
        _ => return Err(ProviderError::unknown("refund_status")),
    })
}
