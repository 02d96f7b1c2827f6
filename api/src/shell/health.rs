//! How the process is: whether it lives, whether it is ready for work, and what it has counted.

use std::time::Duration;

use broker::Status;
use poem::{
    Response,
    http::{StatusCode, header},
};
use serde_json::json;
use tokio::time::timeout;

use crate::state::AppState;

/// Longest time that a part may take to answer.
const PART_TIME: Duration = Duration::from_millis(2_500);

/// The process runs and answers.
pub(super) fn live() -> Response {
    reply(StatusCode::OK, &json!({ "status": "ok" }))
}

/// Ready means: reads answer, accepted work is kept, and it is published at once. While the
/// broker is away accepted work is still kept, but another process may do better.
pub(super) async fn ready(state: &AppState) -> Response {
    let store = match timeout(PART_TIME, state.store.ping()).await {
        Ok(Ok(())) => "ok",
        Ok(Err(error)) => {
            tracing::warn!(?error, "not ready: the store does not answer");
            "unavailable"
        }
        Err(_) => "slow",
    };
    let broker = match state.broker.status() {
        Status::Ready => "ok",
        Status::Blocked => "blocked",
        Status::Down => "unavailable",
    };
    let process = if state.shutdown.is_cancelled() { "stopping" } else { "ok" };
    let parts = [("store", store), ("broker", broker), ("process", process)];
    let is_ready = parts.iter().all(|(_, status)| *status == "ok");
    let parts: serde_json::Map<_, _> = parts
        .iter()
        .map(|(name, status)| ((*name).to_owned(), json!({ "status": status })))
        .collect();
    let (code, status) = if is_ready {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
    };
    reply(code, &json!({ "status": status, "parts": parts }))
}

/// The metrics in Prometheus's text form.
pub(super) fn metrics(state: &AppState) -> Response {
    Response::builder()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .header(header::CACHE_CONTROL, "no-store")
        .body(state.metrics.render())
}

fn reply(status: StatusCode, body: &serde_json::Value) -> Response {
    let mut reply = Response::builder()
        .status(status)
        .content_type("application/json")
        .header(header::CACHE_CONTROL, "no-store");
    if status == StatusCode::SERVICE_UNAVAILABLE {
        reply = reply.header(header::RETRY_AFTER, 1);
    }
    reply.body(body.to_string())
}
