//! `feat sim`: what it says about itself is enough to push and to pay through it, and its faults come
//! and go.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use providers::{
    apns::{Apns, AppSettings, CredentialSource, Roots, Settings},
    payment::{Call, Gateways, TradeRef, TradeState},
};
use schemas::{BillSn, Channel, Timestamp};
use serde_json::{Value, json};
use tests::{
    apns::{alert, push_of},
    cluster::feat,
};

/// A running command. Dropped, it ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended needs no end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the simulators; gives what they say about themselves.
fn start(more: &[&str]) -> (Running, Value) {
    let mut child = Command::new(feat())
        .args(["sim", "--listen", "127.0.0.1:0", "--apns", "127.0.0.1:0", "--json"])
        .args(more)
        .stdout(Stdio::piped())
        .spawn()
        .expect("feat starts");
    let output = child.stdout.take().expect("a pipe");
    let running = Running(child);
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).expect("a line");
    (running, serde_json::from_str(&line).expect("JSON"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_is_scripted_and_forgotten() {
    let (_running, told) = start(&[]);
    let url = told["url"].as_str().expect("address");
    let command = |arguments: &[&str]| {
        let listen = url.trim_start_matches("http://");
        let mut command = Command::new(feat());
        command.args(["sim", "fault", "--listen", listen]).args(arguments);
        assert!(command.status().expect("feat starts").success(), "{arguments:?}");
    };
    let scripts = async || {
        let reply = reqwest::get(format!("{url}/_sim/faults")).await.expect("reply");
        reply.json::<Vec<Value>>().await.expect("JSON")
    };
    command(&["alipay.*", "late", "ms=3000", "--times", "5"]);
    let set = scripts().await;
    assert_eq!((set.len(), &set[0]["call"], &set[0]["ms"]), (1, &"alipay.*".into(), &3000.into()));
    command(&["--clear"]);
    assert_eq!(scripts().await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_with_certificates_and_one_with_keys_are_answered() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    for more in [&[][..], &["--alipay-certificates"]] {
        let (_running, told) = start(more);
        let url = told["url"].as_str().expect("address");
        let merchants = reqwest::get(format!("{url}/_sim/merchant")).await.expect("reply");
        let merchants: Value = merchants.json().await.expect("JSON");
        let alipay = &merchants["merchants"][0]["alipay"];
        let secret = |name: &str| json!({ "value": alipay[name] });
        let mut account = json!({
            "name": "web",
            "mode": "test",
            "app_id": alipay["app_id"],
            "seller_id": alipay["seller_id"],
            "reach": { "endpoint": format!("{url}/gateway.do") },
            "private_key": secret("private_key"),
        });
        if more.is_empty() {
            account["alipay_public_key"] = secret("alipay_public_key");
        } else {
            account["certificates"] = json!({
                "app": secret("app_certificate"),
                "alipay": secret("alipay_certificate"),
                "root": secret("root_certificates"),
            });
        }
        let settings = serde_json::from_value(json!({ "alipay": [account] })).expect("settings");
        let gateways = Gateways::open(&settings).expect("an account");
        let now = Timestamp::now();
        let trade = TradeRef {
            key: BillSn::generate(now).attempt_key(1),
            begun_at: now,
            transaction_id: None,
            card: false,
        };
        let gateway = gateways.get(Channel::Alipay, "web").expect("an account");
        let state = gateway.query(&trade, &mut Call::default()).await;
        assert!(matches!(state, Ok(TradeState::NotFound)), "{more:?}: {state:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_reaches_the_simulator_of_the_command() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (_running, told) = start(&[]);
    let text = |name: &str| told["apns"][name].as_str().expect("a text").to_owned();
    assert!(told["url"].as_str().is_some_and(|url| url.starts_with("http://127.0.0.1:")));

    let mut parts = alert();
    parts.app = text("app").parse().expect("bundle id");
    let credential = CredentialSource::TokenText {
        key: text("key").into(),
        key_id: text("key_id"),
        team_id: text("team_id"),
    };
    let app = AppSettings { app: parts.app.clone(), credential };
    let mut settings = Settings::for_apps(vec![app]);
    settings.production = text("production").parse().expect("address");
    settings.sandbox = text("sandbox").parse().expect("address");
    settings.roots = Roots::Only(text("authority").into_bytes());
    let apns = Apns::open(settings).expect("settings");
    let push = push_of(parts, &"ab".repeat(32));
    let accepted = apns.send(&push).await.expect("it is taken");
    assert_eq!(accepted.id, push.id);

    let deliveries = reqwest::get(format!("{}/deliveries", text("control"))).await;
    let deliveries: Value = deliveries.expect("reply").json().await.expect("JSON");
    assert_eq!(deliveries[0]["device"], "ab".repeat(32));
    assert!(deliveries[0]["at"].is_string());
}
