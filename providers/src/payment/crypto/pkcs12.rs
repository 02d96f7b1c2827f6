//! Keys and certificates in PKCS#12 files.

use p12_keystore::KeyStore;

use super::Certificate;

/// What a PKCS#12 file holds. No `Debug`: it has the private key.
pub(crate) struct KeyAndCertificates {
    /// The private key in PKCS#8.
    pub(crate) key: Vec<u8>,
    /// Its certificate, then those that vouch for it.
    pub(crate) chain: Vec<Certificate>,
}

/// Opens a PKCS#12 file.
pub(crate) fn open_pkcs12(file: &[u8], password: &str) -> Result<KeyAndCertificates, &'static str> {
    let store = KeyStore::from_pkcs12(file, password);
    let store = store.map_err(|_| "not a PKCS#12 file, or another password")?;
    let (_, entry) = store.private_key_chain().ok_or("the PKCS#12 file has no private key")?;
    let chain: Result<Vec<_>, _> =
        entry.chain().iter().map(|certificate| Certificate::of_der(certificate.as_der())).collect();
    let chain = chain.map_err(|_| "the PKCS#12 file has an unreadable certificate")?;
    if chain.is_empty() {
        return Err("the PKCS#12 file has no certificate");
    }
    Ok(KeyAndCertificates { key: entry.key().to_vec(), chain })
}
