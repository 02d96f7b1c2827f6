//! How sign-ins end, and who is told what a token is worth.

use reqwest::Method;
use schemas::{Event, SessionId, Timestamp};
use serde_json::{Value, json};
use store::Save;

use crate::{
    oauth::{self, post, redeemed, refusal, status_with},
    rig::{Server, eventually, sign_in_with},
};

const REVOKE: &str = "/api/o/revoke_token/";
const INTROSPECT: &str = "/api/o/introspect/";
const DEMO: [(&str, &str); 2] = [("client_id", "demo"), ("client_secret", "demo-secret")];

fn demo(token: &str) -> Vec<(&str, &str)> {
    [&DEMO[..], &[("token", token)]].concat()
}

fn text<'a>(body: &'a Value, name: &str) -> &'a str {
    body[name].as_str().unwrap()
}

async fn robot(server: &Server) -> String {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "robot"),
        ("client_secret", "robot-secret"),
    ];
    let body: Value = oauth::token(server, &form).await.json().await.unwrap();
    text(&body, "access_token").to_owned()
}

#[tokio::test]
async fn either_token_ends_the_whole_sign_in_at_once() {
    let server = oauth::server().await;
    for kind in ["refresh_token", "access_token"] {
        let session = server.sign_in().await;
        let access = text(&session, "access_token");
        assert_eq!(status_with(&server, access).await, 200, "{kind}");
        for turn in ["first", "again"] {
            let reply = post(&server, REVOKE, &demo(text(&session, kind))).await;
            assert_eq!(reply.status(), 200, "{kind} {turn}");
            assert_eq!(reply.headers()["cache-control"], "no-store", "{kind} {turn}");
            assert_eq!(reply.text().await.unwrap(), "", "{kind} {turn}");
        }
        assert_eq!(status_with(&server, access).await, 401, "{kind}");
        let refresh = [
            &DEMO[..],
            &[("grant_type", "refresh_token"), ("refresh_token", text(&session, "refresh_token"))],
        ];
        refusal(kind, oauth::token(&server, &refresh.concat()).await, 400, "invalid_grant").await;
    }
}

#[tokio::test]
async fn a_revocation_that_is_not_right_ends_nothing() {
    let server = oauth::server().await;
    let session = server.sign_in().await;
    let refresh = text(&session, "refresh_token");
    let robot = robot(&server).await;
    let other = [("client_id", "other"), ("client_secret", "other-secret"), ("token", refresh)];
    let cases = [
        ("no token", DEMO.to_vec(), 400, "invalid_request"),
        ("no client", vec![("token", refresh)], 401, "invalid_client"),
        (
            "wrong secret",
            vec![("client_id", "demo"), ("client_secret", "x"), ("token", refresh)],
            401,
            "invalid_client",
        ),
        ("another client", other.to_vec(), 400, "invalid_grant"),
        ("a client's own token", demo(&robot), 400, "unsupported_token_type"),
    ];
    for (name, form, status, code) in cases {
        refusal(name, post(&server, REVOKE, &form).await, status, code).await;
    }
    for token in ["r9Zk3b", "a.b.c"] {
        assert_eq!(post(&server, REVOKE, &demo(token)).await.status(), 200, "{token}: no news");
    }
    assert_eq!(status_with(&server, text(&session, "access_token")).await, 200);
}

/// The sign-in of the demo user, ended in the store as another process would do it.
async fn end_elsewhere(server: &Server) -> SessionId {
    let device = server.store.devices.by_device(server.user, "web:1").await.unwrap().unwrap();
    let session = server.store.sessions.get(device.session).await.unwrap().unwrap();
    let ended = session.revoke(Timestamp::now());
    assert_eq!(server.store.sessions.save(&ended).await, Ok(Save::Stored));
    ended.id
}

#[tokio::test]
async fn what_another_process_ends_is_heard_of() {
    let server = oauth::server().await;
    let access = server.access_token().await;
    assert_eq!(status_with(&server, &access).await, 200);
    let id = end_elsewhere(&server).await;
    assert_eq!(status_with(&server, &access).await, 200, "nobody has said so yet");
    server.broker.send_event(Event::SessionEnded { id });

    eventually("the news arrive", async || status_with(&server, &access).await == 401).await;
}

#[tokio::test]
async fn what_is_not_heard_of_is_found_after_a_while() {
    let server =
        oauth::server_with(|settings| settings.session_check = std::time::Duration::ZERO).await;
    let access = server.access_token().await;
    assert_eq!(status_with(&server, &access).await, 200);
    end_elsewhere(&server).await;

    assert_eq!(status_with(&server, &access).await, 401);
}

#[tokio::test]
async fn a_refresh_token_used_again_later_ends_the_access_tokens_too() {
    let server =
        oauth::server_with(|settings| settings.refresh_grace = std::time::Duration::ZERO).await;
    let session = server.sign_in().await;
    let refresh = [
        &DEMO[..],
        &[("grant_type", "refresh_token"), ("refresh_token", text(&session, "refresh_token"))],
    ]
    .concat();
    let next: Value = oauth::token(&server, &refresh).await.json().await.unwrap();
    assert_eq!(status_with(&server, text(&next, "access_token")).await, 200);

    refusal("reuse", oauth::token(&server, &refresh).await, 400, "invalid_grant").await;
    assert_eq!(status_with(&server, text(&next, "access_token")).await, 401);
    assert_eq!(status_with(&server, text(&session, "access_token")).await, 401);
}

#[tokio::test]
async fn a_resource_server_is_told_what_a_token_is_worth() {
    let server = oauth::server().await;
    let session = redeemed(&server).await;
    let gate =
        |token| vec![("client_id", "gate"), ("client_secret", "gate-secret"), ("token", token)];
    let ask = async |form: Vec<(&str, &str)>| -> Value {
        let reply = post(&server, INTROSPECT, &form).await;
        assert_eq!(reply.status(), 200);
        assert_eq!(reply.headers()["cache-control"], "no-store");
        reply.json().await.unwrap()
    };
    let access = text(&session, "access_token");
    let told = ask(gate(access)).await;
    assert_eq!(told["active"], true);
    assert_eq!(told["client_id"], "web");
    assert_eq!(told["scope"], schemas::Scopes::all().to_string());
    assert_eq!(told["sub"], server.user.to_string());
    assert_eq!(told["token_type"], "Bearer");
    assert_eq!(told["aud"], "feat");
    assert!(told["exp"].as_i64().unwrap() > told["iat"].as_i64().unwrap(), "{told}");

    let refresh = text(&session, "refresh_token");
    let own = vec![("client_id", "web"), ("client_secret", "web-secret"), ("token", refresh)];
    assert_eq!(ask(own).await["token_type"], "refresh_token");
    let robot = robot(&server).await;
    assert_eq!(ask(gate(&robot)).await["sub"], "client:robot");
    let inactive = json!({ "active": false });
    for (name, token) in [("another's refresh token", refresh), ("garbage", "a.b.c")] {
        assert_eq!(ask(gate(token)).await, inactive, "{name}");
    }
    let web = vec![("client_id", "web"), ("client_secret", "web-secret"), ("token", access)];
    assert_eq!(post(&server, REVOKE, &web).await.status(), 200);
    assert_eq!(ask(gate(access)).await, inactive, "revoked");
}

#[tokio::test]
async fn who_may_not_ask_is_told_nothing() {
    let server = oauth::server().await;
    let access = server.access_token().await;
    let cases = [
        ("public client", vec![("client_id", "public"), ("token", &access)], 401, "invalid_client"),
        ("no client", vec![("token", &access)], 401, "invalid_client"),
        (
            "wrong secret",
            vec![("client_id", "gate"), ("client_secret", "x"), ("token", &access)],
            401,
            "invalid_client",
        ),
        ("no token", DEMO.to_vec(), 400, "invalid_request"),
    ];
    for (name, form, status, code) in cases {
        refusal(name, post(&server, INTROSPECT, &form).await, status, code).await;
    }
}

#[tokio::test]
async fn a_user_who_was_disabled_is_out_with_the_next_look() {
    let server =
        oauth::server_with(|settings| settings.session_check = std::time::Duration::ZERO).await;
    let body: Value = server.token(sign_in_with("public", "")).await.json().await.unwrap();
    let access = text(&body, "access_token");
    assert_eq!(status_with(&server, access).await, 200);
    let mut user = server.store.users.get(server.user).await.unwrap().unwrap();
    user.version += 1;
    user.disabled_at = Some(Timestamp::now());
    assert_eq!(server.store.users.save(&user).await, Ok(Save::Stored));

    assert_eq!(status_with(&server, access).await, 401);
    let reply = server.request(Method::GET, "/api/job/").bearer_auth(access).send().await.unwrap();
    crate::rig::error("disabled", reply, 401, "authentication_failed").await;
}
