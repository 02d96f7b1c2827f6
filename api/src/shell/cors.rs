//! Cross-origin requests of browsers: answered for the configured origins, and for no other.
//!
//! A reply to another origin carries no header that would let a script read it, and a preflight
//! of one is refused. Errors carry the headers as well, or a browser would hide them from the
//! client. Replies say `Vary: Origin`, whoever asks, so that no cache gives one origin's reply
//! to another.

use poem::{
    Request, Response,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
};
use schemas::ErrorCode;

use crate::{
    error::ApiError,
    settings::{CorsOrigins, Settings},
};

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PATCH, DELETE");

/// What a script may send. The second line is what published clients of the API send.
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "accept, authorization, content-type, idempotency-key, if-none-match, last-event-id, prefer, \
     range, traceparent, x-request-id, x-requested-with, cache-control, \
     fingerprint, x-csrftoken, x-fakeip, x-forwarded-for, x-language-locale, x-real-ip, x-socket-id",
);

/// What a script may read.
const REPLY_HEADERS: HeaderValue = HeaderValue::from_static(
    "Location, Retry-After, ETag, X-Request-Id, RateLimit, RateLimit-Policy, Preference-Applied, \
     Idempotency-Replayed, WWW-Authenticate, Allow, Content-Range, Accept-Ranges",
);

/// Seconds that a browser may remember a preflight.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

const ANY: HeaderValue = HeaderValue::from_static("*");
const TRUE: HeaderValue = HeaderValue::from_static("true");
const ON_ORIGIN: HeaderValue = HeaderValue::from_static("Origin");
const ON_PREFLIGHT: HeaderValue = HeaderValue::from_static(
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
);

/// Who may read replies from a page of another origin.
#[derive(Debug, Clone)]
pub(super) struct Cors {
    origins: CorsOrigins,
}

/// What the policy says about one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ruling {
    /// It is about a path that has nothing to do with other origins.
    Outside,
    /// It came from no origin, or from one that is not allowed.
    Closed,
    /// It came from this allowed origin, as the reply has to name it.
    Open(HeaderValue),
}

impl Cors {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { origins: settings.cors.clone() }
    }

    /// Judges a request by its path and origin.
    pub(super) fn judge(&self, request: &Request) -> Ruling {
        if !concerns(request.uri().path()) {
            return Ruling::Outside;
        }
        match request.headers().get(header::ORIGIN) {
            Some(origin) if self.origins.any => {
                let named = self.origins.credentials;
                Ruling::Open(if named { origin.clone() } else { ANY })
            }
            Some(origin) if self.is_listed(origin) => Ruling::Open(origin.clone()),
            _ => Ruling::Closed,
        }
    }

    fn is_listed(&self, origin: &HeaderValue) -> bool {
        self.origins.list.iter().any(|listed| listed.as_str().as_bytes() == origin.as_bytes())
    }

    /// The reply to a preflight with this ruling; `None` when the request is none.
    pub(super) fn preflight(request: &Request, ruling: &Ruling) -> Option<Response> {
        let headers = request.headers();
        let asks = headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
            && headers.contains_key(header::ORIGIN);
        if request.method() != Method::OPTIONS || !asks || *ruling == Ruling::Outside {
            return None;
        }
        let mut reply = if *ruling == Ruling::Closed {
            let text = "Pages of this origin may not call the API.";
            ApiError::of(ErrorCode::PermissionDenied, text).to_response()
        } else {
            let mut reply = Response::builder().status(StatusCode::NO_CONTENT).finish();
            let headers = reply.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
            reply
        };
        reply.headers_mut().insert(header::VARY, ON_PREFLIGHT);
        Some(reply)
    }

    /// Adds to a reply what its ruling calls for.
    pub(super) fn finish(&self, headers: &mut HeaderMap, ruling: Ruling) {
        let origin = match ruling {
            Ruling::Outside => return,
            Ruling::Closed => None,
            Ruling::Open(origin) => Some(origin),
        };
        let varies = headers.get_all(header::VARY).iter().any(names_origin);
        if !varies {
            headers.append(header::VARY, ON_ORIGIN);
        }
        let Some(origin) = origin else { return };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, REPLY_HEADERS);
        if self.origins.credentials {
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        }
        headers.insert(CROSS_ORIGIN_RESOURCE, HeaderValue::from_static("cross-origin"));
    }
}

const CROSS_ORIGIN_RESOURCE: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Paths that pages of other origins have a reason to call. Sign-in pages and health are none.
fn concerns(path: &str) -> bool {
    super::slash::is_api(path) || path.starts_with("/media/") || path.starts_with("/.well-known/")
}

fn names_origin(value: &HeaderValue) -> bool {
    let names = value.to_str().unwrap_or_default().split(',');
    names.map(str::trim).any(|name| name == "*" || name.eq_ignore_ascii_case("origin"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;
    use crate::auth::TokenKey;

    fn cors(origins: &[&str], credentials: bool) -> Cors {
        let mut settings = Settings::new("http://feat.test", TokenKey::generate());
        let origins = origins.iter().map(|origin| (*origin).to_owned());
        settings.cors = CorsOrigins::new(origins, credentials).unwrap();
        Cors::new(&settings)
    }

    fn request(path: &str, origin: &str) -> Request {
        let request = Request::builder().uri_str(path);
        if origin.is_empty() { request.finish() } else { request.header("origin", origin).finish() }
    }

    #[test]
    fn only_listed_origins_may_read() {
        let site = "https://app.example.test";
        let cases = [
            ("listed", "/api/job/", site, true),
            ("media", "/media/1/UserImage/a.png", site, true),
            ("none", "/api/job/", "", false),
            ("another", "/api/job/", "https://evil.test", false),
            ("longer", "/api/job/", "https://app.example.test.evil.test", false),
            ("other scheme", "/api/job/", "http://app.example.test", false),
            ("other port", "/api/job/", "https://app.example.test:8443", false),
            ("the null origin", "/api/job/", "null", false),
        ];
        let cors = cors(&[site], false);
        for (name, path, origin, open) in cases {
            let ruling = cors.judge(&request(path, origin));
            assert_eq!(matches!(ruling, Ruling::Open(_)), open, "{name}: {ruling:?}");
            let mut headers = HeaderMap::new();
            cors.finish(&mut headers, ruling);
            assert_eq!(headers["vary"], "Origin", "{name}");
            assert_eq!(headers.contains_key("access-control-allow-origin"), open, "{name}");
            assert!(!headers.contains_key("access-control-allow-credentials"), "{name}");
        }
        assert_eq!(cors.judge(&request("/metrics", site)), Ruling::Outside);
        assert_eq!(cors.judge(&request("/authorize", site)), Ruling::Outside);
    }

    #[test]
    fn without_configuration_nobody_may_read() {
        let cors = cors(&[], false);

        assert_eq!(cors.judge(&request("/api/job/", "https://a.test")), Ruling::Closed);
    }

    #[test]
    fn any_origin_is_answered_with_a_star() {
        let cors = cors(&["*"], false);

        assert_eq!(cors.judge(&request("/api/job/", "https://a.test")), Ruling::Open(ANY));
        assert_eq!(cors.judge(&request("/api/job/", "")), Ruling::Closed);
    }

    #[test]
    fn vary_is_added_once() {
        let cors = cors(&["https://a.test"], true);
        let mut headers = HeaderMap::new();
        headers.insert("vary", HeaderValue::from_static("Accept, origin"));
        cors.finish(&mut headers, cors.judge(&request("/api/", "https://a.test")));

        assert_eq!(headers.get_all("vary").iter().count(), 1);
        assert_eq!(headers["access-control-allow-credentials"], "true");
    }
}
