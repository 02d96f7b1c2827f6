//! Who has used how much of a quota: the generic cell rate algorithm, in bounded memory.
//!
//! For each key one number is kept, the moment at which its quota will be whole again. A key whose
//! quota is whole needs no entry.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::settings::Quota;

const SHARDS: usize = 16;

/// Where one caller stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Name of the limit.
    pub(crate) policy: &'static str,
    /// The limit.
    pub(crate) quota: Quota,
    /// Requests that are left now.
    pub(crate) remaining: u32,
    /// Time until the whole quota is there again.
    pub(crate) reset: Duration,
}

/// The quota is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exhausted {
    pub(crate) standing: Standing,
    /// Time until one request is allowed.
    pub(crate) retry_after: Duration,
}

/// The use that keys of type `K` make of one quota. Times are counted from any fixed moment.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    policy: &'static str,
    quota: Quota,
    /// Time in which one request comes back.
    interval: Duration,
    hasher: RandomState,
    shards: [Mutex<HashMap<K, Duration>>; SHARDS],
    /// Most entries of one shard.
    capacity: usize,
}

impl<K: Hash + Eq + Copy> Buckets<K> {
    /// Remembers about `remembered` keys.
    pub(crate) fn new(policy: &'static str, quota: Quota, remembered: usize) -> Self {
        Self {
            policy,
            quota,
            interval: (quota.window / quota.requests.max(1)).max(Duration::from_nanos(1)),
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
            capacity: remembered.div_ceil(SHARDS).max(2),
        }
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, HashMap<K, Duration>> {
        let hash = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or_default();
        // No code under this lock leaves an entry half-way, so a poisoned one is good.
        self.shards[hash].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one request out of the quota of `key`.
    ///
    /// # Errors
    ///
    /// [`Exhausted`]; nothing was taken then.
    pub(crate) fn take(&self, key: K, now: Duration) -> Result<Standing, Exhausted> {
        let mut shard = self.shard(&key);
        let whole = shard.get(&key).copied().unwrap_or(now).max(now);
        let next = whole + self.interval;
        let used = next.saturating_sub(now);
        if used > self.quota.window {
            let standing = self.standing(whole.saturating_sub(now));
            let retry_after = used.saturating_sub(self.quota.window);
            return Err(Exhausted { standing, retry_after });
        }
        if !shard.contains_key(&key) && shard.len() >= self.capacity {
            forget(&mut shard, now, self.capacity);
        }
        shard.insert(key, next);
        Ok(self.standing(used))
    }

    /// Gives back what [`Self::take`] took, because the request turned out not to count.
    pub(crate) fn give_back(&self, key: K) {
        if let Some(whole) = self.shard(&key).get_mut(&key) {
            *whole = whole.saturating_sub(self.interval);
        }
    }

    fn standing(&self, used: Duration) -> Standing {
        let left = self.quota.window.saturating_sub(used).as_nanos() / self.interval.as_nanos();
        Standing {
            policy: self.policy,
            quota: self.quota,
            remaining: u32::try_from(left).unwrap_or(u32::MAX).min(self.quota.requests),
            reset: used,
        }
    }

    /// Keys that are remembered.
    pub(crate) fn len(&self) -> usize {
        let len = |shard: &Mutex<HashMap<K, Duration>>| {
            shard.lock().unwrap_or_else(PoisonError::into_inner).len()
        };
        self.shards.iter().map(len).sum()
    }
}

/// Makes room: the keys whose quota is whole go, and if that is not enough, the half that has used
/// least. Those that use much stay known.
fn forget<K: Hash + Eq + Copy>(shard: &mut HashMap<K, Duration>, now: Duration, capacity: usize) {
    shard.retain(|_, whole| *whole > now);
    if shard.len() < capacity {
        return;
    }
    let mut times: Vec<_> = shard.values().copied().collect();
    let middle = times.len() / 2;
    let (_, median, _) = times.select_nth_unstable(middle);
    let median = *median;
    shard.retain(|_, whole| *whole > median);
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(1_000_000 + millis)
    }

    fn buckets(requests: u32, remembered: usize) -> Buckets<u32> {
        Buckets::new("test", Quota { requests, window: Duration::from_secs(10) }, remembered)
    }

    #[test]
    fn a_quota_may_be_used_at_once_and_comes_back_evenly() {
        let buckets = buckets(5, 100);
        for left in (0..5).rev() {
            assert_eq!(buckets.take(1, at(0)).unwrap().remaining, left);
        }
        let refused = buckets.take(1, at(0)).unwrap_err();
        assert_eq!(refused.retry_after, Duration::from_secs(2));
        assert_eq!(refused.standing.remaining, 0);
        assert_eq!(refused.standing.reset, Duration::from_secs(10));
        assert!(buckets.take(1, at(1_999)).is_err());
        assert_eq!(buckets.take(1, at(2_000)).unwrap().remaining, 0);
        assert!(buckets.take(1, at(2_001)).is_err());
        assert_eq!(buckets.take(1, at(60_000)).unwrap().remaining, 4, "whole again");
    }

    #[test]
    fn keys_do_not_share_their_quota() {
        let buckets = buckets(1, 100);

        assert!(buckets.take(1, at(0)).is_ok());
        assert!(buckets.take(1, at(0)).is_err());
        assert!(buckets.take(2, at(0)).is_ok());
    }

    #[test]
    fn what_is_given_back_may_be_used_again() {
        let buckets = buckets(1, 100);
        for _ in 0..100 {
            assert!(buckets.take(1, at(0)).is_ok());
            buckets.give_back(1);
        }
        buckets.give_back(1);
        assert!(buckets.take(1, at(0)).is_ok());
        assert!(buckets.take(1, at(0)).is_err(), "giving back more than was taken adds nothing");
    }

    #[test]
    fn memory_stays_bounded_and_the_greedy_stay_known() {
        let buckets = buckets(100, 1_600);
        for _ in 0..100 {
            assert!(buckets.take(u32::MAX, at(0)).is_ok());
        }
        for key in 0..100_000 {
            assert!(buckets.take(key, at(1)).is_ok());
        }

        assert!(buckets.len() <= 1_600, "{}", buckets.len());
        assert!(buckets.take(u32::MAX, at(1)).is_err());
    }
}
