//! Whether sign-ins are still live, as this process knows it, and how they end.
//!
//! An access token counts no longer than its sign-in. A bearer check asks this cache; what it does
//! not know, or has not asked for a while, is read from the store. A sign-in that this process ends
//! is known here at once, one that another process ends when the broker's event arrives, and after
//! [`crate::Settings::session_check`] at the latest. Bounded, and split so that callers rarely meet
//! at a lock.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use broker::Broker;
use schemas::{
    Event, SessionId, Timestamp, UserId,
    account::{Grant, SessionRecord},
};
use store::{Save, Store, StoreError};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::{Caller, silence};
use crate::state::AppState;

const SHARDS: usize = 16;

/// Saves that are tried when a sign-in changes at the same time.
const TRIES: usize = 8;

/// What must be live for a token to count: its sign-in, or the user alone where the sign-in
/// happened elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Subject {
    Session(SessionId),
    User(UserId),
}

#[derive(Debug)]
struct Known {
    live: bool,
    until: Instant,
}

#[derive(Debug, Default)]
struct Shard {
    known: HashMap<Subject, Known>,
    /// Rises whenever something ends, so that an answer of the store from before is not kept.
    epoch: u64,
}

/// What this process knows of sign-ins. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Sessions(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    shards: [Mutex<Shard>; SHARDS],
    /// Most entries of one shard.
    capacity: usize,
    trust: Duration,
}

impl Sessions {
    /// Remembers about `capacity` sign-ins, each for `trust`.
    pub(crate) fn new(capacity: usize, trust: Duration) -> Self {
        let capacity = capacity.div_ceil(SHARDS);
        Self(Arc::new(Shared { shards: Default::default(), capacity, trust }))
    }

    /// Hears of sign-ins that other processes end, until `shutdown`.
    pub(crate) fn follow(&self, broker: &Broker, shutdown: CancellationToken) {
        tokio::spawn(follow(self.clone(), broker.events(), shutdown));
    }

    fn shard(&self, subject: Subject) -> MutexGuard<'_, Shard> {
        let number = match subject {
            // The last byte of an id is random.
            Subject::Session(id) => usize::from(id.as_bytes()[15]),
            Subject::User(id) => usize::try_from(id.get() & 0xff).unwrap_or_default(),
        };
        lock(&self.0.shards[number % SHARDS])
    }

    /// What is known of `subject`, or the epoch to hand to [`Self::learn`].
    fn known(&self, subject: Subject) -> Result<bool, u64> {
        let shard = self.shard(subject);
        match shard.known.get(&subject) {
            Some(known) if Instant::now() < known.until => Ok(known.live),
            _ => Err(shard.epoch),
        }
    }

    /// Remembers an answer of the store, unless something ended since `epoch`.
    fn learn(&self, subject: Subject, live: bool, epoch: u64) {
        let until = Instant::now() + self.0.trust;
        let mut shard = self.shard(subject);
        if shard.epoch == epoch {
            insert(&mut shard, self.0.capacity, subject, Known { live, until });
        }
    }

    /// Notes that `id` has ended.
    pub(super) fn ended(&self, id: SessionId) {
        let subject = Subject::Session(id);
        let until = Instant::now() + self.0.trust;
        let mut shard = self.shard(subject);
        shard.epoch += 1;
        insert(&mut shard, self.0.capacity, subject, Known { live: false, until });
    }

    /// Forgets everything: news were missed.
    fn forget(&self) {
        for shard in &self.0.shards {
            let mut shard = lock(shard);
            shard.epoch += 1;
            shard.known.clear();
        }
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // No code under this lock leaves an entry half-way, so a poisoned one is good.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A full shard forgets what is stale, or everything.
fn insert(shard: &mut Shard, capacity: usize, subject: Subject, known: Known) {
    if shard.known.len() >= capacity && !shard.known.contains_key(&subject) {
        let now = Instant::now();
        shard.known.retain(|_, known| now < known.until);
        if shard.known.len() >= capacity {
            shard.known.clear();
        }
    }
    shard.known.insert(subject, known);
}

async fn follow(
    sessions: Sessions,
    mut events: broadcast::Receiver<Event>,
    shutdown: CancellationToken,
) {
    loop {
        let event = tokio::select! {
            () = shutdown.cancelled() => return,
            event = events.recv() => event,
        };
        match event {
            Ok(Event::SessionEnded { id }) => sessions.ended(id),
            Ok(
                Event::Changed { .. }
                | Event::Answered { .. }
                | Event::CancelRequested { .. }
                | Event::CampaignEnded { .. }
                | Event::Held { .. },
            ) => {}
            Err(RecvError::Lagged(_)) => sessions.forget(),
            Err(RecvError::Closed) => return,
        }
    }
}

/// Whether the sign-in of `caller` is live, and the user may still sign in.
///
/// # Errors
///
/// The store does not answer, and nothing recent is known.
pub(crate) async fn is_live(state: &AppState, caller: &Caller) -> Result<bool, StoreError> {
    let subject = caller.session.map_or(Subject::User(caller.user), Subject::Session);
    let sessions = &state.auth.sessions;
    let epoch = match sessions.known(subject) {
        Ok(live) => return Ok(live),
        Err(epoch) => epoch,
    };
    let live = look(state, caller).await?;
    sessions.learn(subject, live, epoch);
    Ok(live)
}

/// The same, as the store has it.
pub(super) async fn look(state: &AppState, caller: &Caller) -> Result<bool, StoreError> {
    let user = state.store.users.get(caller.user);
    let Some(id) = caller.session else {
        return Ok(user.await?.is_some_and(|user| user.disabled_at.is_none()));
    };
    let (session, user) = tokio::try_join!(state.store.sessions.get(id), user)?;
    let fits = |session: SessionRecord| {
        session.owner == caller.user
            && Some(&session.client) == caller.client.as_ref()
            && session.is_live(Timestamp::now())
    };
    Ok(session.is_some_and(fits) && user.is_some_and(|user| user.disabled_at.is_none()))
}

/// Whether `caller` has signed in here with the password: no application that was merely allowed
/// something, and no long-lived key.
///
/// # Errors
///
/// The store does not answer.
pub(crate) async fn began_with_password(
    store: &Store,
    caller: &Caller,
) -> Result<bool, StoreError> {
    let Some(id) = caller.session else { return Ok(false) };
    let session = store.sessions.get(id).await?;
    Ok(session.is_some_and(|session| session.grant == Grant::Password))
}

/// Ends the sign-in `id` of `owner`: its refresh tokens and access tokens count no more, here at
/// once, and its device gets no pushes. Ending it again, or one that is not there, changes nothing.
///
/// # Errors
///
/// The store does not answer, or others change the sign-in without end: try again.
pub(crate) async fn end(state: &AppState, owner: UserId, id: SessionId) -> Result<(), StoreError> {
    for _ in 0..TRIES {
        let session = state.store.sessions.get(id).await?;
        let Some(session) = session.filter(|session| session.owner == owner) else { return Ok(()) };
        silence::session(state, &session).await?;
        if session.revoked_at.is_some() {
            tell(state, id);
            return Ok(());
        }
        let revoked = session.revoke(Timestamp::now());
        if state.store.sessions.save(&revoked).await? == Save::Stored {
            tell(state, id);
            return silence::session(state, &revoked).await;
        }
    }
    Err(StoreError::Busy)
}

/// Says to this process and to the others that sign-in `id` has ended; its record says so already.
pub(crate) fn tell(state: &AppState, id: SessionId) {
    state.auth.sessions.ended(id);
    state.broker.send_event(Event::SessionEnded { id });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions() -> Sessions {
        Sessions::new(160, Duration::from_mins(1))
    }

    #[test]
    fn an_answer_from_before_an_end_is_not_kept() {
        let sessions = sessions();
        let id = SessionId::generate();
        let subject = Subject::Session(id);
        let Err(epoch) = sessions.known(subject) else { panic!("nothing is known") };
        sessions.ended(id);
        sessions.learn(subject, true, epoch);

        assert_eq!(sessions.known(subject), Ok(false));
    }

    #[test]
    fn what_is_known_is_believed_for_a_while_only() {
        let subject = Subject::Session(SessionId::generate());
        let believing = sessions();
        believing.learn(subject, true, 0);
        assert_eq!(believing.known(subject), Ok(true));

        let doubting = Sessions::new(160, Duration::ZERO);
        doubting.learn(subject, true, 0);
        assert_eq!(doubting.known(subject), Err(0));
    }

    #[test]
    fn what_is_remembered_stays_bounded() {
        let sessions = sessions();
        for _ in 0..5_000 {
            sessions.ended(SessionId::generate());
        }
        let known: usize = sessions.0.shards.iter().map(|shard| lock(shard).known.len()).sum();

        assert!(known <= 160, "{known}");
    }

    #[tokio::test]
    async fn events_are_heard_and_missed_ones_make_it_forget() {
        let (sender, receiver) = broadcast::channel(1);
        let sessions = sessions();
        let id = SessionId::generate();
        let other = Subject::Session(SessionId::generate());
        sessions.learn(other, true, 0);
        assert!(sender.send(Event::SessionEnded { id: SessionId::generate() }).is_ok());
        assert!(sender.send(Event::SessionEnded { id }).is_ok());
        drop(sender);
        follow(sessions.clone(), receiver, CancellationToken::new()).await;

        assert_eq!(sessions.known(Subject::Session(id)), Ok(false));
        assert!(sessions.known(other).is_err(), "one event was missed");
    }
}
