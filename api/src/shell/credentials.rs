//! A call carries one set of credentials.

use poem::{
    Request, Response,
    http::{StatusCode, header},
};
use serde_json::json;

use crate::error::ApiError;

/// Where errors have the shape of RFC 6749.
const OAUTH: &str = "/api/o/";

/// The reply to a call with several `Authorization` headers. A proxy in front may have looked at
/// another one than Feat would, so none of them counts.
pub(super) fn refuse_several(request: &Request) -> Option<Response> {
    let _second = request.headers().get_all(header::AUTHORIZATION).iter().nth(1)?;
    if !request.uri().path().starts_with(OAUTH) {
        return Some(ApiError::authentication_failed().to_response());
    }
    let text = "send one Authorization header only";
    let body = json!({ "error": "invalid_client", "error_description": text });
    let reply = Response::builder()
        .status(StatusCode::UNAUTHORIZED)
        .content_type("application/json")
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::PRAGMA, "no-cache")
        .header(header::WWW_AUTHENTICATE, "Basic realm=\"feat\"");
    Some(reply.body(body.to_string()))
}
