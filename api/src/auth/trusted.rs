//! Access tokens of one issuer elsewhere, which count beside Feat's own.
//!
//! Such a token must be signed with one of the issuer's published keys, name exactly the configured
//! issuer and audience, and name a user of ours: its `sub` is a uid. Keys are fetched when they are
//! first needed, kept for ten minutes, and fetched anew when a token names an unknown one, but not
//! more often than every ten seconds, whatever strangers send. While the issuer is away its last
//! keys count for an hour.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jsonwebtoken::{
    Algorithm, DecodingKey, Validation,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};
use providers::jwks::KeySetSource;
use schemas::{ClientId, Scopes, UserId};
use serde::Deserialize;
use serde_json::Value;

use super::Caller;
use crate::settings::TrustedIssuer;

/// Longest token that is looked at.
const MAX_LENGTH: usize = 8 << 10;

/// Most keys of the issuer that are kept.
const MOST_KEYS: usize = 64;

/// How far the clocks may be apart, in seconds.
const LEEWAY_SECS: u64 = 5;

const FRESH: Duration = Duration::from_mins(10);
const USABLE: Duration = Duration::from_hours(1);
const PAUSE: Duration = Duration::from_secs(10);

/// The tokens of the trusted issuer.
#[derive(Debug)]
pub(crate) struct Trusted {
    issuer: TrustedIssuer,
    source: KeySetSource,
    known: Mutex<Known>,
    /// Held by the one who fetches.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    keys: HashMap<String, Key>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
}

/// One key, and what it may have signed with.
#[derive(Clone)]
struct Key {
    key: DecodingKey,
    algorithms: Vec<Algorithm>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("algorithms", &self.algorithms).finish_non_exhaustive()
    }
}

/// What is read of a token; what else it says does not matter.
#[derive(Deserialize)]
struct Claims {
    sub: Value,
    #[serde(default)]
    scope: String,
    client_id: Option<String>,
    /// What some issuers call the client.
    azp: Option<String>,
}

/// What can be said of a key without a fetch.
#[derive(Debug)]
enum Lookup {
    /// The key, or that there is none.
    Known(Option<Key>),
    /// Nothing: a fetch is due.
    Due,
}

impl Trusted {
    pub(crate) fn new(issuer: TrustedIssuer) -> Self {
        let source = KeySetSource::new(&issuer.jwks_url);
        Self { issuer, source, known: Mutex::default(), fetching: tokio::sync::Mutex::default() }
    }

    /// Whom `token` speaks for; `None` when it is not the issuer's or does not count now. Whether
    /// the user may still sign in is for the caller to find out.
    pub(crate) async fn verify(&self, token: &str) -> Option<Caller> {
        if token.is_empty() || token.len() > MAX_LENGTH {
            return None;
        }
        let header = jsonwebtoken::decode_header(token).ok()?;
        if header.crit.is_some() {
            return None;
        }
        let key = self.key(header.kid.as_deref()?).await?;
        if !key.algorithms.contains(&header.alg) {
            return None;
        }
        let validation = self.validation(header.alg);
        let claims = jsonwebtoken::decode::<Claims>(token, &key.key, &validation).ok()?.claims;
        caller(claims)
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&[&self.issuer.audience]);
        validation.set_issuer(&[&self.issuer.issuer]);
        // `sub` is required by its reader, which takes a number too.
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY_SECS;
        validation
    }

    /// The issuer's key `id`, fetched if need be.
    async fn key(&self, id: &str) -> Option<Key> {
        if let Lookup::Known(answer) = self.known().key(id, Instant::now()) {
            return answer;
        }
        let _one = self.fetching.lock().await;
        // Whoever waited here has the other one's keys.
        if let Lookup::Known(answer) = self.known().key(id, Instant::now()) {
            return answer;
        }
        self.known().tried = Some(Instant::now());
        match self.source.fetch().await {
            Ok(document) => self.known().learn(&document),
            Err(error) => {
                metrics::counter!("feat_trusted_keys_failed_total").increment(1);
                tracing::warn!(%error, "the keys of the trusted issuer could not be fetched");
            }
        }
        self.known().usable(id, Instant::now())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // No code under this lock leaves the keys half-way, so poisoned ones are good.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Looks for key `id`.
    fn key(&self, id: &str, now: Instant) -> Lookup {
        let since = |then: Option<Instant>| then.map(|then| now.saturating_duration_since(then));
        let fresh = since(self.fetched).is_some_and(|age| age < FRESH);
        let tried = since(self.tried).is_some_and(|age| age < PAUSE);
        let key = self.usable(id, now);
        if tried || (fresh && key.is_some()) { Lookup::Known(key) } else { Lookup::Due }
    }

    /// The key, unless the last good fetch was too long ago.
    fn usable(&self, id: &str, now: Instant) -> Option<Key> {
        let age = now.saturating_duration_since(self.fetched?);
        if age < USABLE { self.keys.get(id).cloned() } else { None }
    }

    /// Takes over the keys of a document that was just fetched. One that is no set of keys is as
    /// good as none.
    fn learn(&mut self, document: &[u8]) {
        let Ok(mut document) = serde_json::from_slice::<Value>(document) else {
            tracing::warn!("the trusted issuer answered with something that is no JSON");
            return;
        };
        let Value::Array(keys) = document["keys"].take() else {
            tracing::warn!("the trusted issuer answered with something that is no set of keys");
            return;
        };
        self.keys = keys.into_iter().take(MOST_KEYS).filter_map(read).collect();
        self.fetched = Some(Instant::now());
    }
}

/// A key that signatures can be checked with: public, and named.
fn read(key: Value) -> Option<(String, Key)> {
    let named = match &key["alg"] {
        Value::Null => None,
        name => Some(name.as_str()?.parse::<Algorithm>().ok()?),
    };
    let jwk: Jwk = serde_json::from_value(key).ok()?;
    if jwk.common.public_key_use.as_ref().is_some_and(|found| *found != PublicKeyUse::Signature) {
        return None;
    }
    let mut algorithms = match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => vec![Algorithm::ES256],
            EllipticCurve::P384 => vec![Algorithm::ES384],
            _ => vec![],
        },
        AlgorithmParameters::RSA(_) => vec![
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
        ],
        AlgorithmParameters::OctetKeyPair(_) => vec![Algorithm::EdDSA],
        // A shared secret in a public document is none.
        _ => vec![],
    };
    if let Some(named) = named {
        algorithms.retain(|algorithm| *algorithm == named);
    }
    if algorithms.is_empty() {
        return None;
    }
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    Some((jwk.common.key_id?, Key { key, algorithms }))
}

fn caller(claims: Claims) -> Option<Caller> {
    let user = match &claims.sub {
        Value::String(text) => text.parse::<UserId>().ok()?,
        Value::Number(number) => UserId::new(number.as_i64()?)?,
        _ => return None,
    };
    let client: ClientId = claims.client_id.or(claims.azp)?.parse().ok()?;
    // A scope that is none of ours allows nothing.
    let scopes: Scopes = claims.scope.split(' ').filter_map(|name| name.parse().ok()).collect();
    Some(Caller { user, client: Some(client), scopes, session: None, key: None })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use serde_json::json;

    use super::*;
    use crate::auth::TokenKey;

    #[test]
    fn only_public_keys_that_sign_are_read() {
        let good = TokenKey::generate().jwk();
        let with = |name: &str, value: Value| {
            let mut changed = good.clone();
            changed[name] = value;
            changed
        };
        let secret = json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "s", "alg": "HS256" });
        let cases = [
            ("good", good.clone(), true),
            ("no algorithm named", with("alg", Value::Null), true),
            ("for encryption", with("use", json!("enc")), false),
            ("another algorithm", with("alg", json!("RS256")), false),
            ("no name", with("kid", Value::Null), false),
            ("a shared secret", secret, false),
            ("no key", json!({ "kid": "x" }), false),
        ];
        for (name, key, expected) in cases {
            assert_eq!(read(key).is_some(), expected, "{name}");
        }
    }

    #[test]
    fn a_fetch_is_due_for_an_unknown_key_but_not_again_and_again() {
        let jwk = TokenKey::generate().jwk();
        let id = jwk["kid"].as_str().unwrap().to_owned();
        let mut known = Known::default();
        let start = Instant::now();
        assert!(matches!(known.key(&id, start), Lookup::Due), "nothing is known");

        known.learn(json!({ "keys": [jwk] }).to_string().as_bytes());
        let now = Instant::now();
        known.tried = Some(now);
        let later = |secs| now + Duration::from_secs(secs);
        let cases = [
            ("just fetched", id.as_str(), now, "known"),
            ("a stranger's name, just tried", "other", now, "none"),
            ("a stranger's name, later", "other", later(11), "due"),
            ("a known one is fresh", &id, later(11), "known"),
            ("and not for ever", &id, later(601), "due"),
        ];
        for (name, id, at, expected) in cases {
            let found = match known.key(id, at) {
                Lookup::Known(Some(_)) => "known",
                Lookup::Known(None) => "none",
                Lookup::Due => "due",
            };
            assert_eq!(found, expected, "{name}");
        }
        assert!(known.usable(&id, later(3_500)).is_some(), "while the issuer is away");
        assert!(known.usable(&id, later(3_700)).is_none());
        known.learn(b"<html>");
        assert!(known.usable(&id, now).is_some(), "what is no set of keys changes nothing");
    }
}
