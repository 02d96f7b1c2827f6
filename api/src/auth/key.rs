//! The key pairs of a deployment: every API process of it must be given the same ones.
//!
//! One key signs. The others are those before it and the next one: what they signed counts, so a
//! key can be replaced without signing anybody out.

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
use serde_json::{Value, json};

/// How each key begins in a text of several.
const BEGIN: &str = "-----BEGIN";

/// Most keys that count at a time beside the one that signs.
const MOST_KEYS: usize = 16;

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
    /// The public point, each coordinate in base64url.
    point: [String; 2],
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
        let id = thumbprint(&x, &y);
        Ok(Self(Arc::new(Keys { pem, id, point: [x, y], encoding, decoding, secret })))
    }

    /// Reads several keys, one text of [`Self::to_pem`] after the other; at most 16.
    ///
    /// # Errors
    ///
    /// [`InvalidTokenKey`] when one of them is none, and when there is none or too many.
    pub fn many_from_pem(pems: &SecretString) -> Result<Vec<Self>, InvalidTokenKey> {
        let text = pems.expose_secret().trim();
        let rest = text.strip_prefix(BEGIN).ok_or(InvalidTokenKey)?;
        let texts: Vec<_> = rest.split(BEGIN).take(MOST_KEYS + 1).collect();
        if texts.len() > MOST_KEYS {
            return Err(InvalidTokenKey);
        }
        texts.into_iter().map(|text| Self::from_pem(format!("{BEGIN}{text}").into())).collect()
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

    /// The public key as a JWK (RFC 7517).
    pub(crate) fn jwk(&self) -> Value {
        let [x, y] = &self.0.point;
        json!({
            "kty": "EC", "crv": "P-256", "x": x, "y": y,
            "kid": self.id(), "use": "sig", "alg": "ES256",
        })
    }

    /// A MAC key for one `purpose`; keys of different purposes tell nothing about each other.
    pub(crate) fn derive(&self, purpose: &str) -> hmac::Key {
        let key = hmac::sign(&self.0.secret, purpose.as_bytes());
        hmac::Key::new(hmac::HMAC_SHA256, key.as_ref())
    }
}

/// The keys of a deployment: the first one signs, and what any of them signed counts. Cheap to
/// clone.
#[derive(Debug, Clone)]
pub(crate) struct KeyRing(Arc<[TokenKey]>);

impl KeyRing {
    pub(crate) fn new(signing: TokenKey, others: &[TokenKey]) -> Self {
        let mut keys = vec![signing];
        for other in others {
            if keys.iter().all(|key| key.id() != other.id()) {
                keys.push(other.clone());
            }
        }
        Self(keys.into())
    }

    pub(crate) fn signing(&self) -> &TokenKey {
        // Made with at least one key.
        &self.0[0]
    }

    /// The key that access tokens call `id`.
    pub(crate) fn find(&self, id: &str) -> Option<&TokenKey> {
        self.0.iter().find(|key| key.id() == id)
    }

    /// The public keys (RFC 7517), the signing one first.
    pub(crate) fn jwks(&self) -> Value {
        json!({ "keys": self.0.iter().map(TokenKey::jwk).collect::<Vec<_>>() })
    }

    /// MACs for one `purpose`.
    pub(crate) fn macs(&self, purpose: &str) -> Macs {
        Macs(self.0.iter().map(|key| key.derive(purpose)).collect())
    }
}

/// MACs of one purpose: the signing key makes them, and those of every key count.
#[derive(Debug, Clone)]
pub(crate) struct Macs(Arc<[hmac::Key]>);

impl Macs {
    /// The MAC of `message`, 32 bytes.
    pub(crate) fn sign(&self, message: &[u8]) -> hmac::Tag {
        // Made with at least one key.
        hmac::sign(&self.0[0], message)
    }

    /// Whether `mac` is one of `message`, in time that does not depend on where they differ.
    pub(crate) fn verify(&self, message: &[u8], mac: &[u8]) -> bool {
        self.0.iter().any(|key| hmac::verify(key, message, mac).is_ok())
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
    fn several_keys_are_read_from_one_text() {
        let keys = [TokenKey::generate(), TokenKey::generate()];
        let text: String = keys.iter().map(|key| key.to_pem().expose_secret()).collect();
        let read = |text: &str| {
            let keys = TokenKey::many_from_pem(&text.into());
            keys.map(|keys| keys.iter().map(|key| key.id().to_owned()).collect::<Vec<_>>())
        };

        assert_eq!(read(&text), Ok(keys.iter().map(|key| key.id().to_owned()).collect()));
        assert_eq!(read(&format!("{text}-----BEGIN")), Err(InvalidTokenKey), "one is cut");
        assert_eq!(read(""), Err(InvalidTokenKey), "none");
        assert_eq!(read(&text.repeat(9)), Err(InvalidTokenKey), "too many");
    }

    #[test]
    fn what_an_earlier_key_signed_counts_and_the_first_one_signs() {
        let (old, new) = (TokenKey::generate(), TokenKey::generate());
        let before = KeyRing::new(old.clone(), std::slice::from_ref(&new));
        let after = KeyRing::new(new.clone(), &[old.clone(), new.clone()]);
        let alone = KeyRing::new(new.clone(), &[]);
        let mac = before.macs("x").sign(b"message");

        assert!(after.macs("x").verify(b"message", mac.as_ref()));
        assert!(!after.macs("y").verify(b"message", mac.as_ref()), "another purpose");
        assert!(!alone.macs("x").verify(b"message", mac.as_ref()), "the key was given up");
        assert_eq!(after.signing().id(), new.id());
        assert!(after.find(old.id()).is_some() && alone.find(old.id()).is_none());
        assert_eq!(after.jwks()["keys"].as_array().map(Vec::len), Some(2));
        assert!(!after.jwks().to_string().contains("\"d\""), "no private part");
    }

    #[test]
    fn derived_keys_differ_by_purpose() {
        let key = TokenKey::generate();
        let sign = |purpose| hmac::sign(&key.derive(purpose), b"x").as_ref().to_vec();

        assert_eq!(sign("one"), sign("one"));
        assert_ne!(sign("one"), sign("two"));
    }
}
