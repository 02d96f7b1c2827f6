//! Notices of the XML protocol.
//!
//! News of a payment are signed. News of a refund are not: what vouches for them is that they
//! decrypt with the API key, in a mode that authenticates nothing, so they only say "ask now".

use base64::{Engine, engine::general_purpose::STANDARD};
use schemas::ProviderKey;
use secrecy::ExposeSecret;

use super::{V2, amount, payment, refund_state, verify, xml};
use crate::payment::{
    News, Notice, NotifyError, ProviderError, Refund, TradeState, beijing,
    crypto::{md5_hex, sha256_hex, unpad_ecb},
    fields::Fields,
};

impl V2<'_> {
    pub(in crate::payment::wechat_pay) fn read_notify(
        &self,
        body: &[u8],
    ) -> Result<Notice, NotifyError> {
        let message = xml::read(body, &["xml", "root"]).map_err(NotifyError::Malformed)?;
        if message.get("req_info").is_some() {
            self.refunded(&message)
        } else {
            self.paid(&message)
        }
    }

    fn paid(&self, message: &Fields) -> Result<Notice, NotifyError> {
        if !verify(message, &self.keys.api_key, self.keys.sign_type) {
            return Err(NotifyError::Forged);
        }
        if !self.is_ours(message) {
            return Err(NotifyError::Foreign);
        }
        let succeeded =
            message.is("return_code", "SUCCESS") && message.is("result_code", "SUCCESS");
        let key = key(message, "out_trade_no")?;
        let (id, news) = if succeeded {
            let payment = payment(message).map_err(|_| NotifyError::Malformed("payment"))?;
            let id = format!("v2 paid {}", payment.transaction_id);
            (id, News::Trade { key, state: TradeState::Paid(payment) })
        } else {
            (
                format!("v2 failed {key} {}", message.get("err_code").unwrap_or_default()),
                News::Nothing,
            )
        };
        Ok(Notice { id: sha256_hex(id.as_bytes()), news, confirm_by_query: false })
    }

    fn refunded(&self, message: &Fields) -> Result<Notice, NotifyError> {
        let sealed = message.get("req_info").unwrap_or_default();
        let plain = self.opened(sealed).ok_or(NotifyError::Forged)?;
        let refund = xml::read(&plain, &["root", "xml"]).map_err(NotifyError::Malformed)?;
        if !self.is_ours(message) {
            return Err(NotifyError::Foreign);
        }
        let key_of_refund = key(&refund, "out_refund_no")?;
        let unusable = |_: ProviderError| NotifyError::Malformed("refund");
        let status = refund.get("refund_status").unwrap_or_default();
        let returned = refund.get("refund_fee").map(amount).transpose().map_err(unusable)?;
        let at = refund.get("success_time").and_then(|time| beijing::read(time, beijing::SPACED));
        let state = refund_state(status, returned, at).map_err(unusable)?;
        let id = format!("v2 refund {key_of_refund} {status}");
        let refund_id = refund.get("refund_id").map(str::to_owned);
        let news = News::Refund {
            trade: key(&refund, "out_trade_no").ok(),
            key: key_of_refund,
            refund: Refund { state, refund_id },
        };
        Ok(Notice { id: sha256_hex(id.as_bytes()), news, confirm_by_query: true })
    }

    /// Decrypts what a refund notice says.
    pub(super) fn opened(&self, sealed: &str) -> Option<Vec<u8>> {
        let key = md5_hex(self.keys.api_key.expose_secret().as_bytes());
        unpad_ecb(key.as_bytes(), &STANDARD.decode(sealed).ok()?)
    }
}

fn key(fields: &Fields, name: &str) -> Result<ProviderKey, NotifyError> {
    let key = fields.get(name).and_then(|text| text.parse().ok());
    key.ok_or(NotifyError::Malformed("number of the trade"))
}
