//! Campaigns of pushes against the simulator: in the test's own process on either engine, and from
//! processes that can be killed.

use std::{collections::BTreeMap, time::Duration};

use api::{Api, auth::NewKey};
use futures::{StreamExt, stream};
use metrics_exporter_prometheus::PrometheusBuilder;
use providers::apns::Message;
use reqwest::{Method, RequestBuilder};
use schemas::{
    ApnsEnvironment, DeviceToken, JobRecord, PushId, Scope, Timestamp, UserId,
    account::UserRecord,
    api_key::KeyRecord,
    job::NewJob,
    kinds::PushFanOut,
    profile::Profile,
    push::{
        Audience, Cursor, PushCampaign, PushMessage, PushOrder, PushTarget, PushTargets, Segment,
    },
    push_token::{PushTokenRecord, Registration, SignedIn},
};
use secrecy::ExposeSecret;
use serde_json::Value;
use sim::apns::{Delivery, Settings};
use store::{Insert, Store};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    apns::{APP, Apple, KEY, TEAM, alert},
    cluster::Cluster,
    eventually,
    rig::{Engine, Rig, owner},
};

/// A rig with a way to the simulator, and an API in front of it.
pub struct Pushed {
    /// Store, broker and the way to Apple.
    pub rig: Rig,
    /// The simulator.
    pub apple: Apple,
    /// A back end that may send pushes.
    pub backend: Backend,
    shutdown: CancellationToken,
}

impl Drop for Pushed {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Pushed {
    /// A rig without workers.
    ///
    /// # Panics
    ///
    /// When something does not start.
    pub async fn start(engine: Engine, settings: Settings) -> Self {
        let mut rig = Rig::new(engine).await;
        let apple = Apple::start(settings).await;
        rig.apns = Some(apple.sender(apple.settings()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        let mut settings = api::Settings::new(url.clone(), api::auth::TokenKey::generate());
        settings.push_apps = vec![APP.parse().expect("bundle id")];
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
        let backend = Backend::of(&rig.store, owner(), &url).await;
        Self { rig, apple, backend, shutdown }
    }

    /// Accepts a campaign, as the API does.
    ///
    /// # Panics
    ///
    /// When the store refuses it.
    pub async fn accept(&self, order: &PushOrder) -> PushId {
        accept(&self.rig.store, Some(&self.rig.broker), order).await
    }

    /// The campaign when it has ended; its numbers add up, and nothing of it is left beside its
    /// record.
    ///
    /// # Panics
    ///
    /// When it does not end, or something is left.
    pub async fn ended(&self, id: PushId) -> PushCampaign {
        let store = &self.rig.store;
        let campaign = campaign_ends(store, id, Duration::from_mins(2)).await;
        eventually("nothing is left", Duration::from_secs(20), async || {
            let left = store.pushes.last_targets(campaign.owner, id).await.expect("store");
            left.is_none().then_some(())
        })
        .await;
        campaign
    }

    /// The devices that got something, each with how often.
    #[must_use]
    pub fn delivered(&self) -> BTreeMap<String, u32> {
        by_device(&self.apple.sim.deliveries())
    }
}

/// How often each device got something.
#[must_use]
pub fn by_device(deliveries: &[Delivery]) -> BTreeMap<String, u32> {
    let mut all = BTreeMap::new();
    for delivery in deliveries {
        *all.entry(delivery.device.to_string()).or_default() += 1;
    }
    all
}

/// Stores a campaign and its job; with a broker the workers are told.
///
/// # Panics
///
/// When the store refuses it.
pub async fn accept(store: &Store, broker: Option<&broker::Broker>, order: &PushOrder) -> PushId {
    let new = NewJob::of::<PushFanOut>(owner(), order).expect("payload");
    let job = JobRecord::accept(new, "api", Timestamp::now());
    assert_eq!(store.jobs.insert(&job).await.expect("insert"), Insert::Stored);
    if let Some(broker) = broker {
        broker.publish(&job).await.expect("publish");
    }
    PushId::of_job(job.id)
}

/// Stores the devices of a campaign's first shard, as the fan-out does, and nothing else of it: as
/// if its worker had died there.
///
/// # Panics
///
/// When there are none, or the store refuses them.
pub async fn first_shard(store: &Store, id: PushId, devices: &[PushTokenRecord]) {
    let last = devices.last().expect("a device");
    let target = |device: &PushTokenRecord| PushTarget {
        token: device.token.clone(),
        user: device.owner,
        message: 0,
    };
    let next =
        Cursor::Segment { environment: last.environment, locale: None, after: Some(last.number) };
    let targets = PushTargets {
        id: PushTargets::id_of(id, 0),
        owner: owner(),
        version: 1,
        campaign: id,
        seq: 0,
        app: last.app.clone(),
        first: 0,
        next: Some(next),
        messages: vec![message()],
        targets: devices.iter().map(target).collect(),
    };
    assert_eq!(store.pushes.insert_targets(&targets).await, Ok(Insert::Stored));
}

/// Waits for the end of a campaign, whose numbers have to add up all the time.
///
/// # Panics
///
/// When they do not, or it does not end.
pub async fn campaign_ends(store: &Store, id: PushId, within: Duration) -> PushCampaign {
    eventually(format!("the end of campaign {id}"), within, async || {
        let found = store.pushes.get(id).await.expect("store")?;
        let Some(totals) = found.totals else {
            let tally = store.pushes.tally(found.owner, id).await.expect("store");
            assert!(tally.counts.add_up(), "{tally:?}");
            return None;
        };
        assert!(totals.add_up() && totals.pending == 0 && totals.throttled == 0, "{totals:?}");
        Some(found)
    })
    .await
}

/// The token of device `number`.
///
/// # Panics
///
/// Never: it is a token.
#[must_use]
pub fn token(number: u32) -> DeviceToken {
    format!("{number:08x}").repeat(8).parse().expect("a token")
}

/// The record of device `number`, whose owner has the same number.
///
/// # Panics
///
/// When `number` is 0.
#[must_use]
pub fn device(number: u32, environment: ApnsEnvironment) -> PushTokenRecord {
    let registration = Registration {
        owner: UserId::new(number.into()).expect("an id"),
        app: APP.parse().expect("bundle id"),
        environment,
        token: token(number),
        device_id: format!("phone:{number}"),
        signed_in: SignedIn::default(),
        locale: None,
        app_version: None,
    };
    PushTokenRecord::new(registration, Timestamp::now())
}

/// Registers devices 1 to `count` for production.
///
/// # Panics
///
/// When the store refuses one.
pub async fn register(store: &Store, count: u32) {
    stream::iter(1..=count)
        .for_each_concurrent(500, |number| async move {
            let record = device(number, ApnsEnvironment::Production);
            let stored = store.push_tokens.insert(&record).await;
            assert_eq!(stored.expect("store"), Insert::Stored);
        })
        .await;
}

/// A plain alert, which is not sent again when an answer is lost.
///
/// # Panics
///
/// Never: it is a message.
#[must_use]
pub fn message() -> PushMessage {
    Message::new(alert()).expect("message").to_stored(false)
}

/// A plain alert to `audience`, at once.
///
/// # Panics
///
/// Never: it is an order.
#[must_use]
pub fn order(audience: Audience) -> PushOrder {
    let now = Timestamp::now();
    PushOrder {
        app: APP.parse().expect("bundle id"),
        name: None,
        environment: None,
        messages: vec![message()],
        audience,
        start_at: now,
        expires_at: now + Duration::from_hours(1),
        rate: None,
    }
}

/// A plain alert to every device.
#[must_use]
pub fn to_all() -> PushOrder {
    order(Audience::Segment(Segment::default()))
}

/// A back end with a key that may send pushes and nothing else.
pub struct Backend {
    http: reqwest::Client,
    base: String,
    key: String,
}

impl Backend {
    /// Makes the key for `owner`.
    ///
    /// # Panics
    ///
    /// When the store refuses it.
    pub async fn of(store: &Store, owner: UserId, base: &str) -> Self {
        let user = UserRecord {
            id: owner,
            version: 1,
            username: "backend".to_owned(),
            password_hash: "no hash".into(),
            created_at: Timestamp::now(),
            disabled_at: None,
            profile: Profile::default(),
        };
        assert_eq!(store.users.insert(&user).await.expect("store"), Insert::Stored);
        let new = NewKey::generate();
        let record = KeyRecord {
            id: new.id,
            version: 1,
            owner,
            name: "push".to_owned(),
            digest: new.digest,
            scopes: [Scope::PushSend].into_iter().collect(),
            created_at: Timestamp::now(),
            last_used_at: None,
            expires_at: None,
            revoked_at: None,
        };
        assert_eq!(store.keys.insert(&record).await.expect("store"), Insert::Stored);
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30));
        let http = http.build().expect("client");
        let key = new.text.expose_secret().to_owned();
        Self { http, base: base.to_owned(), key }
    }

    /// Calls the API; gives the status and the body.
    ///
    /// # Panics
    ///
    /// When it does not answer with JSON.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let request = self.request(method, path);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let reply = request.send().await.expect("reply");
        (reply.status().as_u16(), reply.json().await.expect("JSON"))
    }

    /// A request with the key.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        request.header("authorization", format!("Token {}", self.key))
    }

    /// Reads a campaign, whose numbers have to add up.
    ///
    /// # Panics
    ///
    /// When they do not.
    pub async fn read(&self, id: &str) -> Value {
        let (status, body) = self.call(Method::GET, &format!("/api/push/{id}/"), None).await;
        assert_eq!(status, 200, "{body}");
        let counts = body["data"]["counts"].as_object().expect("counts");
        let number = |name: &str| counts[name].as_u64().expect("a number");
        let parts = counts.keys().filter(|name| *name != "targeted").map(|name| number(name));
        assert_eq!(number("targeted"), parts.sum::<u64>(), "{body}");
        body["data"].clone()
    }
}

/// Lets the processes of `cluster` push through `apple`.
///
/// # Panics
///
/// When a file cannot be written.
pub fn configure(cluster: &mut Cluster, apple: &Apple) {
    configure_with(cluster, apple, "");
}

/// The same, with further sections of settings.
///
/// # Panics
///
/// When a file cannot be written.
pub fn configure_with(cluster: &mut Cluster, apple: &Apple, more: &str) {
    let roots = apple.folder.path().join("roots.pem");
    std::fs::write(&roots, apple.sim.authority_pem()).expect("roots");
    let settings = format!(
        "[apns]\nproduction = {:?}\nsandbox = {:?}\nroots_file = \"{}\"\n\n[[apns.accounts]]\n\
         apps = [{APP:?}]\nkey = {{ file = \"{}\" }}\nkey_id = {KEY:?}\nteam_id = {TEAM:?}\n\n{more}",
        apple.sim.url(ApnsEnvironment::Production),
        apple.sim.url(ApnsEnvironment::Sandbox),
        roots.display(),
        apple.key_file().display(),
    );
    let file = apple.folder.path().join("feat.toml");
    std::fs::write(&file, settings).expect("settings");
    let file = file.to_str().expect("a path of letters").to_owned();
    cluster.environment.insert("FEAT_CONFIG".to_owned(), file);
}
