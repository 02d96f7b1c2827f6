//! Notices of the JSON protocol: signed over the raw body, their news encrypted.

use reqwest::header::HeaderMap;
use schemas::Timestamp;
use serde::Deserialize;

use super::{
    RefundPart, Transaction, V3,
    platform::{Lookup, Sealed},
    refund_state,
    sign::{Broken, Seal},
    trade_state,
};
use crate::payment::{
    Call, News, Notice, NotifyError, Refund,
    crypto::{VerifyingKey, sha256_hex},
};

#[derive(Deserialize)]
struct Envelope {
    id: String,
    event_type: String,
    resource: Sealed,
}

#[derive(Deserialize)]
struct MerchantPart {
    mchid: String,
}

impl V3<'_> {
    pub(in crate::payment::wechat_pay) async fn read_notify(
        &self,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Notice, NotifyError> {
        let seal = Seal::of(headers).map_err(refused)?;
        let key = self.key_for(seal.serial).await?;
        seal.verify(&key, body, Timestamp::now()).map_err(refused)?;
        self.news(body)
    }

    async fn key_for(&self, serial: &str) -> Result<VerifyingKey, NotifyError> {
        let platform = &self.app.platform;
        match platform.find(self.keys, serial).await {
            Lookup::Key(key) => return Ok(key),
            Lookup::None if platform.is_ready(self.keys).await => return Err(NotifyError::Forged),
            Lookup::None => return Err(NotifyError::Unready),
            Lookup::Fetch => {}
        }
        if let Err(error) = self.fetch_certificates(&mut Call::default()).await {
            tracing::warn!(account = %self.app.account.name, %error,
                "platform certificates for a notice could not be fetched");
            return Err(NotifyError::Unready);
        }
        match platform.find(self.keys, serial).await {
            Lookup::Key(key) => Ok(key),
            Lookup::Fetch | Lookup::None => Err(NotifyError::Forged),
        }
    }

    /// Reads the body of a notice whose signature was verified.
    pub(super) fn news(&self, body: &[u8]) -> Result<Notice, NotifyError> {
        let envelope: Envelope = parse(body, "envelope")?;
        // A signature that is right over something that our key does not open is another
        // merchant's message.
        let plain = envelope.resource.open(&self.keys.api_key).ok_or(NotifyError::Foreign)?;
        let merchant: MerchantPart = parse(&plain, "merchant")?;
        if merchant.mchid != self.app.merchant_id {
            return Err(NotifyError::Foreign);
        }
        let news = match envelope.event_type.as_str() {
            "TRANSACTION.SUCCESS" => self.paid(&plain)?,
            "REFUND.SUCCESS" | "REFUND.ABNORMAL" | "REFUND.CLOSED" => refunded(&plain)?,
            _ => News::Nothing,
        };
        let id = sha256_hex(format!("v3 {}", envelope.id).as_bytes());
        Ok(Notice { id, news, confirm_by_query: false })
    }

    fn paid(&self, plain: &[u8]) -> Result<News, NotifyError> {
        let transaction: Transaction = parse(plain, "transaction")?;
        if transaction.appid != self.app.app_id {
            return Err(NotifyError::Foreign);
        }
        let key = transaction.out_trade_no.parse();
        let key = key.map_err(|_| NotifyError::Malformed("number of the trade"))?;
        let state = trade_state(&transaction).map_err(|_| NotifyError::Malformed("transaction"))?;
        Ok(News::Trade { key, state })
    }
}

fn refunded(plain: &[u8]) -> Result<News, NotifyError> {
    let refund: RefundPart = parse(plain, "refund")?;
    let key = refund.out_refund_no.parse();
    let key = key.map_err(|_| NotifyError::Malformed("number of the refund"))?;
    let state = refund_state(&refund).map_err(|_| NotifyError::Malformed("refund"))?;
    let trade = refund.out_trade_no.as_deref().and_then(|trade| trade.parse().ok());
    Ok(News::Refund { trade, key, refund: Refund { state, refund_id: refund.refund_id } })
}

fn parse<'b, T: Deserialize<'b>>(body: &'b [u8], what: &'static str) -> Result<T, NotifyError> {
    serde_json::from_slice(body).map_err(|_| NotifyError::Malformed(what))
}

const fn refused(broken: Broken) -> NotifyError {
    match broken {
        Broken::Probe => NotifyError::Probe,
        Broken::Stale => NotifyError::Stale,
        Broken::Unsigned | Broken::Wrong => NotifyError::Forged,
    }
}
