//! WeChat Pay's JSON protocol (v3): RSA signatures on every request and every success.

mod bill;
mod exchange;
mod notify;
mod outcome;
mod platform;
mod sign;
#[cfg(test)]
mod vectors;

use reqwest::Method;
use schemas::{Fen, Scene, Timestamp};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) use self::platform::Platform;
use self::sign::{client_text, signature};
use super::{WeChatPay, transaction_id};
use crate::payment::{
    Call, Created, Order, Payer, Payment, ProviderError, Refund, RefundOrder, RefundRef,
    RefundState, TradeRef, TradeState, beijing,
    crypto::{SigningKey, VerifyingKey, nonce},
    fields::{cut, encoded},
    operation::{Operation, Outcome},
};

/// Keys of the JSON protocol. No `Debug`.
pub(super) struct Keys {
    pub(super) private: SigningKey,
    /// Serial of the merchant's certificate.
    pub(super) serial: String,
    pub(super) api_key: SecretString,
    /// WeChat Pay's public key with its id.
    pub(super) public_key: Option<(String, VerifyingKey)>,
    pub(super) fetches_certificates: bool,
}

/// The JSON protocol for one app, with the keys in force.
pub(super) struct V3<'a> {
    pub(super) app: &'a WeChatPay,
    pub(super) keys: &'a Keys,
}

/// A trade in an answer or a notice.
#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the names are WeChat Pay's")]
struct Transaction {
    appid: String,
    mchid: String,
    out_trade_no: String,
    transaction_id: Option<String>,
    trade_state: String,
    success_time: Option<String>,
    payer: Option<PayerPart>,
    amount: Option<AmountPart>,
}

#[derive(Deserialize)]
struct PayerPart {
    openid: Option<String>,
}

#[derive(Deserialize)]
struct AmountPart {
    total: Option<i64>,
    refund: Option<i64>,
    currency: Option<String>,
}

/// A refund in an answer (`status`) or in a notice (`refund_status`).
#[derive(Deserialize)]
struct RefundPart {
    out_refund_no: String,
    out_trade_no: Option<String>,
    refund_id: Option<String>,
    #[serde(alias = "refund_status")]
    status: String,
    success_time: Option<String>,
    amount: Option<AmountPart>,
}

#[derive(Deserialize)]
struct Prepared {
    code_url: Option<String>,
    prepay_id: Option<String>,
    h5_url: Option<String>,
}

impl V3<'_> {
    pub(super) async fn create(
        &self,
        order: &Order,
        call: &mut Call,
    ) -> Result<Created, ProviderError> {
        let (operation, path) = match order.scene {
            Scene::Native => ("v3 native", "/v3/pay/transactions/native"),
            Scene::App => ("v3 app", "/v3/pay/transactions/app"),
            Scene::Jsapi => ("v3 jsapi", "/v3/pay/transactions/jsapi"),
            Scene::H5 => ("v3 h5", "/v3/pay/transactions/h5"),
        };
        let body = self.order_body(order)?;
        let asked = (Operation::Create, operation, Method::POST);
        let prepared = self.ask::<Prepared>(asked, path, Some(&body), call).await;
        self.for_client(order, &prepared.map_err(Outcome::into_error)?)
    }

    pub(super) async fn query(
        &self,
        trade: &TradeRef,
        call: &mut Call,
    ) -> Result<TradeState, ProviderError> {
        // By our number: an unpaid trade has no other.
        let (key, merchant) = (encoded(trade.key.as_str()), encoded(&self.app.merchant_id));
        let path = format!("/v3/pay/transactions/out-trade-no/{key}?mchid={merchant}");
        let asked = (Operation::Query, "v3 query", Method::GET);
        match self.ask::<Transaction>(asked, &path, None, call).await {
            Ok(answer) => {
                let ours = answer.mchid == self.app.merchant_id && answer.appid == self.app.app_id;
                if !ours || answer.out_trade_no != trade.key.as_str() {
                    return Err(ProviderError::unknown("other_trade"));
                }
                trade_state(&answer)
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
        let path =
            format!("/v3/pay/transactions/out-trade-no/{}/close", encoded(trade.key.as_str()));
        let body = json!({ "mchid": self.app.merchant_id });
        let asked = (Operation::Close, "v3 close", Method::POST);
        match self.tell(asked, &path, &body, call).await {
            Ok(()) | Err(Outcome::AlreadySo) => Ok(()),
            Err(other) => Err(other.into_error()),
        }
    }

    pub(super) async fn refund(
        &self,
        order: &RefundOrder,
        call: &mut Call,
    ) -> Result<Refund, ProviderError> {
        let mut body = json!({
            "out_trade_no": order.refund.trade.key,
            "out_refund_no": order.refund.key,
            "amount": { "refund": order.amount, "total": order.paid, "currency": "CNY" },
        });
        if let Some(reason) = &order.reason {
            body["reason"] = json!(cut(reason, 80, ""));
        }
        if let Some(address) = &order.notify_url {
            body["notify_url"] = json!(address);
        }
        let asked = (Operation::Refund, "v3 refund", Method::POST);
        let path = "/v3/refund/domestic/refunds";
        let answer = self.ask::<RefundPart>(asked, path, Some(&body), call).await;
        let answer = answer.map_err(Outcome::into_error)?;
        let returned = answer.amount.as_ref().and_then(|amount| amount.refund);
        if returned != Some(order.amount.get()) {
            return Err(ProviderError::unknown("other_amount"));
        }
        refund_of(&answer, &order.refund)
    }

    pub(super) async fn query_refund(
        &self,
        refund: &RefundRef,
        call: &mut Call,
    ) -> Result<Refund, ProviderError> {
        let path = format!("/v3/refund/domestic/refunds/{}", encoded(refund.key.as_str()));
        let asked = (Operation::QueryRefund, "v3 refund query", Method::GET);
        match self.ask::<RefundPart>(asked, &path, None, call).await {
            Ok(answer) => refund_of(&answer, refund),
            Err(Outcome::NotFound) => Ok(Refund { state: RefundState::NotFound, refund_id: None }),
            Err(other) => Err(other.into_error()),
        }
    }

    fn order_body(&self, order: &Order) -> Result<Value, ProviderError> {
        let mut body = json!({
            "appid": self.app.app_id,
            "mchid": self.app.merchant_id,
            "description": cut(&order.subject, 127, ""),
            "out_trade_no": order.trade.key,
            "time_expire": beijing::write(order.expires_at, beijing::WITH_OFFSET),
            "notify_url": order.notify_url,
            "amount": { "total": order.amount, "currency": "CNY" },
        });
        if order.scene == Scene::Jsapi {
            body["payer"] = json!({ "openid": super::payer_of(order)? });
        }
        if let Some(ip) = order.payer_ip {
            body["scene_info"] = json!({ "payer_client_ip": ip });
        }
        if order.scene == Scene::H5 {
            let site = self.app.h5_site()?;
            if order.payer_ip.is_none() {
                return Err(ProviderError::Refused("payer_ip_required".to_owned()));
            }
            body["scene_info"]["h5_info"] =
                json!({ "type": "Wap", "app_name": site.name, "app_url": site.url });
        }
        Ok(body)
    }

    fn for_client(&self, order: &Order, prepared: &Prepared) -> Result<Created, ProviderError> {
        let need = |value: &Option<String>, name: &str| {
            value.clone().ok_or_else(|| ProviderError::unknown(&format!("without_{name}")))
        };
        match order.scene {
            Scene::Native => {
                let code = need(&prepared.code_url, "code_url")?;
                let client = json!({ "trade_type": "NATIVE", "code_url": code });
                Ok(Created { code: Some(code), ..Created::wrapped(client) })
            }
            Scene::App => self.app_parameters(need(&prepared.prepay_id, "prepay_id")?),
            Scene::Jsapi => self.page_parameters(need(&prepared.prepay_id, "prepay_id")?),
            Scene::H5 => {
                let mut address = need(&prepared.h5_url, "h5_url")?;
                if let Some(back) = &order.return_url {
                    address.extend(["&redirect_url=", &encoded(back)]);
                }
                Ok(Created::wrapped(json!({ "trade_type": "MWEB", "mweb_url": address })))
            }
        }
    }

    fn app_parameters(&self, prepay: String) -> Result<Created, ProviderError> {
        let (seconds, nonce) = (Timestamp::now().as_secs(), nonce());
        let text = client_text(&self.app.app_id, seconds, &nonce, &prepay);
        let signature = signature(self.keys, &text)?;
        let client = json!({ "package": "Sign=WXPay", "timestamp": seconds, "prepayid": prepay,
            "appid": self.app.app_id, "partnerid": self.app.merchant_id, "noncestr": nonce,
            "sign": signature });
        Ok(Created { reference: Some(prepay), ..Created::wrapped(client) })
    }

    fn page_parameters(&self, prepay: String) -> Result<Created, ProviderError> {
        let (seconds, nonce) = (Timestamp::now().as_secs(), nonce());
        let package = format!("prepay_id={prepay}");
        let text = client_text(&self.app.app_id, seconds, &nonce, &package);
        let signature = signature(self.keys, &text)?;
        let client = json!({ "appId": self.app.app_id, "timeStamp": seconds, "nonceStr": nonce,
            "package": package, "signType": "RSA", "paySign": signature });
        let created = Created::wrapped(client);
        Ok(Created { reference: Some(prepay), wrapped: false, ..created })
    }
}

/// How the trade stands of which a verified message speaks.
fn trade_state(transaction: &Transaction) -> Result<TradeState, ProviderError> {
    Ok(match transaction.trade_state.as_str() {
        "NOTPAY" => TradeState::NotPaid,
        "USERPAYING" | "ACCEPT" => TradeState::Paying,
        "CLOSED" | "REVOKED" | "PAYERROR" => TradeState::Closed,
        "SUCCESS" => TradeState::Paid(payment(transaction)?),
        "REFUND" => TradeState::Refunded(payment(transaction)?),
        _ => return Err(ProviderError::unknown("trade_state")),
    })
}

fn payment(transaction: &Transaction) -> Result<Payment, ProviderError> {
    let wrong = |what: &str| ProviderError::unknown(what);
    let amount = transaction.amount.as_ref().ok_or_else(|| wrong("amount"))?;
    if amount.currency.as_deref().is_some_and(|currency| currency != "CNY") {
        return Err(wrong("other_currency"));
    }
    let id = transaction.transaction_id.as_deref().ok_or_else(|| wrong("transaction_id"))?;
    let payer = transaction.payer.as_ref().and_then(|payer| payer.openid.as_deref());
    Ok(Payment {
        transaction_id: transaction_id(id)?,
        amount: amount.total.and_then(Fen::new).ok_or_else(|| wrong("amount"))?,
        paid_at: transaction.success_time.as_deref().and_then(|time| time.parse().ok()),
        payer: payer.and_then(Payer::new),
    })
}

fn refund_of(answer: &RefundPart, asked: &RefundRef) -> Result<Refund, ProviderError> {
    let trade = answer.out_trade_no.as_deref();
    let other_trade = trade.is_some_and(|trade| trade != asked.trade.key.as_str());
    if answer.out_refund_no != asked.key.as_str() || other_trade {
        return Err(ProviderError::unknown("other_refund"));
    }
    Ok(Refund { state: refund_state(answer)?, refund_id: answer.refund_id.clone() })
}

fn refund_state(refund: &RefundPart) -> Result<RefundState, ProviderError> {
    Ok(match refund.status.as_str() {
        "SUCCESS" => RefundState::Done {
            amount: refund.amount.as_ref().and_then(|amount| amount.refund).and_then(Fen::new),
            at: refund.success_time.as_deref().and_then(|time| time.parse().ok()),
        },
        "PROCESSING" => RefundState::Processing,
        "CLOSED" => RefundState::Closed,
        "ABNORMAL" => RefundState::Abnormal,
        _ => return Err(ProviderError::unknown("refund_status")),
    })
}
