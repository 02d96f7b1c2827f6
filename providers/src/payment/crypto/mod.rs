//! Cryptography of the payment providers, on aws-lc-rs.
//!
//! What providers still demand of old algorithms (MD5, ECB, SHA-1 inside OAEP) is here and
//! nowhere else. Comparisons of anything secret take constant time; nothing here prints a key.

mod certificate;
mod digest;
mod pem;
mod pkcs12;
mod rsa;
mod symmetric;

pub(crate) use self::{
    certificate::{Certificate, CertificateError},
    digest::{hex_lower, hmac_sha256_hex, md5_hex, sha1_hex, sha256_hex, sm3_hex},
    pem::{key_der, pem_blocks, to_pem},
    pkcs12::{KeyAndCertificates, open_pkcs12},
    rsa::{EncryptingKey, OpeningKey, SigningKey, VerifyingKey},
    symmetric::{open_cbc, open_gcm, seal_cbc, unpad_ecb},
};

use aws_lc_rs::constant_time;

/// Whether both texts are the same, in a time that does not depend on where they differ.
pub(crate) fn same(left: &str, right: &str) -> bool {
    constant_time::verify_slices_are_equal(left.as_bytes(), right.as_bytes()).is_ok()
}

/// A fresh random text of 32 hex digits in lower case.
pub(crate) fn nonce() -> String {
    hex_lower(&rand::random::<[u8; 16]>())
}
