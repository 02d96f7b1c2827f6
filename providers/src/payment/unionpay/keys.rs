//! Reads the keys and certificates of a merchant at UnionPay, and says what is wrong with them.

use schemas::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::{
    sign::Hash,
    trust::{OWNER, Trust},
};
use crate::payment::{
    Mode, Source, UnionPaySettings, UnionPaySigning,
    crypto::{Certificate, OpeningKey, SigningKey, key_der, open_pkcs12},
    kept::{Account, Kept},
};

/// Every key of a merchant. No `Debug`.
pub(super) struct Keys {
    pub(super) signing: Signing,
    /// Who signs for UnionPay; not needed with a shared key.
    pub(super) trust: Option<Trust>,
}

impl Keys {
    /// Opens what UnionPay encrypts for the merchant.
    pub(super) const fn opening(&self) -> Option<&OpeningKey> {
        match &self.signing {
            Signing::Rsa { opening, .. } => opening.as_ref(),
            Signing::Keyed { .. } => None,
        }
    }
}

/// How messages are signed.
pub(super) enum Signing {
    /// With the merchant's key, whose certificate is named by its serial number. What UnionPay encrypts
    /// for the merchant is opened with the same key, unless it is kept in PKCS#1.
    Rsa { key: SigningKey, certificate_id: String, opening: Option<OpeningKey> },
    /// With a shared key.
    Keyed { hash: Hash, key: SecretString },
}

impl Signing {
    /// `signMethod`.
    pub(super) const fn method(&self) -> &'static str {
        match self {
            Self::Rsa { .. } => "01",
            Self::Keyed { hash: Hash::Sha256, .. } => "11",
            Self::Keyed { hash: Hash::Sm3, .. } => "12",
        }
    }
}

/// Reads the keys, and again when their files change.
pub(super) fn open(account: &Account, settings: &UnionPaySettings) -> Result<Kept<Keys>, String> {
    let (settings, account_of_keys) = (settings.clone(), account.clone());
    let sources = settings.sources().into_iter().cloned().collect::<Vec<_>>();
    Kept::open(account, &sources, move || read(&account_of_keys, &settings))
}

fn read(account: &Account, settings: &UnionPaySettings) -> Result<Keys, String> {
    let signing = signing(account, &settings.signing)?;
    let trust = match (&signing, &settings.root_certificate, &settings.middle_certificate) {
        (Signing::Keyed { .. }, _, _) => None,
        (Signing::Rsa { .. }, Some(root), Some(middle)) => {
            let trust = Trust::new(
                certificates("root_certificate", root)?,
                certificates("middle_certificate", middle)?,
                owner(settings)?,
            );
            let chain = trust.check_chain(Timestamp::now());
            chain.map_err(|error| format!("root_certificate, middle_certificate: {error}"))?;
            account.show_expiry("chain", trust.not_after());
            Some(trust)
        }
        _ => return Err("expected root_certificate and middle_certificate".to_owned()),
    };
    Ok(Keys { signing, trust })
}

fn owner(settings: &UnionPaySettings) -> Result<&str, String> {
    match (&settings.certificate_owner, settings.mode) {
        (None, _) => Ok(OWNER),
        (Some(owner), Mode::Test) => Ok(owner),
        (Some(owner), Mode::Live) if owner == OWNER => Ok(OWNER),
        (Some(_), Mode::Live) => Err("certificate_owner: live messages are UnionPay's own".into()),
    }
}

fn signing(account: &Account, settings: &UnionPaySigning) -> Result<Signing, String> {
    let (der, certificate) = match settings {
        UnionPaySigning::Pfx { file, password } => {
            let file = file.bytes().map_err(|error| format!("signing.pfx.file: {error}"))?;
            let password = named("signing.pfx.password", password)?;
            let opened = open_pkcs12(file.expose_secret(), password.expose_secret())
                .map_err(|error| format!("signing.pfx: {error}"))?;
            let key = SigningKey::of_der(&opened.key);
            let key = key.map_err(|error| format!("signing.pfx: {error}"))?;
            let own = opened.chain.into_iter().find(|certificate| key.belongs_to(certificate));
            (opened.key, own.ok_or("signing.pfx: the key is not that of a certificate in it")?)
        }
        UnionPaySigning::Pem { private_key, certificate: source } => {
            let key = named("signing.pem.private_key", private_key)?;
            let der = key_der(key.expose_secret(), &["PRIVATE KEY", "RSA PRIVATE KEY"]);
            let der = der.map_err(|error| format!("signing.pem.private_key: {error}"))?;
            (der, certificate("signing.pem.certificate", source)?)
        }
        UnionPaySigning::Sha256 { key } => {
            return Ok(Signing::Keyed {
                hash: Hash::Sha256,
                key: named("signing.sha256.key", key)?,
            });
        }
        UnionPaySigning::Sm3 { key } => {
            return Ok(Signing::Keyed { hash: Hash::Sm3, key: named("signing.sm3.key", key)? });
        }
    };
    let key = SigningKey::of_der(&der).map_err(|error| format!("signing: {error}"))?;
    if !key.belongs_to(&certificate) {
        return Err("signing: the key is not the certificate's".to_owned());
    }
    let valid = certificate.check_time(Timestamp::now());
    valid.map_err(|error| format!("signing: {error}"))?;
    account.show_expiry("merchant", certificate.not_after());
    let certificate_id = certificate.serial_decimal().to_owned();
    Ok(Signing::Rsa { key, certificate_id, opening: OpeningKey::of_der(&der) })
}

fn certificate(name: &str, source: &Source) -> Result<Certificate, String> {
    let text = named(name, source)?;
    Certificate::read(text.expose_secret()).map_err(|error| format!("{name}: {error}"))
}

/// One certificate or several.
fn certificates(name: &str, source: &Source) -> Result<Vec<Certificate>, String> {
    let text = named(name, source)?;
    let all = Certificate::read_all(text.expose_secret());
    let all = all.map_err(|error| format!("{name}: {error}"))?;
    if all.is_empty() { Err(format!("{name}: expected a certificate")) } else { Ok(all) }
}

fn named(name: &str, source: &Source) -> Result<SecretString, String> {
    source.text().map_err(|error| format!("{name}: {error}"))
}
