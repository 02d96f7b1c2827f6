//! One trace from the request through the message to the run.

use opentelemetry::propagation::Extractor;
use schemas::JobRecord;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

struct Carrier<'a>(&'a str);

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == "traceparent").then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}

/// The span of one run of `job`, as a child of the request that asked for it.
pub(crate) fn span(job: &JobRecord) -> Span {
    let span = tracing::info_span!(
        "job",
        job_id = %job.id,
        kind = job.kind,
        attempt = job.attempts + 1,
        request_id = job.request_id,
        verdict = tracing::field::Empty,
    );
    if let Some(parent) = &job.trace_parent
        && !span.is_disabled()
    {
        let parent = opentelemetry::global::get_text_map_propagator(|propagator| {
            propagator.extract(&Carrier(parent))
        });
        // Fails only when no exporter is set up: then there is no trace to belong to.
        let _ = span.set_parent(parent);
    }
    span
}
