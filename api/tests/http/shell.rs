//! Addresses, ids of requests, headers, health and documents.

use reqwest::Method;
use serde_json::Value;

use crate::rig::{Server, error};

#[tokio::test]
async fn an_address_has_one_spelling() {
    let server = Server::start().await;
    let reply = server.get("/api/job?page_size=2").await;
    assert_eq!(reply.status(), 301);
    assert_eq!(reply.headers()["location"], "/api/job/?page_size=2");

    let reply = server.request(Method::HEAD, "/api/job").send().await.unwrap();
    assert_eq!(reply.status(), 301);
    let reply = server.request(Method::POST, "/api/o/token").send().await.unwrap();
    error("POST", reply, 404, "NOT_FOUND").await;
    let reply = server.get("/api/docs").await;
    assert_eq!(reply.headers()["location"], "/api/docs/");
}

#[tokio::test]
async fn every_reply_names_its_request() {
    let server = Server::start().await;
    let with = async |id: &str| {
        let request = server.request(Method::GET, "/api/job/").header("x-request-id", id);
        let reply = request.send().await.unwrap();
        reply.headers()["x-request-id"].to_str().unwrap().to_owned()
    };

    assert_eq!(with("app-1.2_3").await, "app-1.2_3");
    assert_ne!(with("a b").await, "a b");
    assert_ne!(with(&"a".repeat(65)).await, "a".repeat(65));
    let first = server.get("/livez").await.headers()["x-request-id"].clone();
    assert_ne!(first, server.get("/livez").await.headers()["x-request-id"]);
}

#[tokio::test]
async fn replies_are_neither_kept_nor_guessed_nor_framed() {
    let server = Server::start().await;
    let api = server.get("/api/job/").await;
    assert_eq!(api.headers()["cache-control"], "no-store");
    assert_eq!(api.headers()["x-content-type-options"], "nosniff");
    let page = server.get("/api/docs/").await;
    assert_eq!(page.headers()["content-security-policy"], "frame-ancestors 'none'");
    assert_eq!(page.headers()["x-frame-options"], "DENY");
}

#[tokio::test]
async fn health_says_which_part_is_ill() {
    let server = Server::start().await;
    let live = server.get("/livez").await;
    assert_eq!(live.status(), 200);
    assert_eq!(live.json::<Value>().await.unwrap()["status"], "ok");

    let ready = server.get("/readyz").await;
    assert_eq!(ready.status(), 200);
    let body: Value = ready.json().await.unwrap();
    for part in ["store", "broker", "process"] {
        assert_eq!(body["parts"][part]["status"], "ok", "{body}");
    }
}

#[tokio::test]
async fn without_a_broker_the_process_is_degraded_and_still_ready() {
    let server = Server::start().await;
    server.broker.close().await;
    let ready = server.get("/readyz").await;

    assert_eq!(ready.status(), 200);
    let body: Value = ready.json().await.unwrap();
    assert_eq!(body["status"], "degraded", "{body}");
    assert_eq!(body["parts"]["broker"]["status"], "unavailable", "{body}");
    assert_eq!(body["parts"]["store"]["status"], "ok", "{body}");
}

#[tokio::test]
async fn requests_are_counted_by_route_method_and_status() {
    let server = Server::start().await;
    server.get("/api/job/01890a5d-ac96-774b-bcce-b302099a8057/").await;
    server.get("/nothing").await;
    let text = server.get("/metrics").await.text().await.unwrap();
    let counted = |route: &str, status: &str| {
        text.lines().any(|line| {
            line.starts_with("feat_http_requests_total{")
                && [route, status, "GET"].iter().all(|value| line.contains(&format!("\"{value}\"")))
        })
    };

    assert!(counted("/api/job/{id}/", "401"), "{text}");
    assert!(counted("none", "404"), "{text}");
    assert!(text.contains("feat_http_request_seconds"), "{text}");
    assert!(!text.contains("01890a5d"), "ids are no labels");
}

#[tokio::test]
async fn what_is_watched_is_there_before_it_happens() {
    let server = Server::start().await;
    let text = server.get("/metrics").await.text().await.unwrap();
    let series = [
        "feat_rate_limited_total{policy=\"user\"} 0",
        "feat_sign_ins_slowed_total 0",
        "feat_audit_failures_total{action=\"sign_in\"} 0",
        "feat_publish_failures_total 0",
    ];
    for line in series {
        assert!(text.lines().any(|known| known == line), "{line} is not in {text}");
        let name = line.split(['{', ' ']).next().unwrap();
        assert!(text.contains(&format!("# HELP {name} ")), "{name} is not explained");
    }
}

#[tokio::test]
async fn the_documents_are_served_and_complete() {
    let server = Server::start().await;
    let document: Value = server.get("/api/openapi.json").await.json().await.unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    assert_eq!(document, api::openapi());
    assert!(document["components"]["securitySchemes"]["bearer"].is_object());

    let page = server.get("/api/docs/").await;
    assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    assert!(page.text().await.unwrap().contains("SwaggerUIBundle"));
}

#[tokio::test]
async fn head_answers_like_get_without_a_body() {
    let server = Server::start().await;
    for path in ["/livez", "/api/openapi.json", "/api/docs/"] {
        let reply = server.request(Method::HEAD, path).send().await.unwrap();
        assert_eq!(reply.status(), 200, "{path}");
        assert!(reply.bytes().await.unwrap().is_empty(), "{path}");
    }
}
