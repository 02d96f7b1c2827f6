//! Which devices a part of an app is.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::collections::BTreeSet;

use reqwest::Method;
use schemas::ApnsEnvironment;
use serde_json::json;
use sim::apns::Settings;
use store::Insert;
use tests::{
    apns::APP,
    pushed::{Pushed, device, token},
    rig::Engine,
};

/// Languages, each with its devices: more than a first shard has of those that are meant.
const LANGUAGES: [(&str, u32); 7] = [
    ("zh", 3),
    ("zh-CN", 60),
    ("zh-Hans", 45),
    ("zh-Hans-CN", 20),
    ("zhx", 2),
    ("en-GB", 4),
    ("yue-Hans", 2),
];

async fn a_language_means_those_that_are_narrower(engine: Engine) {
    let pushed = Pushed::start(engine, Settings::default()).await;
    let tokens = &pushed.rig.store.push_tokens;
    let mut all: Vec<(&str, u32)> = Vec::new();
    for (language, count) in LANGUAGES {
        for _ in 0..count {
            all.push((language, u32::try_from(all.len()).expect("few") + 1));
        }
    }
    for (language, number) in &all {
        // Every seventh is of the other environment.
        let here = ApnsEnvironment::ALL[usize::from(number % 7 == 0)];
        let mut record = device(*number, here);
        record.locale = Some((*language).to_owned());
        assert_eq!(tokens.insert(&record).await, Ok(Insert::Stored));
    }
    let nobody = device(9_000, ApnsEnvironment::Production);
    assert_eq!(tokens.insert(&nobody).await, Ok(Insert::Stored));
    let worker = pushed.rig.worker();
    let rows: [(&str, &[&str]); 6] = [
        ("zh", &["zh", "zh-CN", "zh-Hans", "zh-Hans-CN"]),
        ("ZH_hans", &["zh-Hans", "zh-Hans-CN"]),
        ("zh-CN", &["zh-CN"]),
        ("zh-Hans-CN", &["zh-Hans-CN"]),
        ("en", &["en-GB"]),
        ("de", &[]),
    ];
    for (range, meant) in rows {
        pushed.apple.sim.forget();
        let request = json!({
            "app": APP, "to": { "locale": range }, "message": { "aps": { "alert": "Hello" } },
        });
        let call = pushed.backend.request(Method::POST, "/api/push/").header("prefer", "wait=20");
        let reply = call.json(&request).send().await.expect("reply");
        assert_eq!(reply.status(), 200, "{range}");
        let delivered = pushed.delivered();
        let expected: BTreeSet<_> = all
            .iter()
            .filter(|(language, _)| meant.contains(language))
            .map(|(_, number)| token(*number).as_str().to_owned())
            .collect();
        assert_eq!(delivered.keys().cloned().collect::<BTreeSet<_>>(), expected, "{range}");
        assert!(delivered.values().all(|times| *times == 1), "{range}");
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_language_means_those_that_are_narrower_embedded() {
    a_language_means_those_that_are_narrower(Engine::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_language_means_those_that_are_narrower_distributed() {
    a_language_means_those_that_are_narrower(Engine::Distributed).await;
}
