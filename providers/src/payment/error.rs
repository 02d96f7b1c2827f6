//! Why a call to a payment provider gave no usable answer.

use std::time::Duration;

/// Why a provider call gave no usable answer, sorted by what the caller may do next.
///
/// Codes are the provider's own words from a closed alphabet (letters, digits, `_`, `.`, `-`),
/// shortened; no text here holds a secret, a person's name or card data.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum ProviderError {
    /// Refused with this code: nothing changed, and the same request would be refused again.
    #[error("refused by provider: {0}")]
    Refused(String),
    /// Nothing changed by this call, because the trade or refund is not in the state that the
    /// call supposes: it is paid, closed, or its number was used before. Query it and follow
    /// what the query says.
    #[error("trade is in another state: {0}")]
    Conflict(String),
    /// Refused for a reason outside the request that can pass, such as a balance too low.
    /// Nothing changed; the same call with the same data may be made again after `after`.
    #[error("refused for now by provider: {code}")]
    NotNow {
        /// What the provider said.
        code: String,
        /// The least pause before the next try.
        after: Duration,
    },
    /// Nothing was attempted. Try again, but not sooner than this.
    #[error("throttled by provider for {0:?}")]
    Throttled(Duration),
    /// Nothing left this process: the provider was not reachable, its circuit breaker is open, or
    /// too many calls to it are under way. The same call later is safe.
    #[error("request was not sent: {reason}")]
    NotSent {
        /// Why, in one word.
        reason: &'static str,
        /// The least pause before the next try.
        after: Duration,
    },
    /// The request left and no usable answer came back: money may have moved. Ask first. The
    /// text says what was wrong with the answer, in one word.
    #[error("provider outcome unknown: {0}")]
    OutcomeUnknown(String),
    /// Keys, certificates, numbers or permissions are not in order, here or at the provider.
    /// Nothing changed. The operator must act; the same call later is safe.
    #[error("payment account is not set up: {0}")]
    Misconfigured(String),
}

impl ProviderError {
    /// Whether it is proven that the call changed nothing at the provider.
    #[must_use]
    pub const fn changed_nothing(&self) -> bool {
        !matches!(self, Self::OutcomeUnknown(_))
    }

    /// A provider's code, cut and cleaned so that it can be shown and stored.
    pub(crate) fn code(text: &str) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let code: String = text.chars().filter(|c| plain(*c)).take(64).collect();
        if code.is_empty() { "without_code".to_owned() } else { code }
    }

    /// An outcome that is not known, for the reason `why`.
    pub(crate) fn unknown(why: &str) -> Self {
        Self::OutcomeUnknown(Self::code(why))
    }
}
