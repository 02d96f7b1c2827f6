//! What an API process can be told. The process that reads the configuration fills this in.

mod cors;
mod network;
mod rates;

use std::time::Duration;

use schemas::BundleId;
use tracing::Span;

pub(crate) use self::network::{caller_address, caller_network};
pub use self::{
    cors::{CorsOrigins, InvalidOrigins, Origin},
    network::{Network, NoNetwork},
    rates::{GuessPolicies, Quota, RateLimits},
};
use crate::{auth::TokenKey, pictures::PictureLimits};

/// Takes the request's span and the `traceparent` that came with the request, makes the span part
/// of that trace, and gives the `traceparent` to pass on.
pub type TraceLink = fn(&Span, Option<&str>) -> Option<String>;

/// Settings of the API.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where clients reach Feat, such as `https://feat.example.com`, without a slash at the end:
    /// begin of every address in a reply, and issuer of access tokens.
    pub public_url: String,
    /// Signs access tokens, and gives the key of refresh tokens.
    pub token_key: TokenKey,
    /// Keys whose access and refresh tokens count too: those before [`Self::token_key`], until the
    /// last session that began under them is over, and the next one.
    pub other_token_keys: Vec<TokenKey>,
    /// An issuer elsewhere whose access tokens count beside Feat's own.
    pub trusted_issuer: Option<TrustedIssuer>,
    /// How long an authorization code counts. 1 minute.
    pub code_life: Duration,
    /// How long the browser that signed in at `/authorize` stays signed in there. 10 minutes.
    pub page_life: Duration,
    /// How long a process relies on what it knows of a sign-in. One that ends is heard of at once
    /// over the broker; this is the bound if that news is lost. 30 seconds.
    pub session_check: Duration,
    /// How long an access token counts. 15 minutes.
    pub access_token_life: Duration,
    /// How long a sign-in lasts without its password. 30 days.
    pub session_life: Duration,
    /// How long after a rotation the refresh token before it still counts as a repeated request,
    /// for clients whose reply got lost. 30 seconds.
    pub refresh_grace: Duration,
    /// How long a long-lived key that was found good is not looked up again, so that one revoked
    /// by another process may still count. 5 seconds.
    pub key_check: Duration,
    /// `Prefer: wait` of callers that send none; for clients that know only the old synchronous
    /// API. Zero: answer at once.
    pub default_wait: Duration,
    /// The longest `Prefer: wait` that is honoured. 60 seconds.
    pub max_wait: Duration,
    /// Bounds of requests and connections.
    pub limits: Limits,
    /// Bounds of pictures.
    pub pictures: PictureLimits,
    /// Pages of which other origins may call the API. None.
    pub cors: CorsOrigins,
    /// Proxies whose `X-Forwarded-For` is believed. None.
    pub trusted_proxies: Vec<Network>,
    /// How long a bill can be paid. 2 hours.
    pub bill_life: Duration,
    /// Whether only the browser that began to bind an account may finish it; otherwise another one is
    /// asked whether it means it. No.
    pub bind_in_same_browser: bool,
    /// The app of a device token that is registered without naming one. None.
    pub default_push_app: Option<BundleId>,
    /// How much one caller may ask for.
    pub rates: RateLimits,
    /// How wrong passwords slow down whoever sends them.
    pub guesses: GuessPolicies,
    /// Apps that pushes can be sent to. None.
    pub push_apps: Vec<schemas::BundleId>,
    /// Ties the request's span to a trace. [`pass_on`] when traces are not exported.
    pub trace_link: TraceLink,
}

/// An issuer of access tokens that is not this Feat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedIssuer {
    /// Its name, exactly as its tokens have it in `iss`.
    pub issuer: String,
    /// What its tokens for Feat have in `aud`.
    pub audience: String,
    /// Where its public keys are (RFC 7517).
    pub jwks_url: String,
}

/// Bounds of requests and connections; what exceeds one is refused with a documented error.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections; further ones wait in the listener's backlog. One network that is no
    /// trusted proxy may have a quarter of them, at least 64; further ones are closed. 8,192.
    pub connections: usize,
    /// Requests under way; further ones get 503. The bodies of an eighth as many may be on their
    /// way from one network; further ones get 429. 2,048.
    pub requests: usize,
    /// Requests that wait for a job (`Prefer: wait`), counted by themselves. 4,096.
    pub waiting_requests: usize,
    /// Jobs that somebody waits for or follows at a time. One user may have 256 such waits; further
    /// ones are answered without a wait. 8,192.
    pub watched_jobs: usize,
    /// Streams of events that are open at a time; further ones get 503. One user may have 32 of
    /// them; further ones get 429. 1,024.
    pub event_streams: usize,
    /// Longest time until the head of a request is there, and a connection's longest idle time.
    /// 10 seconds.
    pub head_time: Duration,
    /// Longest time that a client may take nothing of what is sent to it. 30 seconds.
    pub stall_time: Duration,
    /// Bytes of a body that is not a multipart one. 1 MiB.
    pub body_bytes: u64,
    /// Bytes of a multipart body beyond the largest picture: part headers and tags. 256 KiB.
    pub upload_overhead_bytes: u64,
    /// Longest time between two pieces of a body. 10 seconds.
    pub body_idle: Duration,
    /// Time that any body may take, before [`Self::body_rate`] counts. 20 seconds.
    pub body_grace: Duration,
    /// Least bytes per second of a longer body, on average; what came faster is good for a minute
    /// at most. 16 KiB.
    pub body_rate: u64,
    /// Longest time of a request apart from waiting for a job; its reply is then 503. 60 seconds.
    pub request_time: Duration,
    /// Passwords that wait for their turn to be checked; further ones get 503. 64.
    pub waiting_passwords: usize,
    /// Access tokens that are remembered as verified. 65,536.
    pub cached_tokens: usize,
    /// Sign-ins that are remembered as live or ended. 16,384.
    pub cached_sessions: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8_192,
            requests: 2_048,
            waiting_requests: 4_096,
            watched_jobs: 8_192,
            event_streams: 1_024,
            head_time: Duration::from_secs(10),
            stall_time: Duration::from_secs(30),
            body_bytes: 1 << 20,
            upload_overhead_bytes: 256 << 10,
            body_idle: Duration::from_secs(10),
            body_grace: Duration::from_secs(20),
            body_rate: 16 << 10,
            request_time: Duration::from_mins(1),
            waiting_passwords: 64,
            cached_tokens: 65_536,
            cached_sessions: 16_384,
        }
    }
}

impl Settings {
    /// Defaults for everything but the two things that have none. A slash at the end of
    /// `public_url` is dropped.
    #[must_use]
    pub fn new(public_url: impl Into<String>, token_key: TokenKey) -> Self {
        Self {
            public_url: public_url.into().trim_end_matches('/').to_owned(),
            token_key,
            other_token_keys: vec![],
            trusted_issuer: None,
            code_life: Duration::from_mins(1),
            page_life: Duration::from_mins(10),
            session_check: Duration::from_secs(30),
            access_token_life: Duration::from_mins(15),
            session_life: Duration::from_hours(30 * 24),
            refresh_grace: Duration::from_secs(30),
            key_check: Duration::from_secs(5),
            default_wait: Duration::ZERO,
            max_wait: Duration::from_mins(1),
            limits: Limits::default(),
            pictures: PictureLimits::default(),
            cors: CorsOrigins::default(),
            trusted_proxies: Vec::new(),
            bill_life: Duration::from_hours(2),
            bind_in_same_browser: false,
            default_push_app: None,
            rates: RateLimits::default(),
            guesses: GuessPolicies::default(),
            push_apps: Vec::new(),
            trace_link: pass_on,
        }
    }
}

/// The [`TraceLink`] of a process that exports no traces: passes on what came.
#[must_use]
pub fn pass_on(_span: &Span, trace_parent: Option<&str>) -> Option<String> {
    trace_parent.map(str::to_owned)
}
