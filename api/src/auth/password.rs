//! Passwords: Argon2id (19 MiB, 2 passes, 1 lane), on few threads and with a bounded queue, so
//! that a flood of sign-ins takes neither the memory nor the processors from the rest.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use argon2::{
    Argon2, PasswordHasher as _, PasswordVerifier as _, password_hash::phc::PasswordHash,
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{sync::Semaphore, task};

/// A hash with our parameters that no password has; checked for users that do not exist, so that
/// both refusals take the same time.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Why a password was not hashed or checked.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PasswordError {
    /// Too many wait already: come back in a second.
    #[error("too many passwords wait to be checked")]
    Busy,
    /// The hash function itself failed, for want of memory for instance.
    #[error("the password could not be hashed")]
    Failed,
}

/// Hashes `password` for a user's record; takes tens of milliseconds of one processor.
pub async fn hash_password(password: SecretString) -> Result<SecretString, PasswordError> {
    let hash = move || {
        let hash = Argon2::default().hash_password(password.expose_secret().as_bytes());
        hash.map(|hash| hash.to_string().into()).map_err(|_| PasswordError::Failed)
    };
    task::spawn_blocking(hash).await.unwrap_or(Err(PasswordError::Failed))
}

/// Whether `password` is the one that `hash` was made from, in time that does not depend on the
/// answer; false also for a text that is no hash.
pub async fn verify_password(
    password: SecretString,
    hash: SecretString,
) -> Result<bool, PasswordError> {
    let verify = move || {
        let Ok(hash) = PasswordHash::new(hash.expose_secret()) else { return false };
        Argon2::default().verify_password(password.expose_secret().as_bytes(), &hash).is_ok()
    };
    task::spawn_blocking(verify).await.map_err(|_| PasswordError::Failed)
}

/// The few at a time that check passwords.
#[derive(Debug, Clone)]
pub(crate) struct Passwords {
    /// One for each that runs or waits.
    places: Arc<Semaphore>,
    /// One for each that runs.
    turns: Arc<Semaphore>,
    /// Passwords that were hashed to the end so far.
    hashed: Arc<AtomicU64>,
}

impl Passwords {
    /// As many at a time as there are processors, and `waiting` more in the queue.
    pub(crate) fn new(waiting: usize) -> Self {
        let at_once = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            places: Arc::new(Semaphore::new(at_once + waiting)),
            turns: Arc::new(Semaphore::new(at_once)),
            hashed: Arc::default(),
        }
    }

    /// Whether `password` belongs to `hash`; without a hash, false after the same time.
    ///
    /// # Errors
    ///
    /// [`PasswordError::Busy`] at once when the queue is full.
    pub(crate) async fn verify(
        &self,
        password: SecretString,
        hash: Option<SecretString>,
    ) -> Result<bool, PasswordError> {
        // Owned permits travel with the blocking work, so a caller that goes away frees nothing
        // that still runs.
        let place =
            Arc::clone(&self.places).try_acquire_owned().map_err(|_| PasswordError::Busy)?;
        let turn =
            Arc::clone(&self.turns).acquire_owned().await.map_err(|_| PasswordError::Failed)?;
        let hash = hash.unwrap_or_else(|| NOBODY.into());
        let hashed = Arc::clone(&self.hashed);
        let work = async move {
            let answer = verify_password(password, hash).await;
            if answer.is_ok() {
                hashed.fetch_add(1, Ordering::Relaxed);
                metrics::counter!("feat_passwords_checked_total").increment(1);
            }
            drop((place, turn));
            answer
        };
        task::spawn(work).await.unwrap_or(Err(PasswordError::Failed))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let hash = hash_password("correct horse".into()).await.unwrap();

        assert!(hash.expose_secret().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(verify_password("correct horse".into(), hash.clone()).await.unwrap());
        assert!(!verify_password("wrong".into(), hash).await.unwrap());
        assert!(!verify_password("x".into(), "no hash".into()).await.unwrap());
    }

    #[tokio::test]
    async fn an_unknown_user_costs_a_whole_hash() {
        let passwords = Passwords::new(1);
        let hash = hash_password("right".into()).await.unwrap();
        let cases = [("known", Some(hash.clone())), ("unknown", None), ("known again", Some(hash))];
        for (index, (name, hash)) in cases.into_iter().enumerate() {
            assert!(!passwords.verify("wrong".into(), hash).await.unwrap(), "{name}");
            let hashed = passwords.hashed.load(Ordering::Relaxed);
            assert_eq!(hashed, u64::try_from(index + 1).unwrap(), "{name}");
        }
    }

    #[test]
    fn the_hash_of_nobody_costs_as_much_as_a_real_one() {
        let nobody = PasswordHash::new(NOBODY).unwrap();
        let real = Argon2::default().hash_password(b"x").unwrap();
        assert_eq!(nobody.algorithm, real.algorithm);
        assert_eq!(nobody.version, real.version);
        assert_eq!(nobody.params, real.params);
        assert_eq!(nobody.hash.unwrap().len(), real.hash.unwrap().len());
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once() {
        let passwords = Passwords::new(0);
        let all = u32::try_from(passwords.places.available_permits()).unwrap();
        let held = passwords.places.acquire_many(all).await.unwrap();

        assert_eq!(passwords.verify("x".into(), None).await, Err(PasswordError::Busy));
        drop(held);
        assert_eq!(passwords.verify("x".into(), None).await, Ok(false));
    }
}
