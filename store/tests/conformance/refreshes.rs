//! Refresh tokens that are lost, raced and stolen: a thousand seeded interleavings of those who
//! hold one, against a record in memory and against each engine.
//!
//! Time is the test's own, so a world of hours takes as long as its writes.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::future::join_all;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use schemas::{
    Scopes, SessionId, Timestamp,
    account::{Grant, Refresh, SessionRecord},
};
use store::{Insert, Save, Sessions};

use crate::{
    place::Place,
    sample::{at, user},
};

const WORLDS: u64 = 1_000;
/// Worlds that go on at the same time.
const AT_ONCE: usize = 100;
const STEPS: usize = 40;
/// Longest that a store may be too busy to answer.
const PATIENCE: Duration = Duration::from_mins(2);
const GRACE: Duration = Duration::from_secs(30);
/// Longer than any world.
const LIFE: Duration = Duration::from_hours(10_000);

/// Where a world keeps its session.
enum Shelf<'a> {
    Memory(Mutex<SessionRecord>),
    Store(&'a Sessions, SessionId),
}

impl Shelf<'_> {
    async fn load(&self) -> SessionRecord {
        match self {
            Self::Memory(record) => record.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            Self::Store(sessions, id) => {
                let start = Instant::now();
                loop {
                    match sessions.get(*id).await {
                        Ok(found) => return found.unwrap(),
                        Err(error) => assert!(start.elapsed() < PATIENCE, "{error}"),
                    }
                }
            }
        }
    }

    async fn save(&self, next: &SessionRecord) -> Save {
        match self {
            Self::Memory(record) => {
                let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
                if record.version + 1 != next.version {
                    return Save::Stale;
                }
                *record = next.clone();
                Save::Stored
            }
            // After no answer nobody knows whether it is stored: read again, like an API does.
            Self::Store(sessions, _) => sessions.save(next).await.unwrap_or(Save::Stale),
        }
    }
}

/// A request under way: it has the token that it was sent with, and the record once it was read.
struct Attempt {
    presented: u32,
    by_thief: bool,
    loaded: Option<SessionRecord>,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Next(u32),
    Refused,
}

struct World<'a> {
    name: String,
    shelf: Shelf<'a>,
    random: StdRng,
    now: Timestamp,
    /// The token that the client's processes share.
    client: u32,
    /// The client must ask again soon: its answer got lost.
    lost: bool,
    thief: Option<u32>,
    under_way: Vec<Attempt>,
    /// Somebody presented an old token.
    reused: bool,
}

impl World<'_> {
    /// One action of somebody.
    async fn step(&mut self, with_thief: bool) {
        let choice = self.random.random_range(0..10);
        let busy = !self.under_way.is_empty();
        match choice {
            0..=2 if self.under_way.len() < 4 => self.client_asks(),
            3 if with_thief => self.thief_acts(),
            4 if !busy && !self.lost => {
                self.now = self.now + Duration::from_secs(self.random.random_range(0..1_200));
            }
            _ if busy => {
                self.now = self.now + Duration::from_millis(self.random.random_range(0..500));
                let index = self.random.random_range(0..self.under_way.len());
                self.advance(index).await;
            }
            _ => self.client_asks(),
        }
    }

    /// The client's processes take turns: none sends a token while one before it is under way.
    fn client_asks(&mut self) {
        let others = self.under_way.iter().filter(|attempt| !attempt.by_thief);
        if others.clone().all(|attempt| attempt.presented == self.client) {
            self.under_way.push(Attempt { presented: self.client, by_thief: false, loaded: None });
        }
    }

    fn thief_acts(&mut self) {
        match self.thief {
            None => self.thief = Some(self.client),
            Some(presented) => {
                self.under_way.push(Attempt { presented, by_thief: true, loaded: None });
            }
        }
    }

    /// One read or one write of a request that is under way.
    async fn advance(&mut self, index: usize) {
        let Some(record) = self.under_way[index].loaded.take() else {
            self.under_way[index].loaded = Some(self.shelf.load().await);
            return;
        };
        let presented = self.under_way[index].presented;
        let answer = match record.clone().refresh(presented, GRACE, self.now) {
            Refresh::Rotated(next) => {
                assert_eq!(presented, record.generation, "{}", self.name);
                match self.shelf.save(&next).await {
                    Save::Stored => Some(Answer::Next(next.generation)),
                    Save::Stale => None,
                }
            }
            Refresh::Repeated(same) => {
                assert!(self.now.since(same.rotated_at) <= GRACE, "{}", self.name);
                Some(Answer::Next(same.generation))
            }
            Refresh::Reused(ended) => {
                self.reused = true;
                (self.shelf.save(&ended).await == Save::Stored).then_some(Answer::Refused)
            }
            Refresh::Ended => Some(Answer::Refused),
        };
        // Somebody else was faster: read again.
        let Some(answer) = answer else { return };
        let attempt = self.under_way.remove(index);
        self.answered(&attempt, answer);
    }

    fn answered(&mut self, attempt: &Attempt, answer: Answer) {
        let Answer::Next(next) = answer else { return };
        assert_eq!(next, attempt.presented + 1, "{}: a token has one child", self.name);
        if attempt.by_thief {
            self.thief = Some(next);
        } else if self.random.random_range(0..4) == 0 {
            self.lost |= self.client == attempt.presented;
        } else {
            self.lost &= next <= self.client;
            self.client = self.client.max(next);
        }
    }

    /// Everybody who waits gets an answer.
    async fn settle(&mut self) {
        while !self.under_way.is_empty() {
            self.advance(0).await;
        }
    }

    /// One request from its begin to its end.
    async fn ask(&mut self, presented: u32) -> Answer {
        loop {
            let record = self.shelf.load().await;
            match record.refresh(presented, GRACE, self.now) {
                Refresh::Rotated(next) => {
                    if self.shelf.save(&next).await == Save::Stored {
                        return Answer::Next(next.generation);
                    }
                }
                Refresh::Repeated(same) => return Answer::Next(same.generation),
                Refresh::Reused(ended) => {
                    if self.shelf.save(&ended).await == Save::Stored {
                        return Answer::Refused;
                    }
                }
                Refresh::Ended => return Answer::Refused,
            }
        }
    }

    /// What must be so in the end.
    async fn judge(mut self) {
        self.settle().await;
        let record = self.shelf.load().await;
        assert_eq!(record.revoked_at.is_some(), self.reused, "{}: reuse ends it", self.name);
        let Some(thief) = self.thief else {
            assert!(!self.reused, "{}: nobody is signed out without a thief", self.name);
            let answer = self.ask(self.client).await;
            assert_eq!(answer, Answer::Next(self.client + 1), "{}: it goes on", self.name);
            return;
        };
        // Long after each other, the client and the thief cannot both go on.
        let mut holders = [self.client, thief];
        let mut refused = false;
        for turn in [0, 1, 0] {
            self.now = self.now + GRACE + GRACE;
            match self.ask(holders[turn]).await {
                Answer::Next(next) => {
                    assert!(!refused, "{}: what has ended stays so", self.name);
                    holders[turn] = next;
                }
                Answer::Refused => refused = true,
            }
        }
        assert!(refused, "{}: a thief and a client both go on", self.name);
        assert!(self.shelf.load().await.revoked_at.is_some(), "{}", self.name);
    }
}

/// A sign-in of user 7 that lasts for a year and more.
pub(crate) fn session(now: Timestamp) -> SessionRecord {
    SessionRecord {
        id: SessionId::generate(),
        version: 1,
        owner: user(7),
        client: "demo".parse().unwrap(),
        grant: Grant::Password,
        device_id: "web:1".to_owned(),
        device: None,
        scopes: Scopes::all(),
        generation: 1,
        rotated_at: now,
        created_at: now,
        expires_at: now + LIFE,
        revoked_at: None,
    }
}

/// Plays the world that `seed` describes: every third has a thief from its begin on.
async fn play(sessions: Option<&Sessions>, seed: u64) {
    let now = at(0);
    let record = session(now);
    let id = record.id;
    let shelf = match sessions {
        Some(sessions) => {
            assert_eq!(sessions.insert(&record).await, Ok(Insert::Stored));
            Shelf::Store(sessions, id)
        }
        None => Shelf::Memory(Mutex::new(record)),
    };
    let mut world = World {
        name: format!("seed {seed}"),
        shelf,
        random: StdRng::seed_from_u64(seed),
        now,
        client: 1,
        lost: false,
        thief: None,
        under_way: vec![],
        reused: false,
    };
    for _ in 0..STEPS {
        world.step(seed.is_multiple_of(3)).await;
    }
    world.judge().await;
}

async fn play_all(sessions: Option<&Sessions>) {
    let given = std::env::var("FEAT_TEST_SEED").ok();
    let first: u64 = given.map_or_else(rand::random, |text| text.parse().unwrap());
    println!("FEAT_TEST_SEED={first}");
    let seeds: Vec<_> = (0..WORLDS).map(|n| first.wrapping_add(n)).collect();
    for some in seeds.chunks(AT_ONCE) {
        join_all(some.iter().map(|seed| play(sessions, *seed))).await;
    }
}

pub(crate) async fn a_thousand_interleavings_keep_the_promises(place: &Place) {
    play_all(Some(&place.store.sessions)).await;
}

#[tokio::test]
async fn a_thousand_interleavings_keep_the_promises_in_memory() {
    play_all(None).await;
}
