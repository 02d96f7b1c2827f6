//! The server around the routes: connections, bounds, the one error shape, health, documents.
//!
//! A request passes through these, outermost first (`app` holds the order):
//!
//! 1. `server`, `socket`: the connection, with bounds on how many there are, on slow heads and on
//!    slow readers; `unread`, `exchange`: the reply to a head that cannot be read;
//! 2. `context`: request id, trace and span, and the log line and metrics of the reply;
//! 3. `finish`: headers that every reply carries;
//! 4. `cors`: what pages of other origins may read; answers preflights by itself;
//! 5. `slash`: the address in its one spelling;
//! 6. `body`: how many bytes come in, how slowly, and how many bodies of one network at a time;
//! 7. `app`: how many requests run at a time, how long, and what happens when one panics;
//! 8. `envelope`, `words`: whatever went wrong gets the one shape of errors, in words for people;
//! 9. `site`: health, metrics and documents, pictures, and the operations of poem-openapi;
//!    `credentials`: which come once or not at all;
//! 10. `gate`: who calls an operation, and whether that caller has asked for too much.

mod app;
mod body;
mod context;
mod cors;
mod credentials;
mod described;
mod document;
mod envelope;
mod exchange;
mod finish;
mod gate;
mod health;
mod server;
mod site;
mod slash;
mod socket;
mod unread;
mod words;

use std::{io, sync::Arc, time::Duration};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use self::document::openapi;
use self::{app::App, site::Site};
use crate::{
    audit, auth, door, rates,
    state::{Api, AppState},
};

/// How often the metrics recorder tidies up.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// Serves the API over HTTP/1.1 until `shutdown`, then stops accepting, ends long replies,
/// finishes the requests that are under way, and returns after `deadline` at the latest. Installs
/// no signal handler.
///
/// # Errors
///
/// When the listener can say no address of its own; nothing was served then. Errors of single
/// connections, and of accepting, are survived.
pub async fn serve(
    api: Api,
    listener: TcpListener,
    shutdown: CancellationToken,
    deadline: Duration,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    context::describe_metrics();
    rates::describe_metrics();
    audit::describe_metrics();
    auth::describe_metrics();
    door::describe_metrics();
    let state = AppState::new(api, shutdown.clone());
    let upkeep = tokio::spawn(keep_metrics(state.clone()));
    let settings = state.settings.clone();
    let app = Arc::new(App::new(&settings, Site::new(&state)));
    tracing::info!(%address, "listening");
    server::run(listener, app, &settings, shutdown, deadline).await;
    upkeep.abort();
    tracing::info!(%address, "stopped listening");
    Ok(())
}

/// Lets the recorder drain its histograms, which grow otherwise.
async fn keep_metrics(state: AppState) {
    let mut ticks = tokio::time::interval(METRICS_UPKEEP);
    loop {
        ticks.tick().await;
        state.metrics.run_upkeep();
        state.rates.record();
    }
}
