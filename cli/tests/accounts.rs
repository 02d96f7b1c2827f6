//! `feat user`, `feat client`, `feat key` and `feat audit`, on an embedded folder.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use std::{io::Write, path::Path, process::Stdio, time::Duration};

use schemas::{
    Scopes, SessionId, Timestamp,
    account::{Grant, SessionRecord},
};
use serde_json::Value;
use store::{Insert, Store};
use support::{Dev, answer, assert_refused, error_of, feat, json, object, run};
use tempfile::TempDir;

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    with(folder.path(), async |store| store.migrate().await.unwrap());
    folder
}

fn with<T>(folder: &Path, work: impl AsyncFnOnce(&Store) -> T) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = Store::sqlite(folder).await.unwrap();
        let outcome = work(&store).await;
        store.close().await;
        outcome
    })
}

/// `words`, about this folder.
fn on<'a>(folder: &'a TempDir, words: &[&'a str]) -> Vec<&'a str> {
    let mut all = words.to_vec();
    all.extend(["--data", folder.path().to_str().unwrap()]);
    all
}

fn one(folder: &TempDir, words: &[&str]) -> Value {
    let mut lines = json(&on(folder, words));
    assert_eq!(lines.len(), 1, "{words:?}: {lines:?}");
    lines.remove(0)
}

/// Signs the user in on two devices, as an API would.
fn sign_in(folder: &TempDir, username: &str) {
    with(folder.path(), async |store| {
        let user = store.users.by_username(username).await.unwrap().unwrap();
        let now = Timestamp::now();
        for device in ["web:1", "phone:1"] {
            let session = SessionRecord {
                id: SessionId::generate(),
                version: 1,
                owner: user.id,
                client: "demo".parse().unwrap(),
                grant: Grant::Password,
                device_id: device.to_owned(),
                device: None,
                scopes: Scopes::all(),
                generation: 1,
                rotated_at: now,
                created_at: now,
                expires_at: now + Duration::from_hours(1),
                revoked_at: None,
            };
            assert_eq!(store.sessions.insert(&session).await, Ok(Insert::Stored));
        }
    });
}

fn sessions(folder: &TempDir, username: &str) -> usize {
    one(folder, &["user", "show", username])["sessions"].as_array().unwrap().len()
}

#[test]
fn a_user_is_added_with_a_profile_and_shown() {
    let folder = folder();
    let words = ["user", "add", "ada", "--firstname", "Ada", "--locale", "zh-CN"];
    let added = one(&folder, &words);
    let shown = one(&folder, &["user", "show", "ada"]);

    assert_eq!(shown["id"], added["id"]);
    assert_eq!(shown["profile"], serde_json::json!({ "firstname": "Ada", "locale": "zh-CN" }));
    assert!(shown.get("password_hash").is_none() && shown.get("password").is_none());
    let id = added["id"].to_string();
    assert_eq!(one(&folder, &["user", "show", &id])["username"], "ada", "by its id too");
    assert_refused(&run(&on(&folder, &["user", "show", "nobody"])), &["no user nobody"]);
    let wrong = run(&on(&folder, &["user", "add", "bob", "--locale", "<b>"]));
    assert_eq!(wrong.status.code(), Some(2));
    assert!(error_of(&wrong).contains("--locale must be a language"), "{}", error_of(&wrong));
}

#[test]
fn a_disabled_user_is_signed_out_and_comes_back() {
    let folder = folder();
    one(&folder, &["user", "add", "ada"]);
    sign_in(&folder, "ada");

    let disabled = one(&folder, &["user", "disable", "ada"]);
    assert_eq!(disabled["sessions_ended"], 2);
    assert!(disabled["disabled_at"].is_string());
    let again = one(&folder, &["user", "disable", "ada"]);
    assert_eq!(again["disabled_at"], disabled["disabled_at"], "the first moment stays");
    assert_eq!(sessions(&folder, "ada"), 0);
    assert_eq!(one(&folder, &["user", "enable", "ada"])["disabled_at"], Value::Null);
}

#[test]
fn sign_outs_can_be_looked_at_before() {
    let folder = folder();
    one(&folder, &["user", "add", "ada"]);
    sign_in(&folder, "ada");

    let planned = one(&folder, &["user", "sign-out", "ada", "--dry-run"]);
    assert_eq!((planned["sessions_ended"].as_u64(), sessions(&folder, "ada")), (Some(2), 2));
    assert_eq!(one(&folder, &["user", "sign-out", "ada"])["sessions_ended"], 2);
    assert_eq!(sessions(&folder, "ada"), 0);
}

#[test]
fn another_password_signs_the_user_out_unless_asked_not_to() {
    let folder = folder();
    let first = one(&folder, &["user", "add", "ada"])["password"].clone();
    sign_in(&folder, "ada");
    let kept = one(&folder, &["user", "password", "ada", "--keep-sessions"]);
    assert_eq!(kept["sessions_ended"], 0);
    assert_ne!(kept["password"], first);
    let mut child = feat(&on(&folder, &["user", "password", "ada", "--password-stdin"]))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"correct horse battery\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();

    assert!(output.status.success());
    assert_eq!(object(&printed)["sessions_ended"], 2);
    assert!(!printed.contains("correct horse"), "a given password is not printed: {printed}");
}

#[test]
fn a_key_is_printed_once_listed_and_revoked() {
    let folder = folder();
    one(&folder, &["user", "add", "ada"]);
    one(&folder, &["user", "add", "bob"]);
    let words = ["user", "key", "add", "ada", "--name", "backup", "--scopes", "user_image"];
    let made = one(&folder, &[&words[..], &["--expires", "90d"]].concat());
    let text = made["key"].as_str().unwrap();
    assert!(text.starts_with("feat_") && text.len() == 69, "{text}");
    assert_eq!(made["scopes"], serde_json::json!(["user_image"]));
    assert!(made["expires_at"].is_string());
    let other = one(&folder, &["user", "key", "add", "bob", "--name", "other"]);

    let listed = answer(&on(&folder, &["user", "key", "list", "ada"]));
    assert!(!listed.contains(text) && !listed.contains("digest"), "{listed}");
    assert_eq!(listed.lines().count(), 1);
    assert_eq!(json(&on(&folder, &["key", "list"])).len(), 2);
    assert_eq!(json(&on(&folder, &["key", "list", "--user", "bob"])).len(), 1);

    let id = made["id"].as_str().unwrap();
    let foreign = run(&on(&folder, &["user", "key", "revoke", "bob", id]));
    assert_refused(&foreign, &["there is no key"]);
    let planned = one(&folder, &["key", "revoke", "--user", "ada", "--dry-run"]);
    assert_eq!(planned["outcome"], "would be revoked");
    assert_eq!(one(&folder, &["key", "revoke", id])["outcome"], "revoked");
    assert_eq!(one(&folder, &["key", "revoke", id])["outcome"], "revoked before");
    let all = one(&folder, &["user", "key", "revoke", "bob", "--all"]);
    assert_eq!((&all["id"], &all["outcome"]), (&other["id"], &"revoked".into()));
    let nameless = run(&on(&folder, &["user", "key", "add", "ada", "--name", " "]));
    assert_eq!(nameless.status.code(), Some(2));
}

#[test]
fn a_client_gets_another_secret_and_can_be_closed() {
    let folder = folder();
    let first = one(&folder, &["client", "add", "web"])["client_secret"].clone();
    let next = one(&folder, &["client", "rotate-secret", "web"])["client_secret"].clone();
    assert!(next.is_string() && next != first);
    assert!(one(&folder, &["client", "disable", "web"])["disabled_at"].is_string());
    assert_eq!(one(&folder, &["client", "enable", "web"])["disabled_at"], Value::Null);
    let shown = answer(&on(&folder, &["client", "show", "web"]));
    assert!(!shown.contains("secret") && shown.contains("confidential"), "{shown}");

    one(&folder, &["client", "add", "phone", "--public"]);
    let public = run(&on(&folder, &["client", "rotate-secret", "phone"]));
    assert_refused(&public, &["phone is a public client"]);
    assert_refused(&run(&on(&folder, &["client", "show", "x"])), &["there is no client x"]);
}

#[test]
fn making_bills_and_reaching_everybody_are_given_by_name_only() {
    let folder = folder();
    one(&folder, &["user", "add", "ada"]);
    one(&folder, &["client", "add", "app"]);
    let scopes = one(&folder, &["client", "show", "app"])["scopes"].to_string();
    assert!(scopes.contains("pay_trade_order"), "{scopes}");
    let key = one(&folder, &["user", "key", "add", "ada", "--name", "all"])["scopes"].to_string();
    for scopes in [&scopes, &key] {
        assert!(!scopes.contains("manage") && !scopes.contains("push_send"), "{scopes}");
    }

    one(&folder, &["client", "add", "till", "--scopes", "all,pay_trade_manage"]);
    let scopes = one(&folder, &["client", "show", "till"])["scopes"].to_string();
    assert!(scopes.contains("user_image") && scopes.contains("pay_trade_manage"), "{scopes}");
}

#[test]
fn a_client_is_changed_in_what_is_named_and_only_to_what_it_can_use() {
    let folder = folder();
    one(&folder, &["client", "add", "phone", "--public", "--name", "Phone"]);
    let before = one(&folder, &["client", "show", "phone"]);
    let changed = one(&folder, &["client", "change", "phone", "--scopes", "user_image"]);
    assert_eq!(changed["scopes"].to_string(), r#"["user_image"]"#);
    for field in ["name", "grants", "redirect_uris", "kind", "created_at"] {
        assert_eq!(changed[field], before[field], "{field}");
    }

    let cases: [(&[&str], &str); 4] = [
        (&["--grants", "client_credentials"], "secret"),
        (&["--grants", "authorization_code"], "--redirect-uri"),
        (&["--scopes", "everything"], "unknown scope"),
        (&[], "required"),
    ];
    for (words, why) in cases {
        let words = [&["client", "change", "phone"], words].concat();
        let refused = run(&on(&folder, &words));
        assert_eq!(refused.status.code(), Some(2), "{words:?}");
        assert!(error_of(&refused).contains(why), "{words:?}: {}", error_of(&refused));
    }
    assert_eq!(one(&folder, &["client", "show", "phone"]), changed);

    let words = ["--grants", "authorization_code", "--redirect-uri", "https://a.example/back"];
    let back = one(&folder, &[&["client", "change", "phone"][..], &words].concat());
    assert_eq!(back["grants"][0], "authorization_code");
    let told = &json(&on(&folder, &["audit", "list", "--action", "client_changed"]));
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1]["detail"].as_str().unwrap().contains("user_image"), "{told:?}");
}

#[test]
fn what_operators_do_is_written_down() {
    let folder = folder();
    one(&folder, &["user", "add", "ada", "--as", "grace"]);
    one(&folder, &["user", "disable", "ada"]);
    one(&folder, &["client", "add", "web"]);
    let key = one(&folder, &["user", "key", "add", "ada", "--name", "backup"]);
    one(&folder, &["key", "revoke", key["id"].as_str().unwrap()]);

    let entries = json(&on(&folder, &["audit", "list"]));
    let told: Vec<_> = entries
        .iter()
        .map(|entry| (entry["action"].as_str().unwrap(), entry["actor"].as_str().unwrap()))
        .collect();
    let expected = [
        ("key_revoked", "operator ada"),
        ("key_made", "operator ada"),
        ("client_added", "operator ada"),
        ("user_disabled", "operator ada"),
        ("user_added", "operator grace"),
    ];
    assert_eq!(told, expected);
    assert_eq!(entries[0]["subject"], key["id"]);
    let secret = key["key"].as_str().unwrap();
    assert!(!serde_json::to_string(&entries).unwrap().contains(secret));

    let cases: [(&str, &[&str], usize); 7] = [
        ("user", &["--user", "ada"], 4),
        ("action", &["--action", "key_made", "--action", "key_revoked"], 2),
        ("actor", &["--actor", "operator grace"], 1),
        ("limit", &["--limit", "2"], 2),
        ("since", &["--since", "1h", "--all"], 5),
        ("until", &["--until", "1h"], 0),
        ("after", &["--after", entries[3]["id"].as_str().unwrap()], 1),
    ];
    for (name, words, count) in cases {
        let words = [&["audit", "list"], words].concat();
        assert_eq!(json(&on(&folder, &words)).len(), count, "{name}");
    }
}

#[test]
fn a_key_opens_feat_dev() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Dev::start(folder.path()).interrupt().success());
    let words = ["user", "key", "add", "+86-13800000001", "--name", "test"];
    let key = one(&folder, &words)["key"].as_str().unwrap().to_owned();

    let dev = Dev::start(folder.path());
    let head = format!("Authorization: Token {key}\r\n");
    let (status, body) = dev.send("GET", "/api/user/basic-info/", &head, b"");
    assert_eq!(status, 200, "{body}");
    assert_eq!(object(&body)["data"]["username"], "+86-13800000001");
}
