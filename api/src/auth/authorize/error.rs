//! Why nothing was allowed, in the words of RFC 6749 4.1.2.1. The body never has a `code`: clients
//! look at that first and then miss `error`.

use std::{borrow::Cow, fmt, time::Duration};

use poem::{
    Response,
    error::ResponseError,
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse,
    registry::{MetaResponses, Registry},
};
use schemas::ErrorCode;
use store::StoreError;

use crate::{
    auth::token_error::{self, TokenError},
    error::{ApiError, Cause},
};

/// Why nothing was allowed. `Display` is the public description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AuthorizeError {
    /// A parameter is missing, repeated or wrong.
    InvalidRequest(Cow<'static, str>),
    /// No such client.
    UnknownClient,
    /// This client may not ask in this way.
    UnauthorizedClient,
    /// Neither `code` nor `token`.
    UnsupportedResponseType,
    /// The scope is unknown, or more than the client or the user may give.
    InvalidScope,
    /// No good access token came with the request.
    NotSignedIn,
    /// The token is good, but not for this.
    Forbidden(&'static str),
    /// Feat cannot look into it now: come back after that time.
    Unavailable(Duration),
    /// A fault of ours, with its cause for the log.
    Server(String),
}

impl AuthorizeError {
    pub(super) fn invalid(description: impl Into<Cow<'static, str>>) -> Self {
        Self::InvalidRequest(description.into())
    }

    /// Status and error code. A new variant must choose its own.
    pub(super) const fn reply(&self) -> (StatusCode, &'static str) {
        match self {
            Self::InvalidRequest(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
            Self::UnknownClient => (StatusCode::BAD_REQUEST, "invalid_client"),
            Self::UnauthorizedClient => (StatusCode::BAD_REQUEST, "unauthorized_client"),
            Self::UnsupportedResponseType => (StatusCode::BAD_REQUEST, "unsupported_response_type"),
            Self::InvalidScope => (StatusCode::BAD_REQUEST, "invalid_scope"),
            Self::NotSignedIn => (StatusCode::UNAUTHORIZED, "invalid_token"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "access_denied"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
            Self::Server(_) => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        }
    }
}

impl fmt::Display for AuthorizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidRequest(description) => description,
            Self::UnknownClient => "there is no such client",
            Self::UnauthorizedClient => "this client may not ask in this way",
            Self::UnsupportedResponseType => "response_type must be code or token",
            Self::InvalidScope => "the scope is unknown, malformed or more than can be granted",
            Self::NotSignedIn => "a valid access token of the user is required",
            Self::Forbidden(description) => description,
            Self::Unavailable(_) => "not ready for this now",
            Self::Server(_) => "internal error",
        })
    }
}

impl std::error::Error for AuthorizeError {}

impl ResponseError for AuthorizeError {
    fn status(&self) -> StatusCode {
        self.reply().0
    }

    fn as_response(&self) -> Response {
        let (status, code) = self.reply();
        let mut reply = token_error::reply(status, code, &self.to_string());
        let headers = reply.headers_mut();
        match self {
            Self::NotSignedIn => {
                let bearer = HeaderValue::from_static("Bearer error=\"invalid_token\"");
                headers.insert(header::WWW_AUTHENTICATE, bearer);
            }
            Self::Unavailable(after) => {
                headers.insert(header::RETRY_AFTER, after.as_secs().max(1).into());
            }
            Self::Server(cause) => reply.set_data(Cause(cause.clone())),
            _ => {}
        }
        reply
    }
}

impl From<StoreError> for AuthorizeError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::Unavailable(Duration::from_secs(2)),
            StoreError::Busy => Self::Unavailable(Duration::from_secs(1)),
            StoreError::Unreadable { .. } => Self::Server(format!("{error:?}")),
        }
    }
}

impl From<ApiError> for AuthorizeError {
    fn from(error: ApiError) -> Self {
        match error.code() {
            ErrorCode::NotAuthenticated | ErrorCode::AuthenticationFailed => Self::NotSignedIn,
            ErrorCode::PermissionDenied => Self::Forbidden("this call needs a user"),
            ErrorCode::Unavailable | ErrorCode::RateLimited => {
                Self::Unavailable(Duration::from_secs(1))
            }
            _ => Self::Server(format!("{error:?}")),
        }
    }
}

impl From<TokenError> for AuthorizeError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::InvalidRequest(description) => Self::InvalidRequest(description),
            TokenError::InvalidScope => Self::InvalidScope,
            TokenError::Unavailable(after) | TokenError::Limited(after) => Self::Unavailable(after),
            other => Self::Server(format!("{other:?}")),
        }
    }
}

impl ApiResponse for AuthorizeError {
    fn meta() -> MetaResponses {
        token_error::error_meta()
    }

    fn register(registry: &mut Registry) {
        token_error::register_error(registry);
    }
}
