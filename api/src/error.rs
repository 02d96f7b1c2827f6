//! Errors of the public API: one shape, `{code, message, data}`, and one closed list of codes.
//!
//! What a caller reads never holds internals; the cause of a fault of ours goes to the log, which
//! the request id ties to the reply. The content type is exactly `application/json`, because
//! clients compare it for equality.

use std::{borrow::Cow, fmt, time::Duration};

use poem::{
    Response,
    error::ResponseError,
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse, Object,
    payload::{Json, Payload},
    registry::{MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::Any,
};
use providers::blobs::BlobError;
use schemas::{ErrorCode, Scope};
use serde_json::{Value, json};
use store::StoreError;

/// What a reply may repeat of the text that a client sent or of a parser's complaint about it.
const MAX_REASON: usize = 300;

/// Why a call was refused: everything that the reply needs.
///
/// `Display` is the public text; `Debug` also shows the cause and belongs to the log.
#[derive(Debug, Clone)]
pub struct ApiError {
    code: ErrorCode,
    message: Cow<'static, str>,
    data: Value,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<String>,
}

impl ApiError {
    /// An error with this code and public text, and `data: null`.
    pub fn of(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), data: Value::Null, headers: vec![], cause: None }
    }

    /// No such thing, or it is not the caller's: the two look alike.
    #[must_use]
    pub fn not_found() -> Self {
        Self::of(ErrorCode::NotFound, "Not found.")
    }

    /// The content of one field is wrong; `non_field_errors` names the request as a whole.
    /// [`Self::and`] adds further fields, so that a caller learns of all problems at once.
    pub fn invalid(field: impl Into<String>, text: impl AsRef<str>) -> Self {
        let error = Self::of(ErrorCode::Validation, "Invalid input.");
        error.with_data(json!({})).and(field, text)
    }

    /// Adds one problem of a field to a validation error.
    #[must_use]
    pub fn and(mut self, field: impl Into<String>, text: impl AsRef<str>) -> Self {
        let text = shorten(text.as_ref());
        if !self.data.is_object() {
            self.data = json!({});
        }
        if let Value::Object(fields) = &mut self.data
            && let Value::Array(texts) = fields.entry(field).or_insert_with(|| json!([]))
        {
            texts.push(Value::from(text));
        }
        self
    }

    /// No credentials came with the call.
    #[must_use]
    pub fn not_authenticated() -> Self {
        Self::of(ErrorCode::NotAuthenticated, "Authentication credentials were not provided.")
            .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// The token is malformed, forged, expired or revoked. Which of them is not told.
    #[must_use]
    pub fn authentication_failed() -> Self {
        Self::of(ErrorCode::AuthenticationFailed, "The access token is not valid.").with_header(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer error=\"invalid_token\""),
        )
    }

    /// The token is good, but was not granted `scope`.
    #[must_use]
    pub fn missing_scope(scope: Scope) -> Self {
        let name = scope.name();
        let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{name}\"");
        let error = Self::of(
            ErrorCode::PermissionDenied,
            format!("The access token lacks the scope `{name}`."),
        );
        match HeaderValue::try_from(challenge) {
            Ok(challenge) => error.with_header(header::WWW_AUTHENTICATE, challenge),
            Err(_) => error,
        }
    }

    /// The body has more than `limit` bytes.
    #[must_use]
    pub fn too_large(limit: u64) -> Self {
        Self::of(ErrorCode::TooLarge, format!("The body is larger than {limit} bytes."))
    }

    /// The body came too slowly.
    #[must_use]
    pub fn too_slow() -> Self {
        Self::of(ErrorCode::RequestTimeout, "The request came too slowly.")
    }

    /// Feat cannot take this work now; nothing was done. `retry_after` is rounded up to seconds.
    #[must_use]
    pub fn unavailable(retry_after: Duration) -> Self {
        Self::of(ErrorCode::Unavailable, "Not ready for this work. Try again later.")
            .retry_after(retry_after)
    }

    /// The caller sends more than its share; come back after `retry_after`.
    #[must_use]
    pub fn rate_limited(retry_after: Duration) -> Self {
        Self::of(ErrorCode::RateLimited, "Too many requests.").retry_after(retry_after)
    }

    /// The reply to a request beyond a limit, in the shape of OAuth2's errors where `is_oauth`.
    pub(crate) fn limited(retry_after: Duration, is_oauth: bool) -> Response {
        let error = Self::rate_limited(retry_after);
        let mut reply = error.to_response();
        if is_oauth {
            let text = "too many requests, come back later";
            let body = json!({ "error": "temporarily_unavailable", "error_description": text });
            reply.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
            reply.set_body(body.to_string());
        }
        reply
    }

    /// A fault of ours. `cause` goes to the log, never to the caller.
    pub fn internal(cause: impl fmt::Debug) -> Self {
        let mut error = Self::of(ErrorCode::Internal, "Internal error.");
        error.cause = Some(format!("{cause:?}"));
        error
    }

    /// Replaces `data`: an object or null, but for [`ErrorCode::AccountInactive`].
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }

    /// Adds a header to the reply.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Adds `Retry-After`, rounded up to whole seconds, at least one.
    #[must_use]
    pub fn retry_after(self, after: Duration) -> Self {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        self.with_header(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)))
    }

    /// Its machine code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    /// Of a validation error an object of lists of texts, by field.
    #[must_use]
    pub const fn data(&self) -> &Value {
        &self.data
    }

    /// What goes to the log and not to the caller, if there is anything.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// The reply. It carries the error itself as data, so that the outermost wrapper can log it.
    #[must_use]
    pub fn to_response(&self) -> Response {
        let body = json!({ "code": self.code, "message": self.message, "data": self.data });
        let mut reply = Response::builder()
            .status(self.status())
            .content_type("application/json")
            .body(body.to_string());
        for (name, value) in &self.headers {
            reply.headers_mut().append(name, value.clone());
        }
        if let Some(cause) = &self.cause {
            reply.set_data(Cause(cause.clone()));
        }
        reply
    }
}

/// The cause of a fault, on its way from the handler to the log.
#[derive(Debug, Clone)]
pub(crate) struct Cause(pub(crate) String);

/// Marks a reply that is a page for people, or what a provider wants to read: it keeps its body
/// whatever its status.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnForm;

/// Cuts what came from outside to a length that may be repeated.
pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_REASON) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

impl ResponseError for ApiError {
    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn as_response(&self) -> Response {
        self.to_response()
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => {
                let mut reply = Self::unavailable(Duration::from_secs(2));
                reply.cause = Some(format!("{error:?}"));
                reply
            }
            StoreError::Busy => Self::unavailable(Duration::from_secs(1)),
            StoreError::Unreadable { .. } => Self::internal(error),
        }
    }
}

impl From<BlobError> for ApiError {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Unavailable(_) => {
                let mut reply = Self::unavailable(Duration::from_secs(2));
                reply.cause = Some(format!("{error:?}"));
                reply
            }
            other => Self::internal(other),
        }
    }
}

/// The body of every error.
#[derive(Object)]
#[oai(rename = "Error")]
struct ErrorReply {
    /// Machine code; the list is closed.
    code: String,
    /// For people.
    message: String,
    /// For a validation error, an object of arrays of texts by field.
    data: Option<Any<Value>>,
}

impl ApiResponse for ApiError {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "Refused: the status goes with the code.",
                status: None,
                status_range: None,
                content: vec![MetaMediaType {
                    content_type: "application/json",
                    schema: <Json<ErrorReply> as Payload>::schema_ref(),
                }],
                headers: vec![],
            }],
        }
    }

    fn register(registry: &mut Registry) {
        <Json<ErrorReply> as Payload>::register(registry);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    async fn body(error: &ApiError) -> Value {
        error.to_response().into_body().into_json().await.unwrap()
    }

    #[tokio::test]
    async fn the_envelope_has_code_message_and_data() {
        let error = ApiError::invalid("phone", "required").and("phone", "short").and("age", "old");
        let reply = error.to_response();

        assert_eq!(reply.status(), 400);
        assert_eq!(reply.headers()["content-type"], "application/json");
        assert_eq!(
            body(&error).await,
            json!({
                "code": "VALIDATION_EXCEPTION",
                "message": "Invalid input.",
                "data": { "phone": ["required", "short"], "age": ["old"] }
            })
        );
    }

    #[tokio::test]
    async fn a_fault_of_ours_says_nothing_about_itself() {
        let error = ApiError::internal("password=1");

        assert_eq!(
            body(&error).await,
            json!({ "code": "SERVER_ERROR", "message": "Internal error.", "data": null })
        );
        assert!(error.to_response().data::<Cause>().is_some());
    }

    #[test]
    fn refusals_say_what_to_do_next() {
        let cases = [
            ("no token", ApiError::not_authenticated(), 401, "www-authenticate", "Bearer"),
            (
                "bad token",
                ApiError::authentication_failed(),
                401,
                "www-authenticate",
                "Bearer error=\"invalid_token\"",
            ),
            (
                "scope",
                ApiError::missing_scope(Scope::UserImage),
                403,
                "www-authenticate",
                "Bearer error=\"insufficient_scope\", scope=\"user_image\"",
            ),
            (
                "rounded",
                ApiError::unavailable(Duration::from_millis(1_200)),
                503,
                "retry-after",
                "2",
            ),
            ("at least one", ApiError::rate_limited(Duration::ZERO), 429, "retry-after", "1"),
        ];
        for (name, error, status, header, value) in cases {
            let reply = error.to_response();
            assert_eq!(reply.status(), status, "{name}");
            assert_eq!(reply.headers()[header], value, "{name}");
        }
    }

    #[test]
    fn what_came_from_outside_is_cut() {
        assert_eq!(shorten(&"ä".repeat(10_000)).chars().count(), MAX_REASON + 1);
    }
}
