//! RSA keys: signing, verifying, decrypting.

use std::fmt;

#[cfg(test)]
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey};
use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::{
        KeyPair, Pkcs1PrivateDecryptingKey, Pkcs1PublicEncryptingKey, PrivateDecryptingKey,
        PublicEncryptingKey,
    },
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey},
};
use base64::{Engine, prelude::BASE64_STANDARD};

/// A key or certificate that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a usable {0}")]
pub(crate) struct Unusable(pub(crate) &'static str);

/// Which hash an RSA signature covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    /// SHA-256, what every provider asks for.
    Sha256,
    /// SHA-1, legacy; no simulator takes it.
    #[cfg(test)]
    Sha1,
}

/// An RSA private key. Its `Debug` shows nothing of it.
pub(crate) struct PrivateKey {
    pair: KeyPair,
    /// The key once more: what signs and what decrypts are made apart.
    pkcs8: Vec<u8>,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey")
    }
}

impl PrivateKey {
    /// Reads PEM text in PKCS#8 or PKCS#1 form.
    pub(crate) fn from_pem(pem: &str) -> Result<Self, Unusable> {
        let refused = Unusable("RSA private key");
        let (label, der) = read_pem(pem).ok_or(Unusable("PEM text"))?;
        let pair = match label.as_str() {
            "RSA PRIVATE KEY" => KeyPair::from_der(&der),
            _ => KeyPair::from_pkcs8(&der),
        };
        Ok(Self { pair: pair.map_err(|_| refused)?, pkcs8: der })
    }

    /// `SHA256withRSA` (PKCS#1 v1.5) of `message`, in base64.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<String, Unusable> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| Unusable("RSA private key"))?;
        Ok(BASE64_STANDARD.encode(signature))
    }

    /// Whether `key` is the public half.
    pub(crate) fn belongs_to(&self, key: &PublicKey) -> bool {
        let probe = b"whether the two halves fit";
        self.sign(probe).is_ok_and(|signature| key.verifies(Hash::Sha256, probe, &signature))
    }

    /// The public half as PEM text (`BEGIN PUBLIC KEY`).
    pub(crate) fn public_pem(&self) -> Result<String, Unusable> {
        let der = self.pair.public_key().as_der().map_err(|_| Unusable("RSA public key"))?;
        Ok(write_pem("PUBLIC KEY", der.as_ref()))
    }

    /// Opens what was encrypted with RSA and PKCS#1 v1.5 padding, in base64. Asks for a key that came
    /// in PKCS#8 form.
    pub(crate) fn decrypt_pkcs1(&self, ciphertext: &str) -> Result<Vec<u8>, Unusable> {
        let sealed = BASE64_STANDARD.decode(ciphertext).map_err(|_| Unusable("base64"))?;
        let refused = Unusable("RSA private key");
        let key = PrivateDecryptingKey::from_pkcs8(&self.pkcs8).map_err(|_| refused)?;
        let key = Pkcs1PrivateDecryptingKey::new(key).map_err(|_| Unusable("RSA private key"))?;
        let mut plain = vec![0; key.min_output_size()];
        let length = key.decrypt(&sealed, &mut plain).map_err(|_| Unusable("ciphertext"))?.len();
        plain.truncate(length);
        Ok(plain)
    }

    /// Opens what was encrypted with RSA-OAEP and SHA-1, in base64.
    #[cfg(test)]
    pub(crate) fn decrypt_oaep(&self, ciphertext: &str) -> Result<Vec<u8>, Unusable> {
        let sealed = BASE64_STANDARD.decode(ciphertext).map_err(|_| Unusable("base64"))?;
        let refused = Unusable("RSA private key");
        let key = PrivateDecryptingKey::from_pkcs8(&self.pkcs8).map_err(|_| refused)?;
        let key = OaepPrivateDecryptingKey::new(key).map_err(|_| Unusable("RSA private key"))?;
        let mut plain = vec![0; key.min_output_size()];
        let length = key
            .decrypt(&OAEP_SHA1_MGF1SHA1, &sealed, &mut plain, None)
            .map_err(|_| Unusable("ciphertext"))?
            .len();
        plain.truncate(length);
        Ok(plain)
    }
}

/// An RSA public key.
#[derive(Debug, Clone)]
pub(crate) struct PublicKey(Vec<u8>);

impl PublicKey {
    /// Takes DER, as `SubjectPublicKeyInfo` or as PKCS#1.
    pub(crate) fn from_der(der: &[u8]) -> Self {
        Self(der.to_vec())
    }

    /// Reads PEM text (`BEGIN PUBLIC KEY`).
    #[cfg(test)]
    pub(crate) fn from_pem(pem: &str) -> Result<Self, Unusable> {
        let (_, der) = read_pem(pem).ok_or(Unusable("PEM text"))?;
        Ok(Self(der))
    }

    /// Encrypts with PKCS#1 v1.5 padding, in base64.
    pub(crate) fn encrypt_pkcs1(&self, plain: &[u8]) -> Result<String, Unusable> {
        let refused = |_| Unusable("RSA public key");
        let key = PublicEncryptingKey::from_der(&self.0).map_err(|_| Unusable("RSA public key"))?;
        let key = Pkcs1PublicEncryptingKey::new(key).map_err(refused)?;
        let mut sealed = vec![0; key.ciphertext_size()];
        key.encrypt(plain, &mut sealed).map_err(refused)?;
        Ok(BASE64_STANDARD.encode(sealed))
    }

    /// Whether `signature`, in base64, is one of `message` by this key's owner.
    pub(crate) fn verifies(&self, hash: Hash, message: &[u8], signature: &str) -> bool {
        let Ok(signature) = BASE64_STANDARD.decode(signature) else { return false };
        let verdict = match hash {
            Hash::Sha256 => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.0)
                .verify(message, &signature),
            #[cfg(test)]
            Hash::Sha1 => UnparsedPublicKey::new(
                &aws_lc_rs::signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
                &self.0,
            )
            .verify(message, &signature),
        };
        verdict.is_ok()
    }
}

/// The label and the bytes of the first block of PEM text.
pub(crate) fn read_pem(pem: &str) -> Option<(String, Vec<u8>)> {
    let (_, rest) = pem.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once("-----END ")?;
    let body: String = body.split_whitespace().collect();
    Some((label.to_owned(), BASE64_STANDARD.decode(body).ok()?))
}

fn write_pem(label: &str, der: &[u8]) -> String {
    use std::fmt::Write;
    let body = BASE64_STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(64));
        let _ = writeln!(pem, "{line}");
        rest = tail;
    }
    let _ = writeln!(pem, "-----END {label}-----");
    pem
}
