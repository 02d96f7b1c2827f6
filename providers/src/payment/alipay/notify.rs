//! Notices of Alipay, and the query with which a browser returns.

use schemas::{Fen, ProviderKey};

use super::{Alipay, keys::Keys};
use crate::payment::{
    News, Notice, NotifyError, Payer, Payment, Refund, RefundState, TradeState, beijing,
    crypto::sha256_hex,
    fields::{Empty, Fields},
};

/// What takes no part in the signature of a notice. In requests `sign_type` does.
const UNSIGNED: &[&str] = &["sign", "sign_type"];

/// Whether Alipay signed the fields. Some of its libraries sign empty values, some do not: both
/// readings are accepted. The message does not choose the algorithm.
pub(super) fn verify(fields: &Fields, keys: &Keys) -> bool {
    let agreed = fields.get("sign_type").is_none_or(|named| named == "RSA2");
    let Some(signature) = fields.get("sign").filter(|_| agreed) else { return false };
    [Empty::Keep, Empty::Drop]
        .into_iter()
        .any(|empty| keys.verifies(fields.joined(UNSIGNED, empty).as_bytes(), signature))
}

impl Alipay {
    pub(in crate::payment) fn read_notify(&self, body: &[u8]) -> Result<Notice, NotifyError> {
        let fields = Fields::from_form(body).map_err(NotifyError::Malformed)?;
        if !verify(&fields, &self.keys.get()) {
            return Err(NotifyError::Forged);
        }
        let ours = fields.is("app_id", self.app_id()) && fields.is("seller_id", self.merchant_id());
        if !ours {
            return Err(NotifyError::Foreign);
        }
        news(&fields)
    }
}

fn news(fields: &Fields) -> Result<Notice, NotifyError> {
    let trade = fields.get("out_trade_no").and_then(|key| key.parse::<ProviderKey>().ok());
    let trade = trade.ok_or(NotifyError::Malformed("number of the trade"))?;
    let id = fields.get("notify_id").ok_or(NotifyError::Malformed("notify_id"))?;
    let id = sha256_hex(format!("alipay {id}").as_bytes());
    let refund_key = fields.get("out_biz_no").and_then(|key| key.parse::<ProviderKey>().ok());
    let about_refund = fields.get("refund_fee").is_some() || fields.get("gmt_refund").is_some();
    let news = match refund_key.filter(|_| about_refund) {
        // The sum in the message is of all refunds so far, so it says nothing about this one.
        Some(key) => {
            let at = fields.get("gmt_refund").and_then(|at| beijing::read(at, beijing::SPACED));
            let refund = Refund { state: RefundState::Done { amount: None, at }, refund_id: None };
            News::Refund { trade: Some(trade), key, refund }
        }
        None => state(fields, about_refund)?
            .map_or(News::Nothing, |state| News::Trade { key: trade, state }),
    };
    Ok(Notice { id, news, confirm_by_query: about_refund })
}

fn state(fields: &Fields, about_refund: bool) -> Result<Option<TradeState>, NotifyError> {
    Ok(match fields.get("trade_status") {
        Some("WAIT_BUYER_PAY") => Some(TradeState::NotPaid),
        Some("TRADE_SUCCESS" | "TRADE_FINISHED") if about_refund => {
            Some(TradeState::Refunded(payment(fields)?))
        }
        Some("TRADE_SUCCESS" | "TRADE_FINISHED") => Some(TradeState::Paid(payment(fields)?)),
        Some("TRADE_CLOSED") if about_refund || fields.get("gmt_payment").is_some() => {
            Some(TradeState::Refunded(payment(fields)?))
        }
        Some("TRADE_CLOSED") => Some(TradeState::Closed),
        _ => None,
    })
}

fn payment(fields: &Fields) -> Result<Payment, NotifyError> {
    let amount = fields.get("total_amount").and_then(|text| Fen::from_yuan(text).ok());
    let id = fields.get("trade_no").filter(|id| id.len() <= 64);
    let payer = fields.get("buyer_open_id").or_else(|| fields.get("buyer_id"));
    Ok(Payment {
        transaction_id: id.ok_or(NotifyError::Malformed("trade_no"))?.to_owned(),
        amount: amount.ok_or(NotifyError::Malformed("total_amount"))?,
        paid_at: fields.get("gmt_payment").and_then(|at| beijing::read(at, beijing::SPACED)),
        payer: payer.and_then(Payer::new),
    })
}
