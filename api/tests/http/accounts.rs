//! Who one is, where one is signed in, and signing out.

use reqwest::{Method, Response};
use schemas::{Scope, audit::Action, profile::Profile};
use serde_json::{Value, json};
use store::Save;

use crate::{
    oauth::{self, redeemed},
    rig::{Server, USERNAME, error, good_sign_in, sign_in_with},
};

struct Device {
    token: String,
    refresh: String,
}

async fn sign_in(server: &Server, device: &str) -> Device {
    let reply = server.token(good_sign_in().replace("web:1", device)).await;
    let body: Value = reply.json().await.unwrap();
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    Device { token: text("access_token"), refresh: text("refresh_token") }
}

async fn still_signed_in(server: &Server, device: &Device) -> bool {
    let form = format!(
        "grant_type=refresh_token&client_id=demo&client_secret=demo-secret&refresh_token={}",
        device.refresh
    );
    server.token(form).await.status() == 200
}

async fn post(server: &Server, path: &str, device: &Device, body: Option<Value>) -> Response {
    let request = server.request(Method::POST, path).bearer_auth(&device.token);
    match body {
        Some(body) => request.json(&body).send().await.unwrap(),
        None => request.send().await.unwrap(),
    }
}

async fn sessions(server: &Server, device: &Device) -> Vec<Value> {
    let request = server.request(Method::GET, "/api/user/session/").bearer_auth(&device.token);
    let body: Value = request.send().await.unwrap().json().await.unwrap();
    body["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn basic_info_is_what_clients_read() {
    let server = Server::start().await;
    let token = server.access_token().await;
    let read = async || {
        let request = server.request(Method::GET, "/api/user/basic-info/").bearer_auth(&token);
        request.send().await.unwrap().json::<Value>().await.unwrap()
    };
    let expected = json!({
        "data": {
            "uid": server.user.get(), "username": USERNAME, "firstname": "", "lastname": "",
            "avatar": "", "expertise": null, "timezone": "UTC", "timezone_utc_offset": "+00:00",
            "is_online": true, "location": "",
        },
        "meta": {
            "locale": "en-US", "locale_label": "English", "locale_region": "United States",
            "security_question_initialized": false,
        },
    });
    assert_eq!(read().await, expected);

    let mut user = server.store.users.get(server.user).await.unwrap().unwrap();
    user.version += 1;
    user.profile = Profile {
        firstname: Some("Ada".to_owned()),
        lastname: Some("Moreau".to_owned()),
        locale: Some("zh-CN".to_owned()),
        timezone: Some("Asia/Shanghai".to_owned()),
    };
    assert_eq!(server.store.users.save(&user).await.unwrap(), Save::Stored);
    let body = read().await;
    assert_eq!(body["data"]["firstname"], "Ada");
    assert_eq!(body["data"]["timezone_utc_offset"], "+08:00");
    assert_eq!(body["meta"]["locale_region"], "China");
}

#[tokio::test]
async fn basic_info_needs_a_token_with_the_scope() {
    let server = Server::start().await;
    let reply = server.get("/api/user/basic-info/").await;
    error("no token", reply, 401, "not_authenticated").await;
    let body: Value = server.token(sign_in_with("narrow", "")).await.json().await.unwrap();
    let request = server.request(Method::GET, "/api/user/basic-info/");
    let reply = request.bearer_auth(body["access_token"].as_str().unwrap()).send().await.unwrap();
    error("scope", reply, 403, "permission_denied").await;
}

#[tokio::test]
async fn signing_out_ends_this_device_and_no_other() {
    let server = Server::start().await;
    let (web, phone) = (sign_in(&server, "web:1").await, sign_in(&server, "phone:1").await);
    let listed = sessions(&server, &web).await;
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0]["device_id"], "phone:1", "newest first");
    assert_eq!((&listed[0]["current"], &listed[1]["current"]), (&json!(false), &json!(true)));

    for path in ["/api/user/sign-out/", "/api/auth/logout/"] {
        let device = sign_in(&server, "web:2").await;
        let reply = post(&server, path, &device, None).await;
        assert_eq!(reply.status(), 200, "{path}");
        let body: Value = reply.json().await.unwrap();
        assert_eq!(body, json!({ "success": true, "data": { "ended": 1 } }), "{path}");
        assert!(!still_signed_in(&server, &device).await, "{path}");
    }
    assert!(still_signed_in(&server, &web).await);
    assert!(still_signed_in(&server, &phone).await);
    assert_eq!(sessions(&server, &web).await.len(), 2);
}

#[tokio::test]
async fn another_device_or_all_can_be_signed_out() {
    let server = Server::start().await;
    let (web, phone) = (sign_in(&server, "web:1").await, sign_in(&server, "phone:1").await);
    let tablet = sign_in(&server, "tablet:1").await;
    let listed = sessions(&server, &web).await;
    let phone_id = listed[1]["id"].clone();
    assert_eq!(listed[1]["device_id"], "phone:1");

    let one = json!({ "session": phone_id });
    let reply = post(&server, "/api/user/sign-out/", &web, Some(one.clone())).await;
    assert_eq!(reply.json::<Value>().await.unwrap()["data"]["ended"], 1);
    assert!(!still_signed_in(&server, &phone).await);
    let again = post(&server, "/api/user/sign-out/", &web, Some(one)).await;
    assert_eq!(again.json::<Value>().await.unwrap()["data"]["ended"], 0, "repeating is harmless");

    let reply = post(&server, "/api/user/sign-out/", &web, Some(json!({ "all": true }))).await;
    assert_eq!(reply.json::<Value>().await.unwrap()["data"]["ended"], 2);
    for device in [&web, &tablet] {
        assert!(!still_signed_in(&server, device).await);
    }
    let outs = server.audit().await;
    let outs = outs.iter().filter(|entry| entry.action == Action::SignOut);
    assert!(outs.clone().all(|entry| entry.owner == server.user && entry.address.is_some()));
    assert_eq!(outs.count(), 2, "what changed nothing is not written down");
}

#[tokio::test]
async fn what_is_no_sign_in_of_ones_own_is_not_found() {
    let server = Server::start().await;
    let web = sign_in(&server, "web:1").await;
    let unknown = schemas::SessionId::generate().to_string();
    let cases = [
        ("unknown", json!({ "session": unknown }), 404, "NOT_FOUND"),
        ("no id", json!({ "session": "x" }), 404, "NOT_FOUND"),
        ("a number", json!({ "session": 5 }), 400, "VALIDATION_EXCEPTION"),
        ("not a boolean", json!({ "all": "yes" }), 400, "VALIDATION_EXCEPTION"),
        ("both", json!({ "session": unknown, "all": true }), 400, "VALIDATION_EXCEPTION"),
        ("no object", json!([]), 400, "VALIDATION_EXCEPTION"),
    ];
    for (name, body, status, code) in cases {
        let reply = post(&server, "/api/user/sign-out/", &web, Some(body)).await;
        error(name, reply, status, code).await;
    }
    assert!(still_signed_in(&server, &web).await);
}

#[tokio::test]
async fn a_narrow_token_ends_itself_only() {
    let server = Server::start().await;
    let web = sign_in(&server, "web:1").await;
    let body: Value = server.token(sign_in_with("narrow", "")).await.json().await.unwrap();
    let narrow =
        Device { token: body["access_token"].as_str().unwrap().to_owned(), refresh: String::new() };
    let reply = post(&server, "/api/user/sign-out/", &narrow, Some(json!({ "all": true }))).await;
    error("all", reply, 403, "permission_denied").await;
    let reply = post(&server, "/api/user/sign-out/", &narrow, None).await;
    assert_eq!(reply.status(), 200);
    assert!(still_signed_in(&server, &web).await);
}

#[tokio::test]
async fn an_application_that_was_allowed_something_sees_and_ends_itself_only() {
    let server = oauth::server().await;
    let web = sign_in(&server, "web:1").await;
    let spa = vec![("client_id", "spa"), ("response_type", "token"), ("redirect_uri", oauth::WEB)];
    let spa: Value = oauth::allow(&server, &web.token, &spa).await.json().await.unwrap();
    let key = server.api_key(|_| {}).await;
    let others = [
        ("code", format!("Bearer {}", redeemed(&server).await["access_token"].as_str().unwrap())),
        ("implicit", format!("Bearer {}", spa["access_token"].as_str().unwrap())),
        ("key", format!("Token {key}")),
    ];
    let id = sessions(&server, &web).await.pop().unwrap()["id"].clone();
    for (name, authorization) in &others {
        let call = async |method: Method, path: &str, body: Option<Value>| {
            let request = server.request(method, path).header("authorization", authorization);
            match body {
                Some(body) => request.json(&body).send().await.unwrap(),
                None => request.send().await.unwrap(),
            }
        };
        let list = call(Method::GET, "/api/user/session/", None).await;
        error(name, list, 403, "permission_denied").await;
        for what in [json!({ "session": id }), json!({ "all": true })] {
            let reply = call(Method::POST, "/api/user/sign-out/", Some(what)).await;
            error(name, reply, 403, "permission_denied").await;
        }
        let profile = call(Method::GET, "/api/user/basic-info/", None).await;
        assert_eq!(profile.status(), 200, "{name}");
        if *name != "key" {
            let reply = call(Method::POST, "/api/user/sign-out/", None).await;
            assert_eq!(reply.json::<Value>().await.unwrap()["data"]["ended"], 1, "{name}");
        }
    }
    assert!(still_signed_in(&server, &web).await);
}

#[tokio::test]
async fn logging_out_with_a_key_revokes_it_at_once() {
    let server = Server::start().await;
    let key = server.api_key(|key| key.scopes = [Scope::UserProfile].into_iter().collect()).await;
    let call = async |method: Method, path: &str| {
        let request = server.request(method, path);
        request.header("authorization", format!("Token {key}")).send().await.unwrap()
    };
    let reply = call(Method::POST, "/api/user/sign-out/").await;
    error("a key is no sign-in", reply, 400, "VALIDATION_EXCEPTION").await;
    assert_eq!(call(Method::POST, "/api/auth/logout/").await.status(), 200);
    let reply = call(Method::GET, "/api/job/").await;
    error("revoked", reply, 401, "authentication_failed").await;
    assert_eq!(server.audit().await[0].action, Action::KeyRevoked);
}
