//! `POST /api/o/token/`: what it refuses, in the words of RFC 6749, and what it grants.

use reqwest::Method;
use schemas::Timestamp;
use serde_json::{Value, json};

use crate::rig::{Server, USERNAME, good_sign_in, sign_in_with};

const SECRET: &str = "&client_secret=demo-secret";

/// Name, body, status, `error`, and `error_description` where it matters.
type Refusal<'a> = (&'a str, String, u16, &'a str, &'a str);

async fn refused(server: &Server, cases: impl IntoIterator<Item = Refusal<'_>>) {
    for (name, body, status, code, description) in cases {
        let reply = server.token(body).await;
        assert_eq!(reply.status(), status, "{name}");
        let headers = reply.headers().clone();
        assert_eq!(headers["content-type"], "application/json", "{name}");
        assert_eq!(headers["cache-control"], "no-store", "{name}");
        assert_eq!(headers["pragma"], "no-cache", "{name}");
        assert_eq!(headers.contains_key("www-authenticate"), status == 401, "{name}");
        let body: Value = reply.json().await.unwrap();
        assert_eq!(body["error"], code, "{name}: {body}");
        assert!(body.get("code").is_none(), "{name}: {body}");
        let told = body["error_description"].as_str().unwrap();
        assert!(description.is_empty() || told == description, "{name}: {body}");
    }
}

#[tokio::test]
async fn a_request_or_client_that_is_not_right_is_refused() {
    const REQUEST: &str = "invalid_request";
    const CLIENT: &str = "invalid_client";
    let server = Server::start().await;
    let good = good_sign_in();
    let without = |part: &str| good.replace(part, "");
    let with = |from: &str, to: &str| good.replace(from, to);
    let no_grant = "grant_type is required";
    let cases = [
        ("nothing", String::new(), 400, REQUEST, no_grant),
        ("no grant", without("grant_type=password&"), 400, REQUEST, no_grant),
        ("repeated", format!("{good}&scope=a&scope=a"), 400, REQUEST, "a parameter is repeated"),
        ("no client", without("&client_id=demo"), 401, CLIENT, ""),
        ("unknown client", with("=demo&", "=nobody&"), 401, CLIENT, ""),
        ("client of no form", with("=demo&", "=%2F&"), 401, CLIENT, ""),
        ("wrong secret", with("demo-secret", "guess"), 401, CLIENT, ""),
        ("no secret", without(SECRET), 401, CLIENT, ""),
        ("secret of a public client", sign_in_with("public", SECRET), 401, CLIENT, ""),
        (
            "client before grant",
            with("=password&", "=magic&").replace("=demo&", "=x&"),
            401,
            CLIENT,
            "",
        ),
        ("unknown grant", with("=password&", "=magic&"), 400, "unsupported_grant_type", ""),
        ("grant of others", sign_in_with("refresh-only", ""), 400, "unauthorized_client", ""),
        ("unknown scope", format!("{good}&scope=root"), 400, "invalid_scope", ""),
        ("too much", sign_in_with("narrow", "&scope=user_profile"), 400, "invalid_scope", ""),
    ];
    refused(&server, cases).await;
}

#[tokio::test]
async fn a_user_or_refresh_token_that_is_not_right_is_refused() {
    const REQUEST: &str = "invalid_request";
    const GRANT: &str = "invalid_grant";
    let server = Server::start().await;
    let good = good_sign_in();
    let without = |part: &str| good.replace(part, "");
    let with = |from: &str, to: &str| good.replace(from, to);
    let user = format!("&username={}", USERNAME.replace('+', "%2B"));
    let session = server.sign_in().await;
    let token = refresh_token(&session);
    let no_device = "device_id is required";
    let other = refresh(token).replace("=demo", "=other");
    let cases = [
        ("no device", without("&device_id=web:1"), 400, REQUEST, no_device),
        ("empty device", with("web:1", ""), 400, REQUEST, no_device),
        ("odd device", with("web:1", "a%00"), 400, REQUEST, "device_id is not valid"),
        ("no user", without(&user), 400, REQUEST, "username is required"),
        ("no password", without("&password=demo-password"), 400, REQUEST, "password is required"),
        ("wrong password", with("demo-password", "guess"), 400, GRANT, ""),
        ("unknown user", with("13800000001", "1"), 400, GRANT, ""),
        ("disabled user", with(&user, "&username=disabled"), 400, GRANT, ""),
        ("no refresh token", refresh(""), 400, REQUEST, "refresh_token is required"),
        ("made up", refresh("r9Zk3b"), 400, GRANT, ""),
        ("of another client", other, 400, GRANT, ""),
        ("more scope", format!("{}&scope=root", refresh(token)), 400, "invalid_scope", ""),
        ("an access token", refresh(session["access_token"].as_str().unwrap()), 400, GRANT, ""),
    ];
    refused(&server, cases).await;
    assert_eq!(server.token(refresh(token)).await.status(), 200, "no refusal used it up");
}

#[tokio::test]
async fn a_request_of_another_form_is_refused_in_the_same_shape() {
    let server = Server::start().await;
    let send = |content_type: &'static str, body: Vec<u8>| {
        let request = server.request(Method::POST, "/api/o/token/").body(body);
        if content_type.is_empty() { request } else { request.header("content-type", content_type) }
    };
    let form = "application/x-www-form-urlencoded";
    let cases = [
        ("json", "application/json", b"{}".to_vec()),
        ("no content type", "", good_sign_in().into_bytes()),
        ("no body", "", vec![]),
        ("not UTF-8", form, vec![0xff, 0xfe]),
        ("20 kB", form, vec![b'a'; 20_000]),
    ];
    for (name, content_type, body) in cases {
        let reply = send(content_type, body).send().await.unwrap();
        assert_eq!(reply.status(), 400, "{name}");
        let body: Value = reply.json().await.unwrap();
        assert_eq!(body["error"], "invalid_request", "{name}");
    }
}

#[tokio::test]
async fn a_sign_in_answers_what_clients_read() {
    let server = Server::start().await;
    let reply = server.token(good_sign_in()).await;

    assert_eq!(reply.status(), 200);
    assert_eq!(reply.headers()["cache-control"], "no-store");
    assert_eq!(reply.headers()["pragma"], "no-cache");
    let body: Value = reply.json().await.unwrap();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["expires_in"], 900);
    assert_eq!(body["scope"], schemas::Scopes::all().to_string());
    assert!(body["access_token"].is_string() && body["refresh_token"].is_string());
}

#[tokio::test]
async fn clients_prove_themselves_in_the_header_or_the_body() {
    let server = Server::start().await;
    // demo:demo-secret, demo:guess, other:other-secret
    let good = "Basic ZGVtbzpkZW1vLXNlY3JldA==";
    let wrong = "Basic ZGVtbzpndWVzcw==";
    let other = "Basic b3RoZXI6b3RoZXItc2VjcmV0";
    let bare = sign_in_with("demo", "").replace("&client_id=demo", "");
    let cases = [
        ("header alone", good, bare.clone(), 200, Value::Null),
        ("header, id in the body too", good, sign_in_with("demo", ""), 200, Value::Null),
        ("wrong secret", wrong, bare.clone(), 401, json!("invalid_client")),
        ("unsupported scheme", "Digest x", bare, 401, json!("invalid_client")),
        ("two secrets", good, good_sign_in(), 400, json!("invalid_request")),
        ("two clients", other, sign_in_with("demo", ""), 400, json!("invalid_request")),
    ];
    for (name, authorization, body, status, code) in cases {
        let reply = server.token_as(Some(authorization), body).await;
        assert_eq!(reply.status(), status, "{name}");
        let body: Value = reply.json().await.unwrap();
        assert_eq!(body.get("error").cloned().unwrap_or_default(), code, "{name}");
    }
}

#[tokio::test]
async fn scopes_are_narrowed_by_client_and_by_request() {
    let server = Server::start().await;
    let cases = [
        ("all of a narrow client", sign_in_with("narrow", "&scope=all"), "user_image"),
        ("left out", sign_in_with("narrow", ""), "user_image"),
        ("one of two", sign_in_with("public", "&scope=user_profile"), "user_profile"),
    ];
    for (name, body, scope) in cases {
        let body: Value = server.token(body).await.json().await.unwrap();
        assert_eq!(body["scope"], scope, "{name}");
    }
}

fn refresh(token: &str) -> String {
    format!(
        "grant_type=refresh_token&client_id=demo&client_secret=demo-secret&refresh_token={token}"
    )
}

fn refresh_token(body: &Value) -> &str {
    body["refresh_token"].as_str().unwrap()
}

#[tokio::test]
async fn a_refresh_token_counts_once_and_a_lost_reply_is_repeated() {
    let server = Server::start().await;
    let first = server.sign_in().await;
    let next: Value = server.token(refresh(refresh_token(&first))).await.json().await.unwrap();
    let again: Value = server.token(refresh(refresh_token(&first))).await.json().await.unwrap();

    assert_ne!(refresh_token(&first), refresh_token(&next));
    assert_eq!(refresh_token(&next), refresh_token(&again), "the reply that got lost");
    let reply = server.token(refresh(refresh_token(&next))).await;
    assert_eq!(reply.status(), 200, "the session goes on");
}

#[tokio::test]
async fn parallel_refreshes_share_one_next_token() {
    let server = Server::start().await;
    let first = server.sign_in().await;
    let calls = (0..8).map(|_| async {
        let reply = server.token(refresh(refresh_token(&first))).await;
        let body: Value = reply.json().await.unwrap();
        refresh_token(&body).to_owned()
    });
    let mut tokens = futures::future::join_all(calls).await;
    tokens.dedup();

    assert_eq!(tokens.len(), 1, "{tokens:?}");
}

#[tokio::test]
async fn a_refresh_token_used_again_later_ends_the_session() {
    let server =
        Server::start_with(|settings| settings.refresh_grace = std::time::Duration::ZERO).await;
    let first = server.sign_in().await;
    let next: Value = server.token(refresh(refresh_token(&first))).await.json().await.unwrap();
    let stolen = server.token(refresh(refresh_token(&first))).await;

    assert_eq!(stolen.status(), 400);
    let after = server.token(refresh(refresh_token(&next))).await;
    let body: Value = after.json().await.unwrap();
    assert_eq!(body["error"], "invalid_grant", "both holders are signed out");
}

#[tokio::test]
async fn a_user_who_was_disabled_cannot_refresh() {
    let server = Server::start().await;
    let first = server.sign_in().await;
    let mut user = server.store.users.get(server.user).await.unwrap().unwrap();
    user.version += 1;
    user.disabled_at = Some(Timestamp::now());
    assert!(matches!(server.store.users.save(&user).await.unwrap(), store::Save::Stored));

    let reply = server.token(refresh(refresh_token(&first))).await;
    assert_eq!(reply.status(), 400);
}

#[tokio::test]
async fn too_many_passwords_at_a_time_are_sent_away() {
    let server = Server::start_with(|settings| settings.limits.waiting_passwords = 0).await;
    let replies = futures::future::join_all((0..40).map(|_| server.token(good_sign_in()))).await;
    let mut shed = 0;
    for reply in replies {
        if reply.status() == 200 {
            continue;
        }
        assert_eq!(reply.status(), 503);
        assert_eq!(reply.headers()["retry-after"], "1");
        let body: Value = reply.json().await.unwrap();
        assert_eq!(body["error"], "temporarily_unavailable");
        shed += 1;
    }
    assert!(shed > 0);
}
