//! What a client can find out by itself; the keys, and tokens of an issuer elsewhere.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use api::{TrustedIssuer, auth::TokenKey};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, jwk::JwkSet};
use reqwest::Method;
use schemas::Timestamp;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::{
    oauth::{self, status_with},
    rig::{Server, error},
};

#[tokio::test]
async fn the_metadata_leads_to_addresses_that_are_there() {
    let server = oauth::server().await;
    let base = format!("http://{}", server.address);
    let reply = server.get("/.well-known/oauth-authorization-server").await;
    assert_eq!(reply.headers()["content-type"], "application/json");
    let told: Value = reply.json().await.unwrap();

    assert_eq!(told["issuer"], base);
    assert_eq!(told["code_challenge_methods_supported"], json!(["S256"]));
    for (name, status) in [
        ("authorization_endpoint", 400),
        ("jwks_uri", 200),
        ("token_endpoint", 405),
        ("revocation_endpoint", 405),
        ("introspection_endpoint", 405),
        ("service_documentation", 200),
    ] {
        let address = told[name].as_str().unwrap().strip_prefix(&base).unwrap();
        assert_eq!(server.get(address).await.status(), status, "{name}: {address}");
    }
    let scopes: Value = server.get("/api/o/scope/").await.json().await.unwrap();
    let expected = json!({
        "n_scopes": [["user_profile", "Your profile"]],
        "ad_scopes": [
            ["user_image", "Your pictures"],
            ["push_device", "Sending you notifications on this device"],
            ["pay_trade_order", "Your trade bills"],
            ["pay_trade_manage", "Making and refunding your trade bills"],
            ["push_send", "Sending notifications to every user of an app"],
        ],
    });
    assert_eq!(scopes, expected);
}

#[tokio::test]
async fn anybody_can_check_a_token_with_the_published_keys() {
    let old = TokenKey::generate();
    let others = vec![old.clone()];
    let server = Server::start_with(|settings| settings.other_token_keys = others).await;
    let reply = server.get("/api/o/jwks/").await;
    assert_eq!(reply.headers()["cache-control"], "public, max-age=300");
    let keys: JwkSet = reply.json().await.unwrap();
    assert_eq!(keys.keys.len(), 2);
    assert!(keys.find(old.id()).is_some(), "the key before");

    let token = server.access_token().await;
    let kid = jsonwebtoken::decode_header(&token).unwrap().kid.unwrap();
    assert_eq!(kid, server.key.id());
    let key = DecodingKey::from_jwk(keys.find(&kid).unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&["feat"]);
    let claims = jsonwebtoken::decode::<Value>(&token, &key, &validation).unwrap().claims;
    assert_eq!(claims["sub"], server.user.to_string());
    assert_eq!(claims["permissions"], json!([]));
}

#[tokio::test]
async fn a_replaced_key_signs_nobody_out() {
    let first = Server::start().await;
    let session = first.sign_in().await;
    let (old, store) = (first.key.clone(), first.store.clone());
    // The same Feat after the change: another key signs, the old one still counts.
    let second = Server::over(store, |settings| {
        settings.public_url = format!("http://{}", first.address);
        settings.other_token_keys = vec![old];
    })
    .await;
    assert_ne!(first.key.id(), second.key.id());
    let access = session["access_token"].as_str().unwrap();
    assert_eq!(status_with(&second, access).await, 200);
    let refresh = format!(
        "grant_type=refresh_token&client_id=demo&client_secret=demo-secret&refresh_token={}",
        session["refresh_token"].as_str().unwrap()
    );
    let next: Value = second.token(refresh).await.json().await.unwrap();
    assert_eq!(status_with(&second, next["access_token"].as_str().unwrap()).await, 200);
    assert_eq!(status_with(&first, next["access_token"].as_str().unwrap()).await, 401, "too early");
}

/// An issuer elsewhere: its address, and how often its keys were asked for.
async fn issuer(keys: Value) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let (asked, body) = (Arc::new(AtomicUsize::new(0)), keys.to_string());
    let count = asked.clone();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
            let mut head = [0; 4_096];
            let _ = socket.read(&mut head).await;
            let length = body.len();
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}");
            let _ = socket.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await;
        }
    });
    (url, asked)
}

fn signed(key: &TokenKey, claims: &Value) -> String {
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(key.id().to_owned());
    let pem = key.to_pem().expose_secret().as_bytes();
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_ec_pem(pem).unwrap()).unwrap()
}

#[tokio::test]
async fn tokens_of_a_trusted_issuer_count_and_no_others() {
    let (key, stranger) = (TokenKey::generate(), TokenKey::generate());
    let jwk = {
        let pem = key.to_pem().expose_secret().as_bytes();
        let encoding = EncodingKey::from_ec_pem(pem).unwrap();
        let mut jwk =
            jsonwebtoken::jwk::Jwk::from_encoding_key(&encoding, Algorithm::ES256).unwrap();
        jwk.common.key_id = Some(key.id().to_owned());
        json!(jwk)
    };
    let (url, asked) =
        issuer(json!({ "keys": [jwk, { "kty": "oct", "k": "YQ", "kid": "s" }] })).await;
    let server = Server::start_with(|settings| {
        settings.trusted_issuer = Some(TrustedIssuer {
            issuer: "https://login.example.test".to_owned(),
            audience: "feat-api".to_owned(),
            jwks_url: url,
        });
    })
    .await;
    let now = Timestamp::now().as_secs();
    let good = json!({
        "iss": "https://login.example.test", "aud": "feat-api", "sub": server.user.to_string(),
        "client_id": "portal", "scope": "openid user_image", "exp": now + 60, "iat": now,
    });
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let token = signed(&key, &good);
    assert_eq!(status_with(&server, &token).await, 200);
    let path = format!("/api/user/user-image/?uid={}", server.user);
    let reply = server.request(Method::GET, &path).bearer_auth(&token).send().await.unwrap();
    assert_eq!(reply.status(), 200, "its scope counts");
    assert_eq!(status_with(&server, &signed(&key, &with("sub", json!(server.user)))).await, 200);

    let hidden = with("scope", json!("openid"));
    let reply = server.request(Method::GET, &path).bearer_auth(signed(&key, &hidden)).send().await;
    error("another scope", reply.unwrap(), 403, "permission_denied").await;
    let cases = [
        ("another key", signed(&stranger, &good)),
        ("another issuer", signed(&key, &with("iss", json!("https://evil.test")))),
        ("another audience", signed(&key, &with("aud", json!("feat")))),
        ("our issuer", signed(&key, &with("iss", json!(format!("http://{}", server.address))))),
        ("expired", signed(&key, &with("exp", json!(now - 60)))),
        ("no expiry", signed(&key, &with("exp", Value::Null))),
        ("not yet", signed(&key, &with("nbf", json!(now + 60)))),
        ("unknown user", signed(&key, &with("sub", json!("77")))),
        ("no uid", signed(&key, &with("sub", json!("ada")))),
        ("no client", signed(&key, &with("client_id", Value::Null))),
    ];
    for (name, token) in cases {
        assert_eq!(status_with(&server, &token).await, 401, "{name}");
    }
    let own = server.access_token().await;
    assert_eq!(status_with(&server, &own).await, 200, "Feat's own count too");
    assert_eq!(asked.load(Ordering::Relaxed), 1, "strangers' keys cause no flood of fetches");
}

#[tokio::test]
async fn every_operation_asks_for_its_scope_and_nothing_else_opens_it() {
    let server = oauth::server().await;
    let narrow: Value = server
        .token(crate::rig::sign_in_with("public", "&scope=user_profile"))
        .await
        .json()
        .await
        .unwrap();
    let narrow = narrow["access_token"].as_str().unwrap();
    let document: Value = server.get("/api/openapi.json").await.json().await.unwrap();
    let mut seen = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let name = format!("{method} {path}");
            let Some(scopes) = operation["security"][0]["oauth2"].as_array() else { continue };
            let real = path.replace("{id}", "1").replace(['{', '}'], "");
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let request = || server.request(method.clone(), &real);
            assert_eq!(request().send().await.unwrap().status(), 401, "{name}: no token");
            let Some(scope) = scopes.first().and_then(Value::as_str) else { continue };
            if scope == "user_profile" {
                continue;
            }
            let reply = request().bearer_auth(narrow).send().await.unwrap();
            let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
            assert_eq!(reply.headers()["www-authenticate"], challenge, "{name}");
            error(&name, reply, 403, "permission_denied").await;
            seen += 1;
        }
    }
    assert!(seen >= 5, "{seen}");
}
