//! Provider tokens: signed statements that Apple takes for an hour.
//!
//! One serves every push of a key, on every connection. It is renewed well before its hour ends
//! and never twice within twenty minutes, because Apple refuses both.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::HeaderValue;
use rand::RngExt;
use schemas::Timestamp;
use serde_json::json;

use super::Clock;

/// Apple's least time between two of them.
pub(super) const LEAST_AGE: Duration = Duration::from_mins(20);
/// Renewed at this age, or up to ten minutes later: so processes that started together do not
/// renew together.
const RENEWED_AT: Duration = Duration::from_mins(40);
const JITTER_SECONDS: u64 = 600;
/// An older one is not taken up again.
const USABLE: Duration = Duration::from_mins(55);

/// Makes the provider tokens of one key.
pub(super) struct Mint {
    key: EcdsaKeyPair,
    key_id: String,
    team_id: String,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    current: Option<Arc<ProviderToken>>,
    previous: Option<Arc<ProviderToken>>,
    made: u64,
    /// None is made before this, whatever the age.
    held_until: Option<Timestamp>,
}

/// One signed statement.
pub(super) struct ProviderToken {
    /// The header's whole value; never shown.
    pub(super) authorization: HeaderValue,
    /// Counts the tokens of the key, from 1.
    pub(super) number: u64,
    issued: Timestamp,
    renewed_at: Duration,
}

/// The key could not sign. It could when it was read.
#[derive(Debug)]
pub(super) struct CannotSign;

impl Mint {
    /// `None` when the key is not one of P-256 in PKCS #8.
    pub(super) fn new(pkcs8: &[u8], key_id: &str, team_id: &str, clock: Clock) -> Option<Self> {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).ok()?;
        let (key_id, team_id, state) = (key_id.into(), team_id.into(), Mutex::default());
        Some(Self { key, key_id, team_id, clock, state })
    }

    /// The token in force; made when there is none or it comes of age.
    pub(super) fn current(&self) -> Result<Arc<ProviderToken>, CannotSign> {
        let now = self.clock.now();
        let mut state = self.state();
        match &state.current {
            Some(token) if !token.is_due(now) => Ok(Arc::clone(token)),
            // One that has ended helps nobody, held or not.
            Some(token) if state.is_held(now) && now.since(token.issued) < USABLE => {
                Ok(Arc::clone(token))
            }
            _ => self.make(&mut state, now),
        }
    }

    /// Makes a new one because Apple calls `expired` expired. Of many that ask, one makes it.
    ///
    /// `false` when `expired` is too young to be replaced: then our clock or Apple's is wrong.
    pub(super) fn renew(&self, expired: &ProviderToken) -> bool {
        let now = self.clock.now();
        let mut state = self.state();
        match &state.current {
            Some(token) if token.issued != expired.issued => true,
            _ if now.since(expired.issued) < LEAST_AGE || state.is_held(now) => false,
            _ => self.make(&mut state, now).is_ok(),
        }
    }

    /// Makes none for twenty minutes, because Apple saw too many; the one before serves on if it
    /// still can.
    pub(super) fn hold(&self) {
        let now = self.clock.now();
        let mut state = self.state();
        if state.is_held(now) {
            return;
        }
        state.held_until = Some(now + LEAST_AGE);
        if let Some(previous) = state.previous.take_if(|token| now.since(token.issued) < USABLE) {
            state.current = Some(previous);
        }
    }

    fn make(&self, state: &mut State, now: Timestamp) -> Result<Arc<ProviderToken>, CannotSign> {
        let header = json!({ "alg": "ES256", "kid": self.key_id }).to_string();
        let claims = json!({ "iss": self.team_id, "iat": now.as_secs() }).to_string();
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let signed = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
        let signature =
            self.key.sign(&SystemRandom::new(), signed.as_bytes()).map_err(|_| CannotSign)?;
        let text = format!("bearer {signed}.{}", encode(signature.as_ref()));
        let mut authorization = HeaderValue::try_from(text).map_err(|_| CannotSign)?;
        // Not printed, and not kept in the peer's small table of headers.
        authorization.set_sensitive(true);
        let jitter = Duration::from_secs(rand::rng().random_range(0..JITTER_SECONDS));
        state.made += 1;
        let (number, renewed_at) = (state.made, RENEWED_AT + jitter);
        let token = ProviderToken { authorization, number, issued: now, renewed_at };
        let token = Arc::new(token);
        state.previous = state.current.replace(Arc::clone(&token));
        Ok(token)
    }

    /// The state is whole between any two of its statements, so a panic elsewhere harms nothing.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_held(&self, now: Timestamp) -> bool {
        self.held_until.is_some_and(|until| now < until)
    }
}

impl ProviderToken {
    fn is_due(&self, now: Timestamp) -> bool {
        now.since(self.issued) >= self.renewed_at
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::sync::atomic::{AtomicI64, Ordering};

    use aws_lc_rs::{
        encoding::AsDer,
        signature::{ECDSA_P256_SHA256_FIXED, KeyPair, UnparsedPublicKey},
    };
    use serde_json::Value;

    use super::*;

    struct Rig {
        mint: Mint,
        minutes: Arc<AtomicI64>,
        public: Vec<u8>,
    }

    fn rig() -> Rig {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let pkcs8 = key.to_pkcs8v1().unwrap();
        let _ = key.public_key().as_der();
        let minutes = Arc::new(AtomicI64::new(0));
        let clock = Clock::by({
            let minutes = Arc::clone(&minutes);
            move || {
                let micros = minutes.load(Ordering::SeqCst) * 60_000_000;
                Timestamp::from_micros(1_800_000_000_000_000 + micros)
            }
        });
        let mint = Mint::new(pkcs8.as_ref(), "KEY0000001", "TEAM000001", clock).unwrap();
        Rig { mint, minutes, public: key.public_key().as_ref().to_vec() }
    }

    impl Rig {
        fn after(&self, minutes: i64) -> Arc<ProviderToken> {
            self.minutes.store(minutes, Ordering::SeqCst);
            self.mint.current().unwrap()
        }
    }

    #[test]
    fn a_token_says_who_and_when_and_is_signed() {
        let rig = rig();
        let token = rig.after(0);
        let text = token.authorization.to_str().unwrap().strip_prefix("bearer ").unwrap();
        let parts: Vec<_> = text.split('.').collect();
        let [header, claims, signature] = parts[..] else { panic!("three parts: {text}") };
        let json = |part| -> Value {
            serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };

        assert_eq!(json(header), json!({ "alg": "ES256", "kid": "KEY0000001" }));
        assert_eq!(json(claims), json!({ "iss": "TEAM000001", "iat": 1_800_000_000 }));
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        let signed = format!("{header}.{claims}");
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &rig.public)
            .verify(signed.as_bytes(), &signature)
            .unwrap();
        assert!(!format!("{:?}", token.authorization).contains(header));
    }

    #[test]
    fn a_token_serves_forty_minutes_and_never_an_hour() {
        let rig = rig();
        let first = rig.after(0);

        assert!(Arc::ptr_eq(&first, &rig.after(39)));
        let second = rig.after(50);
        assert!(!Arc::ptr_eq(&first, &second));
        assert!(Arc::ptr_eq(&second, &rig.after(89)));
    }

    #[test]
    fn an_expired_token_is_renewed_once_and_not_before_twenty_minutes() {
        let rig = rig();
        let first = rig.after(0);

        rig.after(19);
        assert!(!rig.mint.renew(&first), "too young");
        rig.after(20);
        assert!(rig.mint.renew(&first));
        let second = rig.after(20);
        assert!(rig.mint.renew(&first), "another one asks for the same");
        assert!(Arc::ptr_eq(&second, &rig.after(20)), "and no third was made");
        assert!(!rig.mint.renew(&second));
    }

    #[test]
    fn after_too_many_updates_the_one_before_serves() {
        let rig = rig();
        let first = rig.after(0);
        rig.after(25);
        assert!(rig.mint.renew(&first));
        rig.mint.hold();
        rig.mint.hold();

        assert!(Arc::ptr_eq(&first, &rig.after(44)));
        assert!(!rig.mint.renew(&first), "none is made while held");
        assert!(!Arc::ptr_eq(&first, &rig.after(50)), "the hold ends");
    }
}
