//! What an app's maker signs in with at Apple, read from its file.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use p12_keystore::KeyStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use schemas::Timestamp;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::{Clock, CredentialSource, PushType, provider_token::Mint};

/// Keys and certificates are smaller by far.
const MAX_FILE: u64 = 64 * 1024;

/// Apple's ids of keys and teams.
const ID_LENGTH: usize = 10;

/// Why a credential cannot be used. The operator must act; the texts name no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// The file is not there, not readable, or far too large.
    #[error("{} cannot be read: {why}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The file is not what it should be, or the password does not open it.
    #[error("{} is not usable: {why}", file.display())]
    Unusable {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// The settings cannot be right.
    #[error("{0}")]
    Misconfigured(&'static str),
}

/// One credential as it was in its file at one moment.
pub(super) struct Credential {
    /// Differs for every reading, so that a changed key gets connections of its own.
    pub(super) id: u64,
    pub(super) kind: Kind,
    pub(super) clock: Clock,
}

pub(super) enum Kind {
    Token { mint: Mint, key_pem: SecretSlice<u8>, key_id: String, team_id: String },
    Certificate(Certificate),
}

/// A certificate with its chain and key.
pub(super) struct Certificate {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) ends: Timestamp,
}

impl Credential {
    /// Reads the file. Blocks.
    pub(super) fn load(source: &CredentialSource, clock: &Clock) -> Result<Self, CredentialError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let kind = match source {
            CredentialSource::Token { key_file, key_id, team_id } => {
                token(read(key_file)?, key_file, key_id, team_id, clock)?
            }
            CredentialSource::TokenText { key, key_id, team_id } => {
                let pem = key.expose_secret().as_bytes().to_vec().into();
                token(pem, Path::new("the key"), key_id, team_id, clock)?
            }
            CredentialSource::Certificate { file, password } => {
                Kind::Certificate(certificate(file, password)?)
            }
        };
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Ok(Self { id, kind, clock: clock.clone() })
    }

    pub(super) const fn may_send(&self, push_type: PushType) -> bool {
        matches!(self.kind, Kind::Token { .. }) || !push_type.needs_provider_token()
    }

    /// What makes provider tokens; a certificate has none.
    pub(super) const fn mint(&self) -> Option<&Mint> {
        match &self.kind {
            Kind::Token { mint, .. } => Some(mint),
            Kind::Certificate(_) => None,
        }
    }

    /// When it ends by itself; keys do not.
    pub(super) const fn ends(&self) -> Option<Timestamp> {
        match &self.kind {
            Kind::Token { .. } => None,
            Kind::Certificate(certificate) => Some(certificate.ends),
        }
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credential({})", self.id)
    }
}

fn read(file: &Path) -> Result<SecretSlice<u8>, CredentialError> {
    let trouble = |error: io::Error| CredentialError::Unreadable {
        file: file.to_owned(),
        why: error.to_string(),
    };
    let about = fs::metadata(file).map_err(trouble)?;
    if !about.is_file() || about.len() > MAX_FILE {
        return Err(trouble(io::Error::other("not a small file")));
    }
    Ok(fs::read(file).map_err(trouble)?.into())
}

fn token(
    key_pem: SecretSlice<u8>,
    place: &Path,
    key_id: &str,
    team_id: &str,
    clock: &Clock,
) -> Result<Kind, CredentialError> {
    let is_id = |text: &str| {
        text.len() == ID_LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    if !is_id(key_id) || !is_id(team_id) {
        return Err(CredentialError::Misconfigured(
            "key id and team id have ten letters and digits",
        ));
    }
    let unusable = |why| CredentialError::Unusable { file: place.to_owned(), why };
    let key = PrivatePkcs8KeyDer::from_pem_slice(key_pem.expose_secret())
        .map_err(|_| unusable("no private key in PEM form"))?;
    let mint = Mint::new(key.secret_pkcs8_der(), key_id, team_id, clock.clone())
        .ok_or_else(|| unusable("not a key of the curve P-256"))?;
    Ok(Kind::Token { mint, key_pem, key_id: key_id.into(), team_id: team_id.into() })
}

fn certificate(file: &Path, password: &SecretString) -> Result<Certificate, CredentialError> {
    let unusable = |why| CredentialError::Unusable { file: file.to_owned(), why };
    let bytes = read(file)?;
    let store = KeyStore::from_pkcs12(bytes.expose_secret(), password.expose_secret())
        .map_err(|_| unusable("not a PKCS #12 file, or the password does not open it"))?;
    let Some((_, found)) = store.private_key_chain() else {
        return Err(unusable("it holds no private key"));
    };
    let chain: Vec<_> =
        found.chain().iter().map(|part| CertificateDer::from(part.as_der().to_vec())).collect();
    let Some(first) = chain.first() else {
        return Err(unusable("it holds no certificate"));
    };
    let (_, parsed) =
        X509Certificate::from_der(first).map_err(|_| unusable("its certificate cannot be read"))?;
    let ends = parsed.validity().not_after.timestamp().saturating_mul(1_000_000);
    let ends = Timestamp::from_micros(ends);
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(found.key().to_vec()));
    Ok(Certificate { chain, key, ends })
}
