//! Headers that every reply carries.

use poem::{
    Response,
    http::{HeaderName, HeaderValue, header},
};

const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Headers that are added here and for callers of other origins, so that they are made room for once.
const HEADERS: usize = 8;

/// Adds the request id and what keeps browsers from guessing, framing and keeping replies.
/// `is_api`: the reply is about one caller, so nobody keeps it unless it says otherwise.
pub(super) fn reply(reply: &mut Response, request_id: &str, is_api: bool) {
    let is_page = reply
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|found| found.as_bytes().starts_with(b"text/html"));
    let headers = reply.headers_mut();
    headers.reserve(HEADERS);
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    if is_api {
        headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
    }
    if is_page {
        headers
            .entry(header::CONTENT_SECURITY_POLICY)
            .or_insert(HeaderValue::from_static("frame-ancestors 'none'"));
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    }
}
