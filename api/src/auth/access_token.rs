//! Access tokens: ES256 JWTs that live for minutes.
//!
//! Clients read `sub`, `exp` and `permissions` without checking the signature, so those claims
//! are always there. Only our algorithm, our key ids, our issuer and our audience count.

use std::time::Duration;

use aws_lc_rs::digest;
use jsonwebtoken::{Algorithm, Header, Validation};
use schemas::{ClientId, Scopes, SessionId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Caller, Principal,
    cache::{Cache, Digest},
    key::KeyRing,
};
use crate::{error::ApiError, settings::Settings};

/// Whom access tokens are for.
const AUDIENCE: &str = "feat";

/// Longest token that is looked at.
const MAX_LENGTH: usize = 4 << 10;

/// How far the clocks of two processes may be apart.
const LEEWAY_SECS: u8 = 5;

/// Begin of the `sub` of a client's own token. No uid has a colon, so the two never meet.
const CLIENT: &str = "client:";

/// What a token says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    pub(super) aud: String,
    /// The uid, as text; of a client's own token `client:` and its id.
    pub(super) sub: String,
    pub(super) client_id: ClientId,
    pub(super) scope: String,
    /// Always there and always empty: clients search it without a check.
    permissions: Vec<String>,
    /// The sign-in; absent from a client's own token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<SessionId>,
    pub(super) jti: Uuid,
    pub(super) iat: i64,
    pub(super) nbf: i64,
    pub(super) exp: i64,
}

impl Claims {
    /// Whom the token speaks for.
    pub(super) fn principal(&self) -> Option<Principal> {
        // A scope that this version does not know any more allows nothing.
        let names = self.scope.split(' ');
        let scopes: Scopes = names.filter_map(|name| name.parse().ok()).collect();
        let client = self.client_id.clone();
        if let Some(name) = self.sub.strip_prefix(CLIENT) {
            let own = name == client.as_str() && self.sid.is_none();
            return own.then_some(Principal::Client { client, scopes });
        }
        let user = self.sub.parse::<UserId>().ok()?;
        let (client, session) = (Some(client), Some(self.sid?));
        Some(Principal::User(Caller { user, client, scopes, session, key: None }))
    }
}

/// Issues and verifies access tokens.
#[derive(Debug)]
pub(crate) struct AccessTokens {
    keys: KeyRing,
    issuer: String,
    life: Duration,
    validation: Validation,
    verified: Cache,
}

impl AccessTokens {
    pub(crate) fn new(settings: &Settings, keys: KeyRing) -> Self {
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[&settings.public_url]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = u64::from(LEEWAY_SECS);
        Self {
            keys,
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

    /// A token that speaks for `principal` from `now` on. This process knows it from then on, so
    /// its first use costs no signature check.
    ///
    /// # Errors
    ///
    /// 500 when the library refuses to sign, which our own key gives it no reason for.
    pub(crate) fn issue(&self, principal: &Principal, now: Timestamp) -> Result<String, ApiError> {
        let (sub, client, scopes, sid) = match principal {
            Principal::User(caller) => {
                let client = caller.client.as_ref();
                let client = client.ok_or_else(|| ApiError::internal("a token for no client"))?;
                (caller.user.to_string(), client, &caller.scopes, caller.session)
            }
            Principal::Client { client, scopes } => {
                (format!("{CLIENT}{client}"), client, scopes, None)
            }
        };
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: AUDIENCE.to_owned(),
            sub,
            client_id: client.clone(),
            scope: scopes.to_string(),
            permissions: vec![],
            sid,
            jti: Uuid::now_v7(),
            iat: now.as_secs(),
            nbf: now.as_secs(),
            exp: (now + self.life).as_secs(),
        };
        let mut header = Header::new(Algorithm::ES256);
        let key = self.keys.signing();
        header.kid = Some(key.id().to_owned());
        let token = jsonwebtoken::encode(&header, &claims, key.encoding());
        let token = token.map_err(ApiError::internal)?;
        self.remember(name_of(&token), &claims, now.as_secs());
        Ok(token)
    }

    /// Keeps whom a token of ours speaks for, and says it.
    fn remember(&self, name: Digest, claims: &Claims, now: i64) -> Option<Principal> {
        let principal = claims.principal()?;
        self.verified.put(name, principal.clone(), claims.exp + i64::from(LEEWAY_SECS), now);
        Some(principal)
    }

    /// Whom `token` speaks for; `None` when it is not one of ours or its time is not now. Whether
    /// its sign-in is live is for the caller to find out.
    pub(crate) fn verify(&self, token: &str) -> Option<Principal> {
        if token.is_empty() || token.len() > MAX_LENGTH {
            return None;
        }
        let now = Timestamp::now().as_secs();
        let name = name_of(token);
        if let Some(principal) = self.verified.get(&name, now) {
            return Some(principal);
        }
        self.remember(name, &self.claims(token)?, now)
    }

    /// What a token of ours that counts now says.
    pub(super) fn claims(&self, token: &str) -> Option<Claims> {
        if token.len() > MAX_LENGTH {
            return None;
        }
        let header = jsonwebtoken::decode_header(token).ok()?;
        if header.crit.is_some() {
            return None;
        }
        let key = self.keys.find(header.kid.as_deref()?)?;
        Some(jsonwebtoken::decode(token, key.decoding(), &self.validation).ok()?.claims)
    }
}

fn name_of(token: &str) -> Digest {
    let mut name = [0; 32];
    name.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    name
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use aws_lc_rs::hmac;
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use secrecy::ExposeSecret as _;
    use serde_json::{Value, json};

    use super::*;

    use crate::auth::TokenKey;

    fn settings() -> Settings {
        Settings::new("https://feat.example.test/", TokenKey::generate())
    }

    fn access_tokens(settings: &Settings) -> AccessTokens {
        let keys = KeyRing::new(settings.token_key.clone(), &settings.other_token_keys);
        AccessTokens::new(settings, keys)
    }

    fn caller() -> Principal {
        Principal::User(Caller {
            user: UserId::new(5_500_000_000_001).unwrap(),
            client: Some("demo".parse().unwrap()),
            scopes: Scopes::all(),
            session: Some(SessionId::generate()),
            key: None,
        })
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
        let settings = settings();
        let (tokens, elsewhere) = (access_tokens(&settings), access_tokens(&settings));
        let caller = caller();
        let token = tokens.issue(&caller, Timestamp::now()).unwrap();
        let claims = claims_of(&token);

        assert_eq!(claims["sub"], "5500000000001");
        assert_eq!(claims["permissions"], json!([]));
        assert_eq!(claims["scope"], schemas::Scopes::all().to_string());
        assert_eq!(claims["iss"], "https://feat.example.test");
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);
        let turns = [("issued here", &tokens), ("checked", &elsewhere), ("remembered", &elsewhere)];
        for (turn, process) in turns {
            assert_eq!(process.verify(&token).as_ref(), Some(&caller), "{turn}");
        }
    }

    #[test]
    fn a_client_of_its_own_is_no_user() {
        let settings = settings();
        let tokens = access_tokens(&settings);
        let client = Principal::Client { client: "7".parse().unwrap(), scopes: Scopes::all() };
        let token = tokens.issue(&client, Timestamp::now()).unwrap();
        let claims = claims_of(&token);

        assert_eq!(claims["sub"], "client:7");
        assert_eq!(claims["permissions"], json!([]));
        assert!(claims.get("sid").is_none());
        assert_eq!(tokens.verify(&token), Some(client));
        let cases = [
            ("a user without a sign-in", "sub", json!("7")),
            ("another client", "sub", json!("client:8")),
            ("a client with a sign-in", "sid", json!(SessionId::generate())),
        ];
        for (name, claim, value) in cases {
            let mut changed = claims.clone();
            changed[claim] = value;
            let token = signed(&settings, Some(settings.token_key.id()), &changed);
            assert_eq!(tokens.verify(&token), None, "{name}");
        }
    }

    #[test]
    fn a_replaced_key_refuses_no_token_that_is_still_valid() {
        let (first, second) = (TokenKey::generate(), TokenKey::generate());
        let stages = [
            ("before", first.clone(), vec![]),
            ("the next one is known", first.clone(), vec![second.clone()]),
            ("the next one signs", second.clone(), vec![first.clone()]),
            ("the first one is gone", second, vec![]),
        ];
        let stages = stages.map(|(name, signing, others)| {
            let settings = Settings {
                other_token_keys: others,
                ..Settings::new("https://feat.example.test", signing)
            };
            (name, access_tokens(&settings))
        });
        // Processes change from one stage to the next one after the other, so neighbours meet.
        for two in stages.windows(2) {
            for (from, to) in [(0, 1), (1, 0)] {
                if two[1].0 == "the first one is gone" && from == 0 {
                    continue;
                }
                let token = two[from].1.issue(&caller(), Timestamp::now()).unwrap();
                assert!(two[to].1.verify(&token).is_some(), "{} to {}", two[from].0, two[to].0);
            }
        }
        let old = stages[0].1.issue(&caller(), Timestamp::now()).unwrap();
        assert!(stages[3].1.verify(&old).is_none(), "a key that was given up");
    }

    #[test]
    fn an_expired_token_does_not_count() {
        let tokens = access_tokens(&settings());
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
        let tokens = access_tokens(&settings);
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
        let jwk = settings.token_key.jwk();
        let point = [&jwk["x"], &jwk["y"]].map(|half| {
            URL_SAFE_NO_PAD.decode(half.as_str().unwrap_or_default()).unwrap_or_default()
        });
        let forge = |secret: &[u8]| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
            let mac = hmac::sign(&key, message.as_bytes());
            format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac))
        };
        let foreign = Settings::new("https://feat.example.test", TokenKey::generate());
        let mut changed = good.clone();
        changed.replace_range(good.len() - 2.., "AA");
        let cases = [
            ("alg none", format!("{none_head}.{}.", parts[1])),
            ("alg none, signature kept", format!("{none_head}.{}.{}", parts[1], parts[2])),
            ("HS256 with the key id as key", forge(kid.as_bytes())),
            ("HS256 with the public key", forge(&point.concat())),
            ("HS256 with the public key as JWK", forge(jwk.to_string().as_bytes())),
            ("foreign key, our key id", signed(&foreign, Some(kid), &claims)),
            ("foreign key id", signed(&settings, Some("other"), &claims)),
            ("no key id", signed(&settings, None, &claims)),
            ("other issuer", ours(&with("iss", json!("https://evil.test")))),
            ("several audiences", ours(&with("aud", json!(["feat", "other"])))),
            ("no audience", ours(&with("aud", Value::Null))),
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
        let shown = format!("{:?}", access_tokens(&settings));
        let pem = settings.token_key.to_pem().expose_secret();

        assert!(!shown.contains(pem.lines().nth(1).unwrap()));
    }
}
