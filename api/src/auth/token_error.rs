//! Errors of the OAuth2 endpoints, in the shape of RFC 6749 5.2, which is not the shape of the
//! rest of the API.

use std::{borrow::Cow, fmt, time::Duration};

use poem::{
    Response,
    error::ResponseError,
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse, Object,
    payload::{Json, Payload},
    registry::{MetaMediaType, MetaResponse, MetaResponses, Registry},
};
use serde_json::json;
use store::StoreError;

use super::{guesses::NotNow, password::PasswordError};
use crate::{
    error::{ApiError, Cause},
    rates::Exhausted,
};

/// Why no token was issued. `Display` is the public description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenError {
    /// A parameter is missing, repeated or has an unsupported value, or the request is malformed.
    InvalidRequest(Cow<'static, str>),
    /// The client did not prove who it is.
    InvalidClient(&'static str),
    /// The user's credentials or the refresh token do not count, or not for this client.
    InvalidGrant(&'static str),
    /// This client may not use this grant.
    UnauthorizedClient,
    /// No such grant here.
    UnsupportedGrantType,
    /// A token of this kind cannot be revoked (RFC 7009 2.2.1): it counts until it expires.
    UnsupportedTokenType,
    /// The scope is malformed, unknown, or more than was granted.
    InvalidScope,
    /// Feat cannot look into it now: come back after that time.
    Unavailable(Duration),
    /// The caller has asked, or failed, too often: come back after that time.
    Limited(Duration),
    /// A fault of ours, with its cause for the log.
    Server(String),
}

impl TokenError {
    pub(super) fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::InvalidRequest(description.into())
    }

    /// Status and error code. A new variant must choose its own.
    const fn reply(&self) -> (StatusCode, &'static str) {
        match self {
            Self::InvalidRequest(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
            Self::InvalidClient(_) => (StatusCode::UNAUTHORIZED, "invalid_client"),
            Self::InvalidGrant(_) => (StatusCode::BAD_REQUEST, "invalid_grant"),
            Self::UnauthorizedClient => (StatusCode::BAD_REQUEST, "unauthorized_client"),
            Self::UnsupportedGrantType => (StatusCode::BAD_REQUEST, "unsupported_grant_type"),
            Self::UnsupportedTokenType => (StatusCode::BAD_REQUEST, "unsupported_token_type"),
            Self::InvalidScope => (StatusCode::BAD_REQUEST, "invalid_scope"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
            Self::Limited(_) => (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable"),
            Self::Server(_) => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        }
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidRequest(description) => description,
            Self::InvalidClient(description) | Self::InvalidGrant(description) => description,
            Self::UnauthorizedClient => "this client may not use this grant",
            Self::UnsupportedGrantType => "this grant is not known here",
            Self::UnsupportedTokenType => "a client's own access token cannot be revoked",
            Self::InvalidScope => "the scope is unknown, malformed or more than was granted",
            Self::Unavailable(_) => "not ready for this now",
            Self::Limited(_) => "too many attempts, come back later",
            Self::Server(_) => "internal error",
        })
    }
}

impl std::error::Error for TokenError {}

impl ResponseError for TokenError {
    fn status(&self) -> StatusCode {
        self.reply().0
    }

    fn as_response(&self) -> Response {
        let (status, code) = self.reply();
        let mut reply = reply(status, code, &self.to_string());
        let headers = reply.headers_mut();
        match self {
            Self::InvalidClient(_) => {
                let basic = HeaderValue::from_static("Basic realm=\"feat\"");
                headers.insert(header::WWW_AUTHENTICATE, basic);
            }
            Self::Unavailable(after) | Self::Limited(after) => {
                let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
                headers.insert(header::RETRY_AFTER, seconds.max(1).into());
            }
            Self::Server(cause) => reply.set_data(Cause(cause.clone())),
            _ => {}
        }
        reply
    }
}

/// A refusal in the shape of RFC 6749 5.2, which nobody keeps.
pub(super) fn reply(status: StatusCode, code: &str, description: &str) -> Response {
    let body = json!({ "error": code, "error_description": description });
    Response::builder()
        .status(status)
        .content_type("application/json")
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::PRAGMA, "no-cache")
        .body(body.to_string())
}

impl From<StoreError> for TokenError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::Unavailable(Duration::from_secs(2)),
            StoreError::Busy => Self::Unavailable(Duration::from_secs(1)),
            StoreError::Unreadable { .. } => Self::Server(format!("{error:?}")),
        }
    }
}

impl From<PasswordError> for TokenError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::Unavailable(Duration::from_secs(1)),
            PasswordError::Failed => Self::Server(format!("{error:?}")),
        }
    }
}

impl From<Exhausted> for TokenError {
    fn from(limit: Exhausted) -> Self {
        Self::Limited(limit.retry_after)
    }
}

impl From<NotNow> for TokenError {
    fn from(reason: NotNow) -> Self {
        match reason {
            NotNow::Slowed(wait) => Self::Limited(wait),
            NotNow::Store(error) => error.into(),
        }
    }
}

impl From<ApiError> for TokenError {
    fn from(error: ApiError) -> Self {
        Self::Server(format!("{error:?}"))
    }
}

/// The body of an OAuth2 error.
#[derive(Object)]
#[oai(rename = "OAuthError")]
struct TokenErrorReply {
    /// Code of RFC 6749 5.2.
    error: String,
    /// For people.
    error_description: Option<String>,
}

/// What the OpenAPI document says about such refusals.
pub(super) fn error_meta() -> MetaResponses {
    MetaResponses {
        responses: vec![MetaResponse {
            description: "Refused: RFC 6749 5.2.",
            status: None,
            status_range: None,
            content: vec![MetaMediaType {
                content_type: "application/json",
                schema: <Json<TokenErrorReply> as Payload>::schema_ref(),
            }],
            headers: vec![],
        }],
    }
}

/// Registers the body of such refusals.
pub(super) fn register_error(registry: &mut Registry) {
    <Json<TokenErrorReply> as Payload>::register(registry);
}

impl ApiResponse for TokenError {
    fn meta() -> MetaResponses {
        error_meta()
    }

    fn register(registry: &mut Registry) {
        register_error(registry);
    }
}
