//! The certificate authority of one simulator, and the keys it hands out.

use std::{sync::Arc, time::Duration};

use ::aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::{Engine, prelude::BASE64_STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};

/// Names that the simulator answers to: Apple's, and this machine's.
const NAMES: [&str; 5] = [
    "api.push.apple.com",
    "api.sandbox.push.apple.com",
    "api.development.push.apple.com",
    "localhost",
    "127.0.0.1",
];

/// A key or certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The library for certificates refused.
    #[error("no certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The library for TLS refused.
    #[error("no TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The system has no randomness.
    #[error("no key")]
    Key,
}

/// A client certificate and its key.
#[derive(Clone)]
pub struct ClientCertificate {
    /// The certificate and its authority's, in DER.
    pub chain: Vec<Vec<u8>>,
    /// The key, in PKCS #8.
    pub key: Vec<u8>,
}

impl std::fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClientCertificate({} certificates)", self.chain.len())
    }
}

/// Signs the certificates of one simulator.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

/// Makes an authority that several simulators can share: its key, for [`Settings::authority_key`],
/// and its certificate, both in PEM form.
///
/// # Errors
///
/// The system has no randomness.
///
/// [`Settings::authority_key`]: super::Settings::authority_key
pub fn make() -> Result<(String, String), AuthorityError> {
    let key = KeyPair::generate()?;
    let pem = key.serialize_pem();
    Ok((pem, Authority::of(key)?.pem()))
}

impl Authority {
    /// With the key in `pem`, or one of its own.
    pub(super) fn new(pem: Option<&str>) -> Result<Self, AuthorityError> {
        Self::of(pem.map_or_else(KeyPair::generate, KeyPair::from_pem)?)
    }

    fn of(key: KeyPair) -> Result<Self, AuthorityError> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "Simulated push authority");
        let issuer = CertifiedIssuer::self_signed(params, key)?;
        Ok(Self { issuer })
    }

    pub(super) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// TLS as the push service does it: HTTP/2 only, a client certificate if there is one.
    pub(super) fn server(&self) -> Result<Arc<ServerConfig>, AuthorityError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(NAMES.map(String::from))?;
        params.distinguished_name.push(DnType::CommonName, NAMES[0]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer)?;
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone())?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let clients =
            WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider))
                .allow_unauthenticated()
                .build()
                .map_err(|error| rustls::Error::General(error.to_string()))?;
        let chain = vec![certificate.der().clone(), self.issuer.der().clone()];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }

    /// A client certificate that names an app.
    pub(super) fn client(
        &self,
        app: &str,
        valid_for: Duration,
    ) -> Result<ClientCertificate, AuthorityError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        // The attribute user id holds the app, as in Apple's certificates.
        let user_id = DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 1]);
        params.distinguished_name.push(user_id, app);
        params.distinguished_name.push(DnType::CommonName, format!("Apple Push Services: {app}"));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let now = std::time::SystemTime::now();
        params.not_before = (now - Duration::from_hours(48)).into();
        params.not_after =
            if valid_for.is_zero() { now - Duration::from_hours(1) } else { now + valid_for }
                .into();
        let certificate = params.signed_by(&key, &self.issuer)?;
        let chain = [certificate.der(), self.issuer.der()];
        let chain = chain.map(|part: &CertificateDer<'_>| part.to_vec()).into();
        Ok(ClientCertificate { chain, key: key.serialize_der() })
    }
}

/// A signing key as the text of a `.p8` file, and its public half as a point of the curve.
pub(super) fn signing_key() -> Result<(String, Vec<u8>), AuthorityError> {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
    let key = key.map_err(|_| AuthorityError::Key)?;
    let secret = key.to_pkcs8v1().map_err(|_| AuthorityError::Key)?;
    let text = BASE64_STANDARD.encode(secret.as_ref());
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    let pem =
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    Ok((pem, key.public_key().as_ref().to_vec()))
}
