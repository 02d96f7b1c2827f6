//! AES as the providers use it.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    cipher::{
        AES_128, AES_256, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey,
        PaddedBlockEncryptingKey, UnboundCipherKey,
    },
    iv::FixedLength,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretSlice};

/// Decrypts AES-256-GCM with the tag at the end. `None` for anything but the untouched message.
pub(crate) fn open_gcm(key: &[u8], nonce: &str, aad: &str, sealed: &[u8]) -> Option<Vec<u8>> {
    let nonce = Nonce::try_assume_unique_for_key(nonce.as_bytes()).ok()?;
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?);
    let mut message = sealed.to_vec();
    let plain = key.open_in_place(nonce, Aad::from(aad.as_bytes()), &mut message).ok()?.len();
    message.truncate(plain);
    Some(message)
}

/// Decrypts AES-256-ECB and checks the PKCS#7 padding. The mode authenticates nothing: what comes
/// out must be confirmed elsewhere.
pub(crate) fn unpad_ecb(key: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let key = PaddedBlockDecryptingKey::ecb_pkcs7(UnboundCipherKey::new(&AES_256, key).ok()?);
    let mut message = sealed.to_vec();
    let plain = key.ok()?.decrypt(&mut message, DecryptionContext::None).ok()?.len();
    message.truncate(plain);
    Some(message)
}

/// Encrypts with AES-128-CBC, a vector of zeros and PKCS#7 padding, as Alipay's content
/// encryption demands; in base64.
pub(crate) fn seal_cbc(key: &SecretSlice<u8>, plain: &[u8]) -> Option<String> {
    let key = UnboundCipherKey::new(&AES_128, key.expose_secret()).ok()?;
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(key).ok()?;
    let mut message = plain.to_vec();
    let zeros = EncryptionContext::Iv128(FixedLength::from([0; 16]));
    key.less_safe_encrypt(&mut message, zeros).ok()?;
    Some(STANDARD.encode(message))
}

/// Decrypts what [`seal_cbc`] encrypts. What vouches for it is the signature around it.
pub(crate) fn open_cbc(key: &SecretSlice<u8>, sealed: &str) -> Option<Vec<u8>> {
    let key = UnboundCipherKey::new(&AES_128, key.expose_secret()).ok()?;
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).ok()?;
    let mut message = STANDARD.decode(sealed).ok()?;
    let zeros = DecryptionContext::Iv128(FixedLength::from([0; 16]));
    let plain = key.decrypt(&mut message, zeros).ok()?.len();
    message.truncate(plain);
    Some(message)
}
