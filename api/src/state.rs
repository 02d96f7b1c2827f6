//! What every route works with, and what it knows of its request.

use std::{net::IpAddr, ops::Deref, sync::Arc};

use broker::Broker;
use metrics_exporter_prometheus::PrometheusHandle;
use providers::{blobs::Blobs, till::Till};
use schemas::{BillRecord, image::ImageRecord};
use store::Store;
use tokio_util::sync::CancellationToken;

use crate::{
    audit::Audit,
    auth::Auth,
    door::Door,
    pictures::Pictures,
    rates::{Meter, Rates},
    seen::Seen,
    settings::Settings,
    watch::Watch,
};

/// Everything that the API stands on; what [`crate::serve`] is given.
pub struct Api {
    /// Users, sessions, pictures and jobs.
    pub store: Store,
    /// Where accepted jobs are published.
    pub broker: Broker,
    /// Where the files are.
    pub blobs: Blobs,
    /// Where bills are paid.
    pub till: Till,
    /// See [`Settings`].
    pub settings: Settings,
    /// Shown at `/metrics`. [`crate::serve`] runs its upkeep.
    pub metrics: PrometheusHandle,
}

/// The state of the API process. Cheap to clone; every request carries one as poem data.
#[derive(Clone)]
pub struct AppState(Arc<Services>);

/// What [`AppState`] holds.
pub struct Services {
    /// Users, sessions, pictures and jobs.
    pub store: Store,
    /// Where accepted jobs are published.
    pub broker: Broker,
    /// Where the files are.
    pub blobs: Blobs,
    /// Where bills are paid.
    pub till: Till,
    /// See [`Settings`].
    pub settings: Settings,
    /// Cancelled when the process begins to stop: long replies end then.
    pub shutdown: CancellationToken,
    pub(crate) auth: Auth,
    pub(crate) audit: Audit,
    pub(crate) rates: Rates,
    pub(crate) pictures: Pictures,
    /// Pictures that were seen a moment ago.
    pub(crate) seen: Seen<ImageRecord>,
    /// Bills that were made a moment ago.
    pub(crate) made: Seen<BillRecord>,
    pub(crate) watch: Watch,
    pub(crate) door: Door,
    pub(crate) metrics: PrometheusHandle,
}

impl AppState {
    /// Takes over what the process was given. Must be called within a tokio runtime.
    pub(crate) fn new(api: Api, shutdown: CancellationToken) -> Self {
        let Api { store, broker, blobs, till, settings, metrics } = api;
        crate::intake::begin_counters();
        crate::routes::Notify::begin_counters(&till.gateways);
        let auth = Auth::new(&settings);
        let pictures = Pictures::new(settings.pictures.clone());
        auth.sessions.follow(&broker, shutdown.clone());
        let watch = Watch::start(&broker, settings.limits.watched_jobs, shutdown.clone());
        let audit = Audit::new(&store);
        let rates = Rates::new(&settings.rates);
        Self(Arc::new(Services {
            store,
            broker,
            blobs,
            till,
            settings,
            shutdown,
            auth,
            audit,
            rates,
            pictures,
            seen: Seen::new(),
            made: Seen::new(),
            watch,
            door: Door::new(),
            metrics,
        }))
    }
}

impl Deref for AppState {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.0
    }
}

/// What names a request in logs, jobs and traces; poem data of every request.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The caller's `X-Request-Id`, or one of ours; also in the reply.
    pub request_id: String,
    /// The trace that the request belongs to (W3C `traceparent`), for what it causes.
    pub trace_parent: Option<String>,
    /// Where it came from, past the trusted proxies; unknown only in tests.
    pub address: Option<IpAddr>,
    /// What it was counted against.
    pub(crate) meter: Meter,
}
