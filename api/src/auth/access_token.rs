//! Access tokens: ES256 JWTs that live for minutes.
//!
//! Clients read `sub`, `exp` and `permissions` without checking the signature, so those claims
//! are always there. Only our algorithm, our key id, our issuer and our audience count.

use std::time::Duration;

use aws_lc_rs::digest;
use jsonwebtoken::{Algorithm, Header, Validation};
use schemas::{ClientId, Scopes, SessionId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Caller, TokenKey, cache::Cache};
use crate::{error::ApiError, settings::Settings};

/// Whom access tokens are for.
const AUDIENCE: &str = "feat";

/// Longest token that is looked at.
const MAX_LENGTH: usize = 4 << 10;

/// How far the clocks of two processes may be apart.
const LEEWAY_SECS: u8 = 5;

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    /// The uid, as text.
    sub: String,
    client_id: ClientId,
    scope: String,
    /// Always there and always empty: clients search it without a check.
    permissions: Vec<String>,
    sid: SessionId,
    jti: Uuid,
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// Issues and verifies access tokens.
#[derive(Debug)]
pub(crate) struct AccessTokens {
    key: TokenKey,
    issuer: String,
    life: Duration,
    validation: Validation,
    verified: Cache,
}

impl AccessTokens {
    pub(crate) fn new(settings: &Settings) -> Self {
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[&settings.public_url]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = u64::from(LEEWAY_SECS);
        Self {
            key: settings.token_key.clone(),
            issuer: settings.public_url.clone(),
            life: settings.access_token_life,
            validation,
            verified: Cache::new(settings.limits.cached_tokens),
        }
    }

    /// How long a new token counts.
    pub(crate) fn life(&self) -> Duration {
        self.life
    }

    /// A token that speaks for `caller` from `now` on.
    ///
    /// # Errors
    ///
    /// 500 when the library refuses to sign, which our own key gives it no reason for.
    pub(crate) fn issue(&self, caller: &Caller, now: Timestamp) -> Result<String, ApiError> {
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: AUDIENCE.to_owned(),
            sub: caller.user.to_string(),
            client_id: caller.client.clone(),
            scope: caller.scopes.to_string(),
            permissions: vec![],
            sid: caller.session,
            jti: Uuid::now_v7(),
            iat: now.as_secs(),
            nbf: now.as_secs(),
            exp: (now + self.life).as_secs(),
        };
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.key.id().to_owned());
        jsonwebtoken::encode(&header, &claims, self.key.encoding()).map_err(ApiError::internal)
    }

    /// Whom `token` speaks for; `None` when it is not one of ours or does not count now.
    pub(crate) fn verify(&self, token: &str) -> Option<Caller> {
        if token.is_empty() || token.len() > MAX_LENGTH {
            return None;
        }
        let now = Timestamp::now().as_secs();
        let mut name = [0; 32];
        name.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        if let Some(caller) = self.verified.get(&name, now) {
            return Some(caller);
        }
        let (caller, until) = self.check(token)?;
        self.verified.put(name, caller.clone(), until, now);
        Some(caller)
    }

    /// Checks everything about a token; also tells until when it counts, in seconds since 1970.
    fn check(&self, token: &str) -> Option<(Caller, i64)> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        if header.kid.as_deref() != Some(self.key.id()) || header.crit.is_some() {
            return None;
        }
        let claims: Claims =
            jsonwebtoken::decode(token, self.key.decoding(), &self.validation).ok()?.claims;
        let caller = Caller {
            user: claims.sub.parse::<UserId>().ok()?,
            client: claims.client_id,
            // A scope that this version does not know any more allows nothing.
            scopes: claims
                .scope
                .split(' ')
                .filter_map(|name| name.parse().ok())
                .collect::<Scopes>(),
            session: claims.sid,
        };
        Some((caller, claims.exp + i64::from(LEEWAY_SECS)))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use aws_lc_rs::hmac;
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use secrecy::ExposeSecret as _;
    use serde_json::{Value, json};

    use super::*;

    fn settings() -> Settings {
        Settings::new("https://feat.example.test/", TokenKey::generate())
    }

    fn caller() -> Caller {
        Caller {
            user: UserId::new(5_500_000_000_001).unwrap(),
            client: "demo".parse().unwrap(),
            scopes: Scopes::all(),
            session: SessionId::generate(),
        }
    }

    fn part(value: &Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    fn claims_of(token: &str) -> Value {
        let part = token.split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    fn signed(settings: &Settings, kid: Option<&str>, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = kid.map(str::to_owned);
        jsonwebtoken::encode(&header, claims, settings.token_key.encoding()).unwrap()
    }

    #[test]
    fn a_token_names_its_caller_and_holds_what_clients_read() {
        let tokens = AccessTokens::new(&settings());
        let token = tokens.issue(&caller(), Timestamp::now()).unwrap();
        let claims = claims_of(&token);

        assert_eq!(claims["sub"], "5500000000001");
        assert_eq!(claims["permissions"], json!([]));
        assert_eq!(claims["scope"], schemas::Scopes::all().to_string());
        assert_eq!(claims["iss"], "https://feat.example.test");
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);
        for turn in ["checked", "remembered"] {
            assert_eq!(tokens.verify(&token).unwrap().user, caller().user, "{turn}");
        }
    }

    #[test]
    fn an_expired_token_does_not_count() {
        let tokens = AccessTokens::new(&settings());
        let issued = |age_secs| {
            let then = Timestamp::now() - Duration::from_secs(age_secs);
            tokens.issue(&caller(), then).unwrap()
        };

        assert!(tokens.verify(&issued(900 - 60)).is_some());
        assert!(tokens.verify(&issued(900 + 10)).is_none());
    }

    #[test]
    fn only_our_own_tokens_count() {
        let settings = settings();
        let tokens = AccessTokens::new(&settings);
        let good = tokens.issue(&caller(), Timestamp::now()).unwrap();
        let claims = claims_of(&good);
        let with = |name: &str, value: Value| {
            let mut changed = claims.clone();
            changed[name] = value;
            changed
        };
        let kid = settings.token_key.id();
        let ours = |claims: &Value| signed(&settings, Some(kid), claims);
        assert!(tokens.verify(&ours(&claims)).is_some(), "the way these cases are made");

        let parts: Vec<_> = good.split('.').collect();
        let none_head = part(&json!({ "alg": "none", "typ": "JWT", "kid": kid }));
        let hmac_head = part(&json!({ "alg": "HS256", "typ": "JWT", "kid": kid }));
        let message = format!("{hmac_head}.{}", parts[1]);
        let public = hmac::Key::new(hmac::HMAC_SHA256, kid.as_bytes());
        let forged = URL_SAFE_NO_PAD.encode(hmac::sign(&public, message.as_bytes()));
        let foreign = Settings::new("https://feat.example.test", TokenKey::generate());
        let mut changed = good.clone();
        changed.replace_range(good.len() - 2.., "AA");
        let cases = [
            ("alg none", format!("{none_head}.{}.", parts[1])),
            ("alg none, signature kept", format!("{none_head}.{}.{}", parts[1], parts[2])),
            ("HS256 with public data as key", format!("{message}.{forged}")),
            ("foreign key, our key id", signed(&foreign, Some(kid), &claims)),
            ("foreign key id", signed(&settings, Some("other"), &claims)),
            ("no key id", signed(&settings, None, &claims)),
            ("other issuer", ours(&with("iss", json!("https://evil.test")))),
            ("other audience", ours(&with("aud", json!("other")))),
            ("not yet", ours(&with("nbf", json!(Timestamp::now().as_secs() + 60)))),
            ("no expiry", ours(&with("exp", Value::Null))),
            ("expiry as text", ours(&with("exp", json!("9999999999")))),
            ("user as number", ours(&with("sub", json!(1)))),
            ("nobody", ours(&with("sub", json!("0")))),
            ("changed signature", changed),
            (
                "changed claims",
                format!("{}.{}.{}", parts[0], part(&with("sub", json!("1"))), parts[2]),
            ),
            ("huge", ours(&with("jti", json!("x".repeat(5_000))))),
            ("not a token", "a.b.c".to_owned()),
            ("no dots", "secret".to_owned()),
            ("empty", String::new()),
        ];
        for (name, token) in cases {
            assert!(tokens.verify(&token).is_none(), "{name}: {token}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let settings = settings();
        let shown = format!("{:?}", AccessTokens::new(&settings));
        let pem = settings.token_key.to_pem().expose_secret();

        assert!(!shown.contains(pem.lines().nth(1).unwrap()));
    }
}
