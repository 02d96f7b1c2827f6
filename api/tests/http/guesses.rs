//! Wrong passwords: what they cost, whom, and what is written down.

use api::{Network, Settings};
use reqwest::{Method, Response};
use schemas::audit::{Action, AuditRecord};
use serde_json::Value;

use crate::rig::{PASSWORD, Server, USERNAME, good_sign_in};

fn behind_a_proxy(settings: &mut Settings) {
    settings.trusted_proxies = vec!["127.0.0.1".parse::<Network>().unwrap()];
}

async fn sign_in(
    server: &Server,
    from: &str,
    device: &str,
    username: &str,
    password: &str,
) -> Response {
    let form = [
        ("grant_type", "password"),
        ("client_id", "demo"),
        ("client_secret", "demo-secret"),
        ("username", username),
        ("password", password),
        ("device_id", device),
    ];
    let request = server.request(Method::POST, "/api/o/token/").header("x-forwarded-for", from);
    request.form(&form).send().await.unwrap()
}

const THIEF: &str = "203.0.113.9";

#[tokio::test]
async fn guessing_is_slowed_for_the_guesser_and_nobody_is_locked_out() {
    let server = Server::start_with(behind_a_proxy).await;
    let own = sign_in(&server, THIEF, "web:mine", USERNAME, PASSWORD).await;
    assert_eq!(own.status(), 200, "the device is known from here on");
    let mut refused = 0;
    let slowed = loop {
        let reply = sign_in(&server, THIEF, "web:thief", USERNAME, "guess").await;
        if reply.status() == 429 {
            break reply;
        }
        assert_eq!(reply.status(), 400);
        refused += 1;
        assert!(refused <= 10, "guessing is never slowed");
    };
    assert!(refused > 5);
    let after: u64 = slowed.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!(after >= 1);
    assert_eq!(slowed.headers()["cache-control"], "no-store");
    let body: Value = slowed.json().await.unwrap();
    assert_eq!(body["error"], "temporarily_unavailable", "{body}");

    let cases = [
        ("from elsewhere", "198.51.100.1", "phone:new"),
        ("a known device, from the thief's own address", THIEF, "web:mine"),
    ];
    for (name, from, device) in cases {
        let reply = sign_in(&server, from, device, USERNAME, PASSWORD).await;
        assert_eq!(reply.status(), 200, "{name}");
    }
}

#[tokio::test]
async fn an_unknown_name_looks_like_a_wrong_password() {
    let server = Server::start_with(behind_a_proxy).await;
    let mut seen = vec![];
    for (from, username) in [("203.0.113.1", USERNAME), ("203.0.113.2", "nobody")] {
        let mut replies = vec![];
        for _ in 0..6 {
            let reply = sign_in(&server, from, "web:x", username, "guess").await;
            let status = reply.status().as_u16();
            let mut headers: Vec<_> =
                reply.headers().keys().map(|name| name.as_str().to_owned()).collect();
            headers.sort();
            replies.push((status, headers, reply.text().await.unwrap()));
        }
        seen.push(replies);
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn sign_ins_and_refusals_are_written_down_without_secrets() {
    let server = Server::start_with(behind_a_proxy).await;
    let demo = server.user;
    sign_in(&server, THIEF, "web:1", USERNAME, "a-wrong-guess").await;
    sign_in(&server, THIEF, "web:1", "a-typed-name", "a-wrong-guess").await;
    sign_in(&server, THIEF, "web:1", "disabled", PASSWORD).await;
    sign_in(&server, THIEF, "web:1", USERNAME, PASSWORD).await;
    server.token(good_sign_in().replace("demo-secret", "not-the-secret")).await;

    let entries = server.audit().await;
    let told: Vec<_> = entries
        .iter()
        .rev()
        .map(|entry| (entry.action, entry.owner == demo, entry.detail.as_deref().unwrap()))
        .collect();
    let scopes = format!("scopes: {}", schemas::Scopes::all());
    let expected = [
        (Action::SignInRefused, true, "wrong password"),
        (Action::SignInRefused, false, "no such account"),
        (Action::SignInRefused, false, "the account is disabled"),
        (Action::SignIn, true, scopes.as_str()),
        (Action::ClientRefused, false, "the client is unknown or its secret is wrong"),
    ];
    assert_eq!(told, expected);
    let sign_in: &AuditRecord = &entries[1];
    assert_eq!(sign_in.address.as_deref(), Some(THIEF));
    assert_eq!(sign_in.device.as_deref(), Some("web:1"));
    assert!(sign_in.subject.is_some() && sign_in.request_id.is_some());
    let all = serde_json::to_string(&entries).unwrap();
    for secret in ["a-wrong-guess", "a-typed-name", PASSWORD, "demo-secret", "not-the-secret"] {
        assert!(!all.contains(secret), "{secret}: {all}");
    }
}

#[tokio::test]
async fn strangers_do_not_fill_the_audit_record() {
    let server = Server::start().await;
    for number in 0..30 {
        for body in [
            good_sign_in().replace("=demo&", &format!("=stranger-{number}&")),
            good_sign_in().replace("client_id=demo&", ""),
            good_sign_in().replace("=demo&", "=a/b&"),
        ] {
            assert_eq!(server.token(body).await.status(), 401);
        }
    }
    assert_eq!(server.audit().await, [], "nobody knows these");

    let wrong = good_sign_in().replace("demo-secret", "not-the-secret");
    for _ in 0..40 {
        assert_eq!(server.token(wrong.clone()).await.status(), 401);
    }
    assert_eq!(server.token(wrong.replace("=demo&", "=other&")).await.status(), 401);
    let entries = server.audit().await;
    assert!(entries.iter().all(|entry| entry.action == Action::ClientRefused));
    let of = |id: &str| {
        let named =
            |entry: &&AuditRecord| entry.client.as_ref().is_some_and(|own| own.as_str() == id);
        entries.iter().filter(named).count()
    };
    assert_eq!((of("demo"), of("other")), (20, 1), "each client has its own bound");
    let metrics = server.get("/metrics").await.text().await.unwrap();
    for client in ["unknown", "known"] {
        let name = format!("feat_clients_refused_total{{client=\"{client}\"}}");
        assert!(metrics.contains(&name), "{name}");
    }
}

#[tokio::test]
async fn a_disabled_client_signs_nobody_in() {
    let server = Server::start().await;
    let mut client = server.store.clients.get(&"demo".parse().unwrap()).await.unwrap().unwrap();
    client.version += 1;
    client.disabled_at = Some(schemas::Timestamp::now());
    assert_eq!(server.store.clients.save(&client).await.unwrap(), store::Save::Stored);

    let reply = server.token(good_sign_in()).await;
    assert_eq!(reply.status(), 401);
    let body: Value = reply.json().await.unwrap();
    assert_eq!(body["error"], "invalid_client");
}
