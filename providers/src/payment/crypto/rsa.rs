//! RSA keys: PKCS#1 v1.5 signatures, and encryption where a protocol asks for it.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{
        KeyPair as RsaKeyPair, Pkcs1PrivateDecryptingKey, Pkcs1PublicEncryptingKey,
        PrivateDecryptingKey, PublicEncryptingKey,
    },
    signature::{
        KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
        RSA_PKCS1_2048_8192_SHA512, RSA_PKCS1_SHA256,
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::{Certificate, key_der};

/// A private key that signs. Cheap to clone; never prints.
#[derive(Clone)]
pub(crate) struct SigningKey {
    pair: Arc<RsaKeyPair>,
}

impl SigningKey {
    /// Reads a key in PKCS#8 or PKCS#1, as PEM or as bare base64.
    pub(crate) fn read(text: &str) -> Result<Self, &'static str> {
        Self::of_der(&key_der(text, &["PRIVATE KEY", "RSA PRIVATE KEY"])?)
    }

    /// The key in PKCS#8 or PKCS#1.
    pub(crate) fn of_der(der: &[u8]) -> Result<Self, &'static str> {
        let pair = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der));
        let pair = pair.map_err(|_| "not an RSA private key of 2048 to 8192 bits")?;
        Ok(Self { pair: Arc::new(pair) })
    }

    /// Signs with SHA-256; the signature in base64.
    ///
    /// # Errors
    ///
    /// Only when the system has no randomness or memory left.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<String, SignError> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let random = SystemRandom::new();
        self.pair
            .sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
            .map_err(|_| SignError)?;
        Ok(STANDARD.encode(signature))
    }

    /// Whether `certificate` is of this key.
    pub(crate) fn belongs_to(&self, certificate: &Certificate) -> bool {
        self.pair.public_key().as_ref() == certificate.rsa_public_key()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// A signature could not be made.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("a signature could not be made")]
pub(crate) struct SignError;

/// A public key that judges signatures. Cheap to clone.
#[derive(Clone)]
pub(crate) struct VerifyingKey {
    key: ParsedPublicKey,
    der: Arc<[u8]>,
}

impl VerifyingKey {
    /// Reads a public key, as PEM or as bare base64.
    pub(crate) fn read(text: &str) -> Result<Self, &'static str> {
        Self::of_der(&key_der(text, &["PUBLIC KEY", "RSA PUBLIC KEY"])?)
    }

    /// The key in SPKI or PKCS#1.
    pub(crate) fn of_der(der: &[u8]) -> Result<Self, &'static str> {
        let key = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der);
        let key = key.map_err(|_| "not an RSA public key of 2048 to 8192 bits")?;
        Ok(Self { key, der: der.into() })
    }

    /// Whether `signature` (base64) is this key's over `message`, with SHA-256.
    pub(crate) fn verifies(&self, message: &[u8], signature: &str) -> bool {
        let Ok(signature) = STANDARD.decode(signature) else { return false };
        self.key.verify_sig(message, &signature).is_ok()
    }

    /// Whether `signature` is this key's over `message`, with the algorithm that `oid` names.
    pub(super) fn verifies_as(&self, oid: &str, message: &[u8], signature: &[u8]) -> bool {
        let algorithm = match oid {
            "1.2.840.113549.1.1.11" => &RSA_PKCS1_2048_8192_SHA256,
            "1.2.840.113549.1.1.12" => &RSA_PKCS1_2048_8192_SHA384,
            "1.2.840.113549.1.1.13" => &RSA_PKCS1_2048_8192_SHA512,
            _ => return false,
        };
        let key = ParsedPublicKey::new(algorithm, &self.der);
        key.is_ok_and(|key| key.verify_sig(message, signature).is_ok())
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifyingKey(…)")
    }
}

/// A public key that encrypts with PKCS#1 v1.5 padding. Cheap to clone.
#[derive(Clone)]
pub(crate) struct EncryptingKey(Arc<Pkcs1PublicEncryptingKey>);

impl EncryptingKey {
    /// The key in SPKI.
    pub(super) fn of_der(der: &[u8]) -> Result<Self, &'static str> {
        let key = PublicEncryptingKey::from_der(der).map_err(|_| "not an RSA public key")?;
        let key = Pkcs1PublicEncryptingKey::new(key);
        Ok(Self(Arc::new(key.map_err(|_| "not an RSA public key of 2048 to 8192 bits")?)))
    }

    /// `text` encrypted, in base64; another text each time.
    ///
    /// # Errors
    ///
    /// When `text` is longer than the key takes, 245 bytes at 2048 bits.
    pub(crate) fn encrypt(&self, text: &str) -> Result<String, &'static str> {
        let mut sealed = vec![0; self.0.ciphertext_size()];
        let written = self.0.encrypt(text.as_bytes(), &mut sealed).map_err(|_| "cannot encrypt")?;
        Ok(STANDARD.encode(written))
    }
}

impl fmt::Debug for EncryptingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptingKey(…)")
    }
}

/// A private key that opens what was encrypted with PKCS#1 v1.5 padding. Cheap to clone; never
/// prints.
///
/// That padding tells an attacker who can ask often enough what a text says (Bleichenbacher), so
/// nothing but a message whose signature was verified is opened, and no failure is told.
#[derive(Clone)]
pub(crate) struct OpeningKey(Arc<Pkcs1PrivateDecryptingKey>);

impl OpeningKey {
    /// The key in PKCS#8; nothing for other forms.
    pub(crate) fn of_der(der: &[u8]) -> Option<Self> {
        let key = PrivateDecryptingKey::from_pkcs8(der).ok()?;
        Some(Self(Arc::new(Pkcs1PrivateDecryptingKey::new(key).ok()?)))
    }

    /// The text that was encrypted as `sealed` (base64); nothing for anything else.
    pub(crate) fn open(&self, sealed: &str) -> Option<String> {
        let sealed = STANDARD.decode(sealed).ok()?;
        let mut plain = vec![0; self.0.min_output_size()];
        let plain = self.0.decrypt(&sealed, &mut plain).ok()?;
        String::from_utf8(plain.to_vec()).ok()
    }
}

impl fmt::Debug for OpeningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpeningKey(…)")
    }
}
