//! The one way to a provider: bounded in time, size and number, without proxies and redirects.
//!
//! What matters to money is told apart here and nowhere else: a request that surely never left
//! ([`SendError::NotSent`]) and one that may have ([`SendError::Lost`]).

mod breaker;
mod client;

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use reqwest::{
    Method,
    header::{HeaderMap, HeaderName},
};
use schemas::Channel;
use tokio::sync::Semaphore;
use url::Url;

use self::breaker::Breaker;
pub(super) use self::client::{Reachable, client_builder, endpoint};
use super::{Call, ProviderError, Purpose, Reach};

/// Largest answer that is read where the caller expects a message.
pub(super) const MESSAGE_BYTES: usize = 1024 * 1024;

/// Largest file that is read.
pub(super) const FILE_BYTES: usize = 256 * 1024 * 1024;

/// Bills of one account that are fetched at a time: files are large and nobody waits for them.
const BILL_SLOTS: usize = 2;

/// The connections to one provider for one account.
///
/// Bills have a lane of their own: their files often come from another host, and when that one
/// is away, payments go on; nor does a slow download take a payer's slot.
pub(super) struct Transport {
    client: reqwest::Client,
    payments: Lane,
    bills: Lane,
    queue: Duration,
    channel: Channel,
}

/// What calls for one purpose share.
struct Lane {
    breaker: Mutex<Breaker>,
    slots: Semaphore,
    channel: Channel,
    /// The account as the breaker's metric names it.
    label: String,
}

/// One request, ready to be sent.
pub(super) struct Request<'r> {
    /// The provider's word for what is asked; for trails and metrics.
    pub(super) operation: &'static str,
    /// Method of HTTP.
    pub(super) method: Method,
    /// Where it goes.
    pub(super) url: Url,
    /// Headers besides those of the client.
    pub(super) headers: Vec<(HeaderName, String)>,
    /// The body.
    pub(super) body: Option<String>,
    /// Its fields, for the trail.
    pub(super) fields: Vec<(&'r str, &'r str)>,
    /// Largest answer that is read.
    pub(super) max_bytes: usize,
    /// Another client than the usual one, for mutual TLS.
    pub(super) client: Option<&'r reqwest::Client>,
}

/// An answer: nothing in it is verified yet.
pub(super) struct Answer {
    /// Status of HTTP.
    pub(super) status: u16,
    /// Its headers.
    pub(super) headers: HeaderMap,
    /// Its body.
    pub(super) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SendError {
    /// Nothing left this process.
    NotSent(&'static str, Duration),
    /// The request may have left.
    Lost(&'static str),
}

impl From<SendError> for ProviderError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::NotSent(reason, after) => Self::NotSent { reason, after },
            SendError::Lost(why) => Self::unknown(why),
        }
    }
}

impl Transport {
    pub(super) fn new(
        client: reqwest::Client,
        reach: &Reach,
        channel: Channel,
        account: &str,
    ) -> Self {
        Self {
            client,
            payments: Lane::new(reach.concurrency, channel, account.to_owned()),
            bills: Lane::new(BILL_SLOTS, channel, format!("{account}_bills")),
            queue: reach.queue(),
            channel,
        }
    }

    const fn lane(&self, purpose: Purpose) -> &Lane {
        match purpose {
            Purpose::Payment => &self.payments,
            Purpose::Bill => &self.bills,
        }
    }

    /// Sends one request and reads the whole answer. Statuses are not judged, but a redirect is
    /// an error: providers do not send any, and following one could leak or repeat a payment.
    pub(super) async fn send(
        &self,
        request: Request<'_>,
        call: &mut Call,
    ) -> Result<Answer, SendError> {
        call.trail.begin(request.operation, request.fields.iter().copied());
        let operation = request.operation;
        let begun = Instant::now();
        let answer = self.admitted(request, self.lane(call.purpose), call.timeout).await;
        let elapsed = begun.elapsed();
        let (status, ended) = match &answer {
            Ok(answer) => (Some(answer.status), "answered"),
            Err(SendError::NotSent(reason, _) | SendError::Lost(reason)) => (None, *reason),
        };
        call.trail.end(status, elapsed, ended);
        let (channel, account) = (self.channel.name(), self.payments.label.clone());
        metrics::histogram!("feat_payment_call_seconds", "channel" => channel,
            "account" => account, "operation" => operation, "ended" => ended)
        .record(elapsed);
        answer
    }

    async fn admitted(
        &self,
        request: Request<'_>,
        lane: &Lane,
        timeout: Duration,
    ) -> Result<Answer, SendError> {
        let busy = SendError::NotSent("busy", Duration::from_secs(1));
        let slot = tokio::time::timeout(self.queue, lane.slots.acquire()).await;
        let Ok(Ok(_slot)) = slot else { return Err(busy) };
        let admitted = lane.with_breaker(|breaker| breaker.admit(Instant::now()));
        admitted.map_err(|wait| SendError::NotSent("circuit_open", wait))?;
        let mut attempt = Attempt { lane, worked: false };
        let answer = self.exchange(request, timeout).await;
        attempt.worked = answer.as_ref().is_ok_and(|answer| answer.status < 500);
        answer
    }

    async fn exchange(&self, request: Request<'_>, timeout: Duration) -> Result<Answer, SendError> {
        let client = request.client.unwrap_or(&self.client);
        let mut builder = client.request(request.method, request.url).timeout(timeout);
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        let response = builder.send().await.map_err(|error| sorted(&error))?;
        let status = response.status().as_u16();
        if response.status().is_redirection() {
            return Err(SendError::Lost("redirect"));
        }
        let headers = response.headers().clone();
        let body = whole(response, request.max_bytes).await?;
        Ok(Answer { status, headers, body })
    }
}

impl Lane {
    fn new(slots: usize, channel: Channel, label: String) -> Self {
        Self { breaker: Mutex::default(), slots: Semaphore::new(slots.max(1)), channel, label }
    }

    fn with_breaker<T>(&self, act: impl FnOnce(&mut Breaker) -> T) -> T {
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut breaker);
        let state = breaker.gauge(Instant::now());
        metrics::gauge!("feat_payment_breaker_state", "channel" => self.channel.name(),
            "account" => self.label.clone())
        .set(state);
        result
    }
}

/// Reports how an admitted request ended, also when its caller went away in the middle.
struct Attempt<'l> {
    lane: &'l Lane,
    worked: bool,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let worked = self.worked;
        self.lane.with_breaker(|breaker| breaker.record(worked, Instant::now()));
    }
}

/// Tells a request that never left from one that may have. The error's text is dropped: it may
/// name the address with its query.
fn sorted(error: &reqwest::Error) -> SendError {
    if error.is_builder() {
        return SendError::NotSent("unsendable", Duration::from_mins(1));
    }
    if error.is_connect() {
        return SendError::NotSent("unreachable", Duration::from_secs(1));
    }
    if error.is_timeout() { SendError::Lost("timeout") } else { SendError::Lost("cut_off") }
}

async fn whole(mut response: reqwest::Response, most: usize) -> Result<Vec<u8>, SendError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| sorted_body(&error))? {
        if body.len() + chunk.len() > most {
            return Err(SendError::Lost("answer_too_large"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Whatever happens to a body, its request had left.
fn sorted_body(error: &reqwest::Error) -> SendError {
    if error.is_timeout() { SendError::Lost("timeout") } else { SendError::Lost("cut_off") }
}
