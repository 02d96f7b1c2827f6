//! X.509 certificates: what the providers' protocols read of them, and who vouches for whom.

use schemas::Timestamp;
use x509_parser::{
    oid_registry::Oid,
    parse_x509_certificate,
    x509::{AttributeTypeAndValue, X509Name},
};

use super::{EncryptingKey, VerifyingKey, hex_lower, pem_blocks};

/// Why a certificate is not trusted.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub(crate) enum CertificateError {
    /// It is no X.509 certificate with an RSA key.
    #[error("not a certificate with an RSA key")]
    Unreadable,
    /// Its time is over, or has not come.
    #[error("certificate is not valid at this time")]
    OutOfTime,
    /// The one that should have issued it did not.
    #[error("certificate was issued by somebody else")]
    NotIssued,
}

/// A certificate with an RSA key, or (in a bundle) of a signer whose key is of another kind.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    der: Vec<u8>,
    signed: Vec<u8>,
    signature: Vec<u8>,
    signature_oid: String,
    serial: Vec<u8>,
    serial_decimal: String,
    subject: Vec<u8>,
    issuer: Vec<u8>,
    issuer_text: String,
    common_name: String,
    not_before: i64,
    not_after: i64,
    public_key: Vec<u8>,
    rsa_public_key: Vec<u8>,
}

impl Certificate {
    /// Reads the first certificate of a PEM text.
    pub(crate) fn read(text: &str) -> Result<Self, CertificateError> {
        let first = Self::read_all(text)?.into_iter().next();
        first.ok_or(CertificateError::Unreadable)
    }

    /// Reads every certificate of a PEM text.
    pub(crate) fn read_all(text: &str) -> Result<Vec<Self>, CertificateError> {
        let blocks = pem_blocks(text, "CERTIFICATE").map_err(|_| CertificateError::Unreadable)?;
        blocks.iter().map(|der| Self::of_der(der)).collect()
    }

    /// The certificate in DER.
    pub(crate) fn of_der(der: &[u8]) -> Result<Self, CertificateError> {
        let (rest, parsed) =
            parse_x509_certificate(der).map_err(|_| CertificateError::Unreadable)?;
        if !rest.is_empty() {
            return Err(CertificateError::Unreadable);
        }
        let tbs = &parsed.tbs_certificate;
        let common_name = tbs.subject.iter_common_name().next();
        Ok(Self {
            der: der.to_vec(),
            signed: tbs.as_ref().to_vec(),
            signature: parsed.signature_value.data.to_vec(),
            signature_oid: parsed.signature_algorithm.algorithm.to_id_string(),
            serial: tbs.raw_serial().to_vec(),
            serial_decimal: tbs.serial.to_string(),
            subject: tbs.subject.as_raw().to_vec(),
            issuer: tbs.issuer.as_raw().to_vec(),
            issuer_text: name_text(&tbs.issuer),
            common_name: common_name.and_then(|name| name.as_str().ok()).unwrap_or("").to_owned(),
            not_before: tbs.validity.not_before.timestamp(),
            not_after: tbs.validity.not_after.timestamp(),
            public_key: tbs.subject_pki.raw.to_vec(),
            rsa_public_key: tbs.subject_pki.subject_public_key.data.to_vec(),
        })
    }

    /// The certificate in DER.
    pub(crate) fn der(&self) -> &[u8] {
        &self.der
    }

    /// Serial number in decimal.
    pub(crate) fn serial_decimal(&self) -> &str {
        &self.serial_decimal
    }

    /// Serial number in hex digits, upper case.
    pub(crate) fn serial_hex(&self) -> String {
        let unsigned = self.serial.strip_prefix(&[0]).filter(|rest| !rest.is_empty());
        hex_lower(unsigned.unwrap_or(&self.serial)).to_uppercase()
    }

    /// Name of the issuer in the manner of RFC 2253: the most specific part first.
    pub(crate) fn issuer_text(&self) -> &str {
        &self.issuer_text
    }

    /// The subject's common name; empty when it has none.
    pub(crate) fn common_name(&self) -> &str {
        &self.common_name
    }

    /// Whether it was signed with an RSA key.
    pub(crate) fn is_signed_with_rsa(&self) -> bool {
        self.signature_oid.starts_with("1.2.840.113549.1.1.")
    }

    /// Its RSA key in PKCS#1.
    pub(crate) fn rsa_public_key(&self) -> &[u8] {
        &self.rsa_public_key
    }

    /// Its key, to judge signatures.
    pub(crate) fn verifying_key(&self) -> Result<VerifyingKey, CertificateError> {
        VerifyingKey::of_der(&self.public_key).map_err(|_| CertificateError::Unreadable)
    }

    /// Its key, to encrypt for whom it names.
    pub(crate) fn encrypting_key(&self) -> Result<EncryptingKey, CertificateError> {
        EncryptingKey::of_der(&self.public_key).map_err(|_| CertificateError::Unreadable)
    }

    /// The last second it is valid, in seconds since 1970.
    pub(crate) const fn not_after(&self) -> i64 {
        self.not_after
    }

    /// Refuses a certificate whose time is over or has not come.
    pub(crate) fn check_time(&self, now: Timestamp) -> Result<(), CertificateError> {
        let valid = (self.not_before..=self.not_after).contains(&now.as_secs());
        if valid { Ok(()) } else { Err(CertificateError::OutOfTime) }
    }

    /// Refuses a certificate that `issuer` did not sign.
    pub(crate) fn check_issued_by(&self, issuer: &Self) -> Result<(), CertificateError> {
        let signed =
            issuer.verifying_key()?.verifies_as(&self.signature_oid, &self.signed, &self.signature);
        if signed && self.issuer == issuer.subject {
            Ok(())
        } else {
            Err(CertificateError::NotIssued)
        }
    }
}

/// A name with the most specific part first, joined by commas.
fn name_text(name: &X509Name<'_>) -> String {
    let mut parts: Vec<_> = name
        .iter_rdn()
        .map(|rdn| rdn.iter().map(attribute_text).collect::<Vec<_>>().join("+"))
        .collect();
    parts.reverse();
    parts.join(",")
}

fn attribute_text(attribute: &AttributeTypeAndValue<'_>) -> String {
    let value = attribute.as_str().unwrap_or("");
    let escaped: String = value
        .chars()
        .flat_map(|c| {
            let special = matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';');
            special.then_some('\\').into_iter().chain([c])
        })
        .collect();
    format!("{}={escaped}", short_name(attribute.attr_type()))
}

fn short_name(oid: &Oid<'_>) -> String {
    let oid = oid.to_id_string();
    let short = match oid.as_str() {
        "2.5.4.3" => "CN",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        _ => return oid,
    };
    short.to_owned()
}
