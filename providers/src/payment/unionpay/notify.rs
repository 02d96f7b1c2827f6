//! Notices of UnionPay: percent-encoded forms with the certificate that signs them.

use schemas::{ProviderKey, Timestamp};

use super::{
    UnionPay,
    card::CARD_BUSINESS,
    sign::verify,
    trade::{payment, refund_state},
};
use crate::payment::{
    News, Notice, NotifyError, ProviderError, Refund, TradeState, crypto::sha256_hex,
    fields::Fields,
};

impl UnionPay {
    pub(in crate::payment) fn read_notify(&self, body: &[u8]) -> Result<Notice, NotifyError> {
        let fields = Fields::from_form(body).map_err(NotifyError::Malformed)?;
        verify(&fields, &self.keys.get(), Timestamp::now()).map_err(|_| NotifyError::Forged)?;
        if !fields.is("merId", self.merchant_id()) {
            return Err(NotifyError::Foreign);
        }
        news(&fields)
    }
}

fn news(fields: &Fields) -> Result<Notice, NotifyError> {
    let unusable = |_: ProviderError| NotifyError::Malformed("trade");
    let key = fields.get("orderId").and_then(|key| key.parse::<ProviderKey>().ok());
    let key = key.ok_or(NotifyError::Malformed("number of the trade"))?;
    let part = |name: &str| fields.get(name).unwrap_or_default();
    let code = part("respCode");
    let id = format!("unionpay {key} {} {} {code}", part("txnTime"), part("txnType"));
    let news = match part("txnType") {
        "01" if matches!(code, "00" | "A6") => {
            News::Trade { key, state: TradeState::Paid(payment(fields).map_err(unusable)?) }
        }
        // Of a card that was charged, failures are told as well.
        "01" if fields.is("bizType", CARD_BUSINESS) => {
            News::Trade { key, state: TradeState::NotPaid }
        }
        "04" | "31" => {
            let state = refund_state(code, fields).map_err(unusable)?;
            let refund_id = fields.get("queryId").map(str::to_owned);
            News::Refund { trade: None, key, refund: Refund { state, refund_id } }
        }
        _ => News::Nothing,
    };
    // Goods are delivered only after a query; it also compares the time of the trade with ours.
    Ok(Notice { id: sha256_hex(id.as_bytes()), news, confirm_by_query: true })
}
