//! The settings of logs and traces.

use super::reader::Reader;

/// Logs and traces.
#[derive(Debug, Clone)]
pub(crate) struct Telemetry {
    /// Filter of the log, as in `info,store=debug`.
    pub(crate) log: String,
    /// Where traces go over OTLP/HTTP, if anywhere.
    pub(crate) otlp_endpoint: Option<String>,
}

impl Telemetry {
    /// Reads the settings, and notes what is wrong with them.
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let log = reader.or("telemetry.log", crate::telemetry::DEFAULT_LOG.to_owned());
        let filter = tracing_subscriber::EnvFilter::try_new(&log);
        reader.expect("telemetry.log", filter.is_ok(), || {
            "expected a filter such as info or info,store=debug".to_owned()
        });
        let otlp_endpoint = reader.optional::<String>("telemetry.otlp_endpoint");
        let web = otlp_endpoint.as_ref().is_none_or(|url| url.starts_with("http"));
        reader.expect("telemetry.otlp_endpoint", web, || {
            "expected an address such as http://collector:4318".to_owned()
        });
        Self { log, otlp_endpoint }
    }
}
