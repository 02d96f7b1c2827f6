//! How the process is: whether it lives, whether it is ready for work, and what it has counted.

use std::time::Duration;

use broker::Status;
use poem::{
    Response,
    http::{StatusCode, header},
};
use serde_json::json;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use crate::state::AppState;

/// Longest time that a part may take to answer.
const PART_TIME: Duration = Duration::from_millis(2_500);

/// How long what the store said counts for everybody who asks.
const FRESH: Duration = Duration::from_secs(1);

/// What a part said last. Those who ask meanwhile share the answer.
#[derive(Debug, Default)]
pub(super) struct Latest(Mutex<Option<(Instant, &'static str)>>);

impl Latest {
    async fn or(&self, ask: impl AsyncFnOnce() -> &'static str) -> &'static str {
        let mut latest = self.0.lock().await;
        if let Some((at, status)) = *latest
            && at.elapsed() < FRESH
        {
            return status;
        }
        let status = ask().await;
        *latest = Some((Instant::now(), status));
        status
    }
}

/// The one trouble that work is accepted in.
const BROKER_AWAY: (&str, &str) = ("broker", "unavailable");

/// The process runs and answers.
pub(super) fn live() -> Response {
    reply(StatusCode::OK, &json!({ "status": "ok" }))
}

/// Ready means: reads answer and accepted work is kept. While the broker is away that is so: what
/// is accepted is published when it is back, so the process is only `degraded`. A blocked broker
/// is another matter, because then intake refuses work. The store is asked once a second, however
/// many ask.
pub(super) async fn ready(state: &AppState, store: &Latest) -> Response {
    let store = store.or(async || ask_store(state).await).await;
    let broker = match state.broker.status() {
        Status::Ready => "ok",
        Status::Blocked => "blocked",
        Status::Down => BROKER_AWAY.1,
    };
    let process = if state.shutdown.is_cancelled() { "stopping" } else { "ok" };
    let parts = [("store", store), ("broker", broker), ("process", process)];
    let is_ready = parts.iter().all(|part| part.1 == "ok" || *part == BROKER_AWAY);
    let is_whole = parts.iter().all(|(_, status)| *status == "ok");
    let parts: serde_json::Map<_, _> = parts
        .iter()
        .map(|(name, status)| ((*name).to_owned(), json!({ "status": status })))
        .collect();
    let (code, status) = match (is_ready, is_whole) {
        (true, true) => (StatusCode::OK, "ok"),
        (true, false) => (StatusCode::OK, "degraded"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    reply(code, &json!({ "status": status, "parts": parts }))
}

async fn ask_store(state: &AppState) -> &'static str {
    match timeout(PART_TIME, state.store.ping()).await {
        Ok(Ok(())) => "ok",
        Ok(Err(error)) => {
            tracing::warn!(?error, "not ready: the store does not answer");
            "unavailable"
        }
        Err(_) => "slow",
    }
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_part_is_asked_once_a_second_however_many_ask() {
        let (latest, asked) = (Latest::default(), AtomicU32::new(0));
        let ask = || {
            latest.or(async || {
                asked.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(10)).await;
                "ok"
            })
        };

        assert_eq!(futures::future::join_all((0..100).map(|_| ask())).await, ["ok"; 100]);
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        tokio::time::advance(FRESH).await;
        ask().await;
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }
}
