//! The key pair of a deployment: every API process of it must be given the same one.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    digest, hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{DecodingKey, EncodingKey};
use secrecy::{ExposeSecret as _, SecretString};

/// The text is no PKCS#8 PEM of a P-256 private key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "the token key is not a P-256 private key in PKCS#8 PEM form (BEGIN PRIVATE KEY); \
     `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` makes one"
)]
pub struct InvalidTokenKey;

/// An ES256 key pair that signs access tokens; keys for other uses are derived from it. It never
/// prints; its `Debug` shows the public key id.
#[derive(Clone)]
pub struct TokenKey(Arc<Keys>);

struct Keys {
    pem: SecretString,
    id: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
    secret: hmac::Key,
}

impl TokenKey {
    /// A new random key.
    ///
    /// # Panics
    ///
    /// When the system gives no randomness.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "fails only when the system has no randomness, and \
                                            then nothing here may go on"
    )]
    pub fn generate() -> Self {
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .expect("randomness");
        let text = STANDARD.encode(document.as_ref());
        let lines: Vec<_> =
            text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            lines.join("\n")
        );
        Self::from_pem(pem.into()).expect("the form that was written a line above")
    }

    /// Reads the text of [`Self::to_pem`], or any other PKCS#8 PEM of a P-256 private key.
    ///
    /// # Errors
    ///
    /// [`InvalidTokenKey`] says what is expected, and nothing of the text.
    pub fn from_pem(pem: SecretString) -> Result<Self, InvalidTokenKey> {
        let encoding = EncodingKey::from_ec_pem(pem.expose_secret().as_bytes())
            .map_err(|_| InvalidTokenKey)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, encoding.as_bytes())
            .map_err(|_| InvalidTokenKey)?;
        // An uncompressed point: 4, then 32 bytes of each coordinate.
        let point = pair.public_key().as_ref();
        let (x, y) =
            point.get(1..).and_then(|xy| xy.split_at_checked(32)).ok_or(InvalidTokenKey)?;
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let decoding = DecodingKey::from_ec_components(&x, &y).map_err(|_| InvalidTokenKey)?;
        let secret = hmac::Key::new(hmac::HMAC_SHA256, encoding.as_bytes());
        Ok(Self(Arc::new(Keys { pem, id: thumbprint(&x, &y), encoding, decoding, secret })))
    }

    /// The private key, for storing it safely.
    #[must_use]
    pub fn to_pem(&self) -> &SecretString {
        &self.0.pem
    }

    /// Its public name: the JWK thumbprint (RFC 7638), which is `kid` in access tokens.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    pub(crate) fn encoding(&self) -> &EncodingKey {
        &self.0.encoding
    }

    pub(crate) fn decoding(&self) -> &DecodingKey {
        &self.0.decoding
    }

    /// A MAC key for one `purpose`; keys of different purposes tell nothing about each other.
    pub(crate) fn derive(&self, purpose: &str) -> hmac::Key {
        let key = hmac::sign(&self.0.secret, purpose.as_bytes());
        hmac::Key::new(hmac::HMAC_SHA256, key.as_ref())
    }
}

fn thumbprint(x: &str, y: &str) -> String {
    let key = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, key.as_bytes()))
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKey").field("id", &self.0.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_pem_and_does_not_print() {
        let key = TokenKey::generate();
        let again = TokenKey::from_pem(key.to_pem().clone());

        assert_eq!(again.as_ref().map(TokenKey::id), Ok(key.id()));
        let shown = format!("{key:?}");
        assert!(shown.contains(key.id()) && !shown.contains("PRIVATE"), "{shown}");
    }

    #[test]
    fn other_texts_are_refused() {
        let good = TokenKey::generate();
        let cut = &good.to_pem().expose_secret()[..100];
        let cases = [("empty", ""), ("text", "secret"), ("cut", cut)];
        for (name, text) in cases {
            assert_eq!(TokenKey::from_pem(text.into()).err(), Some(InvalidTokenKey), "{name}");
        }
    }

    #[test]
    fn derived_keys_differ_by_purpose() {
        let key = TokenKey::generate();
        let sign = |purpose| hmac::sign(&key.derive(purpose), b"x").as_ref().to_vec();

        assert_eq!(sign("one"), sign("one"));
        assert_ne!(sign("one"), sign("two"));
    }
}
