//! Long-lived keys, `Authorization: Token …`: `feat_` and base64url of the key's id and of 256
//! random bits. The store keeps a digest, so a stolen store gives no key away.
//!
//! A key that was found good is not looked up again for a few seconds: that long a key that was
//! revoked in another process may still count.

use std::time::Duration;

use aws_lc_rs::{constant_time, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use schemas::{KeyId, Timestamp, api_key::KeyRecord};
use secrecy::{ExposeSecret as _, SecretString};
use store::{Store, StoreError};

use super::{Caller, Principal, cache::Cache, digest_secret};

const PREFIX: &str = "feat_";
const ID_BYTES: usize = 16;
const SECRET_BYTES: usize = 32;

/// A key that was just made; the only moment at which its text is known.
#[derive(Debug)]
pub struct NewKey {
    /// Its name.
    pub id: KeyId,
    /// What its owner sends.
    pub text: SecretString,
    /// What its record keeps.
    pub digest: SecretString,
}

impl NewKey {
    /// A new random key.
    #[must_use]
    pub fn generate() -> Self {
        let id = KeyId::generate();
        let secret: [u8; SECRET_BYTES] = rand::random();
        let bytes = [id.as_bytes().as_slice(), &secret].concat();
        let text = SecretString::from(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)));
        let digest = digest_secret(&text);
        Self { id, text, digest }
    }
}

/// The id in the text of a key; `None` for a text that is no key.
fn read(text: &str) -> Option<KeyId> {
    let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
    let (id, secret) = bytes.split_first_chunk::<ID_BYTES>()?;
    (secret.len() == SECRET_BYTES).then(|| KeyId::from_bytes(*id))
}

/// Knows the callers behind keys.
#[derive(Debug)]
pub(crate) struct ApiKeys {
    verified: Cache,
    /// How long a key is not looked up again.
    remembered: Duration,
}

impl ApiKeys {
    /// Remembers `cached` keys, each for so long.
    pub(crate) fn new(cached: usize, remembered: Duration) -> Self {
        Self { verified: Cache::new(cached), remembered }
    }

    /// Whom `text` speaks for; `None` when it is no key, or one that does not count now.
    ///
    /// # Errors
    ///
    /// The store did not say.
    pub(crate) async fn verify(
        &self,
        store: &Store,
        text: &str,
    ) -> Result<Option<Caller>, StoreError> {
        let Some(id) = read(text) else { return Ok(None) };
        let now = Timestamp::now();
        let mut name = [0; 32];
        name.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        if let Some(Principal::User(caller)) = self.verified.get(&name, now.as_secs()) {
            return Ok(Some(caller));
        }
        let Some(key) = good(store, id, text, now).await? else { return Ok(None) };
        write_down_use(store, &key, now);
        let caller = Caller::of_key(&key);
        let until = key.expires_at.map_or(i64::MAX, Timestamp::as_secs);
        let until = until.min((now + self.remembered).as_secs());
        self.verified.put(name, Principal::User(caller.clone()), until, now.as_secs());
        Ok(Some(caller))
    }

    /// Forgets every key, because one was just revoked here.
    pub(crate) fn forget(&self) {
        self.verified.clear();
    }
}

/// The key's record, if the text is the key, it counts, and its user may sign in.
async fn good(
    store: &Store,
    id: KeyId,
    text: &str,
    now: Timestamp,
) -> Result<Option<KeyRecord>, StoreError> {
    let Some(key) = store.keys.get(id).await? else { return Ok(None) };
    let actual = digest_secret(&text.into());
    let (expected, actual) = (key.digest.expose_secret(), actual.expose_secret());
    let same = constant_time::verify_slices_are_equal(expected.as_bytes(), actual.as_bytes());
    if same.is_err() || !key.counts(now) {
        return Ok(None);
    }
    let user = store.users.get(key.owner).await?;
    Ok(user.filter(|user| user.disabled_at.is_none()).map(|_| key))
}

/// Best effort: when a save loses against another, that one has written the use down.
fn write_down_use(store: &Store, key: &KeyRecord, now: Timestamp) {
    let Some(used) = key.used(now) else { return };
    let keys = store.keys.clone();
    tokio::spawn(async move {
        if let Err(error) = keys.save(&used).await {
            tracing::debug!(%error, key = %used.id, "the use of a key was not written down");
        }
    });
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn a_key_names_itself_and_does_not_print() {
        let key = NewKey::generate();
        let text = key.text.expose_secret();

        assert_eq!(read(text), Some(key.id));
        assert_eq!(text.len(), 69);
        assert_eq!(key.digest.expose_secret(), digest_secret(&key.text).expose_secret());
        assert!(!format!("{key:?}").contains(&text[10..]));
    }

    #[test]
    fn other_texts_are_no_keys() {
        let good = NewKey::generate();
        let good = good.text.expose_secret();
        let cases = [
            ("empty", String::new()),
            ("no prefix", good[5..].to_owned()),
            ("cut", good[..60].to_owned()),
            ("longer", format!("{good}AAAA")),
            ("odd characters", good.replace('_', "-")),
            ("text", "feat_secret".to_owned()),
        ];
        for (name, text) in cases {
            assert_eq!(read(&text), None, "{name}");
        }
    }

    #[tokio::test]
    async fn a_key_is_found_by_its_whole_text_only() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::sqlite(folder.path()).await.unwrap();
        let key = NewKey::generate();
        let other = NewKey::generate();
        let same_id = [key.id.as_bytes().as_slice(), &[7; SECRET_BYTES]].concat();
        let same_id = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(same_id));
        let keys = ApiKeys::new(16, Duration::ZERO);

        for text in [key.text.expose_secret(), other.text.expose_secret(), same_id.as_str()] {
            assert_eq!(keys.verify(&store, text).await, Ok(None));
        }
        store.close().await;
    }
}
