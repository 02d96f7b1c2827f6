//! The back ends of apps, which are told of events by signed requests (Standard Webhooks).
//!
//! What always holds: a request goes to the configured address and nowhere else, without following
//! a redirect and without a proxy; unless it is configured, never to an address of this machine or
//! of a private network, whatever a name resolves to; certificates are checked. The secrets are
//! read anew for every request, so that a changed file counts at once.

mod reach;
mod sign;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use reqwest::{StatusCode, header};
use schemas::{Timestamp, webhook::WebhookEvent};
use secrecy::ExposeSecret;
use serde::Deserialize;
use url::Url;

use self::{
    reach::{Public, address},
    sign::Key,
};
use crate::{Finding, payment::Source};

/// Longest time of one request.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Longest time until there is a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Longest pause that is taken over from an answer.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// Most secrets of one endpoint: the one in force, and the one before or after it.
const MAX_SECRETS: usize = 2;

/// One place that wants to hear of events.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Its name in records and for operators; unique.
    pub name: String,
    /// Where requests go: `https://…`.
    pub url: String,
    /// `whsec_` and base64 of 24 to 64 bytes. With two of them every request has both signatures,
    /// so that the receiver can change over at any time.
    pub secrets: Vec<Source>,
    /// The events that it wants, by name.
    pub events: BTreeSet<String>,
    /// Whether the address may be one of this machine or of a private network, and plain HTTP.
    #[serde(default)]
    pub private: bool,
    /// Certificates in PEM of the authorities that are believed in place of the public ones.
    #[serde(default)]
    pub trust_roots: Option<Source>,
}

/// Why an event was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// There is no endpoint of this name any more. Sending it again changes nothing.
    #[error("no such endpoint is configured")]
    NoEndpoint,
    /// The endpoint says that it is gone for good. Sending it again changes nothing.
    #[error("the endpoint is gone")]
    Gone,
    /// The endpoint asked for a pause. Send it again, but not sooner.
    #[error("the endpoint asks for a pause of {0:?}")]
    Later(Duration),
    /// It was not taken, or nobody knows. Send it again under the same id.
    #[error("{0}")]
    Failed(String),
}

/// The configured endpoints. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Webhooks(Arc<Vec<Endpoint>>);

#[derive(Debug)]
struct Endpoint {
    settings: WebhookSettings,
    url: Url,
    client: reqwest::Client,
}

impl Webhooks {
    /// Reads the settings and their secrets.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them. The operator must act.
    pub fn open(settings: Vec<WebhookSettings>) -> Result<Self, Vec<Finding>> {
        let (mut endpoints, mut problems, mut names) = (Vec::new(), Vec::new(), BTreeSet::new());
        for one in settings {
            let what = format!("webhook {}", one.name);
            if !names.insert(one.name.clone()) {
                problems.push((what.clone(), "the name is taken by another one".to_owned()));
            }
            match Endpoint::open(one) {
                Ok(endpoint) => endpoints.push(endpoint),
                Err(all) => problems.extend(all.into_iter().map(|text| (what.clone(), text))),
            }
        }
        if problems.is_empty() {
            return Ok(Self(Arc::new(endpoints)));
        }
        let findings =
            problems.into_iter().map(|(what, problem)| Finding { what, problem: Some(problem) });
        Err(findings.collect())
    }

    /// The names of the endpoints that want events of this name.
    pub fn wanting(&self, event: &str) -> impl Iterator<Item = &str> {
        let wants = move |endpoint: &&Endpoint| endpoint.settings.events.contains(event);
        self.0.iter().filter(wants).map(|endpoint| endpoint.settings.name.as_str())
    }

    /// Sends `body`, a JSON document, to the endpoint `name` once. `id` stays the same on every
    /// repetition, so that the receiver can tell them.
    ///
    /// # Errors
    ///
    /// [`DeliveryError`] says what may be done. The event may have been taken all the same.
    pub async fn deliver(&self, name: &str, id: &str, body: String) -> Result<(), DeliveryError> {
        let endpoint = self.0.iter().find(|endpoint| endpoint.settings.name == name);
        let endpoint = endpoint.ok_or(DeliveryError::NoEndpoint)?;
        let outcome = endpoint.send(id, body).await;
        let answer = match &outcome {
            Ok(()) => "taken",
            Err(DeliveryError::Later(_)) => "later",
            Err(DeliveryError::Gone | DeliveryError::NoEndpoint) => "gone",
            Err(DeliveryError::Failed(_)) => "failed",
        };
        let name = name.to_owned();
        metrics::counter!("feat_webhooks_total", "endpoint" => name, "answer" => answer)
            .increment(1);
        outcome
    }

    /// Looks whether every endpoint's secrets can be read, without sending anything.
    #[must_use]
    pub fn check(&self) -> Vec<Finding> {
        let look = |endpoint: &Endpoint| Finding {
            what: format!("webhook {}", endpoint.settings.name),
            problem: keys(&endpoint.settings.secrets).err(),
        };
        self.0.iter().map(look).collect()
    }
}

impl Endpoint {
    fn open(settings: WebhookSettings) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        if !(1..=64).contains(&settings.name.len()) {
            problems.push("name: expected 1 to 64 bytes".to_owned());
        }
        let known = WebhookEvent::TYPES;
        for event in settings.events.iter().filter(|event| !known.contains(&event.as_str())) {
            problems.push(format!("events: there is no {event}, but {}", known.join(", ")));
        }
        if settings.events.is_empty() {
            problems.push(format!("events: name some of {}", known.join(", ")));
        }
        problems.extend(keys(&settings.secrets).err());
        let url = address(&settings.url, settings.private);
        let client = client(&settings);
        match (url, client) {
            (Ok(url), Ok(client)) if problems.is_empty() => Ok(Self { settings, url, client }),
            (url, client) => {
                problems.extend(url.err());
                problems.extend(client.err());
                Err(problems)
            }
        }
    }

    async fn send(&self, id: &str, body: String) -> Result<(), DeliveryError> {
        let secrets = self.settings.secrets.clone();
        let keys = tokio::task::spawn_blocking(move || keys(&secrets)).await;
        let keys = keys.map_err(|error| DeliveryError::Failed(error.to_string()))?;
        let keys = keys.map_err(DeliveryError::Failed)?;
        let timestamp = Timestamp::now().as_secs();
        let request = self
            .client
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", sign::signatures(&keys, id, timestamp, &body))
            .body(body);
        // The error's text would have the address, which may have a secret in it.
        let failed = |error: reqwest::Error| DeliveryError::Failed(told(&error).to_owned());
        let reply = request.send().await.map_err(failed)?;
        judge(reply.status(), pause(reply.headers()))
    }
}

fn told(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    }
}

/// What an answer means. A redirect is no success: the address in the settings is the right one.
fn judge(status: StatusCode, pause: Option<Duration>) -> Result<(), DeliveryError> {
    match (status, pause) {
        (status, _) if status.is_success() => Ok(()),
        (StatusCode::GONE, _) => Err(DeliveryError::Gone),
        (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, Some(pause)) => {
            Err(DeliveryError::Later(pause))
        }
        (status, _) => Err(DeliveryError::Failed(format!("status {}", status.as_u16()))),
    }
}

fn pause(headers: &header::HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).clamp(Duration::from_secs(1), LONGEST_PAUSE))
}

fn keys(secrets: &[Source]) -> Result<Vec<Key>, String> {
    if !(1..=MAX_SECRETS).contains(&secrets.len()) {
        return Err("secrets: expected one, or two while they are exchanged".to_owned());
    }
    let read = |source: &Source| Key::read(&source.text()?);
    secrets
        .iter()
        .map(read)
        .collect::<Result<_, String>>()
        .map_err(|text| format!("secrets: {text}"))
}

fn client(settings: &WebhookSettings) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .user_agent("feat-webhooks");
    if !settings.private {
        builder = builder.dns_resolver(Arc::new(Public));
    }
    if let Some(roots) = &settings.trust_roots {
        let pem = roots.text().map_err(|text| format!("trust_roots: {text}"))?;
        let roots = reqwest::Certificate::from_pem_bundle(pem.expose_secret().as_bytes());
        // Text without any is no reason to trust nobody.
        let roots = roots.ok().filter(|roots| !roots.is_empty());
        let roots = roots.ok_or_else(|| "trust_roots: not certificates in PEM".to_owned())?;
        builder = builder.tls_certs_only(roots);
    }
    builder.build().map_err(|_| "no HTTP client could be made".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_sorted_by_what_may_be_done() {
        let pause = Some(Duration::from_secs(7));
        let failed = |status: u16| Err(DeliveryError::Failed(format!("status {status}")));
        let rows = [
            ("taken", 204, None, Ok(())),
            ("gone", 410, None, Err(DeliveryError::Gone)),
            ("busy, with a pause", 429, pause, Err(DeliveryError::Later(Duration::from_secs(7)))),
            ("busy, without", 429, None, failed(429)),
            ("down, with a pause", 503, pause, Err(DeliveryError::Later(Duration::from_secs(7)))),
            ("moved", 301, pause, failed(301)),
            ("wrong", 400, None, failed(400)),
            ("broken", 500, pause, failed(500)),
        ];
        for (name, status, pause, expected) in rows {
            let status = StatusCode::from_u16(status).unwrap_or_default();
            assert_eq!(judge(status, pause), expected, "{name}");
        }
    }

    #[test]
    fn everything_wrong_with_an_endpoint_is_told_at_once() {
        let settings = WebhookSettings {
            name: "shop".to_owned(),
            url: "http://shop.example.com/".to_owned(),
            secrets: vec![Source::Value("whsec_dG9vIHNob3J0".into())],
            events: BTreeSet::from(["dance".to_owned()]),
            private: false,
            trust_roots: Some(Source::Value("no certificate".into())),
        };
        let findings = Webhooks::open(vec![settings.clone(), settings]).err().unwrap_or_default();
        let problems: Vec<_> = findings.into_iter().filter_map(|found| found.problem).collect();
        assert_eq!(problems.len(), 9, "{problems:?}");
    }
}
