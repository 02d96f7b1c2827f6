//! Seals what must not be readable at rest, such as a payer's account, and tells two such things
//! apart without showing them.
//!
//! AES-256-GCM under a key of the installation; what a text is for is part of the seal, so that a
//! sealed text cannot be put in another's place.

use std::{fmt, fmt::Write, sync::Arc};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hmac,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};

/// Fewest bytes that a key is made from.
const MIN_SECRET: usize = 32;

/// Seals and opens texts. Cheap to clone.
#[derive(Clone)]
pub struct Sealer(Arc<Keys>);

struct Keys {
    seal: RandomizedNonceKey,
    digest: hmac::Key,
}

/// The secret is too short to make a key from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected at least 32 characters, made at random")]
pub struct WeakSecret;

/// The text was not sealed with this key for this purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it was not sealed here")]
pub struct NotSealed;

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(…)")
    }
}

impl Sealer {
    /// A sealer whose keys are made from `secret`; the same secret opens what it has sealed.
    ///
    /// # Errors
    ///
    /// [`WeakSecret`].
    pub fn new(secret: &SecretString) -> Result<Self, WeakSecret> {
        let secret = secret.expose_secret().as_bytes();
        if secret.len() < MIN_SECRET {
            return Err(WeakSecret);
        }
        let master = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let seal = hmac::sign(&master, b"feat seal v1");
        let digest = hmac::sign(&master, b"feat digest v1");
        let seal = RandomizedNonceKey::new(&AES_256_GCM, seal.as_ref()).map_err(|_| WeakSecret)?;
        let digest = hmac::Key::new(hmac::HMAC_SHA256, digest.as_ref());
        Ok(Self(Arc::new(Keys { seal, digest })))
    }

    /// A sealer with a key that nobody has, for processes that keep nothing.
    ///
    /// # Panics
    ///
    /// Never: 64 characters are enough.
    #[must_use]
    #[expect(clippy::expect_used, reason = "64 characters are enough for a key")]
    pub fn ephemeral() -> Self {
        let secret: String = (0..4).fold(String::new(), |mut text, _| {
            // Writing to a string does not fail.
            let _ = write!(text, "{:016x}", rand::random::<u64>());
            text
        });
        Self::new(&secret.into()).expect("64 characters")
    }

    /// `text` sealed for `purpose`, as base64. Sealing it again gives another text.
    ///
    /// # Errors
    ///
    /// [`NotSealed`] when the system gives no randomness.
    pub fn seal(&self, purpose: &str, text: &str) -> Result<String, NotSealed> {
        let mut body = text.as_bytes().to_vec();
        let aad = Aad::from(purpose.as_bytes());
        let nonce = self.0.seal.seal_in_place_append_tag(aad, &mut body).map_err(|_| NotSealed)?;
        let mut whole = nonce.as_ref().to_vec();
        whole.append(&mut body);
        Ok(STANDARD.encode(whole))
    }

    /// What was sealed for `purpose`.
    ///
    /// # Errors
    ///
    /// [`NotSealed`] for anything else.
    pub fn open(&self, purpose: &str, sealed: &str) -> Result<SecretString, NotSealed> {
        let whole = STANDARD.decode(sealed).map_err(|_| NotSealed)?;
        let (nonce, body) = whole.split_at_checked(NONCE_LEN).ok_or(NotSealed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| NotSealed)?;
        let aad = Aad::from(purpose.as_bytes());
        let mut body = body.to_vec();
        let text = self.0.seal.open_in_place(nonce, aad, &mut body).map_err(|_| NotSealed)?;
        let text = std::str::from_utf8(text).map_err(|_| NotSealed)?;
        Ok(SecretString::from(text))
    }

    /// 32 hex digits that are the same for the same text and say nothing about it without the key.
    #[must_use]
    pub fn digest(&self, purpose: &str, text: &str) -> String {
        let mut context = hmac::Context::with_key(&self.0.digest);
        context.update(&purpose.len().to_be_bytes());
        context.update(purpose.as_bytes());
        context.update(text.as_bytes());
        let tag = context.sign();
        tag.as_ref().iter().take(16).fold(String::new(), |mut hex, byte| {
            // Writing to a string does not fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn only_the_same_key_and_purpose_open_a_seal() {
        let secret = SecretString::from("k".repeat(32));
        let sealer = Sealer::new(&secret).unwrap();
        let letter = sealer.seal("payer", "oUpF8uMuAJO").unwrap();

        assert!(!letter.contains("oUpF8"));
        assert_ne!(sealer.seal("payer", "oUpF8uMuAJO").unwrap(), letter);
        let again = Sealer::new(&secret).unwrap();
        assert_eq!(again.open("payer", &letter).unwrap().expose_secret(), "oUpF8uMuAJO");
        assert!(sealer.open("other", &letter).is_err());
        assert!(Sealer::ephemeral().open("payer", &letter).is_err());
        for broken in ["", "AAAA", "not base64", &letter[..letter.len() - 4]] {
            assert!(sealer.open("payer", broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn digests_tell_apart_and_depend_on_the_key() {
        let one = Sealer::new(&SecretString::from("k".repeat(32))).unwrap();

        assert_eq!(one.digest("payer", "a"), one.digest("payer", "a"));
        assert_eq!(one.digest("payer", "a").len(), 32);
        assert_ne!(one.digest("payer", "a"), one.digest("payer", "b"));
        assert_ne!(one.digest("payer", "a"), one.digest("other", "a"));
        assert_ne!(one.digest("payer", "a"), Sealer::ephemeral().digest("payer", "a"));
        assert!(Sealer::new(&SecretString::from("short")).is_err());
    }
}
