//! Logs, traces and metrics of this process: set up once, flushed at its end.
//!
//! Logs go to standard error, so that answers on standard output stay clean. Traces leave on a
//! thread of the exporter's own: its client blocks and must never be built or flushed on an async
//! thread.

use std::{io::IsTerminal, time::Duration};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use opentelemetry::{
    global,
    propagation::{Extractor, Injector},
    trace::TracerProvider,
};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing::{Level, Metadata, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{
    EnvFilter, Layer, filter::filter_fn, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::failure::Failure;

/// Filter of the log unless another is set. The AMQP library reports every lost connection as an
/// error of its own; the broker crate says what matters of that.
pub(crate) const DEFAULT_LOG: &str = "info,lapin=off";

/// The same for commands that answer a person and end.
pub(crate) const QUIET_LOG: &str = "error,lapin=off";

/// Pause between two clean-ups of the metrics' samples.
const UPKEEP: Duration = Duration::from_secs(5);

/// Bounds of the histograms of times, in seconds.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

/// Targets of our own spans begin with one of these.
const OUR_CRATES: [&str; 6] = ["api", "broker", "feat", "providers", "store", "workers"];

/// Header of W3C Trace Context.
const TRACE_PARENT: &str = "traceparent";

/// The exporter of traces, if there is one. [`Self::flush`] is the last thing a process does.
pub(crate) struct Telemetry(Option<SdkTracerProvider>);

impl Telemetry {
    /// Sets up logs with `filter`, over which `FEAT_LOG` wins, and traces to `otlp_endpoint`.
    ///
    /// `name` is what the process is called in traces, such as `feat-api`. To be called once,
    /// outside of the async runtime or in its blocking part.
    ///
    /// # Errors
    ///
    /// The filter or the address cannot be used; the text says which.
    pub(crate) fn start(
        name: &'static str,
        filter: &str,
        otlp_endpoint: Option<&str>,
    ) -> Result<Self, Failure> {
        let provider = otlp_endpoint.map(|endpoint| exporter(name, endpoint)).transpose()?;
        let traces = provider.as_ref().map(|provider| {
            tracing_opentelemetry::layer()
                .with_tracer(provider.tracer(name))
                .with_filter(filter_fn(belongs_to_a_trace))
        });
        global::set_text_map_propagator(TraceContextPropagator::new());
        let log = log().with_filter(log_filter(filter)?);
        tracing_subscriber::registry().with(log).with(traces).init();
        Ok(Self(provider))
    }

    /// How the API ties the span of a request to the trace that it belongs to.
    pub(crate) const fn trace_link(&self) -> api::TraceLink {
        if self.0.is_some() { link } else { api::pass_on }
    }

    /// Sends the traces that are left, for at most some seconds. Not on an async thread.
    pub(crate) fn flush(self) {
        if let Some(provider) = self.0
            && let Err(error) = provider.shutdown_with_timeout(Duration::from_secs(5))
        {
            eprintln!("feat: the last traces could not be sent: {error}");
        }
    }
}

/// Our own spans and events from `info` on, whatever the log shows: libraries would fill the
/// traces, and the exporter's own client would trace itself.
fn belongs_to_a_trace(metadata: &Metadata<'_>) -> bool {
    let part = metadata.target().split("::").next().unwrap_or_default();
    *metadata.level() <= Level::INFO && OUR_CRATES.contains(&part)
}

/// Makes `span` part of the trace that `trace_parent` names, and gives the value to pass on.
fn link(span: &Span, trace_parent: Option<&str>) -> Option<String> {
    let mut carrier = Carrier(trace_parent.map(str::to_owned));
    if carrier.0.is_some() {
        let parent = global::get_text_map_propagator(|propagator| propagator.extract(&carrier));
        // Fails only for a span that the log's filter leaves out: then there is nothing to tie.
        let _ = span.set_parent(parent);
    }
    let context = span.context();
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut carrier));
    carrier.0
}

/// The one header that crosses from request to job.
struct Carrier(Option<String>);

impl Extractor for Carrier {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.as_deref().filter(|_| key.eq_ignore_ascii_case(TRACE_PARENT))
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACE_PARENT]
    }
}

impl Injector for Carrier {
    fn set(&mut self, key: &str, value: String) {
        if key.eq_ignore_ascii_case(TRACE_PARENT) {
            self.0 = Some(value);
        }
    }
}

fn exporter(name: &'static str, endpoint: &str) -> Result<SdkTracerProvider, Failure> {
    let path = "/v1/traces";
    let base = endpoint.trim_end_matches('/');
    let address = if base.ends_with(path) { base.to_owned() } else { format!("{base}{path}") };
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(address)
        .with_timeout(Duration::from_secs(5))
        .build()
        .map_err(|error| {
            Failure::setup(
                format!("cannot send traces: {error}"),
                "Correct telemetry.otlp_endpoint or leave it out",
            )
        })?;
    let resource = Resource::builder().with_service_name(name).build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

fn log_filter(filter: &str) -> Result<EnvFilter, Failure> {
    let wanted = std::env::var("FEAT_LOG").unwrap_or_else(|_| filter.to_owned());
    EnvFilter::try_new(&wanted).map_err(|_| {
        Failure::setup(
            format!("{wanted:?} is no filter of a log"),
            "Set FEAT_LOG to something like info or info,store=debug",
        )
    })
}

/// For people on a terminal, one JSON object a line otherwise.
fn log<S>() -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'s> tracing_subscriber::registry::LookupSpan<'s>,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        let colours = std::env::var_os("NO_COLOR").is_none();
        return layer.compact().with_ansi(colours).boxed();
    }
    layer.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
}

/// Starts the process's one recorder of metrics. Somebody has to call `run_upkeep` from time to
/// time, or its memory grows: the API does so, and [`keep`].
///
/// # Errors
///
/// There is a recorder already, which is a mistake of this program.
pub(crate) fn metrics() -> Result<PrometheusHandle, Failure> {
    let failed = |error| Failure::setup(format!("cannot record metrics: {error}"), "Report this");
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .map_err(failed)?
        .install_recorder()
        .map_err(failed)?;
    store::describe_metrics();
    broker::describe_metrics();
    providers::describe_metrics();
    Ok(handle)
}

/// Keeps the memory of the recorder bounded, as long as the process runs.
pub(crate) fn keep(metrics: PrometheusHandle) {
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(UPKEEP);
        loop {
            ticks.tick().await;
            metrics.run_upkeep();
        }
    });
}
