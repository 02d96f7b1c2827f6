//! `feat sim`: what it says about itself is enough to push through it.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use providers::apns::{Apns, AppSettings, CredentialSource, Roots, Settings};
use serde_json::Value;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_reaches_the_simulator_of_the_command() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut child = Command::new(feat())
        .args(["sim", "--listen", "127.0.0.1:0", "--apns", "127.0.0.1:0", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("feat starts");
    let output = child.stdout.take().expect("a pipe");
    let _running = Running(child);
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).expect("a line");
    let told: Value = serde_json::from_str(&line).expect("JSON");
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
