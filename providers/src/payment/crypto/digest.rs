//! Hashes as hex text.

use aws_lc_rs::{digest, hmac};
use md5::{Digest as _, Md5};
use sm3::Sm3;

/// The bytes as hex digits in lower case.
pub(crate) fn hex_lower(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

/// MD5, for WeChat Pay's XML protocol and the fingerprints of Alipay's certificates.
pub(crate) fn md5_hex(bytes: &[u8]) -> String {
    hex_lower(&Md5::digest(bytes))
}

/// SHA-1, for the digest of WeChat Pay's bill files.
pub(crate) fn sha1_hex(bytes: &[u8]) -> String {
    hex_lower(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref())
}

/// SHA-256.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex_lower(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// SM3, for one of UnionPay's signatures.
pub(crate) fn sm3_hex(bytes: &[u8]) -> String {
    hex_lower(&Sm3::digest(bytes))
}

/// HMAC with SHA-256.
pub(crate) fn hmac_sha256_hex(key: &[u8], bytes: &[u8]) -> String {
    hex_lower(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), bytes).as_ref())
}
