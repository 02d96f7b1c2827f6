//! Whose key signs for WeChat Pay: its public key, its platform certificates, or, while a merchant
//! migrates, both. The serial of a message chooses.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use schemas::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::Keys;
use crate::payment::crypto::{Certificate, VerifyingKey, open_gcm};

/// Certificates are fetched again after this long.
const FRESH: Duration = Duration::from_hours(12);

/// Pause between two fetches, whatever serials arrive: a forger cannot make us ask more often.
const PAUSE: Duration = Duration::from_secs(10);

/// Most certificates that are kept.
const MAX_CERTIFICATES: usize = 16;

/// The platform certificates that were fetched.
#[derive(Default)]
pub(in crate::payment::wechat_pay) struct Platform {
    fetched: Mutex<Fetched>,
}

#[derive(Default)]
struct Fetched {
    keys: BTreeMap<String, PlatformKey>,
    at: Option<Instant>,
    tried: Option<Instant>,
}

/// The key of one certificate.
#[derive(Debug, Clone)]
pub(super) struct PlatformKey {
    pub(super) key: VerifyingKey,
    pub(super) not_after: i64,
}

/// What to do to get a key.
pub(super) enum Lookup {
    /// Here it is.
    Key(VerifyingKey),
    /// Fetch the certificates, then look again.
    Fetch,
    /// There is none.
    None,
}

impl Platform {
    /// The key with `serial`, or whether fetching may find it.
    pub(super) async fn find(&self, keys: &Keys, serial: &str) -> Lookup {
        if let Some((id, key)) = &keys.public_key
            && id == serial
        {
            return Lookup::Key(key.clone());
        }
        if !keys.fetches_certificates {
            return Lookup::None;
        }
        let now = Timestamp::now().as_secs();
        let fetched = self.fetched.lock().await;
        let found = fetched.keys.get(serial).filter(|known| now <= known.not_after);
        match found {
            Some(known) => Lookup::Key(known.key.clone()),
            None if fetched.may_try() => Lookup::Fetch,
            None => Lookup::None,
        }
    }

    /// Whether the certificates must be fetched before a call is made, so that its answer can be
    /// judged. Answers yes to one caller at a time.
    pub(super) async fn is_due(&self, keys: &Keys) -> bool {
        if !keys.fetches_certificates {
            return false;
        }
        let mut fetched = self.fetched.lock().await;
        let fresh = fetched.at.is_some_and(|at| at.elapsed() < FRESH);
        let due = !fresh && fetched.may_try();
        if due {
            fetched.tried = Some(Instant::now());
        }
        due
    }

    /// Whether any answer can be judged.
    pub(super) async fn is_ready(&self, keys: &Keys) -> bool {
        keys.public_key.is_some() || !self.fetched.lock().await.keys.is_empty()
    }

    /// Notes that a fetch begins.
    pub(super) async fn tries(&self) {
        self.fetched.lock().await.tried = Some(Instant::now());
    }

    /// Puts fetched certificates in force. Older ones stay until their time is over.
    pub(super) async fn put(&self, fresh: BTreeMap<String, PlatformKey>) {
        let mut fetched = self.fetched.lock().await;
        fetched.at = Some(Instant::now());
        fetched.keys.extend(fresh);
        let now = Timestamp::now().as_secs();
        fetched.keys.retain(|_, known| now <= known.not_after);
        while fetched.keys.len() > MAX_CERTIFICATES {
            let oldest = fetched.keys.iter().min_by_key(|(_, known)| known.not_after);
            let Some(serial) = oldest.map(|(serial, _)| serial.clone()) else { break };
            fetched.keys.remove(&serial);
        }
    }

    /// When the last of the certificates ends, in seconds since 1970.
    pub(super) async fn not_after(&self) -> Option<i64> {
        self.fetched.lock().await.keys.values().map(|known| known.not_after).max()
    }
}

impl Fetched {
    fn may_try(&self) -> bool {
        self.tried.is_none_or(|tried| tried.elapsed() >= PAUSE)
    }
}

#[derive(Deserialize)]
struct List {
    data: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    serial_no: String,
    encrypt_certificate: Sealed,
}

/// Something encrypted with the key of this protocol.
#[derive(Deserialize)]
pub(super) struct Sealed {
    algorithm: String,
    nonce: String,
    #[serde(default)]
    associated_data: Option<String>,
    ciphertext: String,
}

impl Sealed {
    /// Decrypts it; nothing for anything but the untouched message.
    pub(super) fn open(&self, key: &SecretString) -> Option<Vec<u8>> {
        if self.algorithm != "AEAD_AES_256_GCM" {
            return None;
        }
        let sealed = STANDARD.decode(&self.ciphertext).ok()?;
        let aad = self.associated_data.as_deref().unwrap_or_default();
        open_gcm(key.expose_secret().as_bytes(), &self.nonce, aad, &sealed)
    }
}

/// Reads the list of certificates; each must decrypt, and have the serial it is listed under.
pub(super) fn read_list(
    body: &[u8],
    api_key: &SecretString,
) -> Option<BTreeMap<String, PlatformKey>> {
    let list: List = serde_json::from_slice(body).ok()?;
    let read = |listed: Listed| {
        let pem = listed.encrypt_certificate.open(api_key)?;
        let certificate = Certificate::read(std::str::from_utf8(&pem).ok()?).ok()?;
        if certificate.serial_hex() != listed.serial_no {
            return None;
        }
        let key = certificate.verifying_key().ok()?;
        Some((listed.serial_no, PlatformKey { key, not_after: certificate.not_after() }))
    };
    if list.data.len() > MAX_CERTIFICATES {
        return None;
    }
    list.data.into_iter().map(read).collect()
}
