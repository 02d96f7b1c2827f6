//! Checks provider tokens as Apple does: who signed, when, in which environment, and whether they
//! change too often.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use schemas::ApnsEnvironment;
use serde::Deserialize;

use super::{Refusal, state::State};

/// Seconds that a token counts.
const HOUR: u64 = 3600;
/// Least seconds between two different ones.
const BETWEEN: u64 = 20 * 60;
/// Seconds that it may be ahead of our clock.
const AHEAD: u64 = 60;
/// Tokens whose signature is remembered.
const REMEMBERED: usize = 1_000;

/// What a signing key may do.
#[derive(Debug)]
pub(super) struct PublicKey {
    /// The point of the curve, uncompressed.
    pub(super) bytes: Vec<u8>,
    pub(super) team_id: String,
    /// Bundle ids; none are all of the team.
    pub(super) apps: Vec<String>,
    pub(super) environments: Vec<ApnsEnvironment>,
}

/// What a well-formed and well-signed token says.
#[derive(Debug)]
struct Token {
    key_id: String,
    team_id: String,
    issued: u64,
}

/// Tokens that were shown on any connection.
#[derive(Debug, Default)]
pub(super) struct Shown {
    known: Mutex<HashMap<String, Option<Arc<Token>>>>,
    /// By key: the token in use and since when.
    in_use: Mutex<HashMap<String, (String, u64)>>,
}

/// What a connection has seen of provider tokens.
#[derive(Debug, Default)]
pub(super) struct Bound {
    /// Team and key of the first push.
    first: Option<(String, String)>,
    in_use: Option<(String, u64)>,
    /// An expired token was shown: nothing is accepted any more.
    spoiled: bool,
}

/// Says whether the push may be sent to `app` under this `authorization`.
pub(super) fn check(
    state: &State,
    bound: &mut Bound,
    environment: ApnsEnvironment,
    authorization: Option<&str>,
    app: &str,
) -> Result<(), Refusal> {
    let refuse = |word| Err(Refusal::of(word));
    let Some(authorization) = authorization else { return refuse("MissingProviderToken") };
    let text = match authorization.split_once(' ') {
        Some((scheme, text)) if scheme.eq_ignore_ascii_case("bearer") => text,
        _ => return refuse("InvalidProviderToken"),
    };
    let Some(token) = state.shown.read(state, text) else { return refuse("InvalidProviderToken") };
    let Some(key) = state.key(&token.key_id).filter(|key| key.team_id == token.team_id) else {
        return refuse("InvalidProviderToken");
    };
    let now = state.now();
    if bound.spoiled || now.saturating_sub(token.issued) > HOUR {
        bound.spoiled = true;
        return refuse("ExpiredProviderToken");
    }
    if token.issued > now + AHEAD {
        return refuse("InvalidProviderToken");
    }
    if !key.environments.contains(&environment) {
        return refuse("BadEnvironmentKeyIdInToken");
    }
    match &bound.first {
        Some((team, _)) if *team != token.team_id => return refuse("Forbidden"),
        Some((_, key)) if *key != token.key_id => return refuse("UnrelatedKeyIdInToken"),
        _ => {}
    }
    if !key.apps.is_empty() && !key.apps.iter().any(|own| own == app) {
        return refuse("TopicDisallowed");
    }
    if changes_too_often(&mut bound.in_use, text, now) {
        return refuse("TooManyProviderTokenUpdates");
    }
    if state.settings.count_tokens_together && state.shown.changes(&token.key_id, text, now) {
        return refuse("TooManyProviderTokenUpdates");
    }
    bound.first.get_or_insert_with(|| (token.team_id.clone(), token.key_id.clone()));
    Ok(())
}

fn changes_too_often(in_use: &mut Option<(String, u64)>, text: &str, now: u64) -> bool {
    match in_use {
        Some((known, _)) if known == text => false,
        Some((_, since)) if now.saturating_sub(*since) < BETWEEN => true,
        _ => {
            *in_use = Some((text.to_owned(), now));
            false
        }
    }
}

impl Shown {
    /// Keys have changed: what they signed has to be read again.
    pub(super) fn forget(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn changes(&self, key_id: &str, text: &str, now: u64) -> bool {
        let mut all = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = all.remove(key_id);
        let too_often = changes_too_often(&mut known, text, now);
        if let Some(known) = known {
            all.insert(key_id.to_owned(), known);
        }
        too_often
    }

    /// What the token says; `None` when it is malformed or not signed by the key it names.
    fn read(&self, state: &State, text: &str) -> Option<Arc<Token>> {
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(text) {
            return known.clone();
        }
        let token = read(state, text).map(Arc::new);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        // Two connections may show it at once: the one that comes first counts it.
        if known.insert(text.to_owned(), token.clone()).is_none() && token.is_some() {
            state.ledger().new_provider_token();
        }
        token
    }
}

fn read(state: &State, text: &str) -> Option<Token> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Header {
        alg: String,
        kid: String,
        #[serde(default)]
        typ: Option<String>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Claims {
        iss: String,
        iat: u64,
    }
    let padded = state.settings.padded_tokens;
    let (signed, signature) = text.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let header: Header = serde_json::from_slice(&decode(header, padded)?).ok()?;
    let claims: Claims = serde_json::from_slice(&decode(claims, padded)?).ok()?;
    let typed = header.typ.as_deref().is_none_or(|typ| typ == "JWT");
    if header.alg != "ES256" || header.kid.len() != 10 || claims.iss.len() != 10 || !typed {
        return None;
    }
    let key = state.key(&header.kid)?;
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key.bytes)
        .verify(signed.as_bytes(), &decode(signature, padded)?)
        .ok()?;
    Some(Token { key_id: header.kid, team_id: claims.iss, issued: claims.iat })
}

/// Base64 of the kind that tokens use: without padding; or, when that is let pass, with.
fn decode(text: &str, padded: bool) -> Option<Vec<u8>> {
    let strict =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::RequireNone);
    if let Ok(bytes) = GeneralPurpose::new(&URL_SAFE, strict).decode(text) {
        return Some(bytes);
    }
    let lax = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    padded.then(|| GeneralPurpose::new(&STANDARD, lax).decode(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::sync::Barrier;

    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
    };
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    use super::*;
    use crate::apns::{Settings, authority::Authority};

    #[test]
    fn a_token_that_is_shown_on_many_connections_at_once_is_one() {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let state = State::new(Settings::default(), Authority::new(None).unwrap());
        let public = PublicKey {
            bytes: key.public_key().as_ref().to_vec(),
            team_id: "TEAM000001".to_owned(),
            apps: vec![],
            environments: vec![ApnsEnvironment::Production],
        };
        state.add_key("KEY0000001", public);
        let token = |issued: u64| {
            let header = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","kid":"KEY0000001"}"#);
            let claims = format!(r#"{{"iss":"TEAM000001","iat":{issued}}}"#);
            let signed = format!("{header}.{}", BASE64_URL_SAFE_NO_PAD.encode(claims));
            let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
            format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
        };
        let tokens: Vec<_> = (0..50).map(token).collect();
        let barrier = Barrier::new(8);

        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for token in &tokens {
                        barrier.wait();
                        assert!(state.shown.read(&state, token).is_some());
                    }
                });
            }
        });

        assert_eq!(state.ledger().stats(0).provider_tokens, 50);
    }
}
