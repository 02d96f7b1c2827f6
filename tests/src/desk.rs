//! People who bind their accounts at providers, each at a browser of their own.

use std::{sync::Mutex, time::Duration};

use reqwest::{Method, RequestBuilder, Response, StatusCode, redirect::Policy};
use schemas::{
    Channel, Scopes, Timestamp, UserId, account::UserRecord, api_key::KeyRecord,
    binding::BindingRecord, profile::Profile,
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use store::Insert;
use url::Url;

use crate::{
    rig::{Engine, Worker},
    simulated::Simulated,
};

/// Begins to bind an account at Alipay.
pub const BIND: &str = "/api/user/profile/alipay-binding/";
/// Tells whether one is bound.
pub const ALIPAY_INFO: &str = "/api/user/profile/alipay-info/";
/// Tells whether one at WeChat is bound.
pub const WECHAT_INFO: &str = "/api/user/profile/wechat-info/";
/// Begins to unbind one at WeChat.
pub const WECHAT_UNBIND: &str = "/api/user/profile/wechat-unbinding/";
/// Where browsers come back to from Alipay.
pub const RETURN: &str = "/api/pay/alipay_auth_return/";

/// A user, at a browser of their own.
pub struct Person {
    /// The user.
    pub id: UserId,
    key: String,
    cookie: Mutex<String>,
}

/// People, the API, the providers and a worker.
pub struct Desk {
    /// Everything that bills are paid with.
    pub at: Simulated,
    /// Stopped at the end of a test.
    pub worker: Worker,
    http: reqwest::Client,
}

impl Desk {
    /// A desk on either engine.
    ///
    /// # Panics
    ///
    /// When something does not answer.
    pub async fn open(engine: Engine) -> Self {
        Self::over(Simulated::start(engine).await)
    }

    /// A desk on top of what is there.
    ///
    /// # Panics
    ///
    /// When the client cannot be made.
    #[must_use]
    pub fn over(at: Simulated) -> Self {
        let http = reqwest::Client::builder().no_proxy().redirect(Policy::none());
        let http = http.timeout(Duration::from_secs(30)).build().expect("client");
        let worker = at.rig.worker();
        Self { at, worker, http }
    }

    /// A new user, with a long-lived key.
    ///
    /// # Panics
    ///
    /// When something does not answer.
    pub async fn person(&self, name: &str) -> Person {
        let store = &self.at.rig.store;
        let user = UserRecord {
            id: UserId::generate(),
            version: 1,
            username: name.to_owned(),
            password_hash: "no hash".into(),
            created_at: Timestamp::now(),
            disabled_at: None,
            profile: Profile::default(),
        };
        assert_eq!(store.users.insert(&user).await, Ok(Insert::Stored));
        let new = api::auth::NewKey::generate();
        let key = KeyRecord {
            id: new.id,
            version: 1,
            owner: user.id,
            name: "test".to_owned(),
            digest: new.digest,
            scopes: Scopes::all(),
            created_at: Timestamp::now(),
            last_used_at: None,
            expires_at: None,
            revoked_at: None,
        };
        assert_eq!(store.keys.insert(&key).await, Ok(Insert::Stored));
        let key = new.text.expose_secret().to_owned();
        Person { id: user.id, key, cookie: Mutex::default() }
    }

    /// Reads something in the name of the person.
    ///
    /// # Panics
    ///
    /// When something does not answer.
    pub async fn get(&self, path: &str, person: &Person) -> (StatusCode, Value) {
        told(self.send(self.http.get(format!("{}{path}", self.at.url)), person, true).await).await
    }

    /// Sends something in the name of the person, and waits for its job.
    ///
    /// # Panics
    ///
    /// When something does not answer.
    pub async fn post(&self, path: &str, body: &Value, person: &Person) -> (StatusCode, Value) {
        let request = self.http.post(format!("{}{path}", self.at.url)).json(body);
        told(self.send(request.header("prefer", "wait=20"), person, true).await).await
    }

    /// The same with an `Idempotency-Key`.
    ///
    /// # Panics
    ///
    /// When something does not answer.
    pub async fn post_as(
        &self,
        key: &str,
        path: &str,
        body: &Value,
        person: &Person,
    ) -> (StatusCode, Value) {
        let request = self.http.post(format!("{}{path}", self.at.url)).json(body);
        let request = request.header("prefer", "wait=20").header("idempotency-key", key);
        told(self.send(request, person, true).await).await
    }

    /// Sends `body` in the name of the person, and waits for nothing.
    ///
    /// # Panics
    ///
    /// When something does not answer.
    pub async fn call(
        &self,
        (method, path): (Method, &str),
        body: &Value,
        person: &Person,
    ) -> Response {
        let request = self.http.request(method, format!("{}{path}", self.at.url)).json(body);
        self.send(request, person, true).await
    }

    /// Binds the WeChat account of the simulators' person to `person`, by a code under `app`.
    ///
    /// # Panics
    ///
    /// When it is not bound.
    pub async fn bind_wechat(&self, person: &Person, app: &str) -> BindingRecord {
        let gateway = self.at.rig.till.gateway(Channel::WeChatPay, app).expect("app");
        let page = gateway.consent_url(&self.at.url, None).expect("an app with a secret");
        let scanned = self.allow(&page, "/_sim/wechat-consent").await;
        let code = Url::parse(&scanned).expect("address");
        let code =
            code.query_pairs().find(|(name, _)| name == "code").expect("code").1.into_owned();
        let body = json!({ "code": code, "wx_app_type": app });
        let (status, body) = self.post("/api/user/profile/wechat-binding/", &body, person).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let bound = self.at.rig.store.bindings.get(person.id, Channel::WeChatPay).await;
        bound.expect("store").expect("bound")
    }

    /// Sends it from the person's browser; with `signed_in` as its page does.
    async fn send(&self, request: RequestBuilder, person: &Person, signed_in: bool) -> Response {
        let cookie = person.cookie.lock().expect("cookie").clone();
        let mut request = request;
        if !cookie.is_empty() {
            request = request.header("cookie", format!("a=b; {cookie}"));
        }
        if signed_in {
            request = request.header("authorization", format!("Token {}", person.key));
        }
        let reply = request.send().await.expect("answer");
        if let Some(given) = reply.headers().get("set-cookie") {
            let given = given.to_str().expect("text");
            assert!(given.contains("; HttpOnly; SameSite=Lax"), "{given}");
            let pair = given.split(';').next().expect("a pair");
            pair.clone_into(&mut person.cookie.lock().expect("cookie"));
        }
        reply
    }

    /// The person allows it on the provider's page; answers with where the browser is sent.
    ///
    /// # Panics
    ///
    /// When something does not answer.
    pub async fn allow(&self, page: &str, form: &str) -> String {
        let url = Url::parse(page).expect("address");
        let opened = self.http.get(page.split('#').next().expect("page")).send().await;
        assert_eq!(opened.expect("page").status(), StatusCode::OK);
        let mut fields: Vec<_> = url.query_pairs().into_owned().collect();
        fields.push(("answer".to_owned(), "yes".to_owned()));
        let answer = self.http.post(format!("{}{form}", self.at.sim.url())).form(&fields);
        location(&answer.send().await.expect("answer"))
    }

    /// The person's browser is sent to `address`.
    ///
    /// # Panics
    ///
    /// When something does not answer.
    pub async fn come_back(&self, address: &str, person: &Person) -> Response {
        self.send(self.http.get(address), person, false).await
    }

    /// Sends the form of the page that asked, with another answer.
    ///
    /// # Panics
    ///
    /// When something does not answer.
    pub async fn answer(&self, page: &str, answer: &str, person: &Person) -> Response {
        let field = |name: &str| {
            let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\"")).expect("field");
            rest.split('"').next().expect("value").to_owned()
        };
        let fields = ["state", "code"].map(|name| (name, field(name)));
        let form = [fields.as_slice(), &[("answer", answer.to_owned())]].concat();
        let request = self.http.post(format!("{}/api/pay/auth_return/", self.at.url));
        self.send(request.form(&form), person, false).await
    }

    /// Begins, consents, and answers with where the browser comes back to.
    ///
    /// # Panics
    ///
    /// When something does not answer.
    pub async fn consented(&self, person: &Person) -> String {
        let (status, body) = self.post(BIND, &json!({}), person).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let page = body["auth_url"].as_str().expect("at the top level").to_owned();
        self.allow(&page, "/_sim/consent").await
    }

    /// Whether the person has an account at Alipay.
    ///
    /// # Panics
    ///
    /// When something does not answer.
    pub async fn is_bound(&self, person: &Person) -> bool {
        self.get(ALIPAY_INFO, person).await.0 == StatusCode::OK
    }
}

/// Status and JSON of a reply.
///
/// # Panics
///
/// When it is no JSON.
pub async fn told(reply: Response) -> (StatusCode, Value) {
    (reply.status(), reply.json().await.expect("JSON"))
}

/// Where a reply leads.
///
/// # Panics
///
/// When it leads nowhere.
#[must_use]
pub fn location(reply: &Response) -> String {
    reply.headers()["location"].to_str().expect("text").to_owned()
}

/// Checks that a browser was refused because of its state.
///
/// # Panics
///
/// When it was not.
pub async fn refused(reply: Response, name: &str) {
    let (status, body) = told(reply).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{name}: {body}");
    assert!(body["data"]["state"].is_array(), "{name}: {body}");
}
