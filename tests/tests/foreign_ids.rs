//! Every operation of the OpenAPI document, called by a second user with the first one's ids, on
//! both engines.
//!
//! [`ROWS`] says of each operation what that must come to. An operation without a row fails the
//! test: whoever adds one says here whose things it is about.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::{collections::BTreeSet, fmt::Display, sync::LazyLock, time::Duration};

use api::{
    Api, Settings,
    auth::{NewKey, TokenKey, hash_password},
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use reqwest::{Method, RequestBuilder, Response, multipart};
use schemas::{
    ApnsEnvironment, BillRecord, BillSn, Channel, Currency, Fen, ImageId, JobRecord, KeyId, PushId,
    Scopes, SessionId, Timestamp, UserId,
    account::{ClientRecord, Grant, SessionRecord, UserRecord},
    api_key::KeyRecord,
    bill::NewBill,
    binding::BindingRecord,
    image::{ImageFormat, ImageRecord},
    job::NewJob,
    kinds::{ImageDelete, image_delete::ImageDeletion, pay_create::SealedPayer},
    profile::Profile,
    push::{Audience, PushCampaign, Segment},
    push_token::{PushTokenRecord, Registration, SignedIn},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use store::{Insert, Store};
use tests::{
    apns::APP,
    http::Client,
    picture,
    pushed::order,
    rig::{Engine, Rig},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

static METRICS: LazyLock<PrometheusHandle> =
    LazyLock::new(|| PrometheusBuilder::new().install_recorder().expect("recorder"));

/// The operations that take a sign-in with the password; the others are called with a key.
const WITH_PASSWORD: [&str; 2] = ["GET /api/user/session/", "POST /api/user/sign-out/"];

/// The second user's password.
const PASSWORD: &str = "bobs-password";

/// What a call of a stranger has to come to.
enum Row {
    /// The call names somebody else's things: 404, and nothing changes.
    NotFound(fn(&Victim) -> Vec<Call>),
    /// The call is about the caller alone, whatever it is sent: it succeeds, and nothing of the
    /// other user is in its reply.
    OwnOnly(fn(&Victim) -> Vec<Call>),
    /// The call is about nobody's things, for this reason.
    Nobodys(&'static str),
}

/// Every operation.
const ROWS: &[(&str, Row)] = &[
    (
        "POST /api/o/token/",
        Row::Nobodys("a client calls, and whoever signs in proves who they are"),
    ),
    ("POST /api/o/revoke_token/", Row::Nobodys("a client calls, about a token that it holds")),
    ("POST /api/o/introspect/", Row::Nobodys("a client calls, about a token that it holds")),
    ("GET /api/o/authorize/", Row::Nobodys("about a client; a key is refused")),
    ("POST /api/o/authorize/", Row::Nobodys("gives what the caller has; a key is refused")),
    ("GET /api/o/scope/", Row::Nobodys("the same for everybody")),
    ("GET /api/o/jwks/", Row::Nobodys("the same for everybody")),
    ("GET /api/user/basic-info/", Row::OwnOnly(|ada| vec![call("", ada.query())])),
    ("GET /api/user/session/", Row::OwnOnly(|ada| vec![call("", ada.query())])),
    (
        "POST /api/user/sign-out/",
        Row::NotFound(|ada| vec![call("", "").json(json!({ "session": ada.session.id }))]),
    ),
    ("POST /api/auth/logout/", Row::OwnOnly(|ada| vec![call("", "").json(ada.everything())])),
    (
        "GET /api/user/user-image/",
        // Pictures are for everybody to see; a hidden one is its owner's alone.
        Row::OwnOnly(|ada| vec![call("", format!("?uid={}&tags__contains=hidden", ada.user.id))]),
    ),
    ("POST /api/user/user-image/", Row::OwnOnly(|_| vec![call("", "").upload()])),
    ("GET /api/user/user-image/{id}/", Row::NotFound(|ada| vec![call(ada.hidden.id, "")])),
    (
        "PATCH /api/user/user-image/{id}/",
        Row::NotFound(|ada| {
            let tags = json!({ "tags": ["stolen"], "user": ada.user.id });
            let change = |image: &ImageRecord| call(image.id, "").json(tags.clone());
            vec![change(&ada.image), change(&ada.hidden)]
        }),
    ),
    (
        "DELETE /api/user/user-image/{id}/",
        Row::NotFound(|ada| vec![call(ada.image.id, ""), call(ada.hidden.id, "")]),
    ),
    (
        "GET /api/user/user-apns-device-token/",
        Row::OwnOnly(|ada| vec![call("", ada.query()), call("", "?page=1&page_size=100")]),
    ),
    (
        "POST /api/user/user-apns-device-token/",
        // Whoever holds a token of Apple has the device in hand: it moves to them. Ada's device id
        // and sign-in, though, are only words here.
        Row::OwnOnly(|ada| {
            let device = json!({
                "device_token": "b0b0", "bundle_id": ada.device.app, "user": ada.user.id,
                "device_id": "of-bob", "session": ada.session.id,
            });
            vec![call("", "").json(device)]
        }),
    ),
    (
        "DELETE /api/user/user-apns-device-token/",
        Row::NotFound(|ada| {
            let token = json!({ "device_token": ada.device.token, "user": ada.user.id });
            vec![call("", "").json(token)]
        }),
    ),
    (
        "DELETE /api/user/user-apns-device-token/{device_token}/",
        Row::NotFound(|ada| vec![call(ada.device.token.as_str(), ada.query())]),
    ),
    ("GET /api/pay/order/", Row::OwnOnly(|ada| vec![call("", ada.query())])),
    (
        "POST /api/pay/order/",
        Row::OwnOnly(|ada| {
            let order = json!({ "amount": 1, "subject": "tea", "user": ada.user.id });
            vec![call("", "").json(order)]
        }),
    ),
    (
        "POST /api/pay/order/pay/",
        Row::NotFound(|ada| {
            let way = json!({ "sn": ada.bill.id, "pay_method": 200, "end_type": 0 });
            vec![call("", "").json(way)]
        }),
    ),
    ("GET /api/pay/order/{sn}/", Row::NotFound(|ada| vec![call(&ada.bill.id, "")])),
    (
        "POST /api/pay/order/{sn}/pay/",
        Row::NotFound(|ada| {
            let way = json!({ "pay_method": 200, "end_type": 0 });
            vec![call(&ada.bill.id, "").json(way)]
        }),
    ),
    (
        "POST /api/pay/order/{sn}/refresh_order_status/",
        Row::NotFound(|ada| vec![call(&ada.bill.id, "")]),
    ),
    ("POST /api/pay/order/{sn}/close/", Row::NotFound(|ada| vec![call(&ada.bill.id, "")])),
    ("GET /api/pay/order/{sn}/qr/", Row::NotFound(|ada| vec![call(&ada.bill.id, "")])),
    ("GET /api/pay/order/{sn}/refund/", Row::NotFound(|ada| vec![call(&ada.bill.id, "")])),
    (
        "POST /api/pay/order/{sn}/refund/",
        Row::NotFound(|ada| vec![call(&ada.bill.id, "").json(json!({ "amount": 1 }))]),
    ),
    ("GET /api/pay/order/{sn}/refund/{refund}/", Row::NotFound(|ada| vec![call(&ada.bill.id, "")])),
    ("GET /api/pay/weixin/check-app-id/", Row::Nobodys("about an app id, the same for everybody")),
    ("GET /api/push/", Row::OwnOnly(|ada| vec![call("", ada.query())])),
    (
        "POST /api/push/",
        // Whoever may send may send to everybody; the campaign is the caller's own.
        Row::OwnOnly(|ada| {
            let message = json!({ "aps": { "alert": "Hello" } });
            let to = json!({ "users": [ada.user.id] });
            vec![call("", "").json(json!({ "app": APP, "to": to, "message": message }))]
        }),
    ),
    ("GET /api/push/{id}/", Row::NotFound(|ada| vec![call(ada.push.id, "")])),
    ("POST /api/push/{id}/pause/", Row::NotFound(|ada| vec![call(ada.push.id, "")])),
    ("POST /api/push/{id}/resume/", Row::NotFound(|ada| vec![call(ada.push.id, "")])),
    ("POST /api/push/{id}/cancel/", Row::NotFound(|ada| vec![call(ada.push.id, "")])),
    (
        "POST /api/user/profile/alipay-binding/",
        Row::Nobodys("begins a consent of the caller; its state belongs to nobody else"),
    ),
    ("GET /api/user/profile/alipay-info/", Row::OwnOnly(|ada| vec![call("", ada.query())])),
    (
        "POST /api/user/profile/wechat-binding/",
        Row::Nobodys("exchanges a code that the caller brings, for the caller"),
    ),
    ("GET /api/user/profile/wechat-info/", Row::OwnOnly(|ada| vec![call("", ada.query())])),
    (
        "GET /api/pay/alipay_auth_return/",
        Row::Nobodys("a browser comes back without a token; the state says whose consent it is"),
    ),
    (
        "GET /api/pay/wechat_auth_return/",
        Row::Nobodys("a browser comes back without a token; the state says whose consent it is"),
    ),
    (
        "POST /api/pay/auth_return/",
        Row::Nobodys("the browser that was asked about a consent answers, without a token"),
    ),
    ("GET /api/job/", Row::OwnOnly(|ada| vec![call("", ada.query())])),
    ("GET /api/job/{id}/", Row::NotFound(|ada| vec![call(ada.job.id, "")])),
    ("GET /api/job/{id}/events/", Row::NotFound(|ada| vec![call(ada.job.id, "")])),
    ("POST /api/job/{id}/cancel/", Row::NotFound(|ada| vec![call(ada.job.id, "")])),
];

/// One call: what stands for `{id}`, the query, and the body.
#[derive(Clone)]
struct Call {
    id: String,
    query: String,
    body: Body,
}

#[derive(Clone)]
enum Body {
    None,
    Json(Value),
    Upload,
}

fn call(id: impl Display, query: impl Into<String>) -> Call {
    Call { id: format!("{id}"), query: query.into(), body: Body::None }
}

impl Call {
    fn json(self, body: Value) -> Self {
        Self { body: Body::Json(body), ..self }
    }

    fn upload(self) -> Self {
        Self { body: Body::Upload, ..self }
    }

    fn on(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.body {
            Body::None => request,
            Body::Json(body) => request.json(body),
            Body::Upload => {
                let part = multipart::Part::bytes(picture::png(8, 8, 3)).file_name("b.png");
                request.multipart(multipart::Form::new().part("img", part).text("user", "1"))
            }
        }
    }
}

/// The first user, with one of everything.
struct Victim {
    user: UserRecord,
    image: ImageRecord,
    hidden: ImageRecord,
    job: JobRecord,
    session: SessionRecord,
    key: KeyRecord,
    bill: BillRecord,
    push: PushCampaign,
    device: PushTokenRecord,
}

impl Victim {
    /// A query that names the user in every way that a handler may be tempted to read.
    fn query(&self) -> String {
        let (user, session) = (self.user.id, self.session.id);
        format!("?uid={user}&user={user}&owner={user}&user_id={user}&session={session}")
    }

    /// The same as a body.
    fn everything(&self) -> Value {
        let (user, session, key) = (self.user.id, self.session.id, self.key.id);
        json!({ "uid": user, "user": user, "owner": user, "session": session, "key": key })
    }

    /// What no stranger may read.
    fn marks(&self) -> Vec<String> {
        vec![
            self.user.username.clone(),
            self.hidden.id.to_string(),
            self.hidden.file_name.clone(),
            self.job.id.to_string(),
            self.session.id.to_string(),
            self.session.device_id.clone(),
            self.key.id.to_string(),
            self.bill.id.to_string(),
            self.push.id.to_string(),
            bound_long_ago().to_string(),
            self.device.token.as_str().to_owned(),
            self.device.device_id.clone(),
            self.device.number.to_string(),
        ]
    }

    async fn of(store: &Store) -> Self {
        let user = user("ada");
        let image = image(user.id, "ada.png", "shown");
        let live = hidden_of(user.id);
        let job = deletion(user.id, live.id);
        let hidden = live.delete(job.id, Timestamp::now());
        let session = session(user.id, "web:of-ada");
        let (key, _) = key(user.id);
        assert_eq!(store.users.insert(&user).await, Ok(Insert::Stored));
        assert_eq!(store.images.insert(&image).await, Ok(Insert::Stored));
        assert_eq!(store.images.insert(&hidden).await, Ok(Insert::Stored));
        assert_eq!(store.jobs.insert(&job).await, Ok(Insert::Stored));
        assert_eq!(store.sessions.insert(&session).await, Ok(Insert::Stored));
        assert_eq!(store.keys.insert(&key).await, Ok(Insert::Stored));
        for channel in [Channel::Alipay, Channel::WeChatPay] {
            let binding = binding(user.id, channel, bound_long_ago());
            assert_eq!(store.bindings.insert(&binding).await, Ok(Insert::Stored));
        }
        let bill = bill(user.id);
        assert_eq!(store.bills.insert(&bill).await, Ok(Insert::Stored));
        let device = device(user.id, session.id);
        assert_eq!(store.push_tokens.insert(&device).await, Ok(Insert::Stored));
        let push = push(user.id);
        assert_eq!(store.pushes.insert(&push).await, Ok(Insert::Stored));
        Self { user, image, hidden, job, session, key, bill, push, device }
    }

    /// That everything is as it was.
    async fn is_untouched(&self, store: &Store, name: &str) {
        let found = store.images.get(self.image.id).await.expect("store");
        assert_eq!(found.as_ref(), Some(&self.image), "{name}");
        let found = store.images.get(self.hidden.id).await.expect("store");
        assert_eq!(found.as_ref(), Some(&self.hidden), "{name}");
        let found = store.jobs.get(self.job.id).await.expect("store");
        assert_eq!(found.as_ref(), Some(&self.job), "{name}");
        let found = store.bills.get(&self.bill.id).await.expect("store");
        assert_eq!(found.as_ref(), Some(&self.bill), "{name}");
        let found = store.pushes.get(self.push.id).await.expect("store");
        assert_eq!(found.as_ref(), Some(&self.push), "{name}");
        let found = store.push_tokens.get(&self.device.app, &self.device.token).await;
        assert_eq!(found.expect("store").as_ref(), Some(&self.device), "{name}");
        let versions = (
            store.users.get(self.user.id).await.expect("store").map(|user| user.version),
            store.sessions.get(self.session.id).await.expect("store").map(|found| found.version),
            store.keys.get(self.key.id).await.expect("store").map(|key| key.version),
        );
        assert_eq!(versions, (Some(1), Some(1), Some(1)), "{name}");
    }
}

fn user(username: &str) -> UserRecord {
    UserRecord {
        id: UserId::generate(),
        version: 1,
        username: username.to_owned(),
        password_hash: "no hash".into(),
        created_at: Timestamp::now(),
        disabled_at: None,
        profile: Profile::default(),
    }
}

fn client() -> ClientRecord {
    ClientRecord {
        id: "app".parse().expect("id"),
        version: 1,
        name: "App".to_owned(),
        secret_digest: None,
        grants: vec![Grant::Password],
        scopes: Scopes::all(),
        redirect_uris: vec![],
        created_at: Timestamp::now(),
        disabled_at: None,
    }
}

fn image(owner: UserId, file_name: &str, tag: &str) -> ImageRecord {
    ImageRecord {
        id: ImageId::generate(),
        owner,
        version: 1,
        file_name: file_name.to_owned(),
        format: ImageFormat::Png,
        bytes: 1_000,
        digest: "00".repeat(32),
        width: 10,
        height: 20,
        tags: vec![tag.to_owned()],
        created_at: Timestamp::now(),
        deletion: None,
    }
}

fn hidden_of(owner: UserId) -> ImageRecord {
    image(owner, "hidden-of-ada.png", "hidden")
}

fn deletion(owner: UserId, image: ImageId) -> JobRecord {
    let new = NewJob::of::<ImageDelete>(owner, &ImageDeletion { image }).expect("payload");
    JobRecord::accept(new, "api", Timestamp::now())
}

fn push(owner: UserId) -> PushCampaign {
    let order = order(Audience::Segment(Segment::default()));
    PushCampaign::of(&order, PushId::generate(), owner, Timestamp::now())
}

fn bill(owner: UserId) -> BillRecord {
    let now = Timestamp::now();
    let new = NewBill {
        owner,
        amount: Fen::new(1_250).expect("amount"),
        currency: Currency::Cny,
        subject: "bill-of-ada".to_owned(),
        client_ref: None,
        expires_at: now + Duration::from_hours(1),
    };
    BillRecord::open(new, BillSn::generate(now), now)
}

/// When the first user's accounts were bound.
fn bound_long_ago() -> Timestamp {
    Timestamp::from_micros(1_706_933_106_123_456)
}

fn binding(owner: UserId, channel: Channel, bound_at: Timestamp) -> BindingRecord {
    BindingRecord {
        id: BindingRecord::id_of(owner, channel),
        version: 1,
        owner,
        channel,
        app: "web".to_owned(),
        account: SealedPayer { digest: "00".repeat(16), sealed: String::new() },
        union_account: None,
        profile: None,
        bound_at,
    }
}

fn session(owner: UserId, device_id: &str) -> SessionRecord {
    let now = Timestamp::now();
    SessionRecord {
        id: SessionId::generate(),
        version: 1,
        owner,
        client: "demo".parse().expect("id"),
        grant: Grant::Password,
        device_id: device_id.to_owned(),
        device: None,
        scopes: Scopes::all(),
        generation: 1,
        rotated_at: now,
        created_at: now,
        expires_at: now + Duration::from_hours(1),
        revoked_at: None,
    }
}

fn device(owner: UserId, session: SessionId) -> PushTokenRecord {
    let registration = Registration {
        owner,
        app: "com.example.notes".parse().expect("bundle id"),
        environment: ApnsEnvironment::Production,
        token: "ada0".repeat(16).parse().expect("token"),
        device_id: "phone-of-ada".to_owned(),
        signed_in: SignedIn { session: Some(session), ..SignedIn::default() },
        locale: None,
        app_version: None,
    };
    PushTokenRecord::new(registration, Timestamp::now())
}

fn key(owner: UserId) -> (KeyRecord, String) {
    let new = NewKey::generate();
    let id: KeyId = new.id;
    let record = KeyRecord {
        id,
        version: 1,
        owner,
        name: "test".to_owned(),
        digest: new.digest,
        scopes: Scopes::all(),
        created_at: Timestamp::now(),
        last_used_at: None,
        expires_at: None,
        revoked_at: None,
    };
    (record, new.text.expose_secret().to_owned())
}

/// A running API and the second user.
struct Stage {
    rig: Rig,
    url: String,
    bob: UserId,
    http: reqwest::Client,
    shutdown: CancellationToken,
}

impl Stage {
    async fn new(engine: Engine) -> Self {
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
    async fn send(&self, operation: &str, call: &Call) -> Response {
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

/// `METHOD path` of every operation of the document.
fn documented() -> BTreeSet<String> {
    let document = api::openapi();
    let paths = document["paths"].as_object().expect("paths");
    let operations = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("methods").keys();
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    operations.collect()
}

async fn sweep(engine: Engine) {
    let stage = Stage::new(engine).await;
    let store = &stage.rig.store;
    let ada = Victim::of(store).await;
    for (operation, row) in ROWS {
        match row {
            Row::NotFound(calls) => {
                for call in calls(&ada) {
                    let name = format!("{operation} with {}{}", call.id, call.query);
                    let reply = stage.send(operation, &call).await;
                    assert_eq!(reply.status(), 404, "{name}");
                    let body: Value = reply.json().await.expect("JSON");
                    assert_eq!(body["code"], "NOT_FOUND", "{name}");
                    ada.is_untouched(store, &name).await;
                }
            }
            Row::OwnOnly(calls) => {
                for call in calls(&ada) {
                    let name = format!("{operation} with {}{}", call.id, call.query);
                    let reply = stage.send(operation, &call).await;
                    let status = reply.status();
                    let body = reply.text().await.expect("body");
                    assert!(status.is_success(), "{name}: {status} {body}");
                    for mark in ada.marks() {
                        assert!(!body.contains(&mark), "{name} shows {mark}: {body}");
                    }
                    ada.is_untouched(store, &name).await;
                }
            }
            Row::Nobodys(_) => {}
        }
    }
}

#[test]
fn every_operation_has_its_row() {
    let rows: BTreeSet<_> = ROWS.iter().map(|(operation, _)| (*operation).to_owned()).collect();
    let documented = documented();
    let missing: Vec<_> = documented.difference(&rows).collect();
    let stale: Vec<_> = rows.difference(&documented).collect();

    assert!(missing.is_empty(), "say in ROWS whose things these are about: {missing:?}");
    assert!(stale.is_empty(), "these are gone: {stale:?}");
    assert_eq!(rows.len(), ROWS.len(), "a row is written twice");
    for (operation, row) in ROWS {
        let Row::Nobodys(reason) = row else { continue };
        assert!(!reason.is_empty() && !operation.contains('{'), "{operation} names something");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_user_reaches_nothing_of_the_first_on_sqlite() {
    sweep(Engine::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_user_reaches_nothing_of_the_first_on_mongodb() {
    sweep(Engine::Distributed).await;
}
