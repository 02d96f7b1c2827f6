//! Runs the API and the workers: together in one process, or each in its own.

use std::{
    io::{Error, ErrorKind},
    net::SocketAddr,
    time::Duration,
};

use api::Api;
use broker::RabbitSettings;
use providers::till::Till;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use workers::Workers;

use crate::{
    check::open_files,
    config::{ApiPart, Process, WorkerPart},
    failure::Failure,
    place, probes, signals, telemetry,
};

/// How long the start of a process waits for the broker before it goes on without.
const BROKER_WAIT: Duration = Duration::from_secs(5);

/// Pause between two looks at the key files of payment accounts.
const KEY_LOOK: Duration = Duration::from_secs(10);

/// Runs the API until a signal ends it.
///
/// # Errors
///
/// Something that it needs at its start is not there; [`Failure`] says what.
pub(crate) async fn api(
    process: Process,
    part: ApiPart,
    trace_link: api::TraceLink,
) -> Result<(), Failure> {
    let shutdown = signals::shutdown()?;
    warn_of_variables(&process);
    let metrics = telemetry::metrics()?;
    let listener = listen(part.listen, "api.listen").await?;
    let store = place::database(&process.mongodb).await?;
    store.migrate().await?;
    let name = format!("feat-api-{:08x}", rand::random::<u32>());
    let broker = place::rabbit(broker_settings(&process, &name, true))?;
    let blobs = open_files(&process.files)?;
    let till = place::till(process.payments.as_ref())?;
    keep_keys(&till, &shutdown);
    let mut settings = settings(&part, trace_link);
    settings.push_apps = process.apns.map(|part| part.apps).unwrap_or_default();
    settings.default_push_app.clone_from(&process.devices.default_app);
    settings.bill_life = process.bills.life;
    settings.bind_in_same_browser = process.bills.bind_in_same_browser;
    let api = Api { store: store.clone(), broker: broker.clone(), blobs, till, settings, metrics };

    tracing::info!(address = %part.listen, name, "the API listens");
    let outcome = api::serve(api, listener, shutdown, process.shutdown_deadline).await;
    broker.close().await;
    store.close().await;
    tracing::info!("stopped");
    outcome.map_err(Failure::Output)
}

fn warn_of_variables(process: &Process) {
    for line in &process.idle_variables {
        tracing::warn!("variable {line}");
    }
}

/// Runs a worker until a signal ends it.
///
/// # Errors
///
/// Something that it needs at its start is not there; [`Failure`] says what.
pub(crate) async fn worker(process: Process, part: WorkerPart) -> Result<(), Failure> {
    let shutdown = signals::shutdown()?;
    warn_of_variables(&process);
    let metrics = telemetry::metrics()?;
    telemetry::keep(metrics.clone());
    let listener = match part.listen {
        Some(address) => Some(listen(address, "worker.listen").await?),
        None => None,
    };
    let store = place::database_of_worker(&process.mongodb).await?;
    store.migrate().await?;
    let name = part.settings.name.clone();
    let broker = place::rabbit(broker_settings(&process, &name, false))?;
    let blobs = open_files(&process.files)?;
    let till = place::till(process.payments.as_ref())?;
    keep_keys(&till, &shutdown);
    let apns = place::apns(process.apns.as_ref())?;
    let webhooks = place::webhooks(&process.devices)?;
    let workers = Workers {
        store: store.clone(),
        broker: broker.clone(),
        blobs,
        till,
        apns,
        webhooks,
        settings: workers::Settings {
            tokens: process.devices.life,
            reports_kept: process.bills.reports_kept,
            ..part.settings
        },
        registry: workers::registry().into(),
    };
    if let Some(listener) = listener {
        workers::begin_counters();
        probes::spawn(listener, store.clone(), broker.clone(), metrics, shutdown.clone());
    }
    let ready = place::telling(broker.ready(BROKER_WAIT), |waited| {
        tracing::warn!(waited_s = waited.as_secs(), "RabbitMQ does not answer yet");
    });
    if let Err(error) = ready.await {
        tracing::warn!(%error, "the broker is not there yet; work begins when it is");
    }

    tracing::info!(name, "the worker runs");
    let drained = workers::run(workers, shutdown).await;
    broker.close().await;
    store.close().await;
    tracing::info!(finished = drained.finished, returned = drained.returned, "stopped");
    Ok(())
}

/// How the process called `name` goes to the broker; `news` when callers wait at it.
fn broker_settings(process: &Process, name: &str, news: bool) -> RabbitSettings {
    let (uri, name) = (process.rabbitmq.clone(), name.to_owned());
    RabbitSettings { uri, name, publish_timeout: process.publish_timeout, news }
}

/// Runs the API and the workers in this process until `shutdown`; whichever ends by itself takes
/// the other along.
///
/// # Errors
///
/// The API could not go on, or one of them panicked.
pub(crate) async fn both(
    api: Api,
    workers: Workers,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    workers::begin_counters();
    let deadline = workers.settings.shutdown_deadline;
    let (for_api, for_workers) = (shutdown.clone(), shutdown.clone());
    let api = tokio::spawn(async move { api::serve(api, listener, for_api, deadline).await });
    let workers = tokio::spawn(async move {
        workers::run(workers, for_workers).await;
        Ok(())
    });
    let (api, workers) = tokio::join!(ended(api, &shutdown), ended(workers, &shutdown));
    api.and(workers).map_err(Failure::Output)
}

async fn ended(
    part: JoinHandle<std::io::Result<()>>,
    shutdown: &CancellationToken,
) -> std::io::Result<()> {
    let outcome = part.await.unwrap_or_else(|panic| Err(Error::other(panic)));
    shutdown.cancel();
    outcome
}

/// Reads the keys of the payment accounts again when their files change, until `shutdown`.
fn keep_keys(till: &Till, shutdown: &CancellationToken) {
    let (gateways, shutdown) = (till.gateways.clone(), shutdown.clone());
    tokio::spawn(async move {
        shutdown.run_until_cancelled(gateways.watch(KEY_LOOK)).await;
    });
}

/// Takes the address; `setting` is what names it.
///
/// # Errors
///
/// It is taken, not allowed or not of this machine.
pub(crate) async fn listen(address: SocketAddr, setting: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let (why, advice) = match error.kind() {
            ErrorKind::AddrInUse => (
                "another program listens there".to_owned(),
                format!("Stop it, or choose another port with {setting}"),
            ),
            ErrorKind::PermissionDenied => (
                "this user may not listen there".to_owned(),
                format!("Choose a port above 1023 with {setting}"),
            ),
            _ => (error.to_string(), format!("Choose an address of this machine with {setting}")),
        };
        Failure::setup(format!("cannot listen on {address}: {why}"), advice)
    })
}

fn settings(part: &ApiPart, trace_link: api::TraceLink) -> api::Settings {
    let mut settings = api::Settings::new(part.public_url.clone(), part.token_key.clone());
    settings.other_token_keys.clone_from(&part.other_token_keys);
    settings.trusted_issuer.clone_from(&part.trusted_issuer);
    settings.access_token_life = part.access_token_life;
    settings.session_life = part.session_life;
    settings.default_wait = part.default_wait;
    settings.max_wait = part.max_wait;
    settings.pictures.max_bytes = part.max_picture_bytes;
    // A form with the largest picture can always come, if nothing else does.
    let largest_form = part.max_picture_bytes + settings.limits.upload_overhead_bytes;
    settings.pictures.waiting_bytes = settings.pictures.waiting_bytes.max(largest_form);
    settings.limits.connections = part.connections;
    settings.cors = part.edge.cors.clone();
    settings.trusted_proxies.clone_from(&part.edge.trusted_proxies);
    settings.rates = part.edge.rates.clone();
    settings.trace_link = trace_link;
    settings
}
