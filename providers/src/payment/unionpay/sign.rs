//! Signatures of UnionPay: RSA over the hex text of a hash, or a hash with a shared key.

use schemas::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::keys::{Keys, Signing};
use crate::payment::{
    ProviderError,
    crypto::{same, sha256_hex, sm3_hex},
    fields::{Empty, Fields},
};

/// The protocol that is spoken; messages of another one are refused.
pub(super) const VERSION: &str = "5.1.0";

/// A hash that is keyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sm3,
}

impl Hash {
    fn hex(self, text: &str) -> String {
        match self {
            Self::Sha256 => sha256_hex(text.as_bytes()),
            Self::Sm3 => sm3_hex(text.as_bytes()),
        }
    }

    fn keyed(self, text: &str, key: &SecretString) -> String {
        self.hex(&format!("{text}&{}", self.hex(key.expose_secret())))
    }
}

/// The text that is signed of a message.
pub(super) fn signed_text(fields: &Fields, empty: Empty) -> String {
    fields.joined(&["signature"], empty)
}

/// Adds how the message is signed, and the signature.
pub(super) fn sign(fields: &mut Fields, keys: &Keys) -> Result<(), ProviderError> {
    fields.set("signMethod", keys.signing.method());
    let signature = match &keys.signing {
        Signing::Rsa { key, certificate_id, .. } => {
            fields.set("certId", certificate_id);
            let digest = sha256_hex(signed_text(fields, Empty::Drop).as_bytes());
            let signature = key.sign(digest.as_bytes());
            signature.map_err(|error| ProviderError::Misconfigured(error.to_string()))?
        }
        Signing::Keyed { hash, key } => hash.keyed(&signed_text(fields, Empty::Drop), key),
    };
    fields.set("signature", &signature);
    Ok(())
}

/// Whether UnionPay signed the message, in the way that was agreed: the message chooses neither
/// the version nor the method.
pub(super) fn verify(fields: &Fields, keys: &Keys, now: Timestamp) -> Result<(), &'static str> {
    if !fields.is("version", VERSION) || !fields.is("signMethod", keys.signing.method()) {
        return Err("other_protocol");
    }
    let signature = fields.get("signature").ok_or("unsigned")?;
    // A field that arrived empty takes part.
    let text = signed_text(fields, Empty::Keep);
    let genuine = match (&keys.signing, &keys.trust) {
        (Signing::Keyed { hash, key }, _) => same(signature, &hash.keyed(&text, key)),
        (Signing::Rsa { .. }, Some(trust)) => {
            let certificate = fields.get("signPubKeyCert").ok_or("without_certificate")?;
            let key = trust.key_of(certificate, now).map_err(|_| "bad_certificate")?;
            key.verifies(sha256_hex(text.as_bytes()).as_bytes(), signature)
        }
        (Signing::Rsa { .. }, None) => false,
    };
    if genuine { Ok(()) } else { Err("bad_signature") }
}
