//! `feat dev`: everything in one process, out of one folder, with something to try at once.

mod apns;
mod demo;
mod folder;
mod paste;
mod simulators;

use std::net::SocketAddr;

use api::Api;
use broker::Broker;
use providers::{blobs::Blobs, webhook::Webhooks};
use tokio_util::sync::CancellationToken;
use workers::Workers;

pub(crate) use folder::stored_token_key;

use crate::{args::Dev, failure::Failure, place, serve, signals, telemetry};
use folder::DataFolder;

/// Messages that wait in the process; what goes beyond waits in the store.
const QUEUE_CAPACITY: usize = 16_384;

/// Runs until a signal ends it.
///
/// # Errors
///
/// The address, the folder or what lies in it cannot be used; [`Failure`] says what to do.
pub(crate) async fn run(args: &Dev, trace_link: api::TraceLink) -> Result<(), Failure> {
    let shutdown = signals::shutdown()?;
    let listener = serve::listen(args.listen, "--listen").await?;
    let address = listener.local_addr()?;
    let folder = DataFolder::prepare(&args.data)?;
    let store = place::embedded(folder.path()).await?;
    let token_key = folder.token_key()?;
    let demo = demo::prepare(&store, args, address).await?;

    let public_url = args.public_url.clone().unwrap_or_else(|| url(address));
    let sealing_key = folder.sealing_key()?;
    let (simulated, till) = simulators::start(args.simulators, &public_url, &sealing_key).await?;
    let pushed = apns::start().await?;
    if demo {
        apns::add_device(&store, &pushed.app).await?;
    }
    let mut settings = api::Settings::new(public_url, token_key);
    settings.push_apps = vec![pushed.app.clone()];
    settings.trace_link = trace_link;
    // One machine serves whoever has an account on it; wrong passwords and strangers have bounds
    // all the same.
    settings.rates.user = None;
    settings.rates.client = None;
    let blobs = Blobs::folder(&folder.files())
        .map_err(|error| Failure::setup(error, "Make the data folder writable"))?;
    let broker = Broker::local(QUEUE_CAPACITY);
    let metrics = telemetry::metrics()?;
    let workers = Workers {
        store: store.clone(),
        broker: broker.clone(),
        blobs: blobs.clone(),
        till: till.clone(),
        apns: Some(pushed.apns.clone()),
        webhooks: Webhooks::default(),
        settings: workers::Settings::default(),
        registry: workers::registry().into(),
    };
    let api = Api { store: store.clone(), broker: broker.clone(), blobs, till, settings, metrics };

    let control = pushed.simulator.control_url().unwrap_or_default();
    let simulators = demo.then(|| (simulated.url(), control.as_str()));
    say_ready(address, folder.path(), simulators, &shutdown);
    let outcome = serve::both(api, workers, listener, shutdown).await;
    simulated.stop().await;
    broker.close().await;
    store.close().await;
    outcome
}

/// The person at the terminal reads it; a closed standard output is no reason to stop.
fn say_ready(
    address: SocketAddr,
    folder: &std::path::Path,
    demo: Option<(&str, &str)>,
    shutdown: &CancellationToken,
) {
    if shutdown.is_cancelled() {
        return;
    }
    let _ = crate::output::line(paste::welcome(&url(address), folder, demo));
}

/// Where a program on this machine reaches `address`.
fn url(address: SocketAddr) -> String {
    let mut near = address;
    if address.ip().is_unspecified() {
        near.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{near}")
}
