//! How much one caller may ask for.

use std::time::Duration;

use schemas::guess::GuessPolicy;

/// So many requests in such a span. All of them may come at once; then they come back evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Requests, at least 1.
    pub requests: u32,
    /// The span, at least a second.
    pub window: Duration,
}

impl Quota {
    /// So many requests a minute.
    #[must_use]
    pub const fn per_minute(requests: u32) -> Self {
        Self { requests, window: Duration::from_mins(1) }
    }
}

/// Limits of requests. Each API process counts for itself, so a caller that reaches several may
/// have the sum: a store in the way of every request would cost more than it guards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimits {
    /// Of one address (or 64 bits of IPv6) without credentials, or with wrong ones. 600 a minute;
    /// ten times that for the files of pictures.
    pub address: Option<Quota>,
    /// Of one user, through all clients and keys. 6,000 a minute.
    pub user: Option<Quota>,
    /// Of one client with its secret at the OAuth2 endpoints, and with tokens of its own. 60,000 a
    /// minute.
    pub client: Option<Quota>,
    /// Callers that are remembered for each limit; beyond that the least active are forgotten.
    /// 65,536.
    pub remembered: usize,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            address: Some(Quota::per_minute(600)),
            user: Some(Quota::per_minute(6_000)),
            client: Some(Quota::per_minute(60_000)),
            remembered: 65_536,
        }
    }
}

/// How wrong passwords slow down whoever sends them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuessPolicies {
    /// For one account from one address or known device: five are free, then the pause doubles
    /// from a second to a quarter of an hour.
    pub account: GuessPolicy,
    /// For one address through all accounts: fifty are free, then the pause doubles to five
    /// minutes.
    pub address: GuessPolicy,
}

impl Default for GuessPolicies {
    fn default() -> Self {
        Self {
            account: GuessPolicy {
                free: 5,
                first: Duration::from_secs(1),
                longest: Duration::from_mins(15),
                memory: Duration::from_hours(2),
            },
            address: GuessPolicy {
                free: 50,
                first: Duration::from_secs(1),
                longest: Duration::from_mins(5),
                memory: Duration::from_hours(1),
            },
        }
    }
}
