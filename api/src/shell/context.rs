//! What names a request, and what is written down about it.

use std::{borrow::Cow, net::IpAddr, time::Instant};

use metrics::SharedString;
use poem::{PathPattern, Request, Response, http::Method};
use tracing::Span;
use uuid::Uuid;

use crate::{
    error::Cause,
    rates::Meter,
    settings::{Network, TraceLink, caller_address},
    state::RequestContext,
};

/// Longest id that is taken from a caller.
const MAX_ID: usize = 64;

/// The request's id, or a new one when the caller sent none that is fit for a log.
fn request_id(request: &Request) -> String {
    match request.header("x-request-id") {
        Some(id) if is_sane(id) => id.to_owned(),
        _ => Uuid::now_v7().simple().to_string(),
    }
}

fn is_sane(id: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(allowed)
}

/// The `traceparent` of a request, if it has the form of W3C Trace Context, version 00.
fn trace_parent(request: &Request) -> Option<&str> {
    let text = request.header("traceparent")?;
    let mut parts = text.split('-');
    let mut next = |length: usize| {
        let part = parts.next().filter(|part| part.len() == length)?;
        let hex = part.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        hex.then_some(part)
    };
    let version = next(2)?;
    let (trace, span) = (next(32)?, next(16)?);
    next(2)?;
    let named = [trace, span].iter().all(|id| id.bytes().any(|c| c != b'0'));
    (version == "00" && named && parts.next().is_none()).then_some(text)
}

/// Names the request: gives its span, and its context for whatever it causes.
pub(super) fn of(
    request: &Request,
    link: TraceLink,
    proxies: &[Network],
) -> (Span, RequestContext) {
    let request_id = request_id(request);
    let span = tracing::info_span!(
        "request",
        %request_id,
        method = %request.method(),
        path = %shown(request.uri().path()),
    );
    let trace_parent = link(&span, trace_parent(request));
    let (address, meter) = (address(request, proxies), Meter::default());
    (span, RequestContext { request_id, trace_parent, address, meter })
}

/// A path as it may stand in the log: without the device token that one of them has.
fn shown(path: &str) -> Cow<'_, str> {
    const DEVICES: &str = "/api/user/user-apns-device-token/";
    match path.strip_prefix(DEVICES) {
        Some(token) if !token.is_empty() => Cow::Owned(format!("{DEVICES}(token)/")),
        _ => Cow::Borrowed(path),
    }
}

/// Where the request came from. A header that is no text ends the list, as a wrong entry does.
fn address(request: &Request, proxies: &[Network]) -> Option<IpAddr> {
    let peer = request.remote_addr().as_socket_addr()?.ip();
    let forwarded = request.headers().get_all("x-forwarded-for").iter();
    let forwarded = forwarded.map(|value| value.to_str().unwrap_or("?"));
    Some(caller_address(peer, forwarded, proxies))
}

/// Says what the metrics below mean.
pub(super) fn describe_metrics() {
    metrics::describe_counter!("feat_http_requests_total", "Requests that were answered.");
    metrics::describe_histogram!(
        "feat_http_request_seconds",
        metrics::Unit::Seconds,
        "Time from a request's head to its reply's head."
    );
}

/// Writes down how a request was answered: in the metrics, and in the log. A fault of ours is an
/// error there, everything else is seen at level debug.
pub(super) fn record(method: &Method, reply: &Response, started: Instant) {
    let elapsed = started.elapsed();
    let status = reply.status();
    let route: SharedString = match reply.data::<PathPattern>() {
        Some(pattern) => pattern.0.clone().into(),
        None => "none".into(),
    };
    let method = name(method);
    let text = status.as_str().to_owned();
    metrics::counter!("feat_http_requests_total", "method" => method, "route" => route.clone(), "status" => text)
        .increment(1);
    metrics::histogram!("feat_http_request_seconds", "method" => method, "route" => route)
        .record(elapsed.as_secs_f64());

    let status = status.as_u16();
    let elapsed_ms = elapsed.as_secs_f64() * 1e3;
    match reply.data::<Cause>() {
        Some(Cause(cause)) => tracing::error!(status, elapsed_ms, cause, "request failed"),
        None if status == 500 => tracing::error!(status, elapsed_ms, "request failed"),
        None => tracing::debug!(status, elapsed_ms, "request answered"),
    }
}

/// A method as a label: clients cannot make new ones.
fn name(method: &Method) -> &'static str {
    const KNOWN: [(Method, &str); 7] = [
        (Method::GET, "GET"),
        (Method::POST, "POST"),
        (Method::DELETE, "DELETE"),
        (Method::PATCH, "PATCH"),
        (Method::PUT, "PUT"),
        (Method::HEAD, "HEAD"),
        (Method::OPTIONS, "OPTIONS"),
    ];
    KNOWN.iter().find(|(known, _)| known == method).map_or("OTHER", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_token_stays_out_of_the_log() {
        let devices = "/api/user/user-apns-device-token/";
        assert_eq!(shown(devices), devices);
        assert_eq!(shown(&format!("{devices}abcd/")), format!("{devices}(token)/"));
        assert_eq!(shown("/api/job/"), "/api/job/");
    }

    #[test]
    fn only_ids_that_are_fit_for_a_log_are_taken_over() {
        let cases = [
            ("sane", "a-B_9.z", true),
            ("longest", &"a".repeat(64), true),
            ("too long", &"a".repeat(65), false),
            ("empty", "", false),
            ("space", "a b", false),
            ("slash", "a/b", false),
        ];
        for (name, id, kept) in cases {
            let request = Request::builder().header("x-request-id", id).finish();
            assert_eq!(request_id(&request) == id, kept, "{name}");
        }
        assert_eq!(request_id(&Request::default()).len(), 32);
    }

    #[test]
    fn a_trace_is_taken_over_in_its_standard_form_only() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let cases = [
            ("standard", good.to_owned(), true),
            ("upper case", good.to_uppercase(), false),
            ("future version", good.replacen("00", "01", 1), false),
            ("no trace", good.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)), false),
            ("short", good[..50].to_owned(), false),
            ("longer", format!("{good}-x"), false),
        ];
        for (name, text, kept) in cases {
            let request = Request::builder().header("traceparent", &text).finish();
            assert_eq!(trace_parent(&request).is_some(), kept, "{name}");
        }
    }
}
