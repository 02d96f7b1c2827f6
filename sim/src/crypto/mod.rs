//! The cryptography of the providers, written from their documents alone.
//!
//! Nothing here is shared with the crate that speaks to the real providers: a mistake there must
//! not be repeated here.

mod certificate;
mod keys;
mod sm3;
mod symmetric;

pub(crate) use certificate::Certificate;
pub(crate) use keys::{Hash, PrivateKey, PublicKey, Unusable};
pub(crate) use symmetric::{aes_ecb_seal, hmac_sha256, md5, seal, sha1, sha256};
#[cfg(test)]
pub(crate) use symmetric::{aes_cbc_seal, aes_ecb_open, open};

/// SM3 of `data`.
pub(crate) fn sm3(data: &[u8]) -> [u8; 32] {
    sm3::hash(data)
}

/// `bytes` as lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
        }
        text
    })
}

/// Whether two texts are equal, in a time that depends on their lengths alone.
pub(crate) fn same(one: &str, other: &str) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(one.as_bytes(), other.as_bytes()).is_ok()
}

/// A random text of `length` characters out of `0-9a-z`.
pub(crate) fn nonce(length: usize) -> String {
    (0..length)
        .map(|_| char::from(b"0123456789abcdefghijklmnopqrstuvwxyz"[rand::random_range(0..36)]))
        .collect()
}
