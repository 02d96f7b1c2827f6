//! TLS towards the push service: whose certificates are believed, and our own if we have one.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, pem::PemObject},
};
use rustls_platform_verifier::BuilderVerifierExt;

use super::{
    CredentialError, Roots,
    credential::{Credential, Kind},
};

/// Builds the settings for one credential, with HTTP/2 as the only protocol.
pub(super) fn config(
    roots: &Roots,
    credential: &Credential,
) -> Result<Arc<ClientConfig>, CredentialError> {
    let wrong = CredentialError::Misconfigured;
    let provider: Arc<CryptoProvider> = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| wrong("this build has no usable version of TLS"))?;
    let builder = match roots {
        Roots::System => builder
            .with_platform_verifier()
            .map_err(|_| wrong("the system has no trusted certificates"))?,
        Roots::Only(pem) => builder.with_root_certificates(only(pem)?),
    };
    let mut config = match &credential.kind {
        Kind::Token { .. } => builder.with_no_client_auth(),
        Kind::Certificate(own) => builder
            .with_client_auth_cert(own.chain.clone(), own.key.clone_key())
            .map_err(|_| wrong("key and certificate do not belong together"))?,
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

/// The certificates in `pem`, of which there must be one at least.
pub(super) fn only(pem: &[u8]) -> Result<RootCertStore, CredentialError> {
    let wrong = CredentialError::Misconfigured("the trusted certificates are no PEM text");
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let added = certificate.is_ok_and(|certificate| roots.add(certificate).is_ok());
        if !added {
            return Err(wrong);
        }
    }
    if roots.is_empty() { Err(wrong) } else { Ok(roots) }
}
