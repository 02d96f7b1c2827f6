//! The machine codes of the public API's errors: a closed list that clients may rely on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! error_codes {
    ($($(#[doc = $meaning:literal])* $name:ident = ($status:literal, $code:literal)),+ $(,)?) => {
        /// Why a call was refused. Codes are upper case but for the three that the public API
        /// documents, or continues, in lower case.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum ErrorCode {
            $($(#[doc = $meaning])* #[serde(rename = $code)] $name),+
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Text on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $code),+ }
            }

            /// What it says to the caller, in a sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($meaning),*).trim_ascii()),+ }
            }

            /// HTTP status that goes with it.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status),+ }
            }
        }
    };
}

error_codes! {
    /// No credentials were sent.
    NotAuthenticated = (401, "not_authenticated"),
    /// The credentials are wrong or have expired: sign in again.
    AuthenticationFailed = (401, "authentication_failed"),
    /// The token lacks the scope for this call.
    PermissionDenied = (403, "permission_denied"),
    /// The user has bound no Alipay account; `data.auth_url` is where to do that.
    AlipayBindFirst = (400, "ALIPAY_BIND_FIRST"),
    /// The user has bound no WeChat account; `data.code_url` is a picture to scan for that.
    WxBindFirst = (400, "WX_BIND_FIRST"),
    /// The card's holder has to open it for payments first.
    ServiceNotOpen = (400, "SERVICE_NOT_OPEN"),
    /// The card's holder has to open it first; `data` is a page of HTML for that.
    AccountInactive = (400, "ACCOUNT_INACTIVE"),
    /// The bank knows the card's holder by another telephone number.
    InconsistentPhone = (400, "INCONSISTENT_PHONE"),
    /// The code from the text message is wrong or too old: have another one sent.
    InvalidVcode = (400, "INVALID_VCODE"),
    /// The request's content is wrong; `data` names the fields.
    Validation = (400, "VALIDATION_EXCEPTION"),
    /// No such thing, or not the caller's.
    NotFound = (404, "NOT_FOUND"),
    /// The address exists, but not with this method.
    MethodNotAllowed = (405, "METHOD_NOT_ALLOWED"),
    /// The thing is not in a state that allows the call.
    Conflict = (409, "CONFLICT"),
    /// The body is larger than this call accepts.
    TooLarge = (413, "PAYLOAD_TOO_LARGE"),
    /// The body has a content type that this call does not read.
    UnsupportedMediaType = (415, "UNSUPPORTED_MEDIA_TYPE"),
    /// The byte range lies outside the file.
    RangeNotSatisfiable = (416, "RANGE_NOT_SATISFIABLE"),
    /// The idempotency key was used for another request.
    KeyReused = (422, "IDEMPOTENCY_KEY_REUSED"),
    /// Too many requests: come back after `Retry-After` seconds.
    RateLimited = (429, "RATE_LIMITED"),
    /// The body or headers came too slowly.
    RequestTimeout = (408, "REQUEST_TIMEOUT"),
    /// A mistake of Feat's own; the request id names it in the log.
    Internal = (500, "SERVER_ERROR"),
    /// The call is documented and this build does not do it.
    NotImplemented = (501, "NOT_IMPLEMENTED"),
    /// Not ready for this work: come back after `Retry-After` seconds.
    Unavailable = (503, "SERVICE_UNAVAILABLE"),
    /// The job was refused; `data.job` is the job.
    JobFailed = (422, "JOB_FAILED"),
    /// The job was cancelled; `data.job` is the job.
    JobCancelled = (409, "JOB_CANCELLED"),
    /// The job ended without success after every permitted attempt; `data.job` is the job.
    JobDead = (502, "JOB_DEAD"),
}
