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

/// The configured chain, or two of them while UnionPay changes.
pub(super) struct Trust {
    roots: Vec<Certificate>,
    middles: Vec<Certificate>,
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
    pub(super) fn new(roots: Vec<Certificate>, middles: Vec<Certificate>, owner: &str) -> Self {
        Self { roots, middles, owner: owner.to_owned(), seen: Mutex::default() }
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
        self.check_issuer(&certificate, now)?;
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

    /// Whether a configured chain that is valid at `now` vouches for `certificate`.
    fn check_issuer(
        &self,
        certificate: &Certificate,
        now: Timestamp,
    ) -> Result<(), CertificateError> {
        first_good(&self.middles, |middle| {
            certificate.check_issued_by(middle)?;
            self.check_middle(middle, now)
        })
    }

    fn check_middle(&self, middle: &Certificate, now: Timestamp) -> Result<(), CertificateError> {
        middle.check_time(now)?;
        first_good(&self.roots, |root| {
            middle.check_issued_by(root)?;
            root.check_time(now)
        })
    }

    /// Whether each configured middle certificate has its root and both are valid at `now`.
    pub(super) fn check_chain(&self, now: Timestamp) -> Result<(), CertificateError> {
        self.middles.iter().try_for_each(|middle| self.check_middle(middle, now))
    }

    /// When the first of the configured certificates ends, in seconds since 1970.
    pub(super) fn not_after(&self) -> i64 {
        let all = self.roots.iter().chain(&self.middles);
        all.map(Certificate::not_after).min().unwrap_or_default()
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, (Certificate, VerifyingKey)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `check` passes for one of `certificates`; otherwise what it says of the last one.
fn first_good(
    certificates: &[Certificate],
    check: impl Fn(&Certificate) -> Result<(), CertificateError>,
) -> Result<(), CertificateError> {
    let none = Err(CertificateError::Unreadable);
    certificates.iter().fold(none, |found, one| found.or_else(|_| check(one)))
}
