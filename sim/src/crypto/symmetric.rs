//! Hashes, MACs and symmetric ciphers.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    cipher::{AES_256, PaddedBlockEncryptingKey, UnboundCipherKey},
    digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest},
    hmac,
};
#[cfg(test)]
use aws_lc_rs::{
    cipher::{AES_128, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey},
    iv::FixedLength,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use md5::Digest;

use super::{Unusable, hex};

/// MD5 in lower-case hex.
pub(crate) fn md5(data: &[u8]) -> String {
    hex(&md5::Md5::digest(data))
}

/// SHA-256 in lower-case hex.
pub(crate) fn sha256(data: &[u8]) -> String {
    hex(digest(&SHA256, data).as_ref())
}

/// SHA-1 in lower-case hex, for the hash values of bill files.
pub(crate) fn sha1(data: &[u8]) -> String {
    hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, data).as_ref())
}

/// HMAC-SHA256 in lower-case hex.
pub(crate) fn hmac_sha256(key: &[u8], data: &[u8]) -> String {
    hex(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref())
}

/// AES-256-GCM with the tag at the end, in base64.
pub(crate) fn seal(key: &[u8], nonce: &str, associated: &str, plain: &str) -> Result<String, Unusable> {
    let refused = |_| Unusable("AES-256-GCM key or nonce");
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).map_err(refused)?);
    let nonce = Nonce::try_assume_unique_for_key(nonce.as_bytes()).map_err(refused)?;
    let mut sealed = plain.as_bytes().to_vec();
    key.seal_in_place_append_tag(nonce, Aad::from(associated.as_bytes()), &mut sealed)
        .map_err(refused)?;
    Ok(BASE64_STANDARD.encode(sealed))
}

/// Opens what [`seal`] made.
#[cfg(test)]
pub(crate) fn open(key: &[u8], nonce: &str, associated: &str, sealed: &str) -> Result<String, Unusable> {
    let refused = |_| Unusable("AES-256-GCM key, nonce or ciphertext");
    let mut sealed = BASE64_STANDARD.decode(sealed).map_err(|_| Unusable("base64"))?;
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).map_err(refused)?);
    let nonce = Nonce::try_assume_unique_for_key(nonce.as_bytes()).map_err(refused)?;
    let plain =
        key.open_in_place(nonce, Aad::from(associated.as_bytes()), &mut sealed).map_err(refused)?;
    String::from_utf8(plain.to_vec()).map_err(|_| Unusable("text"))
}

/// AES-256-ECB with PKCS#7 padding, in base64.
pub(crate) fn aes_ecb_seal(key: &[u8], plain: &str) -> Result<String, Unusable> {
    let refused = |_| Unusable("AES-256 key");
    let key = UnboundCipherKey::new(&AES_256, key).map_err(refused)?;
    let mut sealed = plain.as_bytes().to_vec();
    PaddedBlockEncryptingKey::ecb_pkcs7(key)
        .and_then(|key| key.encrypt(&mut sealed))
        .map_err(refused)?;
    Ok(BASE64_STANDARD.encode(sealed))
}

/// Opens what [`aes_ecb_seal`] made; the padding is checked.
#[cfg(test)]
pub(crate) fn aes_ecb_open(key: &[u8], sealed: &str) -> Result<String, Unusable> {
    let refused = |_| Unusable("AES-256 key or ciphertext");
    let mut sealed = BASE64_STANDARD.decode(sealed).map_err(|_| Unusable("base64"))?;
    let key = UnboundCipherKey::new(&AES_256, key).map_err(refused)?;
    let key = PaddedBlockDecryptingKey::ecb_pkcs7(key).map_err(refused)?;
    let plain = key.decrypt(&mut sealed, DecryptionContext::None).map_err(refused)?;
    String::from_utf8(plain.to_vec()).map_err(|_| Unusable("text"))
}

/// AES-128-CBC with a zero IV and PKCS#7 padding, in base64.
#[cfg(test)]
pub(crate) fn aes_cbc_seal(key: &[u8], plain: &str) -> Result<String, Unusable> {
    let refused = |_| Unusable("AES-128 key");
    let key = UnboundCipherKey::new(&AES_128, key).map_err(refused)?;
    let mut sealed = plain.as_bytes().to_vec();
    let start = EncryptionContext::Iv128(FixedLength::from([0; 16]));
    PaddedBlockEncryptingKey::cbc_pkcs7(key)
        .and_then(|key| key.less_safe_encrypt(&mut sealed, start))
        .map_err(refused)?;
    Ok(BASE64_STANDARD.encode(sealed))
}
