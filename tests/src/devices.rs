//! An API and a worker in the test's own process, with users who sign in on devices.

use std::time::Duration;

use api::{Api, Settings, auth::TokenKey};
use metrics_exporter_prometheus::PrometheusBuilder;
use reqwest::{Method, Response};
use schemas::{
    BundleId, Scopes, Timestamp, UserId,
    account::{ClientRecord, Grant, UserRecord},
    profile::Profile,
    push_token::PushTokenRecord,
};
use serde_json::{Value, json};
use store::{Insert, Store};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    http::Client,
    rig::{Engine, Rig},
};

/// Where devices are registered.
pub const DEVICES: &str = "/api/user/user-apns-device-token/";

const CLIENT: &str = "app";
const PASSWORD: &str = "a long password";

/// A running API.
pub struct Stage {
    /// What it stands on.
    pub rig: Rig,
    /// Its address.
    pub url: String,
    hash: secrecy::SecretString,
    shutdown: CancellationToken,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// The app of every test.
///
/// # Panics
///
/// Never: it is a bundle id.
#[must_use]
pub fn app() -> BundleId {
    "com.example.notes".parse().expect("a bundle id")
}

impl Stage {
    /// Starts the API; `default_push_app` is [`app`].
    ///
    /// # Panics
    ///
    /// When something does not start.
    pub async fn start(engine: Engine) -> Self {
        let rig = Rig::new(engine).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        let mut settings = Settings::new(url.clone(), TokenKey::generate());
        settings.default_push_app = Some(app());
        let api = Api {
            store: rig.store.clone(),
            broker: rig.broker.clone(),
            blobs: rig.blobs.clone(),
            till: rig.till.clone(),
            settings,
            metrics: PrometheusBuilder::new().build_recorder().handle(),
        };
        let shutdown = CancellationToken::new();
        tokio::spawn(api::serve(api, listener, shutdown.clone(), Duration::from_secs(2)));
        client(&rig.store).await;
        let hash = api::auth::hash_password(PASSWORD.into()).await.expect("hash");
        Self { rig, url, hash, shutdown }
    }

    /// Adds a user.
    ///
    /// # Panics
    ///
    /// When the store refuses.
    pub async fn user(&self, username: &str) -> UserId {
        let user = UserRecord {
            id: UserId::generate(),
            version: 1,
            username: username.to_owned(),
            password_hash: self.hash.clone(),
            created_at: Timestamp::now(),
            disabled_at: None,
            profile: Profile::default(),
        };
        assert_eq!(self.rig.store.users.insert(&user).await, Ok(Insert::Stored));
        user.id
    }

    /// Signs a user in on a device.
    pub async fn sign_in(&self, username: &str, device_id: &str) -> Client {
        Client::sign_in_on(device_id, &self.url, CLIENT, "", username, PASSWORD).await
    }

    /// The record of a token of [`app`].
    ///
    /// # Panics
    ///
    /// When there is none.
    pub async fn device(&self, token: &str) -> PushTokenRecord {
        let token = token.parse().expect("a token");
        self.rig.store.push_tokens.get(&app(), &token).await.expect("store").expect("device")
    }
}

async fn client(store: &Store) {
    let client = ClientRecord {
        id: CLIENT.parse().expect("id"),
        version: 1,
        name: "App".to_owned(),
        secret_digest: None,
        grants: vec![Grant::Password, Grant::RefreshToken],
        scopes: Scopes::all(),
        redirect_uris: vec![],
        created_at: Timestamp::now(),
        disabled_at: None,
    };
    assert_eq!(store.clients.insert(&client).await, Ok(Insert::Stored));
}

/// A token of 32 bytes that differs for each `number`.
#[must_use]
pub fn token(number: u32) -> String {
    format!("{number:064x}")
}

/// Registers a token and waits until that is done.
///
/// # Panics
///
/// When the API does not answer.
pub async fn register(by: &Client, body: Value) -> Response {
    let request = by.request(Method::POST, DEVICES).header("prefer", "wait=20").json(&body);
    request.send().await.expect("a reply")
}

/// Registers `token` with nothing but its text, and answers with its view.
///
/// # Panics
///
/// When the API refuses.
pub async fn registered(by: &Client, token: &str) -> Value {
    let reply = register(by, json!({ "device_token": token })).await;
    let status = reply.status();
    let mut body: Value = reply.json().await.expect("JSON");
    assert!(status.is_success(), "{status} {body}");
    body["data"].take()
}

/// The tokens of the caller's list.
///
/// # Panics
///
/// When the API refuses.
pub async fn listed(by: &Client) -> Vec<String> {
    let reply = by.request(Method::GET, DEVICES).send().await.expect("a reply");
    assert_eq!(reply.status(), 200);
    let body: Value = reply.json().await.expect("JSON");
    let all = body["data"].as_array().expect("a list").iter();
    all.map(|one| one["device_token"].as_str().expect("a token").to_owned()).collect()
}
