//! Access tokens at the door of a route.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use schemas::Timestamp;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::rig::{Server, error};

const ROUTE: &str = "/api/job/";

#[tokio::test]
async fn a_good_token_opens_and_no_other() {
    let server = Server::start().await;
    let good = server.access_token().await;
    let parts: Vec<_> = good.split('.').collect();
    let none = URL_SAFE_NO_PAD
        .encode(json!({ "alg": "none", "typ": "JWT", "kid": server.key.id() }).to_string());
    let other = Server::start().await;
    let foreign = other.access_token().await;
    let mut claims: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    claims["exp"] = json!(Timestamp::now().as_secs() - 10);
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(server.key.id().to_owned());
    let pem = server.key.to_pem().expose_secret().as_bytes();
    let key = EncodingKey::from_ec_pem(pem).unwrap();
    let expired = jsonwebtoken::encode(&header, &claims, &key).unwrap();
    let mut changed = good.clone().into_bytes();
    let middle = good.len() / 2;
    changed[middle] = if changed[middle] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();

    let open = |authorization: String| {
        server.request(Method::GET, ROUTE).header("authorization", authorization).send()
    };
    for scheme in ["Bearer", "bearer"] {
        let reply = open(format!("{scheme} {good}")).await.unwrap();
        assert_eq!(reply.status(), 200, "{scheme}");
    }
    let cases = [
        ("alg none", format!("Bearer {none}.{}.", parts[1])),
        ("changed", format!("Bearer {changed}")),
        ("of another Feat", format!("Bearer {foreign}")),
        ("expired", format!("Bearer {expired}")),
        ("huge", format!("Bearer {}", "a".repeat(8_000))),
        ("empty", "Bearer ".to_owned()),
        ("no token", "Bearer".to_owned()),
        ("odd bytes", "Bearer \u{e9}".to_owned()),
    ];
    for (name, authorization) in cases {
        let reply = open(authorization).await.unwrap();
        assert_eq!(reply.headers()["www-authenticate"], "Bearer error=\"invalid_token\"", "{name}");
        error(name, reply, 401, "authentication_failed").await;
    }
}

#[tokio::test]
async fn without_a_bearer_token_a_caller_is_not_authenticated() {
    let server = Server::start().await;
    let plain = server.get(ROUTE).await;
    assert_eq!(plain.headers()["www-authenticate"], "Bearer");
    let body = error("no header", plain, 401, "not_authenticated").await;
    assert_eq!(body["data"], Value::Null);

    let other = server
        .request(Method::GET, ROUTE)
        .header("authorization", "Basic ZGVtbzpkZW1vLXNlY3JldA==")
        .send()
        .await
        .unwrap();
    error("another scheme", other, 401, "not_authenticated").await;
}

#[tokio::test]
async fn a_token_without_the_scope_is_told_which_one() {
    let server = Server::start().await;
    let body = crate::rig::sign_in_with("public", "&scope=user_profile");
    let body: Value = server.token(body).await.json().await.unwrap();
    let reply = server
        .request(Method::GET, "/api/user/user-image/?uid=1")
        .bearer_auth(body["access_token"].as_str().unwrap())
        .send()
        .await
        .unwrap();

    let challenge = "Bearer error=\"insufficient_scope\", scope=\"user_image\"";
    assert_eq!(reply.headers()["www-authenticate"], challenge);
    error("scope", reply, 403, "permission_denied").await;
}

#[tokio::test]
async fn two_credentials_are_none() {
    let server = Server::start().await;
    let good = format!("Bearer {}", server.access_token().await);
    let cases = [
        ("the same twice", [good.as_str(), good.as_str()]),
        ("a good one first", [good.as_str(), "Bearer x"]),
        ("a good one last", ["Bearer x", good.as_str()]),
        ("another scheme", [good.as_str(), "Basic ZGVtbzpkZW1vLXNlY3JldA=="]),
    ];
    for (name, [first, second]) in cases {
        let request = server.request(Method::GET, ROUTE).header("authorization", first);
        let reply = request.header("authorization", second).send().await.unwrap();
        assert_eq!(reply.headers()["www-authenticate"], "Bearer error=\"invalid_token\"", "{name}");
        error(name, reply, 401, "authentication_failed").await;
    }
}

#[tokio::test]
async fn two_credentials_of_a_client_are_refused_in_the_shape_of_the_token_endpoint() {
    let server = Server::start().await;
    let basic = "Basic ZGVtbzpkZW1vLXNlY3JldA==";
    let reply = server
        .request(Method::POST, "/api/o/token/")
        .header("authorization", basic)
        .header("authorization", basic)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(crate::rig::sign_in_with("demo", ""))
        .send()
        .await
        .unwrap();

    assert_eq!(reply.status(), 401);
    assert_eq!(reply.headers()["content-type"], "application/json");
    assert_eq!(reply.headers()["www-authenticate"], "Basic realm=\"feat\"");
    let body: Value = reply.json().await.unwrap();
    assert_eq!(body["error"], "invalid_client");
}
