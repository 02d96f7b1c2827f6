//! A person, a browser and an application: sign-in and consent at `/authorize`, in real Chromium.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use reqwest::{Client, StatusCode, Url};
use serde_json::Value;
use tests::{
    browser::Browser,
    cluster::{Cluster, PASSWORD, Process, USERNAME},
    eventually,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

const SOON: Duration = Duration::from_mins(1);

/// The pair of verifier and challenge in RFC 7636.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// An application that users come back to; it shows one page at every address, with `frame` in it.
struct Application {
    address: String,
    frame: Arc<Mutex<String>>,
}

impl Application {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}/oauth", listener.local_addr().expect("address"));
        let frame = Arc::<Mutex<String>>::default();
        let shown = frame.clone();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut head = [0; 8_192];
                let _ = socket.read(&mut head).await;
                let frame = shown.lock().expect("frame").clone();
                let page = format!("<h1>Welcome back</h1><iframe src=\"{frame}\"></iframe>");
                let reply = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\
                     content-length: {}\r\n\r\n{page}",
                    page.len()
                );
                let _ = socket.write_all(reply.as_bytes()).await;
            }
        });
        Self { address, frame }
    }
}

struct Stage {
    cluster: Cluster,
    api: Process,
    application: Application,
    browser: Browser,
}

impl Stage {
    async fn new() -> Self {
        let cluster = Cluster::new().await;
        let application = Application::start().await;
        let added = cluster.run(
            &[
                "client",
                "add",
                "shop",
                "--public",
                "--name",
                "The <b>Shop</b>",
                "--grants",
                "authorization_code,refresh_token",
                "--redirect-uri",
                &application.address,
            ],
            "",
        );
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        let api = cluster.api(None).await;
        Self { cluster, api, application, browser: Browser::start().await }
    }

    fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.api.address)
    }

    /// Where the application sends its users.
    fn request(&self) -> String {
        let mut url: Url = self.at("/authorize").parse().expect("address");
        url.query_pairs_mut()
            .append_pair("client_id", "shop")
            .append_pair("response_type", "code")
            .append_pair("redirect_uri", &format!("{}?next=%2Fcart", self.application.address))
            .append_pair("scope", "all")
            .append_pair("state", "s 1")
            .append_pair("code_challenge", CHALLENGE)
            .append_pair("code_challenge_method", "S256");
        url.into()
    }

    /// The address at which the browser comes back to the application.
    async fn back(&self) -> Url {
        let own = format!("{}?next=%2Fcart&", self.application.address);
        let address = eventually("back at the application", SOON, async || {
            let address = self.browser.address().await;
            address.starts_with(&own).then_some(address)
        })
        .await;
        address.parse().expect("address")
    }

    async fn sign_in(&self, password: &str) {
        self.browser.write("#username", USERNAME).await;
        self.browser.write("#password", password).await;
        self.browser.press("button[value=sign_in]").await;
    }
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_signs_in_allows_and_comes_back() {
    let stage = Stage::new().await;
    let browser = &stage.browser;
    browser.open(&stage.request()).await;
    assert_eq!(browser.text("h1").await, "Sign in");
    assert!(browser.text("main").await.contains("The <b>Shop</b>"), "names are text");
    stage.sign_in("a guess").await;
    assert_eq!(browser.text("[role=alert]").await, "The username or the password is wrong.");
    stage.sign_in(PASSWORD).await;
    assert!(browser.text("fieldset").await.contains("Your pictures"));
    assert!(browser.text("main").await.contains(USERNAME));
    browser.press("input[name=scope][value=user_image]").await;
    browser.press("button[value=allow]").await;

    let back = stage.back().await;
    assert_eq!(parameter(&back, "state").as_deref(), Some("s 1"));
    assert_eq!(browser.text("h1").await, "Welcome back");
    let complaints = browser.complaints().await;
    let ours = |text: &&String| text.contains("Content Security Policy");
    assert_eq!(complaints.iter().find(ours), None, "the page keeps its own policy");
    let token = redeem(&stage, &parameter(&back, "code").expect("code")).await;
    let scopes = "user_profile push_device pay_trade_order";
    assert_eq!(token["scope"], scopes, "one scope was unticked");
    let access = token["access_token"].as_str().expect("token");
    let jobs = Client::new().get(stage.at("/api/job/")).bearer_auth(access).send().await;
    assert_eq!(jobs.expect("answer").status(), StatusCode::OK);
    drop(stage.cluster);
}

/// What the application gets for its code.
async fn redeem(stage: &Stage, code: &str) -> Value {
    let redirect_uri = format!("{}?next=%2Fcart", stage.application.address);
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", "shop"),
        ("redirect_uri", redirect_uri.as_str()),
        ("code_verifier", VERIFIER),
        ("code", code),
    ];
    let reply = Client::new().post(stage.at("/api/o/token/")).form(&form).send().await;
    let reply = reply.expect("answer");
    assert_eq!(reply.status(), StatusCode::OK);
    reply.json().await.expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_refuses_signs_out_and_is_shown_in_no_frame() {
    let stage = Stage::new().await;
    let browser = &stage.browser;
    browser.open(&stage.request()).await;
    stage.sign_in(PASSWORD).await;
    browser.press("button[value=deny]").await;
    assert_eq!(parameter(&stage.back().await, "error").as_deref(), Some("access_denied"));

    browser.open(&stage.request()).await;
    assert!(browser.has("button[value=allow]").await, "still signed in");
    browser.press("button[value=sign_out]").await;
    assert_eq!(browser.text("h1").await, "Sign in");

    *stage.application.frame.lock().expect("frame") = stage.request().replace('&', "&amp;");
    browser.open(&stage.application.address).await;
    browser.enter_frame("iframe").await;
    assert!(!browser.has("input[name=password]").await, "the frame stays empty");
    let complaints = browser.complaints().await;
    assert!(complaints.iter().any(|text| text.contains("frame-ancestors")), "{complaints:?}");
}
