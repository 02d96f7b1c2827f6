//! Reads the keys of an app at WeChat Pay, and says what is wrong with them.

use reqwest::Identity;
use schemas::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::{v2, v3};
use crate::payment::{
    Reach, Source, WeChatPaySettings, WeChatV2Settings, WeChatV3Settings,
    crypto::{Certificate, KeyAndCertificates, SigningKey, VerifyingKey, open_pkcs12, to_pem},
    kept::{Account, Kept},
    transport::client_builder,
};

/// Every key of an app. No `Debug`.
pub(super) struct Keys {
    pub(super) v2: Option<v2::Keys>,
    pub(super) v3: Option<v3::Keys>,
    pub(super) app_secret: Option<SecretString>,
}

/// Reads the keys, and again when their files change.
pub(super) fn open(account: &Account, settings: &WeChatPaySettings) -> Result<Kept<Keys>, String> {
    let (settings, account_of_keys) = (settings.clone(), account.clone());
    let sources = settings.sources().into_iter().cloned().collect::<Vec<_>>();
    Kept::open(account, &sources, move || read(&account_of_keys, &settings))
}

fn read(account: &Account, settings: &WeChatPaySettings) -> Result<Keys, String> {
    let v2 = settings.v2.as_ref().map(|keys| read_v2(account, settings, keys)).transpose()?;
    let v3 = settings.v3.as_ref().map(read_v3).transpose()?;
    let app_secret = settings.app_secret.as_ref().map(|source| named("app_secret", source));
    Ok(Keys { v2, v3, app_secret: app_secret.transpose()? })
}

fn read_v2(
    account: &Account,
    settings: &WeChatPaySettings,
    keys: &WeChatV2Settings,
) -> Result<v2::Keys, String> {
    let api_key = named("v2.api_key", &keys.api_key)?;
    if api_key.expose_secret().len() != 32 {
        return Err("v2.api_key: expected 32 characters".to_owned());
    }
    let mutual_tls = match &keys.client_certificate {
        Some(certificate) => {
            let identity = identity(account, settings, certificate, keys.client_key.as_ref());
            let identity = identity.map_err(|error| format!("v2.client_certificate: {error}"))?;
            Some(mutual_tls(&settings.reach, &identity)?)
        }
        None => None,
    };
    Ok(v2::Keys { api_key, sign_type: keys.sign_type, mutual_tls })
}

/// The client certificate with its key, as one PEM text.
fn identity(
    account: &Account,
    settings: &WeChatPaySettings,
    certificate: &Source,
    key: Option<&Source>,
) -> Result<SecretString, String> {
    let text = certificate.text().ok();
    let pem = text.filter(|text| text.expose_secret().contains("-----BEGIN"));
    let (key, first, pem) = if let Some(pem) = pem {
        of_pem(pem, key)?
    } else {
        of_pkcs12(certificate, &settings.merchant_id)?
    };
    if !key.belongs_to(&first) {
        return Err("the key is not the certificate's".to_owned());
    }
    first.check_time(Timestamp::now()).map_err(|error| error.to_string())?;
    account.show_expiry("client", first.not_after());
    Ok(pem)
}

type Identified = (SigningKey, Certificate, SecretString);

fn of_pem(pem: SecretString, key: Option<&Source>) -> Result<Identified, String> {
    let first = Certificate::read(pem.expose_secret()).map_err(|error| error.to_string())?;
    let whole = match key {
        Some(key) => {
            let key = key.text()?;
            SecretString::from(format!("{}\n{}", pem.expose_secret(), key.expose_secret()))
        }
        None => pem,
    };
    Ok((SigningKey::read(whole.expose_secret())?, first, whole))
}

fn of_pkcs12(file: &Source, password: &str) -> Result<Identified, String> {
    let KeyAndCertificates { key, chain } = open_pkcs12(file.bytes()?.expose_secret(), password)?;
    let mut whole = to_pem("PRIVATE KEY", &key);
    for certificate in &chain {
        whole.push_str(&to_pem("CERTIFICATE", certificate.der()));
    }
    let first = chain.into_iter().next().ok_or("no certificate")?;
    Ok((SigningKey::of_der(&key)?, first, SecretString::from(whole)))
}

fn mutual_tls(reach: &Reach, identity: &SecretString) -> Result<reqwest::Client, String> {
    let unusable = |_| "v2.client_certificate: cannot be used for TLS".to_owned();
    let identity = Identity::from_pem(identity.expose_secret().as_bytes()).map_err(unusable)?;
    client_builder(reach)?.identity(identity).build().map_err(unusable)
}

fn read_v3(keys: &WeChatV3Settings) -> Result<v3::Keys, String> {
    let private = named("v3.private_key", &keys.private_key)?;
    let private = SigningKey::read(private.expose_secret())
        .map_err(|error| format!("v3.private_key: {error}"))?;
    let api_key = named("v3.api_key", &keys.api_key)?;
    if api_key.expose_secret().len() != 32 {
        return Err("v3.api_key: expected 32 characters".to_owned());
    }
    let public_key = keys.public_key.as_ref().map(|public| {
        let text = named("v3.public_key", &public.key)?;
        let key = VerifyingKey::read(text.expose_secret())
            .map_err(|error| format!("v3.public_key: {error}"))?;
        Ok::<_, String>((public.id.clone(), key))
    });
    let public_key = public_key.transpose()?;
    let fetches_certificates = keys.platform_certificates.unwrap_or(public_key.is_none());
    if public_key.is_none() && !fetches_certificates {
        return Err("v3: expected public_key or platform_certificates".to_owned());
    }
    let serial = keys.certificate_serial.clone();
    Ok(v3::Keys { private, serial, api_key, public_key, fetches_certificates })
}

fn named(name: &str, source: &Source) -> Result<SecretString, String> {
    source.text().map_err(|error| format!("{name}: {error}"))
}
