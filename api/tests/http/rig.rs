//! A running API, and the ways to talk to it.

use std::{
    io,
    net::SocketAddr,
    sync::LazyLock,
    time::{Duration, Instant},
};

use api::{
    Api, Settings,
    auth::{NewKey, TokenKey, digest_secret, hash_password},
};
use broker::Broker;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use providers::blobs::Blobs;
use reqwest::{Method, RequestBuilder, Response, redirect::Policy};
use schemas::{
    ClientId, Scope, Scopes, Timestamp, UserId,
    account::{ClientRecord, Grant, UserRecord},
    api_key::KeyRecord,
    audit::AuditRecord,
};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use store::{AuditFilter, Insert, Store};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

pub(crate) const USERNAME: &str = "+86-13800000001";
pub(crate) const PASSWORD: &str = "demo-password";

/// Longest that anything here may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

static METRICS: LazyLock<PrometheusHandle> =
    LazyLock::new(|| PrometheusBuilder::new().install_recorder().unwrap());

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) user: UserId,
    pub(crate) store: Store,
    pub(crate) broker: Broker,
    pub(crate) shutdown: CancellationToken,
    pub(crate) running: JoinHandle<io::Result<()>>,
    pub(crate) http: reqwest::Client,
    pub(crate) key: TokenKey,
    _folder: TempDir,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::sqlite(folder.path()).await.unwrap();
        let user = accounts(&store).await;
        Self::serve(folder, store, user, change).await
    }

    /// Another API over the store of an earlier one.
    pub(crate) async fn over(store: Store, change: impl FnOnce(&mut Settings)) -> Self {
        let user = store.users.by_username(USERNAME).await.unwrap().unwrap();
        Self::serve(tempfile::tempdir().unwrap(), store, user.id, change).await
    }

    async fn serve(
        folder: TempDir,
        store: Store,
        user: UserId,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let key = TokenKey::generate();
        let mut settings = Settings::new(format!("http://{address}"), key.clone());
        change(&mut settings);
        let broker = Broker::local(100);
        let api = Api {
            store: store.clone(),
            broker: broker.clone(),
            blobs: Blobs::folder(&folder.path().join("media")).unwrap(),
            till: providers::till::Till::closed(),
            settings,
            metrics: METRICS.clone(),
        };
        let shutdown = CancellationToken::new();
        let served = api::serve(api, listener, shutdown.clone(), Duration::from_secs(2));
        let running = tokio::spawn(served);
        let http = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .unwrap();
        Self { address, user, store, broker, shutdown, running, http, key, _folder: folder }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    /// Sends a token request with this body.
    pub(crate) async fn token(&self, body: impl Into<String>) -> Response {
        self.token_as(None, body).await
    }

    /// The same, with an `Authorization` header.
    pub(crate) async fn token_as(
        &self,
        authorization: Option<&str>,
        body: impl Into<String>,
    ) -> Response {
        let mut request = self
            .request(Method::POST, "/api/o/token/")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.into());
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        request.send().await.unwrap()
    }

    /// The reply to a good sign-in.
    pub(crate) async fn sign_in(&self) -> Value {
        let reply = self.token(good_sign_in()).await;
        assert_eq!(reply.status(), 200);
        reply.json().await.unwrap()
    }

    pub(crate) async fn access_token(&self) -> String {
        self.sign_in().await["access_token"].as_str().unwrap().to_owned()
    }

    /// The text of a new long-lived key of the demo user.
    pub(crate) async fn api_key(&self, change: impl FnOnce(&mut KeyRecord)) -> String {
        let new = NewKey::generate();
        let mut key = KeyRecord {
            id: new.id,
            version: 1,
            owner: self.user,
            name: "test".to_owned(),
            digest: new.digest,
            scopes: Scopes::all(),
            created_at: Timestamp::now(),
            last_used_at: None,
            expires_at: None,
            revoked_at: None,
        };
        change(&mut key);
        assert_eq!(self.store.keys.insert(&key).await.unwrap(), Insert::Stored);
        new.text.expose_secret().to_owned()
    }

    /// The audit record, newest first.
    pub(crate) async fn audit(&self) -> Vec<AuditRecord> {
        self.store.audit.list(&AuditFilter::default(), None, 1_000).await.unwrap()
    }

    pub(crate) async fn connect(&self) -> Raw {
        Raw(TcpStream::connect(self.address).await.unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

pub(crate) fn good_sign_in() -> String {
    sign_in_with("demo", "&client_secret=demo-secret")
}

/// A password grant of the demo user through `client`, with `more` parameters.
pub(crate) fn sign_in_with(client: &str, more: &str) -> String {
    let username = USERNAME.replace('+', "%2B");
    format!(
        "grant_type=password&client_id={client}&username={username}&password={PASSWORD}\
         &device_id=web:1{more}"
    )
}

/// A connection on which bytes are sent by hand.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    pub(crate) async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// Everything until the server closes the connection.
    pub(crate) async fn rest(&mut self) -> String {
        let mut bytes = vec![];
        let read = timeout(PATIENCE, self.0.read_to_end(&mut bytes)).await;
        // A reset after the reply says the same as a close.
        let _ = read.expect("the server closes the connection");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The head of the next reply.
    pub(crate) async fn head(&mut self) -> String {
        let mut bytes = vec![];
        let read = async {
            while !bytes.ends_with(b"\r\n\r\n") {
                bytes.push(self.0.read_u8().await.unwrap());
            }
        };
        timeout(PATIENCE, read).await.expect("a reply");
        String::from_utf8(bytes).unwrap()
    }
}

/// Checks that `reply` is an error in the one shape, and gives its body.
pub(crate) async fn error(name: &str, reply: Response, status: u16, code: &str) -> Value {
    assert_eq!(reply.status(), status, "{name}");
    assert_eq!(reply.headers()["content-type"], "application/json", "{name}");
    assert!(reply.headers().contains_key("x-request-id"), "{name}");
    let body: Value = reply.json().await.unwrap();
    assert_eq!(body["code"], code, "{name}: {body}");
    assert!(body["message"].is_string(), "{name}: {body}");
    assert!(body["data"].is_object() || body["data"].is_null(), "{name}: {body}");
    body
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < PATIENCE, "{what}");
        tokio::task::yield_now().await;
    }
}

async fn accounts(store: &Store) -> UserId {
    let now = Timestamp::now();
    let hash = hash_password(PASSWORD.into()).await.unwrap();
    let user = |username: &str| UserRecord {
        id: UserId::generate(),
        version: 1,
        username: username.to_owned(),
        password_hash: hash.clone(),
        created_at: now,
        disabled_at: None,
        profile: schemas::profile::Profile::default(),
    };
    let disabled = UserRecord { disabled_at: Some(now), ..user("disabled") };
    let demo = user(USERNAME);
    let id = demo.id;
    for user in [demo, disabled] {
        assert!(matches!(store.users.insert(&user).await.unwrap(), Insert::Stored));
    }
    let both = vec![Grant::Password, Grant::RefreshToken];
    let narrow: Scopes = [Scope::UserImage].into_iter().collect();
    let clients = [
        ("demo", Some("demo-secret"), both.clone(), Scopes::all()),
        ("other", Some("other-secret"), both.clone(), Scopes::all()),
        ("public", None, both.clone(), Scopes::all()),
        ("narrow", None, both, narrow),
        ("refresh-only", None, vec![Grant::RefreshToken], Scopes::all()),
    ];
    for (name, secret, grants, scopes) in clients {
        let client = ClientRecord {
            id: name.parse::<ClientId>().unwrap(),
            version: 1,
            name: name.to_owned(),
            secret_digest: secret.map(|secret| digest_secret(&secret.into())),
            grants,
            scopes,
            redirect_uris: vec![],
            created_at: now,
            disabled_at: None,
        };
        assert!(matches!(store.clients.insert(&client).await.unwrap(), Insert::Stored));
    }
    id
}
