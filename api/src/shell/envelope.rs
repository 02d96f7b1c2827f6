//! Whatever went wrong, the caller sees one shape: `{code, message, data}`.

use std::time::Duration;

use poem::{
    Error, PathPattern, Response,
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::error::{
    AuthorizationError, ContentTypeError, ParseMultipartError, ParseParamError, ParsePathError,
    ParseRequestPayloadError,
};
use schemas::ErrorCode;

use super::words;
use crate::error::{ApiError, Cause, OwnForm};

/// Field of what belongs to no field.
const WHOLE: &str = "non_field_errors";

/// When to come back, if nobody has said.
const AGAIN: Duration = Duration::from_secs(1);

/// The reply to a request that a route refused with `error`.
pub(super) fn of_error(error: Error) -> Response {
    let pattern = error.data::<PathPattern>().cloned();
    let mut reply = match known(&error) {
        Some(known) => known.to_response(),
        None => of_unknown(error),
    };
    if let Some(pattern) = pattern {
        reply.set_data(pattern);
    }
    reply
}

/// The reply to an error that says nothing beyond its status, or that is one of ours.
fn of_unknown(error: Error) -> Response {
    let cause = error.status().is_server_error().then(|| format!("{error:?}"));
    let mut reply = of_reply(error.into_response());
    if let Some(cause) = cause
        && reply.data::<Cause>().is_none()
    {
        reply.set_data(Cause(cause));
    }
    reply
}

/// The errors of poem-openapi that say something about the request.
fn known(error: &Error) -> Option<ApiError> {
    if let Some(error) = error.downcast_ref::<ParseRequestPayloadError>() {
        return Some(ApiError::invalid(WHOLE, words::plain(&error.reason)));
    }
    if let Some(error) = error.downcast_ref::<ParseMultipartError>() {
        return Some(ApiError::invalid(WHOLE, words::plain(&error.reason)));
    }
    if let Some(error) = error.downcast_ref::<ParseParamError>() {
        return Some(ApiError::invalid(error.name, words::plain(&error.reason)));
    }
    if error.is::<ParsePathError>() || error.is::<poem::error::ParsePathError>() {
        // A text that cannot be an id names nothing.
        return Some(ApiError::not_found());
    }
    if error.is::<ContentTypeError>() {
        let text = "This call does not read that content type.";
        return Some(ApiError::of(ErrorCode::UnsupportedMediaType, text));
    }
    error.is::<AuthorizationError>().then(ApiError::not_authenticated)
}

/// The reply as it is when it is no error, has a JSON body or a form of its own; otherwise its
/// status and headers with a body in the one shape.
pub(super) fn of_reply(mut reply: Response) -> Response {
    if !reply.status().is_client_error() && !reply.status().is_server_error() {
        return reply;
    }
    if reply.data::<OwnForm>().is_some() {
        return reply;
    }
    if is_json(&reply) {
        let exact = HeaderValue::from_static("application/json");
        reply.headers_mut().insert(header::CONTENT_TYPE, exact);
        return reply;
    }
    let status = reply.status();
    let error = of_status(status).to_response();
    for (name, value) in error.headers() {
        if *name == header::CONTENT_TYPE || !reply.headers().contains_key(name) {
            reply.headers_mut().insert(name, value.clone());
        }
    }
    reply.headers_mut().remove(header::CONTENT_LENGTH);
    reply.set_body(error.into_body());
    reply
}

fn is_json(reply: &Response) -> bool {
    reply.content_type().is_some_and(|found| found.starts_with("application/json"))
}

/// What a bare status says. One without a code of its own keeps its status under the nearest code.
fn of_status(status: StatusCode) -> ApiError {
    let reason = status.canonical_reason().unwrap_or("Refused.");
    match status.as_u16() {
        401 => ApiError::not_authenticated(),
        403 => ApiError::of(ErrorCode::PermissionDenied, reason),
        404 => ApiError::not_found(),
        405 => {
            let text = "This address does not take that method.";
            ApiError::of(ErrorCode::MethodNotAllowed, text)
        }
        408 => ApiError::too_slow(),
        409 => ApiError::of(ErrorCode::Conflict, reason),
        413 => ApiError::of(ErrorCode::TooLarge, "The body is too large."),
        415 => ApiError::of(ErrorCode::UnsupportedMediaType, reason),
        416 => ApiError::of(ErrorCode::RangeNotSatisfiable, reason),
        429 => ApiError::rate_limited(AGAIN),
        431 => ApiError::invalid(WHOLE, "The head of the request is too large."),
        503 => ApiError::unavailable(AGAIN),
        500.. => ApiError::of(ErrorCode::Internal, "Internal error."),
        _ => ApiError::invalid(WHOLE, "The request cannot be read."),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use serde_json::Value;

    use super::*;

    #[tokio::test]
    async fn every_error_of_the_libraries_gets_the_one_shape() {
        let cases: Vec<(&str, Error, u16, &str)> = vec![
            ("unknown path", poem::error::NotFoundError.into(), 404, "NOT_FOUND"),
            ("method", poem::error::MethodNotAllowedError.into(), 405, "METHOD_NOT_ALLOWED"),
            (
                "body",
                ParseRequestPayloadError { reason: "x".to_owned() }.into(),
                400,
                "VALIDATION_EXCEPTION",
            ),
            (
                "parameter",
                ParseParamError { name: "page", reason: "x".to_owned() }.into(),
                400,
                "VALIDATION_EXCEPTION",
            ),
            (
                "id in the path",
                ParsePathError { name: "id", reason: "x".to_owned() }.into(),
                404,
                "NOT_FOUND",
            ),
            (
                "multipart",
                ParseMultipartError { reason: "x".to_owned() }.into(),
                400,
                "VALIDATION_EXCEPTION",
            ),
            (
                "content type",
                ContentTypeError::ExpectContentType.into(),
                415,
                "UNSUPPORTED_MEDIA_TYPE",
            ),
            ("credentials", AuthorizationError.into(), 401, "not_authenticated"),
            ("no code", StatusCode::URI_TOO_LONG.into(), 414, "VALIDATION_EXCEPTION"),
            ("broken", StatusCode::BAD_GATEWAY.into(), 502, "SERVER_ERROR"),
            ("ours", ApiError::too_slow().into(), 408, "REQUEST_TIMEOUT"),
        ];
        for (name, error, status, code) in cases {
            let reply = of_error(error);
            assert_eq!(reply.status(), status, "{name}");
            assert_eq!(reply.header("content-type"), Some("application/json"), "{name}");
            let body: Value = reply.into_body().into_json().await.unwrap();
            assert_eq!(body["code"], code, "{name}");
            assert!(body["message"].is_string() && body.get("data").is_some(), "{name}: {body}");
        }
    }

    #[test]
    fn headers_of_the_original_stay() {
        let original = Response::builder()
            .status(StatusCode::RANGE_NOT_SATISFIABLE)
            .header("content-range", "bytes */9")
            .content_type("text/plain")
            .body("x");
        let reply = of_reply(original);

        assert_eq!(reply.header("content-range"), Some("bytes */9"));
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
}
