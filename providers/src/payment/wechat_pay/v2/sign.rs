//! Signatures of the XML protocol: a hash over the sorted fields and the API key.

use secrecy::{ExposeSecret, SecretString};

use crate::payment::{
    V2SignType,
    crypto::{hmac_sha256_hex, md5_hex, same},
    fields::{Empty, Fields},
};

impl V2SignType {
    /// Its name in messages.
    pub(in crate::payment::wechat_pay) const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::HmacSha256 => "HMAC-SHA256",
        }
    }
}

/// The text that is signed, without the key.
pub(super) fn signed_text(fields: &Fields, signature: &str) -> String {
    fields.joined(&[signature], Empty::Drop)
}

/// The signature over all fields but `signature` itself, in upper-case hex.
pub(in crate::payment::wechat_pay) fn sign(
    fields: &Fields,
    signature: &str,
    key: &SecretString,
    kind: V2SignType,
) -> String {
    let key = key.expose_secret();
    let text = format!("{}&key={key}", signed_text(fields, signature));
    let hex = match kind {
        V2SignType::Md5 => md5_hex(text.as_bytes()),
        V2SignType::HmacSha256 => hmac_sha256_hex(key.as_bytes(), text.as_bytes()),
    };
    hex.to_uppercase()
}

/// Whether the message is signed, in the way that was agreed: the message does not choose it.
pub(in crate::payment::wechat_pay) fn verify(
    fields: &Fields,
    key: &SecretString,
    kind: V2SignType,
) -> bool {
    let agreed = fields.get("sign_type").is_none_or(|named| named == kind.name());
    let given = fields.get("sign").unwrap_or_default();
    agreed && same(given, &sign(fields, "sign", key, kind))
}
