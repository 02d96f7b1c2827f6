//! Grants `authorization_code` and `client_credentials` at the token endpoint.

use futures::future::join_all;
use schemas::{Timestamp, UserId, audit::Action};
use serde_json::{Value, json};
use store::Save;

use crate::{
    oauth::{
        self, CHALLENGE, PHONE, VERIFIER, WEB, code, phone, redeem_web, redeemed, refusal,
        status_with, token, web,
    },
    rig::Server,
};

/// `form` with one parameter replaced, or left out when `value` is empty.
fn with<'a>(form: &[(&'a str, &'a str)], name: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut changed: Vec<_> = form.iter().copied().filter(|(found, _)| *found != name).collect();
    if !value.is_empty() {
        changed.push((name, value));
    }
    changed
}

fn redeem_phone(code: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("grant_type", "authorization_code"),
        ("client_id", "phone"),
        ("redirect_uri", PHONE),
        ("code_verifier", VERIFIER),
        ("code", code),
    ]
}

#[tokio::test]
async fn a_code_becomes_a_sign_in() {
    let server = oauth::server().await;
    let code = code(&server, &web(&[("scope", "all")])).await;
    let reply = token(&server, &redeem_web(&code)).await;

    assert_eq!(reply.status(), 200);
    assert_eq!(reply.headers()["cache-control"], "no-store");
    assert_eq!(reply.headers()["pragma"], "no-cache");
    let body: Value = reply.json().await.unwrap();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["scope"], schemas::Scopes::all().to_string());
    assert_eq!(status_with(&server, body["access_token"].as_str().unwrap()).await, 200);
    let refresh = [
        ("grant_type", "refresh_token"),
        ("client_id", "web"),
        ("client_secret", "web-secret"),
        ("refresh_token", body["refresh_token"].as_str().unwrap()),
    ];
    assert_eq!(token(&server, &refresh).await.status(), 200);
}

#[tokio::test]
async fn a_public_client_proves_that_the_code_is_its_own() {
    let server = oauth::server().await;
    let code = code(&server, &phone()).await;
    let body: Value = token(&server, &redeem_phone(&code)).await.json().await.unwrap();

    assert_eq!(body["scope"], "user_profile", "the default scopes");
    assert!(body["access_token"].is_string(), "{body}");
}

#[tokio::test]
async fn a_code_request_that_is_not_right_is_refused_and_uses_nothing_up() {
    const REQUEST: &str = "invalid_request";
    const GRANT: &str = "invalid_grant";
    let server = oauth::server().await;
    let (plain, proved) = (code(&server, &web(&[])).await, code(&server, &phone()).await);
    let challenge = [("code_challenge", CHALLENGE), ("code_challenge_method", "S256")];
    let bound = code(&server, &web(&challenge)).await;
    let (web, phone) = (redeem_web(&plain), redeem_phone(&proved));
    let bound = redeem_web(&bound);
    let short = "a".repeat(42);
    let other = "b".repeat(43);
    let gate = with(&with(&web, "client_id", "gate"), "client_secret", "gate-secret");
    let foreign = with(&with(&web, "client_id", "demo"), "client_secret", "demo-secret");
    let cases = [
        ("no code", with(&web, "code", ""), 400, REQUEST),
        ("no address", with(&web, "redirect_uri", ""), 400, REQUEST),
        ("no verifier of a public client", with(&phone, "code_verifier", ""), 400, REQUEST),
        ("a short verifier", with(&phone, "code_verifier", &short), 400, REQUEST),
        ("wrong secret", with(&web, "client_secret", "guess"), 401, "invalid_client"),
        ("no secret", with(&web, "client_secret", ""), 401, "invalid_client"),
        ("may not use the grant", gate, 400, "unauthorized_client"),
        ("may not use the grant either", foreign, 400, "unauthorized_client"),
        ("unknown code", with(&web, "code", "Qy71kT"), 400, GRANT),
        ("another's code", with(&web, "code", &proved), 400, GRANT),
        (
            "another address",
            with(&web, "redirect_uri", "http://localhost:3000/oauth?a=1"),
            400,
            GRANT,
        ),
        (
            "the address in capitals",
            with(&web, "redirect_uri", "http://LOCALHOST:3000/oauth"),
            400,
            GRANT,
        ),
        ("another verifier", with(&phone, "code_verifier", &other), 400, GRANT),
        ("the challenge as verifier", with(&phone, "code_verifier", CHALLENGE), 400, GRANT),
        ("a verifier without a challenge", with(&web, "code_verifier", VERIFIER), 400, GRANT),
        ("a challenge without a verifier", bound.clone(), 400, GRANT),
        ("more scope", with(&web, "scope", "user_image"), 400, "invalid_scope"),
        (
            "implicit is no grant here",
            with(&web, "grant_type", "implicit"),
            400,
            "unsupported_grant_type",
        ),
    ];
    for (name, form, status, code) in cases {
        let reply = token(&server, &form).await;
        assert_eq!(reply.headers().contains_key("www-authenticate"), status == 401, "{name}");
        refusal(name, reply, status, code).await;
    }
    for form in [web, phone, with(&bound, "code_verifier", VERIFIER)] {
        assert_eq!(token(&server, &form).await.status(), 200, "no refusal used it up");
    }
}

#[tokio::test]
async fn a_code_is_short_lived_and_ends_with_its_user() {
    let late = oauth::server_with(|settings| settings.code_life = std::time::Duration::ZERO).await;
    let code_of_late = code(&late, &web(&[])).await;
    let reply = token(&late, &redeem_web(&code_of_late)).await;
    refusal("too late", reply, 400, "invalid_grant").await;

    let server = oauth::server().await;
    let code = code(&server, &web(&[])).await;
    disable(&server, server.user).await;
    refusal("disabled", token(&server, &redeem_web(&code)).await, 400, "invalid_grant").await;
}

async fn disable(server: &Server, user: UserId) {
    let mut user = server.store.users.get(user).await.unwrap().unwrap();
    user.version += 1;
    user.disabled_at = Some(Timestamp::now());
    assert_eq!(server.store.users.save(&user).await, Ok(Save::Stored));
}

#[tokio::test]
async fn a_code_used_again_ends_what_it_gave() {
    let server = oauth::server().await;
    let code = code(&server, &web(&[("scope", "all")])).await;
    let body: Value = token(&server, &redeem_web(&code)).await.json().await.unwrap();
    let access = body["access_token"].as_str().unwrap();
    assert_eq!(status_with(&server, access).await, 200);

    let stolen = with(&redeem_web(&code), "redirect_uri", "http://localhost:3000/oauth?x=1");
    refusal("again", token(&server, &stolen).await, 400, "invalid_grant").await;
    assert_eq!(status_with(&server, access).await, 401, "at once");
    let refresh = [
        ("grant_type", "refresh_token"),
        ("client_id", "web"),
        ("client_secret", "web-secret"),
        ("refresh_token", body["refresh_token"].as_str().unwrap()),
    ];
    refusal("refresh", token(&server, &refresh).await, 400, "invalid_grant").await;

    for _ in 0..3 {
        refusal("again", token(&server, &stolen).await, 400, "invalid_grant").await;
    }
    let told = server.audit().await;
    let stolen = told.iter().filter(|entry| entry.action == Action::SessionStolen).count();
    assert_eq!(stolen, 1, "an entry of each try would let anybody fill the record");
}

#[tokio::test]
async fn of_many_who_use_one_code_nobody_keeps_a_sign_in() {
    let server = oauth::server().await;
    for _ in 0..5 {
        let code = code(&server, &web(&[])).await;
        let form = redeem_web(&code);
        let replies = join_all((0..8).map(|_| token(&server, &form))).await;
        let mut given = vec![];
        for reply in replies {
            if reply.status() == 200 {
                given.push(reply.json::<Value>().await.unwrap());
            }
        }
        assert!(given.len() <= 1, "one at most was answered");
        for body in given {
            assert_eq!(status_with(&server, body["access_token"].as_str().unwrap()).await, 401);
        }
    }
}

#[tokio::test]
async fn a_client_may_act_for_itself_but_is_no_user() {
    let server = oauth::server().await;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "robot"),
        ("client_secret", "robot-secret"),
        ("scope", "user_image"),
    ];
    let body: Value = token(&server, &form).await.json().await.unwrap();

    assert_eq!(body["scope"], "user_image");
    assert!(body.get("refresh_token").is_none(), "{body}");
    let access = body["access_token"].as_str().unwrap();
    let request = server.request(reqwest::Method::GET, "/api/job/").bearer_auth(access);
    crate::rig::error("a user's call", request.send().await.unwrap(), 403, "permission_denied")
        .await;
    let cases = [
        ("more scope", with(&form, "scope", "root"), 400, "invalid_scope"),
        ("no secret", with(&form, "client_secret", ""), 401, "invalid_client"),
        (
            "may not",
            with(&with(&form, "client_id", "web"), "client_secret", "web-secret"),
            400,
            "unauthorized_client",
        ),
        (
            "public",
            with(&with(&form, "client_id", "phone"), "client_secret", ""),
            400,
            "unauthorized_client",
        ),
    ];
    for (name, form, status, code) in cases {
        refusal(name, token(&server, &form).await, status, code).await;
    }
}

#[tokio::test]
async fn a_password_is_bound_to_a_record_of_its_device() {
    let server = oauth::server().await;
    let device = async || server.store.devices.by_device(server.user, "web:1").await.unwrap();
    assert!(device().await.is_none());
    server.sign_in().await;
    let first = device().await.unwrap();
    server.sign_in().await;
    let second = device().await.unwrap();

    assert_eq!((first.id, first.first_seen), (second.id, second.first_seen));
    assert_ne!(first.session, second.session);
    assert_eq!(second.client.as_str(), "demo");
    let session = server.store.sessions.get(second.session).await.unwrap().unwrap();
    assert_eq!(session.device, Some(second.id));
    let at_once = join_all((0..4).map(|_| server.sign_in())).await;
    assert_eq!(at_once.len(), 4);
    assert_eq!(server.store.devices.list(server.user, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_code_of_a_client_without_refreshes_gives_none() {
    let server = oauth::server().await;
    let body = redeemed(&server).await;
    assert!(body["refresh_token"].is_string());

    let mut client = server.store.clients.get(&"web".parse().unwrap()).await.unwrap().unwrap();
    client.version += 1;
    client.grants.truncate(1);
    assert_eq!(server.store.clients.save(&client).await, Ok(Save::Stored));
    let body = redeemed(&server).await;
    assert_eq!(body.get("refresh_token"), None, "{}", json!(body));
    assert_eq!(WEB, "http://localhost:3000/oauth");
}
