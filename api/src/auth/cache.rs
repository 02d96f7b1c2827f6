//! Remembers verified access tokens, so that a busy caller costs one signature check, not one for
//! each call. Bounded, and split so that callers rarely meet at a lock.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::Principal;

const SHARDS: usize = 16;

/// SHA-256 of a token: the token itself is not kept.
pub(super) type Digest = [u8; 32];

#[derive(Debug)]
struct Entry {
    principal: Principal,
    /// Seconds since 1970 until which the token counts.
    until: i64,
}

/// Whom tokens speak for.
#[derive(Debug)]
pub(super) struct Cache {
    shards: [Mutex<HashMap<Digest, Entry>>; SHARDS],
    /// Most entries of one shard.
    capacity: usize,
}

impl Cache {
    pub(super) fn new(capacity: usize) -> Self {
        Self { shards: Default::default(), capacity: capacity.div_ceil(SHARDS) }
    }

    fn shard(&self, token: &Digest) -> MutexGuard<'_, HashMap<Digest, Entry>> {
        // No code under this lock leaves an entry half-way, so a poisoned one is good.
        self.shards[usize::from(token[0]) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whom the token speaks for, if it was verified before and counts at `now`.
    pub(super) fn get(&self, token: &Digest, now: i64) -> Option<Principal> {
        let shard = self.shard(token);
        shard.get(token).filter(|entry| now < entry.until).map(|entry| entry.principal.clone())
    }

    /// Remembers a token until `until`. A full shard forgets what has expired, or everything.
    pub(super) fn put(&self, token: Digest, principal: Principal, until: i64, now: i64) {
        let mut shard = self.shard(&token);
        if shard.len() >= self.capacity {
            shard.retain(|_, entry| now < entry.until);
            if shard.len() >= self.capacity {
                shard.clear();
            }
        }
        shard.insert(token, Entry { principal, until });
    }

    /// Forgets every token.
    pub(super) fn clear(&self) {
        for shard in &self.shards {
            shard.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().map_or(0, |shard| shard.len())).sum()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use schemas::{Scopes, SessionId, UserId};

    use super::*;
    use crate::auth::Caller;

    fn caller() -> Principal {
        Principal::User(Caller {
            user: UserId::new(1).unwrap(),
            client: Some("demo".parse().unwrap()),
            scopes: Scopes::all(),
            session: Some(SessionId::generate()),
            key: None,
        })
    }

    #[test]
    fn a_token_is_forgotten_when_it_expires() {
        let cache = Cache::new(100);
        cache.put([7; 32], caller(), 1_000, 0);

        assert!(cache.get(&[7; 32], 999).is_some());
        assert!(cache.get(&[7; 32], 1_000).is_none());
        assert!(cache.get(&[8; 32], 0).is_none());
    }

    #[test]
    fn the_cache_stays_bounded() {
        let cache = Cache::new(160);
        for n in 0..10_000_u32 {
            let mut token = [0; 32];
            token[..4].copy_from_slice(&n.to_le_bytes());
            cache.put(token, caller(), 1_000, 0);
        }

        assert!(cache.len() <= 160, "{}", cache.len());
    }
}
