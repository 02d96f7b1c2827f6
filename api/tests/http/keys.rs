//! `Authorization: Token …`.

use std::time::Duration;

use reqwest::{Method, Response};
use schemas::{Scope, Timestamp};
use store::Save;

use crate::rig::{Server, error, eventually};

async fn call(server: &Server, path: &str, authorization: &str) -> Response {
    let request = server.request(Method::GET, path).header("authorization", authorization);
    request.send().await.unwrap()
}

#[tokio::test]
async fn a_key_opens_what_a_token_opens() {
    let server = Server::start().await;
    let key = server.api_key(|_| {}).await;
    for path in ["/api/job/", "/api/user/user-image/?uid=1", "/api/user/basic-info/"] {
        for scheme in ["Token", "token"] {
            let reply = call(&server, path, &format!("{scheme} {key}")).await;
            assert_eq!(reply.status(), 200, "{scheme} {path}");
        }
    }
    let as_bearer = call(&server, "/api/job/", &format!("Bearer {key}")).await;
    error("as a bearer token", as_bearer, 401, "authentication_failed").await;
    let token = server.access_token().await;
    let as_key = call(&server, "/api/job/", &format!("Token {token}")).await;
    error("a token as a key", as_key, 401, "authentication_failed").await;
}

#[tokio::test]
async fn a_key_has_its_scopes_and_no_others() {
    let server = Server::start().await;
    let narrow = |key: &mut schemas::api_key::KeyRecord| {
        key.scopes = [Scope::UserProfile].into_iter().collect();
    };
    let key = server.api_key(narrow).await;
    let reply = call(&server, "/api/user/user-image/?uid=1", &format!("Token {key}")).await;

    error("scope", reply, 403, "permission_denied").await;
    assert_eq!(call(&server, "/api/job/", &format!("Token {key}")).await.status(), 200);
}

#[tokio::test]
async fn keys_that_do_not_count_are_refused() {
    let server = Server::start().await;
    let now = Timestamp::now();
    let expired = server.api_key(|key| key.expires_at = Some(now - Duration::from_secs(1))).await;
    let revoked = server.api_key(|key| key.revoked_at = Some(now)).await;
    let orphan = server.api_key(|key| key.owner = schemas::UserId::generate()).await;
    let disabled = server.store.users.by_username("disabled").await.unwrap().unwrap().id;
    let disabled = server.api_key(|key| key.owner = disabled).await;
    let good = server.api_key(|_| {}).await;
    let last = if good.ends_with('A') { 'E' } else { 'A' };
    let changed = format!("{}{last}", &good[..good.len() - 1]);
    let unknown = api::auth::NewKey::generate();
    let unknown = secrecy::ExposeSecret::expose_secret(&unknown.text).to_owned();
    let cases = [
        ("expired", expired),
        ("revoked", revoked),
        ("nobody's", orphan),
        ("a disabled user's", disabled),
        ("changed", changed),
        ("unknown", unknown),
        ("empty", String::new()),
        ("text", "secret".to_owned()),
        ("huge", "a".repeat(8_000)),
    ];
    for (name, key) in cases {
        let reply = call(&server, "/api/job/", &format!("Token {key}")).await;
        error(name, reply, 401, "authentication_failed").await;
    }
    assert_eq!(call(&server, "/api/job/", &format!("Token {good}")).await.status(), 200);
}

#[tokio::test]
async fn a_key_that_is_revoked_elsewhere_counts_no_more_when_it_is_looked_up() {
    let server = Server::start_with(|settings| settings.key_check = Duration::ZERO).await;
    let mut id = None;
    let key = server.api_key(|key| id = Some(key.id)).await;
    let authorization = format!("Token {key}");
    assert_eq!(call(&server, "/api/job/", &authorization).await.status(), 200);
    eventually("the key's use is written down", async || {
        let key = server.store.keys.get(id.unwrap()).await.unwrap().unwrap();
        key.last_used_at.is_some()
    })
    .await;

    let record = server.store.keys.get(id.unwrap()).await.unwrap().unwrap();
    let revoked = record.revoke(Timestamp::now());
    assert_eq!(server.store.keys.save(&revoked).await.unwrap(), Save::Stored);
    let reply = call(&server, "/api/job/", &authorization).await;
    error("revoked", reply, 401, "authentication_failed").await;
}
