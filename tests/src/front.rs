//! A server that ends TLS before a simulator: some paths it lets in only with a certificate.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// An authority, and the server whose certificate it signed.
pub struct Front {
    /// Where it listens, `https://127.0.0.1:PORT`.
    pub url: String,
    issuer: CertifiedIssuer<'static, KeyPair>,
    state: Arc<State>,
}

struct State {
    target: String,
    guarded: &'static str,
    turned_away: AtomicU32,
    shown: Mutex<Vec<Vec<u8>>>,
}

impl Front {
    /// Listens before `target`, `HOST:PORT`. Paths that begin with `guarded` need a certificate of
    /// [`Self::client`].
    ///
    /// # Panics
    ///
    /// When certificates cannot be made or no port is free.
    pub async fn start(target: String, guarded: &'static str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Authority of a test");
        let key = KeyPair::generate().expect("key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("authority");
        let acceptor = TlsAcceptor::from(Arc::new(server(&issuer)));
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = TcpListener::bind(any).await.expect("a free port");
        let url = format!("https://{}", listener.local_addr().expect("address"));
        let (turned_away, shown) = (AtomicU32::new(0), Mutex::default());
        let state = Arc::new(State { target, guarded, turned_away, shown });
        let serving = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, state) = (acceptor.clone(), Arc::clone(&serving));
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        state.serve(stream).await;
                    }
                });
            }
        });
        Self { url, issuer, state }
    }

    /// The authority's certificate, PEM.
    #[must_use]
    pub fn authority(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate, PEM, for a client called `name` whose key is in `key`, PEM.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    #[must_use]
    pub fn client(&self, name: &str, key: &str) -> String {
        let key = KeyPair::from_pem(key).expect("key");
        let mut params = CertificateParams::new(Vec::new()).expect("certificate");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).expect("certificate");
        certificate.pem()
    }

    /// Connections to guarded paths that showed no certificate.
    #[must_use]
    pub fn turned_away(&self) -> u32 {
        self.state.turned_away.load(Ordering::Relaxed)
    }

    /// The certificates that were shown, DER, one for each connection.
    ///
    /// # Panics
    ///
    /// When a test panicked while it looked.
    #[must_use]
    pub fn shown(&self) -> Vec<Vec<u8>> {
        self.state.shown.lock().expect("no panic").clone()
    }
}

fn server(issuer: &CertifiedIssuer<'static, KeyPair>) -> ServerConfig {
    let key = KeyPair::generate().expect("key");
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("names");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.signed_by(&key, issuer).expect("certificate");
    let mut roots = RootCertStore::empty();
    roots.add(issuer.der().clone()).expect("root");
    let provider = Arc::new(aws_lc_rs::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .expect("verifier");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("server")
}

impl State {
    /// Judges the first request of the connection and passes everything on.
    async fn serve(&self, mut stream: TlsStream<TcpStream>) {
        let certificates = stream.get_ref().1.peer_certificates();
        let shown = certificates.and_then(<[_]>::first).map(|one| one.to_vec());
        let mut head = Vec::new();
        while !head.contains(&b'\n') {
            match stream.read_buf(&mut head).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
        }
        let line = String::from_utf8_lossy(&head);
        let path = line.split(' ').nth(1).unwrap_or_default();
        if path.starts_with(self.guarded) && shown.is_none() {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.shown.lock().expect("no panic").extend(shown);
        let Ok(mut far) = TcpStream::connect(&self.target).await else { return };
        if far.write_all(&head).await.is_ok() {
            // Either side may hang up at any time.
            let _ = copy_bidirectional(&mut stream, &mut far).await;
        }
    }
}
