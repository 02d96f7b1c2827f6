//! What pages of other origins get to see.

use api::{CorsOrigins, Settings};
use reqwest::{Method, Response};

use crate::rig::{Server, error};

const APP: &str = "https://app.example.test";

fn open(origins: &[&str], credentials: bool) -> impl FnOnce(&mut Settings) {
    let origins: Vec<_> = origins.iter().map(|origin| (*origin).to_owned()).collect();
    move |settings| settings.cors = CorsOrigins::new(origins, credentials).unwrap()
}

async fn preflight(server: &Server, path: &str, origin: &str, method: &str) -> Response {
    server
        .request(Method::OPTIONS, path)
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", "authorization,content-type")
        .send()
        .await
        .unwrap()
}

fn names(reply: &Response, header: &str) -> Vec<String> {
    let text = reply.headers()[header].to_str().unwrap();
    text.split(',').map(|name| name.trim().to_ascii_lowercase()).collect()
}

#[tokio::test]
async fn a_preflight_of_a_listed_origin_allows_what_clients_send() {
    let server = Server::start_with(open(&[APP], false)).await;
    for (path, method) in [
        ("/api/job/", "GET"),
        ("/api/o/token/", "POST"),
        ("/api/user/user-image/1/", "PATCH"),
        ("/api/user/user-image/1/", "DELETE"),
        ("/api/nothing/", "GET"),
    ] {
        let reply = preflight(&server, path, APP, method).await;
        assert_eq!(reply.status(), 204, "{path}");
        assert_eq!(reply.headers()["access-control-allow-origin"], APP, "{path}");
        assert!(names(&reply, "access-control-allow-methods").contains(&method.to_lowercase()));
        assert!(names(&reply, "vary").contains(&"origin".to_owned()), "{path}");
        assert!(!reply.headers().contains_key("access-control-allow-credentials"), "{path}");
        let allowed = names(&reply, "access-control-allow-headers");
        for header in [
            "authorization",
            "content-type",
            "accept",
            "x-language-locale",
            "x-socket-id",
            "x-csrftoken",
            "x-fakeip",
            "x-forwarded-for",
            "x-real-ip",
            "fingerprint",
            "prefer",
            "idempotency-key",
            "if-none-match",
            "last-event-id",
        ] {
            assert!(allowed.contains(&header.to_owned()), "{header}");
        }
    }
}

#[tokio::test]
async fn other_origins_are_refused_and_read_nothing() {
    let listed = Server::start_with(open(&[APP], false)).await;
    let closed = Server::start().await;
    for (name, server, origin) in [
        ("not listed", &listed, "https://evil.test"),
        ("null", &listed, "null"),
        ("nothing is listed", &closed, APP),
    ] {
        let reply = preflight(server, "/api/job/", origin, "GET").await;
        assert!(!reply.headers().contains_key("access-control-allow-origin"), "{name}");
        assert!(!reply.headers().contains_key("access-control-allow-methods"), "{name}");
        error(name, reply, 403, "permission_denied").await;
        let call = server.request(Method::GET, "/api/job/").header("origin", origin);
        let reply = call.send().await.unwrap();
        assert!(!reply.headers().contains_key("access-control-allow-origin"), "{name}");
        assert_eq!(reply.headers()["vary"], "Origin", "{name}");
    }
}

#[tokio::test]
async fn replies_and_errors_are_readable_for_a_listed_origin() {
    let server = Server::start_with(open(&[APP], true)).await;
    let token = server.access_token().await;
    let call = |method: Method, path: &str| server.request(method, path).header("origin", APP);
    let cases = [
        ("a reply", call(Method::GET, "/api/job/").bearer_auth(&token), 200),
        ("no token", call(Method::GET, "/api/job/"), 401),
        ("unknown", call(Method::GET, "/api/nothing/"), 404),
        ("method", call(Method::PUT, "/api/job/"), 405),
        ("oauth", call(Method::POST, "/api/o/token/"), 400),
        ("no slash", call(Method::GET, "/api/job"), 301),
        ("media", call(Method::GET, "/media/1/UserImage/a.png"), 404),
        ("a plain OPTIONS", call(Method::OPTIONS, "/api/job/"), 405),
        ("document", call(Method::GET, "/api/openapi.json"), 200),
    ];
    for (name, request, status) in cases {
        let reply = request.send().await.unwrap();
        assert_eq!(reply.status(), status, "{name}");
        assert_eq!(reply.headers()["access-control-allow-origin"], APP, "{name}");
        assert_eq!(reply.headers()["access-control-allow-credentials"], "true", "{name}");
        assert_eq!(reply.headers()["vary"], "Origin", "{name}");
        let readable = names(&reply, "access-control-expose-headers");
        for header in [
            "location",
            "retry-after",
            "etag",
            "x-request-id",
            "ratelimit",
            "ratelimit-policy",
            "preference-applied",
            "idempotency-replayed",
        ] {
            assert!(readable.contains(&header.to_owned()), "{name}: {header}");
        }
    }
    for path in ["/livez", "/metrics"] {
        let reply = call(Method::GET, path).send().await.unwrap();
        assert!(!reply.headers().contains_key("access-control-allow-origin"), "{path}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_told_to_the_page() {
    let server = Server::start_with(open(&["*"], false)).await;
    let request = server.request(Method::PATCH, "/api/user/user-image/1/").header("origin", APP);
    let reply = request
        .header("content-type", "application/json")
        .body("[".repeat(4 << 20))
        .send()
        .await
        .unwrap();

    assert_eq!(reply.headers()["access-control-allow-origin"], "*");
    error("too large", reply, 413, "PAYLOAD_TOO_LARGE").await;
}
