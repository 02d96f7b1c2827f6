//! A running API with both users.

use std::{sync::LazyLock, time::Duration};

use api::{
    Api, Settings,
    auth::{TokenKey, hash_password},
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use reqwest::{Method, Response};
use schemas::{Channel, Timestamp, UserId, account::UserRecord};
use store::Insert;
use tests::{
    apns::APP,
    http::Client,
    rig::{Engine, Rig},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    rows::Call,
    victim::{binding, client, key, user},
};

static METRICS: LazyLock<PrometheusHandle> =
    LazyLock::new(|| PrometheusBuilder::new().install_recorder().expect("recorder"));

/// The operations that take a sign-in with the password; the others are called with a key.
pub(crate) const WITH_PASSWORD: [&str; 2] = ["GET /api/user/session/", "POST /api/user/sign-out/"];

/// The second user's password.
pub(crate) const PASSWORD: &str = "bobs-password";
/// A running API and the second user.
pub(crate) struct Stage {
    pub(crate) rig: Rig,
    pub(crate) url: String,
    pub(crate) bob: UserId,
    pub(crate) http: reqwest::Client,
    pub(crate) shutdown: CancellationToken,
}

impl Stage {
    pub(crate) async fn new(engine: Engine) -> Self {
        let rig = Rig::new(engine).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        let mut settings = Settings::new("http://feat.test", TokenKey::generate());
        settings.push_apps = vec![APP.parse().expect("bundle id")];
        let api = Api {
            store: rig.store.clone(),
            broker: rig.broker.clone(),
            blobs: rig.blobs.clone(),
            till: providers::till::Till::closed(),
            settings,
            metrics: METRICS.clone(),
        };
        let shutdown = CancellationToken::new();
        tokio::spawn(api::serve(api, listener, shutdown.clone(), Duration::from_secs(2)));
        let password_hash = hash_password(PASSWORD.into()).await.expect("hash");
        let bob = UserRecord { password_hash, ..user("bob") };
        assert_eq!(rig.store.clients.insert(&client()).await, Ok(Insert::Stored));
        assert_eq!(rig.store.users.insert(&bob).await, Ok(Insert::Stored));
        for channel in [Channel::Alipay, Channel::WeChatPay] {
            let binding = binding(bob.id, channel, Timestamp::now());
            assert_eq!(rig.store.bindings.insert(&binding).await, Ok(Insert::Stored));
        }
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30));
        let http = http.redirect(reqwest::redirect::Policy::none()).build().expect("client");
        Self { rig, url, bob: bob.id, http, shutdown }
    }

    /// Bob's reply, with a key or a sign-in that nothing else uses.
    pub(crate) async fn send(&self, operation: &str, call: &Call) -> Response {
        let (method, path) = operation.split_once(' ').expect("method and path");
        let method: Method = method.parse().expect("method");
        let path = path
            .replace("{id}", &call.id)
            .replace("{sn}", &call.id)
            .replace("{device_token}", &call.id)
            .replace("{refund}", "1");
        let path = format!("{path}{}", call.query);
        let request = if WITH_PASSWORD.contains(&operation) {
            Client::sign_in(&self.url, "app", "", "bob", PASSWORD).await.request(method, &path)
        } else {
            let (key, text) = key(self.bob);
            assert_eq!(self.rig.store.keys.insert(&key).await, Ok(Insert::Stored));
            let request = self.http.request(method, format!("{}{path}", self.url));
            request.header("authorization", format!("Token {text}"))
        };
        call.on(request).send().await.expect(operation)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
