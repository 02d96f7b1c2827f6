//! Signatures of the JSON protocol: RSA over lines that end in `\n`.

use reqwest::header::HeaderMap;
use schemas::Timestamp;

use super::Keys;
use crate::payment::{ProviderError, crypto::VerifyingKey};

/// The scheme of the `Authorization` header.
const SCHEME: &str = "WECHATPAY2-SHA256-RSA2048";

/// How far a signature's time may be from ours, in seconds.
const MAX_SKEW: i64 = 5 * 60;

/// Begin of the signatures with which WeChat Pay tests whether wrong ones are refused.
const PROBE: &str = "WECHATPAY/SIGNTEST/";

/// What is signed of a request.
pub(super) struct Signable<'a> {
    pub(super) method: &'a str,
    pub(super) path_and_query: &'a str,
    pub(super) seconds: i64,
    pub(super) nonce: &'a str,
    pub(super) body: &'a str,
}

impl Signable<'_> {
    pub(super) fn text(&self) -> String {
        let Self { method, path_and_query, seconds, nonce, body } = self;
        format!("{method}\n{path_and_query}\n{seconds}\n{nonce}\n{body}\n")
    }

    /// The `Authorization` header.
    pub(super) fn authorization(
        &self,
        merchant: &str,
        keys: &Keys,
    ) -> Result<String, ProviderError> {
        let signature = signature(keys, &self.text())?;
        let Self { seconds, nonce, .. } = self;
        let serial = &keys.serial;
        Ok(format!(
            "{SCHEME} mchid=\"{merchant}\",nonce_str=\"{nonce}\",signature=\"{signature}\",\
             timestamp=\"{seconds}\",serial_no=\"{serial}\""
        ))
    }
}

/// The four lines that are signed for a client app.
pub(super) fn client_text(app_id: &str, seconds: i64, nonce: &str, fourth: &str) -> String {
    format!("{app_id}\n{seconds}\n{nonce}\n{fourth}\n")
}

/// The merchant's signature over `text`.
pub(super) fn signature(keys: &Keys, text: &str) -> Result<String, ProviderError> {
    let signature = keys.private.sign(text.as_bytes());
    signature.map_err(|error| ProviderError::Misconfigured(error.to_string()))
}

/// The headers that sign a message of WeChat Pay.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seal<'h> {
    pub(super) serial: &'h str,
    signature: &'h str,
    nonce: &'h str,
    timestamp: &'h str,
}

/// Why a seal is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    Unsigned,
    Probe,
    Stale,
    Wrong,
}

impl<'h> Seal<'h> {
    /// Reads the headers. Each must be there once; the type, where it is named, must be ours.
    pub(super) fn of(headers: &'h HeaderMap) -> Result<Self, Broken> {
        let seal = Self {
            serial: single(headers, "wechatpay-serial")?,
            signature: single(headers, "wechatpay-signature")?,
            nonce: single(headers, "wechatpay-nonce")?,
            timestamp: single(headers, "wechatpay-timestamp")?,
        };
        let kind = headers.get("wechatpay-signature-type");
        if kind.is_some_and(|kind| kind.as_bytes() != SCHEME.as_bytes()) {
            return Err(Broken::Wrong);
        }
        if seal.signature.starts_with(PROBE) { Err(Broken::Probe) } else { Ok(seal) }
    }

    /// Judges the time, then the signature over the raw body.
    pub(super) fn verify(
        &self,
        key: &VerifyingKey,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), Broken> {
        let at: i64 = self.timestamp.parse().map_err(|_| Broken::Wrong)?;
        if now.as_secs().abs_diff(at) > MAX_SKEW.unsigned_abs() {
            return Err(Broken::Stale);
        }
        let mut text = format!("{}\n{}\n", self.timestamp, self.nonce).into_bytes();
        text.extend_from_slice(body);
        text.push(b'\n');
        if key.verifies(&text, self.signature) { Ok(()) } else { Err(Broken::Wrong) }
    }
}

fn single<'h>(headers: &'h HeaderMap, name: &str) -> Result<&'h str, Broken> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().and_then(|value| value.to_str().ok()).ok_or(Broken::Unsigned)?;
    if values.next().is_some() || value.is_empty() { Err(Broken::Unsigned) } else { Ok(value) }
}
