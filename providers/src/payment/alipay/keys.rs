//! Reads the keys and certificates of an app at Alipay, and says what is wrong with them.

use schemas::Timestamp;
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use crate::payment::{
    AlipayCertificates, AlipaySettings, Source,
    crypto::{Certificate, SigningKey, VerifyingKey, md5_hex},
    kept::{Account, Kept},
};

/// Every key of an app. No `Debug`.
pub(super) struct Keys {
    pub(super) private: SigningKey,
    /// Alipay's keys: one, or in certificate mode while Alipay changes its certificate two.
    pub(super) alipay: Vec<AlipayKey>,
    /// In certificate mode, how our certificates are named in messages.
    pub(super) serials: Option<Serials>,
    pub(super) content_key: Option<SecretSlice<u8>>,
}

/// A key of Alipay.
pub(super) struct AlipayKey {
    /// Fingerprint of its certificate, if it came with one.
    pub(super) serial: Option<String>,
    pub(super) key: VerifyingKey,
}

/// Fingerprints of certificates.
pub(super) struct Serials {
    pub(super) app: String,
    pub(super) root: String,
}

impl Keys {
    /// The key that an answer names by `serial`; a bare key has no name.
    pub(super) fn named(&self, serial: Option<&str>) -> Option<&VerifyingKey> {
        let is_named =
            |known: &&AlipayKey| known.serial.is_none() || known.serial.as_deref() == serial;
        self.alipay.iter().find(is_named).map(|known| &known.key)
    }

    /// Whether a key of Alipay signed `text`, for messages that name none.
    pub(super) fn verifies(&self, text: &[u8], signature: &str) -> bool {
        self.alipay.iter().any(|known| known.key.verifies(text, signature))
    }
}

/// Reads the keys, and again when their files change.
pub(super) fn open(account: &Account, settings: &AlipaySettings) -> Result<Kept<Keys>, String> {
    let (settings, account_of_keys) = (settings.clone(), account.clone());
    let sources = settings.sources().into_iter().cloned().collect::<Vec<_>>();
    Kept::open(account, &sources, move || read(&account_of_keys, &settings))
}

fn read(account: &Account, settings: &AlipaySettings) -> Result<Keys, String> {
    let private = named("private_key", &settings.private_key)?;
    let private = SigningKey::read(private.expose_secret());
    let private = private.map_err(|error| format!("private_key: {error}"))?;
    let (alipay, serials) = match (&settings.alipay_public_key, &settings.certificates) {
        (Some(key), None) => {
            let key = named("alipay_public_key", key)?;
            let key = VerifyingKey::read(key.expose_secret());
            let key = key.map_err(|error| format!("alipay_public_key: {error}"))?;
            (vec![AlipayKey { serial: None, key }], None)
        }
        (None, Some(certificates)) => {
            let (keys, serials) = of_certificates(account, &private, certificates)?;
            (keys, Some(serials))
        }
        _ => return Err("expected one of alipay_public_key and certificates".to_owned()),
    };
    let content_key = settings.content_key.as_ref().map(content_key).transpose()?;
    Ok(Keys { private, alipay, serials, content_key })
}

fn of_certificates(
    account: &Account,
    private: &SigningKey,
    certificates: &AlipayCertificates,
) -> Result<(Vec<AlipayKey>, Serials), String> {
    let app = certificate("certificates.app", &certificates.app)?;
    let roots = named("certificates.root", &certificates.root)?;
    let roots = Certificate::read_all(roots.expose_secret());
    let roots = roots.map_err(|error| format!("certificates.root: {error}"))?;
    if !private.belongs_to(&app) {
        return Err("private_key is not that of certificates.app".to_owned());
    }
    app.check_time(Timestamp::now()).map_err(|error| format!("certificates.app: {error}"))?;
    account.show_expiry("app", app.not_after());
    let mut keys = vec![of_alipay(account, "alipay", &certificates.alipay)?];
    if let Some(next) = &certificates.alipay_next {
        keys.push(of_alipay(account, "alipay_next", next)?);
    }
    Ok((keys, Serials { app: fingerprint(&app), root: root_fingerprint(&roots) }))
}

/// The key of a certificate of Alipay's.
fn of_alipay(account: &Account, what: &'static str, source: &Source) -> Result<AlipayKey, String> {
    let name = format!("certificates.{what}");
    let certificate = certificate(&name, source)?;
    let valid = certificate.check_time(Timestamp::now());
    valid.map_err(|error| format!("{name}: {error}"))?;
    account.show_expiry(what, certificate.not_after());
    let key = certificate.verifying_key().map_err(|error| format!("{name}: {error}"))?;
    Ok(AlipayKey { serial: Some(fingerprint(&certificate)), key })
}

/// How Alipay names a certificate: MD5 of the issuer and the serial number.
pub(super) fn fingerprint(certificate: &Certificate) -> String {
    let text = format!("{}{}", certificate.issuer_text(), certificate.serial_decimal());
    md5_hex(text.as_bytes())
}

/// How Alipay names a bundle of roots: those that are signed with RSA, joined.
pub(super) fn root_fingerprint(roots: &[Certificate]) -> String {
    let rsa = roots.iter().filter(|root| root.is_signed_with_rsa());
    rsa.map(fingerprint).collect::<Vec<_>>().join("_")
}

fn certificate(name: &str, source: &Source) -> Result<Certificate, String> {
    let text = named(name, source)?;
    Certificate::read(text.expose_secret()).map_err(|error| format!("{name}: {error}"))
}

fn content_key(source: &Source) -> Result<SecretSlice<u8>, String> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let text = named("content_key", source)?;
    let key = STANDARD.decode(text.expose_secret());
    let key = key.map_err(|_| "content_key: expected base64".to_owned())?;
    if key.len() != 16 {
        return Err("content_key: expected 128 bits".to_owned());
    }
    Ok(SecretSlice::from(key))
}

fn named(name: &str, source: &Source) -> Result<SecretString, String> {
    source.text().map_err(|error| format!("{name}: {error}"))
}
