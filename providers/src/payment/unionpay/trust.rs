//! Which certificates sign for UnionPay: those that the configured chain vouches for and that
//! name UnionPay as their owner.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use schemas::Timestamp;

use crate::payment::crypto::{Certificate, CertificateError, VerifyingKey, sha256_hex};

/// UnionPay's own name in its certificates.
pub(super) const OWNER: &str = "中国银联股份有限公司";

/// Most certificates that are remembered.
const REMEMBERED: usize = 8;

/// The configured chain.
pub(super) struct Trust {
    root: Certificate,
    middle: Certificate,
    owner: String,
    /// Certificates that were verified, by the hash of their text. Their time is judged anew.
    seen: Mutex<BTreeMap<String, (Certificate, VerifyingKey)>>,
}

/// A certificate that does not sign for UnionPay.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub(super) enum Untrusted {
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("certificate names another owner")]
    Owner,
}

impl Trust {
    pub(super) fn new(root: Certificate, middle: Certificate, owner: &str) -> Self {
        Self { root, middle, owner: owner.to_owned(), seen: Mutex::default() }
    }

    /// The key of a certificate that signs for UnionPay at `now`.
    pub(super) fn key_of(&self, pem: &str, now: Timestamp) -> Result<VerifyingKey, Untrusted> {
        let name = sha256_hex(pem.as_bytes());
        if let Some((certificate, key)) = self.seen().get(&name) {
            certificate.check_time(now)?;
            return Ok(key.clone());
        }
        let certificate = Certificate::read(pem)?;
        certificate.check_time(now)?;
        certificate.check_issued_by(&self.middle)?;
        self.check_chain(now)?;
        if certificate.common_name().split('@').nth(2) != Some(self.owner.as_str()) {
            return Err(Untrusted::Owner);
        }
        let key = certificate.verifying_key()?;
        let mut seen = self.seen();
        if seen.len() == REMEMBERED {
            seen.clear();
        }
        seen.insert(name, (certificate, key.clone()));
        Ok(key)
    }

    /// Whether the configured certificates belong together and are valid at `now`.
    pub(super) fn check_chain(&self, now: Timestamp) -> Result<(), CertificateError> {
        self.root.check_time(now)?;
        self.middle.check_time(now)?;
        self.middle.check_issued_by(&self.root)
    }

    /// When the first of the configured certificates ends, in seconds since 1970.
    pub(super) fn not_after(&self) -> i64 {
        self.root.not_after().min(self.middle.not_after())
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, (Certificate, VerifyingKey)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
