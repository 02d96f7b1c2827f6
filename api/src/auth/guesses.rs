//! Wrong passwords slow down whoever sends them, and nobody else.
//!
//! Failures are counted for a *source*, in the store, so that all API processes share the count:
//!
//! - one account from one address: a few are free, then each one doubles the pause;
//! - one address through all accounts, with more that are free;
//! - instead of both, for a device on which the account has signed in before, the account, the
//!   address and the device. So a stranger, even one behind the same address, does not slow down
//!   somebody's own device, and nobody is locked out from elsewhere.
//!
//! A name that no account has is counted like one that an account has, so the pause tells nothing.
//! The count is asked before the password is looked at; of one source four at a time get so far,
//! which bounds what can be tried between the question and the count.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_lc_rs::digest;
use schemas::{
    Timestamp, UserId,
    guess::{GuessPolicy, GuessRecord},
};
use store::{Insert, Save, Store, StoreError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::settings::{GuessPolicies, caller_network};

/// Attempts of one source that are looked at together.
const AT_ONCE: usize = 4;

/// Times that a count may change under our hands before we give up for now.
const MAX_RACES: usize = 8;

/// Where an attempt to sign in comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    /// The name that was typed.
    pub(crate) username: &'a str,
    /// Whose name that is, if anybody's.
    pub(crate) user: Option<UserId>,
    /// The device, as the client names it.
    pub(crate) device_id: &'a str,
    /// The caller's address.
    pub(crate) address: Option<IpAddr>,
}

/// Why an attempt is not looked at.
#[derive(Debug)]
pub(crate) enum NotNow {
    /// Too many failures: come back after that time.
    Slowed(Duration),
    /// The count is not known, so nothing may be tried.
    Store(StoreError),
}

impl From<StoreError> for NotNow {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

type Turns = Arc<Mutex<HashMap<String, Arc<Semaphore>>>>;

/// The counts of wrong passwords.
#[derive(Debug, Clone)]
pub(crate) struct Guesses {
    policies: GuessPolicies,
    /// The sources of which an attempt is under way; bounded by the requests that are.
    turns: Turns,
}

impl Guesses {
    pub(crate) fn new(policies: GuessPolicies) -> Self {
        Self { policies, turns: Turns::default() }
    }

    /// Waits for the source's turn, and asks whether it may try now.
    ///
    /// # Errors
    ///
    /// [`NotNow`]: the password must not be looked at.
    pub(crate) async fn begin(
        &self,
        store: &Store,
        source: &Source<'_>,
    ) -> Result<Attempt, NotNow> {
        // As much work for a name that nobody has.
        let user = source.user.unwrap_or(UserId::FEAT);
        let known = store.devices.by_device(user, source.device_id).await?.is_some();
        let counted = self.counted(source, known);
        let turn = Turn::take(&self.turns, counted[0].0.clone()).await?;
        let now = Timestamp::now();
        let mut wait = Duration::ZERO;
        for (id, _) in &counted {
            let record = store.guesses.get(id).await?;
            wait = wait.max(record.map_or(Duration::ZERO, |record| record.wait(now)));
        }
        if !wait.is_zero() {
            metrics::counter!("feat_sign_ins_slowed_total").increment(1);
            return Err(NotNow::Slowed(wait));
        }
        Ok(Attempt { store: store.clone(), counted, _turn: turn })
    }

    /// The records in which a failure of this source is counted, the account's first.
    fn counted(&self, source: &Source<'_>, known: bool) -> Vec<(String, GuessPolicy)> {
        let network = source.address.map(|address| caller_network(address).to_string());
        let network = network.as_deref().unwrap_or("unknown");
        let account = self.policies.account;
        if known {
            let id = name(&["device", source.username, network, source.device_id]);
            return vec![(id, account)];
        }
        vec![
            (name(&["account", source.username, network]), account),
            (name(&["address", network]), self.policies.address),
        ]
    }
}

/// One attempt that may be looked at; ends with [`Self::failed`] or [`Self::succeeded`].
pub(crate) struct Attempt {
    store: Store,
    counted: Vec<(String, GuessPolicy)>,
    _turn: Turn,
}

impl Attempt {
    /// Counts a failure; gives the pause that it costs.
    ///
    /// # Errors
    ///
    /// It may not be counted.
    pub(crate) async fn failed(self) -> Result<Duration, StoreError> {
        let mut pause = Duration::ZERO;
        for (id, policy) in &self.counted {
            let record = self.change(id, |before, now| match before {
                Some(before) => Some(before.fail(policy, now)),
                None => Some(GuessRecord::first(id.clone(), policy, now)),
            });
            let wait = record.await?.map(|record| record.wait(Timestamp::now()));
            pause = pause.max(wait.unwrap_or_default());
        }
        Ok(pause)
    }

    /// Forgives the failures of the account's own source. Those of the address stay: whoever has
    /// one account could otherwise go on guessing those of others.
    ///
    /// # Errors
    ///
    /// They may not be forgiven, which costs the next mistake more than it should.
    pub(crate) async fn succeeded(self) -> Result<(), StoreError> {
        let (id, _) = &self.counted[0];
        let forgive = |before: Option<GuessRecord>, now| {
            before.filter(|record| record.failures > 0).map(|record| record.forgive(now))
        };
        self.change(id, forgive).await.map(drop)
    }

    /// Saves what `next` makes of the record, as often as others get in between.
    async fn change(
        &self,
        id: &str,
        next: impl Fn(Option<GuessRecord>, Timestamp) -> Option<GuessRecord>,
    ) -> Result<Option<GuessRecord>, StoreError> {
        for _ in 0..MAX_RACES {
            let before = self.store.guesses.get(id).await?;
            let is_new = before.is_none();
            let Some(record) = next(before, Timestamp::now()) else { return Ok(None) };
            let stored = if is_new {
                self.store.guesses.insert(&record).await? == Insert::Stored
            } else {
                self.store.guesses.save(&record).await? == Save::Stored
            };
            if stored {
                return Ok(Some(record));
            }
        }
        Err(StoreError::Busy)
    }
}

/// A place among the attempts of one source that are looked at together.
#[derive(Debug)]
struct Turn {
    turns: Turns,
    id: String,
    permit: Option<OwnedSemaphorePermit>,
}

impl Turn {
    async fn take(turns: &Turns, id: String) -> Result<Self, StoreError> {
        let source = {
            let mut open = lock(turns);
            Arc::clone(open.entry(id.clone()).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE))))
        };
        // Made before the wait, so that a caller who goes away meanwhile leaves nothing behind.
        let mut turn = Self { turns: Arc::clone(turns), id, permit: None };
        // The semaphore is never closed.
        turn.permit = Some(source.acquire_owned().await.map_err(|_| StoreError::Busy)?);
        Ok(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.permit = None;
        let mut open = lock(&self.turns);
        // Whoever waits holds a share of the semaphore; the map's own is the last one.
        if open.get(&self.id).is_some_and(|source| Arc::strong_count(source) == 1) {
            open.remove(&self.id);
        }
    }
}

fn lock(turns: &Turns) -> MutexGuard<'_, HashMap<String, Arc<Semaphore>>> {
    turns.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The id of a source: a digest, because people type their passwords into the wrong field.
fn name(parts: &[&str]) -> String {
    use std::fmt::Write as _;

    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&part.len().to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut text = String::with_capacity(64);
    for byte in context.finish().as_ref() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use futures::future::join_all;
    use schemas::{DeviceId, SessionId, device::DeviceRecord};
    use tempfile::TempDir;

    use super::*;

    async fn store() -> (TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::sqlite(folder.path()).await.unwrap();
        (folder, store)
    }

    fn source(address: &str) -> Source<'static> {
        Source {
            username: "ada",
            user: Some(UserId::new(7).unwrap()),
            device_id: "web:1",
            address: Some(address.parse().unwrap()),
        }
    }

    async fn fail(guesses: &Guesses, store: &Store, source: &Source<'_>) -> Duration {
        guesses.begin(store, source).await.unwrap().failed().await.unwrap()
    }

    async fn is_slowed(guesses: &Guesses, store: &Store, source: &Source<'_>) -> bool {
        matches!(guesses.begin(store, source).await, Err(NotNow::Slowed(_)))
    }

    #[tokio::test]
    async fn a_few_failures_are_free_then_the_source_and_nobody_else_is_slowed() {
        let (_folder, store) = store().await;
        let guesses = Guesses::new(GuessPolicies::default());
        let thief = source("203.0.113.9");
        for _ in 0..5 {
            assert_eq!(fail(&guesses, &store, &thief).await, Duration::ZERO);
        }
        assert!(fail(&guesses, &store, &thief).await > Duration::ZERO);

        assert!(is_slowed(&guesses, &store, &thief).await);
        let neighbour = Source { username: "bob", ..thief };
        assert!(!is_slowed(&guesses, &store, &neighbour).await, "another account");
        assert!(!is_slowed(&guesses, &store, &source("203.0.113.10")).await, "another address");
        let other = Guesses::new(GuessPolicies::default());
        assert!(is_slowed(&other, &store, &thief).await, "another process knows it too");
    }

    #[tokio::test]
    async fn a_known_device_behind_the_same_address_is_not_slowed_by_strangers() {
        let (_folder, store) = store().await;
        let guesses = Guesses::new(GuessPolicies::default());
        let now = Timestamp::now();
        let device = DeviceRecord {
            id: DeviceId::generate(),
            version: 1,
            owner: UserId::new(7).unwrap(),
            device_id: "web:mine".to_owned(),
            client: "demo".parse().unwrap(),
            session: SessionId::generate(),
            first_seen: now,
            last_seen: now,
            expires_at: None,
        };
        assert_eq!(store.devices.insert(&device).await, Ok(Insert::Stored));
        let stranger = source("203.0.113.9");
        for _ in 0..6 {
            fail(&guesses, &store, &stranger).await;
        }

        assert!(is_slowed(&guesses, &store, &stranger).await);
        let mine = Source { device_id: "web:mine", ..stranger };
        assert!(!is_slowed(&guesses, &store, &mine).await);
    }

    #[tokio::test]
    async fn an_address_that_goes_through_accounts_is_slowed_for_all_of_them() {
        let (_folder, store) = store().await;
        let guesses = Guesses::new(GuessPolicies::default());
        for account in 0..51 {
            let username = format!("user {account}");
            let source = Source { username: &username, user: None, ..source("203.0.113.9") };
            fail(&guesses, &store, &source).await;
        }

        assert!(is_slowed(&guesses, &store, &source("203.0.113.9")).await);
        assert!(!is_slowed(&guesses, &store, &source("203.0.113.10")).await);
    }

    #[tokio::test]
    async fn the_right_password_forgives() {
        let (_folder, store) = store().await;
        let guesses = Guesses::new(GuessPolicies::default());
        let source = source("203.0.113.9");
        for _ in 0..20 {
            for _ in 0..2 {
                assert_eq!(fail(&guesses, &store, &source).await, Duration::ZERO);
            }
            guesses.begin(&store, &source).await.unwrap().succeeded().await.unwrap();
        }
    }

    #[tokio::test]
    async fn parallel_guesses_are_all_counted_and_soon_stopped() {
        let (_folder, store) = store().await;
        let guesses = Guesses::new(GuessPolicies::default());
        let source = source("203.0.113.9");
        let tries = (0..64).map(|_| async {
            let Ok(attempt) = guesses.begin(&store, &source).await else { return false };
            attempt.failed().await.unwrap();
            true
        });
        let looked_at = join_all(tries).await.into_iter().filter(|looked_at| *looked_at).count();

        let policy = GuessPolicies::default().account;
        let free = usize::try_from(policy.free).unwrap();
        assert!(looked_at > free && looked_at <= free + 1 + AT_ONCE, "{looked_at}");
        assert!(lock(&guesses.turns).is_empty(), "nothing is left behind");
    }
}
