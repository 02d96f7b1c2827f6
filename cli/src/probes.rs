//! What a worker answers over HTTP when it is told to: is it alive, is it ready, its metrics.

use std::time::Duration;

use broker::{Broker, Status};
use metrics_exporter_prometheus::PrometheusHandle;
use poem::{
    EndpointExt, IntoResponse, Response, Route, Server, endpoint::make_sync, get, handler,
    http::StatusCode, listener::TcpAcceptor, web::Data,
};
use store::Store;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What the answers are made from.
#[derive(Clone)]
struct Parts {
    store: Store,
    broker: Broker,
}

/// Answers on `listener` until `shutdown`, beside the work. Its end does not end the process.
pub(crate) fn spawn(
    listener: TcpListener,
    store: Store,
    broker: Broker,
    metrics: PrometheusHandle,
    shutdown: CancellationToken,
) {
    let routes = Route::new()
        .at("/livez", get(livez))
        .at("/readyz", get(readyz))
        .at("/metrics", make_sync(move |_| page(&metrics)))
        .data(Parts { store, broker });
    tokio::spawn(async move {
        let acceptor = match TcpAcceptor::from_tokio(listener) {
            Ok(acceptor) => acceptor,
            Err(error) => return tracing::error!(%error, "no health checks"),
        };
        let stop = async move { shutdown.cancelled().await };
        let served = Server::new_with_acceptor(acceptor).run_with_graceful_shutdown(
            routes,
            stop,
            Some(Duration::from_secs(1)),
        );
        if let Err(error) = served.await {
            tracing::error!(%error, "health checks ended");
        }
    });
}

/// The process answers, so it is alive.
#[handler]
fn livez() -> &'static str {
    "ok\n"
}

/// Ready means: work can be fetched and its outcome saved.
#[handler]
async fn readyz(parts: Data<&Parts>) -> Response {
    let store = parts.store.ping().await.is_ok();
    let broker = parts.broker.status() != Status::Down;
    let word = |well: bool| if well { "ok" } else { "unavailable" };
    let status = if store && broker { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    format!("store: {}\nbroker: {}\n", word(store), word(broker))
        .with_status(status)
        .into_response()
}

fn page(metrics: &PrometheusHandle) -> Response {
    metrics.render().with_content_type("text/plain; version=0.0.4").into_response()
}
