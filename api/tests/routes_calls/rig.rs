//! A running API with two users, and the part of a worker played by hand.

use std::{
    io::Cursor,
    sync::LazyLock,
    time::{Duration, Instant},
};

use api::{Api, Settings, auth::TokenKey};
use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use broker::{Broker, Consumer};
use image::{DynamicImage, ImageFormat as Codec, RgbImage};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use providers::{blobs::Blobs, payment::Gateways, seal::Sealer, till::Till};
use reqwest::{Method, RequestBuilder, Response, redirect::Policy};
use schemas::{
    Event, ImageId, JobId, JobRecord, Queue, Scope, Scopes, Timestamp, UserId, Verdict,
    account::{ClientRecord, Grant, UserRecord},
    image::{ImageFormat, ImageRecord},
};
use serde_json::{Value, json};
use store::{Insert, Save, Store};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Longest that anything here may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

static METRICS: LazyLock<PrometheusHandle> =
    LazyLock::new(|| PrometheusBuilder::new().install_recorder().unwrap());

pub(crate) struct App {
    pub(crate) url: String,
    pub(crate) store: Store,
    pub(crate) broker: Broker,
    pub(crate) blobs: Blobs,
    pub(crate) shutdown: CancellationToken,
    pub(crate) ada: User,
    pub(crate) bob: User,
    pub(crate) http: reqwest::Client,
    _folder: TempDir,
}

pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) token: String,
}

impl App {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}, 100).await
    }

    /// With other settings, and room for `capacity` messages in a queue.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Settings), capacity: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::sqlite(folder.path()).await.unwrap();
        let blobs = Blobs::folder(&folder.path().join("media")).unwrap();
        let broker = Broker::local(capacity);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut settings = Settings::new("https://feat.test", TokenKey::generate());
        change(&mut settings);
        let api = Api {
            store: store.clone(),
            broker: broker.clone(),
            blobs: blobs.clone(),
            till: till(),
            settings,
            metrics: METRICS.clone(),
        };
        let shutdown = CancellationToken::new();
        tokio::spawn(api::serve(api, listener, shutdown.clone(), Duration::from_secs(2)));
        let http = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .unwrap();
        client(&store, "all", Scopes::all()).await;
        client(&store, "narrow", [Scope::UserProfile].into_iter().collect()).await;
        let hash = quick_hash("secret");
        let ada = user(&http, &url, &store, "ada", hash.clone()).await;
        let bob = user(&http, &url, &store, "bob", hash).await;
        Self { url, store, broker, blobs, shutdown, ada, bob, http, _folder: folder }
    }

    pub(crate) fn request(&self, method: Method, path: &str, user: &User) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(&user.token)
    }

    pub(crate) fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn get(&self, path: &str, user: &User) -> Response {
        self.request(Method::GET, path, user).send().await.unwrap()
    }

    /// The body of a good reply.
    pub(crate) async fn read(&self, path: &str, user: &User) -> Value {
        let reply = self.get(path, user).await;
        assert_eq!(reply.status(), 200, "{path}");
        reply.json().await.unwrap()
    }

    /// A token of `ada` through client `narrow`, without the scope of pictures.
    pub(crate) async fn narrow_token(&self) -> String {
        sign_in(&self.http, &self.url, "narrow", "ada").await
    }

    /// A stored picture with a file, made without an upload.
    pub(crate) async fn picture(&self, owner: &User) -> ImageRecord {
        self.picture_with(owner, |_| {}).await
    }

    pub(crate) async fn picture_with(
        &self,
        owner: &User,
        change: impl FnOnce(&mut ImageRecord),
    ) -> ImageRecord {
        let file = png(600, 400);
        let id = ImageId::generate();
        let mut image = ImageRecord {
            id,
            owner: owner.id,
            version: 1,
            file_name: format!("沙 {id}.png"),
            format: ImageFormat::Png,
            bytes: file.len() as u64,
            digest: format!("d{id}"),
            width: 600,
            height: 400,
            tags: vec!["holiday".to_owned()],
            created_at: Timestamp::now(),
            deletion: None,
        };
        change(&mut image);
        self.blobs.put(&image.original(), file.into()).await.unwrap();
        assert_eq!(self.store.images.insert(&image).await.unwrap(), Insert::Stored);
        image
    }

    pub(crate) fn delete(&self, image: &ImageRecord, user: &User) -> RequestBuilder {
        self.request(Method::DELETE, &image_path(image.id), user)
    }

    /// An accepted deletion of a new picture of `owner`.
    pub(crate) async fn deletion(&self, owner: &User) -> JobRecord {
        let image = self.picture(owner).await;
        let reply = self.delete(&image, owner).send().await.unwrap();
        assert_eq!(reply.status(), 202);
        self.job_of(reply).await
    }

    /// The record of the job that a reply shows.
    pub(crate) async fn job_of(&self, reply: Response) -> JobRecord {
        let body: Value = reply.json().await.unwrap();
        let id: JobId = body["data"]["id"].as_str().unwrap().parse().unwrap();
        self.store.jobs.get(id).await.unwrap().unwrap()
    }

    /// Settles a job as a worker does, and tells everybody.
    pub(crate) async fn settle(&self, job: JobRecord, verdict: Verdict) -> JobRecord {
        let latest = self.store.jobs.get(job.id).await.unwrap().unwrap();
        let spec = schemas::kinds::spec(&latest.kind).unwrap();
        let settled = latest.settle(spec, verdict, "worker-1", Timestamp::now(), 0.5).unwrap();
        self.save(&settled).await;
        settled
    }

    pub(crate) async fn save(&self, job: &JobRecord) {
        assert_eq!(self.store.jobs.save(job).await.unwrap(), Save::Stored);
        self.broker.send_event(Event::changed(job));
    }

    pub(crate) fn messages(&self) -> Consumer {
        self.broker.consume(Queue::Images, 10)
    }

    pub(crate) async fn image(&self, id: ImageId) -> ImageRecord {
        self.store.images.get(id).await.unwrap().unwrap()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

pub(crate) fn image_path(id: ImageId) -> String {
    format!("/api/user/user-image/{id}/")
}

pub(crate) fn job_path(job: &JobRecord) -> String {
    format!("/api/job/{}/", job.id)
}

/// The path of a picture's file, escaped as clients find it in `img`.
pub(crate) fn media_path(image: &ImageRecord) -> String {
    let name = image.file_name.replace('沙', "%E6%B2%99").replace(' ', "%20");
    format!("/media/{}/UserImage/{name}", image.owner)
}

/// One account at WeChat Pay, which nobody calls.
fn till() -> Till {
    let accounts = json!({ "wechat_pay": [{
        "name": "official_account",
        "mode": "test",
        "app_id": "wx2421b1c4370ec43b",
        "merchant_id": "1900000109",
        "reach": { "endpoint": "http://127.0.0.1:9" },
        "v2": { "api_key": { "value": "k".repeat(32) } },
    }] });
    let gateways = Gateways::open(&serde_json::from_value(accounts).unwrap()).unwrap();
    Till { gateways, sealer: Sealer::ephemeral(), public_url: "https://feat.test".to_owned() }
}

/// A picture that does not compress to nothing.
pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
    encode(&pattern(width, height), Codec::Png)
}

pub(crate) fn pattern(width: u32, height: u32) -> DynamicImage {
    RgbImage::from_fn(width, height, |x, y| {
        let byte = |n: u32| u8::try_from(n % 256).unwrap();
        image::Rgb([byte(x), byte(y), byte(x * y)])
    })
    .into()
}

pub(crate) fn encode(picture: &DynamicImage, codec: Codec) -> Vec<u8> {
    let mut file = Cursor::new(vec![]);
    picture.write_to(&mut file, codec).unwrap();
    file.into_inner()
}

/// Checks that `reply` is an error in the one shape, and gives its body.
pub(crate) async fn error(name: &str, reply: Response, status: u16, code: &str) -> Value {
    assert_eq!(reply.status(), status, "{name}");
    assert_eq!(reply.headers()["content-type"], "application/json", "{name}");
    let body: Value = reply.json().await.unwrap();
    assert_eq!(body["code"], code, "{name}: {body}");
    assert!(body["message"].is_string(), "{name}: {body}");
    if code == "VALIDATION_EXCEPTION" {
        let fields = body["data"].as_object().unwrap();
        assert!(!fields.is_empty() && fields.values().all(Value::is_array), "{name}: {body}");
    }
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

/// A hash that takes no time to check; how slow a real one is has its tests elsewhere.
fn quick_hash(password: &str) -> secrecy::SecretString {
    let params = Params::new(8, 1, 1, None).unwrap();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password(password.as_bytes()).unwrap().to_string().into()
}

async fn client(store: &Store, name: &str, scopes: Scopes) {
    let client = ClientRecord {
        id: name.parse().unwrap(),
        version: 1,
        name: name.to_owned(),
        secret_digest: None,
        grants: vec![Grant::Password],
        scopes,
        redirect_uris: vec![],
        created_at: Timestamp::now(),
        disabled_at: None,
    };
    assert_eq!(store.clients.insert(&client).await.unwrap(), Insert::Stored);
}

async fn user(
    http: &reqwest::Client,
    url: &str,
    store: &Store,
    name: &str,
    password_hash: secrecy::SecretString,
) -> User {
    let user = UserRecord {
        id: UserId::generate(),
        version: 1,
        username: name.to_owned(),
        password_hash,
        created_at: Timestamp::now(),
        disabled_at: None,
        profile: schemas::profile::Profile::default(),
    };
    assert_eq!(store.users.insert(&user).await.unwrap(), Insert::Stored);
    User { id: user.id, token: sign_in(http, url, "all", name).await }
}

async fn sign_in(http: &reqwest::Client, url: &str, client: &str, name: &str) -> String {
    let form = [
        ("grant_type", "password"),
        ("client_id", client),
        ("username", name),
        ("password", "secret"),
        ("device_id", "web:1"),
    ];
    let reply = http.post(format!("{url}/api/o/token/")).form(&form).send().await.unwrap();
    let body: Value = reply.json().await.unwrap();
    body["access_token"].as_str().unwrap().to_owned()
}
