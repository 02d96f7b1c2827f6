//! Devices that get pushes: registered, moved, removed, signed out; through HTTP, on both engines.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use futures::future::join;
use reqwest::Method;
use schemas::{
    ApnsEnvironment, JobState, KeyId, Scopes, Timestamp,
    api_key::KeyRecord,
    push_token::{MAX_DEVICES, PushTokenReason, PushTokenState, Registration, SignedIn},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use store::{Insert, Registered};
use tests::{
    devices::{DEVICES, Stage, app, listed, register, registered, token},
    eventually,
    rig::Engine,
};

tests::on_both_engines! {
    a_device_is_registered_renewed_and_removed,
    wrong_fields_are_named_all_at_once,
    a_token_that_changes_hands_is_one_accounts_alone,
    a_device_has_one_token_and_a_user_so_many_devices,
    a_removal_without_its_worker_ends_the_pushes_all_the_same,
    signing_out_ends_the_pushes_at_once,
    a_registration_that_comes_after_the_sign_out_does_not_count,
    registering_and_signing_out_at_once_leave_nothing_behind,
}

async fn removed(stage: &Stage, token: &str) -> Option<PushTokenReason> {
    let device = stage.device(token).await;
    (device.state == PushTokenState::Removed).then(|| device.why()).flatten()
}

async fn a_device_is_registered_renewed_and_removed(engine: Engine) {
    let stage = Stage::start(engine).await;
    let ada = stage.user("ada").await;
    let worker = stage.rig.worker();
    let phone = stage.sign_in("ada", "ios:1").await;

    let full = json!({
        "device_token": "ABCDEF01".repeat(8), "bundle_id": "com.example.other",
        "environment": "sandbox", "device_id": "ios:7", "locale": "zh_Hans_CN",
        "app_version": "1.2.3",
    });
    let reply = register(&phone, full.clone()).await;
    assert_eq!(reply.status(), 201);
    let made: Value = reply.json().await.expect("JSON");
    let made = &made["data"];
    assert_eq!(made["user"], ada.get());
    assert_eq!(made["device_token"], "abcdef01".repeat(8));
    assert_eq!(
        (&made["device_id"], &made["bundle_id"]),
        (&json!("ios:7"), &json!("com.example.other"))
    );
    assert_eq!((&made["environment"], &made["locale"]), (&json!("sandbox"), &json!("zh-Hans-CN")));
    assert_eq!((&made["app_version"], &made["status"]), (&json!("1.2.3"), &json!("active")));
    let again = register(&phone, full).await;
    assert_eq!(again.status(), 200, "renewed");
    let again: Value = again.json().await.expect("JSON");
    assert_eq!(again["data"]["id"], made["id"]);

    let small = registered(&phone, "0a").await;
    assert_eq!(
        (&small["device_id"], &small["environment"]),
        (&json!("ios:1"), &json!("production"))
    );
    assert_eq!(listed(&phone).await, ["0a".to_owned(), "abcdef01".repeat(8)]);
    let page = phone.request(Method::GET, &format!("{DEVICES}?page=2&page_size=1"));
    let page: Value = page.send().await.expect("reply").json().await.expect("JSON");
    assert_eq!(page["data"][0]["id"], made["id"]);
    assert_eq!(page["pagination"]["total_count"], 2);

    let path = format!("{DEVICES}{}/", "AbCdEf01".repeat(8));
    let gone = phone.request(Method::DELETE, &path).send().await.expect("reply");
    assert_eq!(gone.status(), 202);
    assert_eq!(listed(&phone).await, ["0a"], "with the reply");
    let gone = phone.request(Method::DELETE, &path).send().await.expect("reply");
    assert_eq!(gone.status(), 404);
    let body = json!({ "device_token": "0A" });
    let wait = || {
        let request = phone.request(Method::DELETE, DEVICES).header("prefer", "wait=20");
        request.header("idempotency-key", "remove").json(&body).send()
    };
    assert_eq!(wait().await.expect("reply").status(), 204);
    let replayed = wait().await.expect("reply");
    assert_eq!(replayed.headers()["idempotency-replayed"], "true");
    assert_eq!(listed(&phone).await, Vec::<String>::new());
    assert_eq!(
        registered(&phone, "0a").await["id"],
        small["id"],
        "it comes back when it is registered"
    );
    worker.stop().await;
}

async fn wrong_fields_are_named_all_at_once(engine: Engine) {
    let stage = Stage::start(engine).await;
    stage.user("ada").await;
    let phone = stage.sign_in("ada", "ios:1").await;
    let wrong = json!({
        "device_token": "abc", "bundle_id": "a b", "environment": "test", "device_id": "a\nb",
        "locale": "a/b", "app_version": " ",
    });
    let reply = register(&phone, wrong).await;
    assert_eq!(reply.status(), 400);
    let reply: Value = reply.json().await.expect("JSON");
    let fields: Vec<_> = reply["data"].as_object().expect("fields").keys().cloned().collect();
    let expected =
        ["app_version", "bundle_id", "device_id", "device_token", "environment", "locale"];
    assert_eq!(fields, expected);
    let missing: Value = register(&phone, json!({})).await.json().await.expect("JSON");
    assert_eq!(missing["data"]["device_token"], json!(["This field is required."]));
    let missing = phone.request(Method::DELETE, DEVICES).json(&json!({})).send().await;
    assert_eq!(missing.expect("reply").status(), 400);
    let strange = phone.request(Method::DELETE, &format!("{DEVICES}xyz/")).send().await;
    assert_eq!(strange.expect("reply").status(), 404);
}

async fn a_token_that_changes_hands_is_one_accounts_alone(engine: Engine) {
    let stage = Stage::start(engine).await;
    let (ada, bob) = (stage.user("ada").await, stage.user("bob").await);
    let worker = stage.rig.worker();
    let adas = stage.sign_in("ada", "ios:1").await;
    let number = registered(&adas, "aa").await["id"].clone();
    let bobs = stage.sign_in("bob", "ios:1").await;
    assert_eq!(registered(&bobs, "aa").await["id"], number);

    assert_eq!(listed(&adas).await, Vec::<String>::new());
    assert_eq!(listed(&bobs).await, ["aa"]);
    let tokens = &stage.rig.store.push_tokens;
    assert_eq!(tokens.of_users(&app(), &[ada]).await.expect("store"), []);
    assert_eq!(tokens.of_users(&app(), &[ada, bob]).await.expect("store").len(), 1);
    let theirs = adas.request(Method::DELETE, &format!("{DEVICES}aa/")).send().await;
    assert_eq!(theirs.expect("reply").status(), 404);
    let out = adas.request(Method::POST, "/api/user/sign-out/").send().await;
    assert_eq!(out.expect("reply").status(), 200);
    assert_eq!(listed(&bobs).await, ["aa"], "the sign-out of another changes nothing");
    worker.stop().await;
}

async fn a_device_has_one_token_and_a_user_so_many_devices(engine: Engine) {
    let stage = Stage::start(engine).await;
    let ada = stage.user("ada").await;
    let worker = stage.rig.worker();
    let phone = stage.sign_in("ada", "ios:1").await;
    registered(&phone, "a1").await;
    registered(&phone, "a2").await;
    assert_eq!(listed(&phone).await, ["a2"], "the device has a newer token");
    assert_eq!(removed(&stage, "a1").await, Some(PushTokenReason::Superseded));

    for number in 0..MAX_DEVICES {
        let body = json!({
            "device_token": format!("{number:04x}"), "device_id": format!("ios:n{number}"),
        });
        let request = phone.request(Method::POST, DEVICES).json(&body);
        assert_eq!(request.send().await.expect("reply").status(), 202);
    }
    eventually("the oldest gives way", Duration::from_mins(1), async || {
        removed(&stage, "a2").await.filter(|why| *why == PushTokenReason::Crowded)
    })
    .await;
    let all = stage.rig.store.push_tokens.of_users(&app(), &[ada]).await.expect("store");
    assert!(all.len() <= MAX_DEVICES, "{}", all.len());
    worker.stop().await;
}

async fn a_removal_without_its_worker_ends_the_pushes_all_the_same(engine: Engine) {
    let stage = Stage::start(engine).await;
    let ada = stage.user("ada").await;
    let phone = stage.sign_in("ada", "ios:1").await;
    let registration = Registration {
        owner: ada,
        app: app(),
        environment: ApnsEnvironment::Production,
        token: "aa".parse().expect("token"),
        device_id: "ios:1".to_owned(),
        signed_in: SignedIn::default(),
        locale: None,
        app_version: None,
    };
    let tokens = &stage.rig.store.push_tokens;
    let made = tokens.register(registration, Timestamp::now()).await.expect("store");
    assert!(matches!(made, Registered::New(_)));
    let gone = phone.request(Method::DELETE, &format!("{DEVICES}aa/")).send().await;
    assert_eq!(gone.expect("reply").status(), 202);
    assert_eq!(removed(&stage, "aa").await, Some(PushTokenReason::Deleted));
    assert_eq!(tokens.of_users(&app(), &[ada]).await.expect("store"), []);
}

async fn signing_out_ends_the_pushes_at_once(engine: Engine) {
    let stage = Stage::start(engine).await;
    let ada = stage.user("ada").await;
    let worker = stage.rig.worker();
    let phone = stage.sign_in("ada", "ios:1").await;
    let tablet = stage.sign_in("ada", "ios:2").await;
    registered(&phone, "a1").await;
    registered(&tablet, "a2").await;
    // The app has signed in anew on the same device and not yet registered again.
    let phone = stage.sign_in("ada", "ios:1").await;
    let out = phone.request(Method::POST, "/api/user/sign-out/").send().await.expect("reply");
    assert_eq!(out.status(), 200);
    assert_eq!(removed(&stage, "a1").await, Some(PushTokenReason::SignedOut));
    assert_eq!(listed(&tablet).await, ["a2"]);

    let (key, text) = long_lived(ada);
    assert_eq!(stage.rig.store.keys.insert(&key).await, Ok(Insert::Stored));
    let http = reqwest::Client::builder().no_proxy().build().expect("client");
    let with_key = |method: Method, path: &str| {
        let request = http.request(method, format!("{}{path}", stage.url));
        request.header("authorization", format!("Token {text}"))
    };
    let body = json!({ "device_token": "a3" });
    let made = with_key(Method::POST, DEVICES).header("prefer", "wait=20").json(&body).send().await;
    assert_eq!(made.expect("reply").status(), 201);
    let out = with_key(Method::POST, "/api/auth/logout/").send().await.expect("reply");
    assert_eq!(out.status(), 200);
    assert_eq!(removed(&stage, "a3").await, Some(PushTokenReason::SignedOut));

    let all = json!({ "all": true });
    let out = tablet.request(Method::POST, "/api/user/sign-out/").json(&all).send().await;
    assert_eq!(out.expect("reply").status(), 200);
    assert_eq!(removed(&stage, "a2").await, Some(PushTokenReason::SignedOut));
    worker.stop().await;
}

fn long_lived(owner: schemas::UserId) -> (KeyRecord, String) {
    let new = api::auth::NewKey::generate();
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

async fn a_registration_that_comes_after_the_sign_out_does_not_count(engine: Engine) {
    let stage = Stage::start(engine).await;
    stage.user("ada").await;
    let phone = stage.sign_in("ada", "ios:1").await;
    let body = json!({ "device_token": "aa" });
    let accepted = phone.request(Method::POST, DEVICES).json(&body).send().await.expect("reply");
    assert_eq!(accepted.status(), 202);
    let accepted: Value = accepted.json().await.expect("JSON");
    let job = accepted["data"]["id"].as_str().expect("id").parse().expect("id");
    let out = phone.request(Method::POST, "/api/user/sign-out/").send().await.expect("reply");
    assert_eq!(out.status(), 200);

    let worker = stage.rig.worker();
    let job = stage.rig.in_state(job, JobState::Failed).await;
    assert_eq!(job.error.expect("an error").code, "signed_out");
    let found = stage.rig.store.push_tokens.get(&app(), &"aa".parse().expect("token")).await;
    assert_eq!(found, Ok(None));
    worker.stop().await;
}

async fn registering_and_signing_out_at_once_leave_nothing_behind(engine: Engine) {
    let stage = Stage::start(engine).await;
    let ada = stage.user("ada").await;
    let worker = stage.rig.worker();
    for round in 0..12 {
        let phone = stage.sign_in("ada", &format!("ios:{round}")).await;
        let text = token(round);
        let out = phone.request(Method::POST, "/api/user/sign-out/").send();
        let (made, out) = join(register(&phone, json!({ "device_token": text })), out).await;
        assert_eq!(out.expect("reply").status(), 200);
        // The sign-out may come before the registration is accepted, while it runs, or after it.
        let made = made.status();
        assert!(made == 201 || made.is_client_error(), "{made}");
        let left = stage.rig.store.push_tokens.of_users(&app(), &[ada]).await.expect("store");
        assert_eq!(left, [], "round {round}: {made}");
    }
    worker.stop().await;
}
