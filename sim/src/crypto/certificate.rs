//! What the providers read out of X.509 certificates.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

use super::{Hash, PublicKey, Unusable, keys::read_pem, md5};

/// A certificate, read.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    /// Serial number in decimal digits, as UnionPay's `certId`.
    pub(crate) serial_decimal: String,
    /// Serial number in upper-case hex, as WeChat Pay's `serial_no`.
    pub(crate) serial_hex: String,
    /// Common name of the owner.
    pub(crate) common_name: String,
    /// The owner's key.
    pub(crate) key: PublicKey,
    /// Issuer, most specific part first, as Alipay writes it.
    pub(crate) issuer: String,
    /// From when it is valid.
    pub(crate) not_before: DateTime<Utc>,
    /// Until when it is valid.
    pub(crate) not_after: DateTime<Utc>,
    rsa_signed: bool,
    subject_der: Vec<u8>,
    issuer_der: Vec<u8>,
    signed: Vec<u8>,
    signature: String,
}

impl Certificate {
    /// Reads the first certificate of PEM text.
    pub(crate) fn from_pem(pem: &str) -> Result<Self, Unusable> {
        let (_, der) = read_pem(pem).ok_or(Unusable("PEM text"))?;
        let (_, parsed) = X509Certificate::from_der(&der).map_err(|_| Unusable("certificate"))?;
        Self::read(&parsed).ok_or(Unusable("certificate"))
    }

    /// Reads every certificate of a bundle.
    pub(crate) fn bundle(pem: &str) -> Result<Vec<Self>, Unusable> {
        pem.split_inclusive("-----END CERTIFICATE-----")
            .filter(|part| part.contains("-----BEGIN"))
            .map(Self::from_pem)
            .collect()
    }

    fn read(parsed: &X509Certificate<'_>) -> Option<Self> {
        use base64::{Engine, prelude::BASE64_STANDARD};
        let common_name = parsed.subject().iter_common_name().next()?.as_str().ok()?.to_owned();
        let validity = parsed.validity();
        let moment = |seconds| DateTime::from_timestamp(seconds, 0);
        Some(Self {
            serial_decimal: parsed.tbs_certificate.serial.to_string(),
            serial_hex: parsed.tbs_certificate.serial.to_str_radix(16).to_uppercase(),
            common_name,
            key: PublicKey::from_der(parsed.public_key().raw),
            issuer: alipay_name(parsed.issuer()),
            not_before: moment(validity.not_before.timestamp())?,
            not_after: moment(validity.not_after.timestamp())?,
            rsa_signed: parsed
                .signature_algorithm
                .algorithm
                .to_id_string()
                .starts_with("1.2.840.113549.1.1"),
            subject_der: parsed.subject().as_raw().to_vec(),
            issuer_der: parsed.issuer().as_raw().to_vec(),
            signed: parsed.tbs_certificate.as_ref().to_vec(),
            signature: BASE64_STANDARD.encode(&parsed.signature_value.data),
        })
    }

    /// Whether `issuer` signed this certificate.
    pub(crate) fn is_issued_by(&self, issuer: &Self) -> bool {
        self.issuer_der == issuer.subject_der
            && issuer.key.verifies(Hash::Sha256, &self.signed, &self.signature)
    }

    /// Whether it is valid at `moment`.
    pub(crate) fn is_valid_at(&self, moment: DateTime<Utc>) -> bool {
        self.not_before <= moment && moment <= self.not_after
    }

    /// Alipay's fingerprint: MD5 of issuer and decimal serial.
    pub(crate) fn alipay_sn(&self) -> String {
        md5(format!("{}{}", self.issuer, self.serial_decimal).as_bytes())
    }

    /// Alipay's fingerprint of a root bundle: of those that are signed with RSA, joined by `_`.
    pub(crate) fn alipay_root_sn(bundle: &[Self]) -> String {
        let sns: Vec<_> =
            bundle.iter().filter(|root| root.rsa_signed).map(Self::alipay_sn).collect();
        sns.join("_")
    }
}

fn alipay_name(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = name
        .iter_attributes()
        .map(|part| {
            let value = part.as_str().unwrap_or_default();
            let kind = part.attr_type().to_id_string();
            let short = match kind.as_str() {
                "2.5.4.3" => "CN",
                "2.5.4.6" => "C",
                "2.5.4.7" => "L",
                "2.5.4.8" => "ST",
                "2.5.4.10" => "O",
                "2.5.4.11" => "OU",
                other => other,
            };
            let mut text = String::new();
            let _ = write!(text, "{short}={value}");
            text
        })
        .collect();
    parts.reverse();
    parts.join(",")
}
