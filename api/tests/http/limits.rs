//! How much one caller may ask for.

use std::time::Duration;

use api::{Network, Quota, Settings};
use reqwest::{Method, Response};
use schemas::{Scopes, account::UserRecord};
use serde_json::Value;

use crate::rig::{Server, error, good_sign_in, sign_in_with};

fn quota(requests: u32) -> Quota {
    Quota { requests, window: Duration::from_hours(1) }
}

/// Limits that a test reaches, and a proxy that it may play.
fn narrow(settings: &mut Settings) {
    settings.rates.address = Some(quota(5));
    settings.rates.user = Some(quota(8));
    settings.rates.client = Some(quota(6));
    settings.trusted_proxies = vec!["127.0.0.1".parse::<Network>().unwrap()];
}

async fn anonymous(server: &Server, from: &str) -> Response {
    server.request(Method::GET, "/api/job/").header("x-forwarded-for", from).send().await.unwrap()
}

fn header<'r>(reply: &'r Response, name: &str) -> &'r str {
    reply.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}

#[tokio::test]
async fn an_address_without_credentials_is_limited_and_told_how_much_is_left() {
    let server = Server::start_with(narrow).await;
    for left in (0..5).rev() {
        let reply = anonymous(&server, "203.0.113.9").await;
        assert_eq!(reply.status(), 401);
        assert_eq!(header(&reply, "ratelimit-policy"), "\"address\";q=5;w=3600");
        let limit = header(&reply, "ratelimit");
        assert!(limit.starts_with(&format!("\"address\";r={left};t=")), "{limit}");
    }
    let reply = anonymous(&server, "203.0.113.9").await;
    let after: u64 = header(&reply, "retry-after").parse().unwrap();
    assert!((700..=720).contains(&after), "an hour divided by five, not {after} s");
    assert!(header(&reply, "ratelimit").starts_with("\"address\";r=0;t="));
    error("address", reply, 429, "RATE_LIMITED").await;

    assert_eq!(anonymous(&server, "203.0.113.10").await.status(), 401, "another address");
    assert_eq!(anonymous(&server, "203.0.113.9, 203.0.113.11").await.status(), 401, "made up");
    let ipv6 = async |host: u32| anonymous(&server, &format!("2001:db8::{host:x}")).await.status();
    for host in 0..5 {
        assert_eq!(ipv6(host).await, 401);
    }
    assert_eq!(ipv6(77).await, 429, "one caller has 64 bits of IPv6");
    assert_eq!(server.get("/livez").await.status(), 200, "health is never limited");
}

#[tokio::test]
async fn documents_are_limited_by_the_address_too() {
    let server = Server::start_with(narrow).await;
    let read = async |path: &str, from: &str| {
        server.request(Method::GET, path).header("x-forwarded-for", from).send().await.unwrap()
    };
    let paths = ["/api/openapi.json", "/api/docs/", "/.well-known/oauth-authorization-server"];
    for path in paths.iter().cycle().take(5) {
        assert_eq!(read(path, "203.0.113.9").await.status(), 200, "{path}");
    }
    for path in paths {
        error(path, read(path, "203.0.113.9").await, 429, "RATE_LIMITED").await;
        assert_eq!(read(path, "203.0.113.10").await.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn nobody_is_believed_who_is_no_trusted_proxy() {
    let server = Server::start_with(|settings| {
        narrow(settings);
        settings.trusted_proxies = vec![];
    })
    .await;
    for host in 0..5 {
        assert_eq!(anonymous(&server, &format!("203.0.113.{host}")).await.status(), 401);
    }
    assert_eq!(anonymous(&server, "203.0.113.99").await.status(), 429);
}

#[tokio::test]
async fn a_user_is_limited_through_all_addresses_and_nobody_else_with_it() {
    let server = Server::start_with(narrow).await;
    let token = server.access_token().await;
    let key = server.api_key(|_| {}).await;
    let call = async |authorization: String, from: String| {
        let request = server.request(Method::GET, "/api/job/").header("x-forwarded-for", from);
        request.header("authorization", authorization).send().await.unwrap()
    };
    for host in 0..4 {
        let from = || format!("203.0.113.{host}");
        let reply = call(format!("Bearer {token}"), from()).await;
        assert_eq!(reply.status(), 200);
        assert!(header(&reply, "ratelimit").starts_with("\"user\";r="), "no other limit counts");
        assert_eq!(call(format!("Token {key}"), from()).await.status(), 200);
    }
    let reply = call(format!("Bearer {token}"), "203.0.113.50".to_owned()).await;
    error("user", reply, 429, "RATE_LIMITED").await;

    let hash = server.store.users.get(server.user).await.unwrap().unwrap();
    let other =
        UserRecord { id: schemas::UserId::generate(), username: "other".to_owned(), ..hash };
    let id = other.id;
    assert_eq!(server.store.users.insert(&other).await.unwrap(), store::Insert::Stored);
    let other = server.api_key(|key| key.owner = id).await;
    let reply = call(format!("Token {other}"), "203.0.113.0".to_owned()).await;
    assert_eq!(reply.status(), 200, "another user behind the same address");
}

#[tokio::test]
async fn wrong_tokens_are_counted_against_their_address() {
    let server = Server::start_with(narrow).await;
    let call = async |authorization: &'static str| {
        let request = server.request(Method::GET, "/api/job/");
        request.header("authorization", authorization).send().await.unwrap().status()
    };
    for _ in 0..5 {
        assert_eq!(call("Bearer wrong").await, 401);
    }
    assert_eq!(call("Bearer wrong").await, 429);
    assert_eq!(call("Token wrong").await, 429);
}

#[tokio::test]
async fn the_token_endpoint_counts_clients_that_are_right_and_addresses_that_are_wrong() {
    let server = Server::start_with(narrow).await;
    for left in (0..6).rev() {
        let reply = server.token(good_sign_in()).await;
        assert_eq!(reply.status(), 200);
        let limit = header(&reply, "ratelimit");
        assert!(limit.starts_with(&format!("\"client\";r={left};t=")), "{limit}");
    }
    let reply = server.token(good_sign_in()).await;
    assert_eq!(reply.status(), 429);
    assert_eq!(header(&reply, "cache-control"), "no-store");
    assert!(!header(&reply, "retry-after").is_empty());
    let body: Value = reply.json().await.unwrap();
    assert_eq!(body["error"], "temporarily_unavailable", "{body}");
    assert!(body.get("code").is_none(), "{body}");

    for _ in 0..4 {
        let reply = server.token(good_sign_in().replace("=demo&", "=nobody&")).await;
        assert_eq!(reply.status(), 401);
    }
    let reply = server.token(good_sign_in().replace("=demo&", "=nobody&")).await;
    assert_eq!(reply.status(), 429, "the refusal by the client's limit counted as well");
    let body: Value = reply.json().await.unwrap();
    assert_eq!(body["error"], "temporarily_unavailable", "{body}");
}

/// A form to an OAuth2 operation, from this address.
async fn form(server: &Server, path: &str, from: &str, form: String) -> Response {
    let request = server.request(Method::POST, path).header("x-forwarded-for", from);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    request.body(form).send().await.unwrap()
}

#[tokio::test]
async fn what_proves_nothing_counts_against_its_address_and_not_against_the_client_that_it_names() {
    let server = Server::start_with(narrow).await;
    let refresh = "grant_type=refresh_token&client_id=public&refresh_token=x";
    let cases = [
        ("/api/o/revoke_token/", "client_id=public&token=x", 200),
        ("/api/o/introspect/", "client_id=public&token=x", 401),
        ("/api/o/token/", refresh, 400),
        ("/api/o/jwks/", "", 200),
        ("/api/o/scope/", "", 200),
    ];
    for (host, (path, body, status)) in cases.into_iter().enumerate() {
        let from = format!("203.0.113.{host}");
        let call = async || match body {
            "" => {
                let request = server.request(Method::GET, path);
                request.header("x-forwarded-for", &from).send().await.unwrap()
            }
            body => form(&server, path, &from, body.to_owned()).await,
        };
        for left in (0..5).rev() {
            let reply = call().await;
            assert_eq!(reply.status(), status, "{path}");
            let limit = header(&reply, "ratelimit");
            assert!(limit.starts_with(&format!("\"address\";r={left};t=")), "{path}: {limit}");
            assert!(!limit.contains("client"), "{path}: {limit}");
        }
        assert_eq!(call().await.status(), 429, "{path}");
    }

    let reply = form(&server, "/api/o/token/", "203.0.113.99", sign_in_with("public", "")).await;
    assert_eq!(reply.status(), 200, "strangers have used up nothing of the client");
}

#[tokio::test]
async fn users_of_a_public_client_are_counted_by_themselves_behind_one_address() {
    let server = Server::start_with(narrow).await;
    let token = async |body| form(&server, "/api/o/token/", "203.0.113.9", body).await;
    let mut reply = token(sign_in_with("public", "")).await;
    let next = async |reply: Response| {
        assert_eq!(reply.status(), 200);
        let body: Value = reply.json().await.unwrap();
        let refresh = body["refresh_token"].as_str().unwrap();
        let body = format!("grant_type=refresh_token&client_id=public&refresh_token={refresh}");
        token(body).await
    };
    for left in (0..8).rev() {
        assert_eq!(reply.status(), 200);
        let limit = header(&reply, "ratelimit").to_owned();
        assert!(limit.starts_with(&format!("\"user\";r={left};t=")), "{limit}");
        assert!(!limit.contains("address") && !limit.contains("client"), "{limit}");
        reply = next(reply).await;
    }
    for left in (0..5).rev() {
        let limit = header(&reply, "ratelimit").to_owned();
        assert!(limit.starts_with(&format!("\"address\";r={left};t=")), "{limit}");
        reply = next(reply).await;
    }
    assert_eq!(reply.status(), 429, "one user has no more than the own limit and the address's");
}

#[tokio::test]
async fn what_is_limited_can_be_seen_in_the_metrics() {
    let server = Server::start_with(narrow).await;
    for _ in 0..6 {
        anonymous(&server, "198.51.100.1").await;
    }
    let text = server.get("/metrics").await.text().await.unwrap();

    assert!(text.contains("feat_rate_limited_total{policy=\"address\"}"), "{text}");
}

#[tokio::test]
async fn limits_that_are_off_count_nothing() {
    let server = Server::start_with(|settings| {
        settings.rates.address = None;
        settings.rates.user = None;
        settings.rates.client = None;
    })
    .await;
    let key = server.api_key(|key| key.scopes = Scopes::all()).await;
    let request = server.request(Method::GET, "/api/job/");
    let reply = request.header("authorization", format!("Token {key}")).send().await.unwrap();

    assert_eq!(reply.status(), 200);
    assert_eq!(header(&reply, "ratelimit"), "");
}
