//! Places that callers share: each of them may take some, and nobody all.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many places each caller has taken. A caller is remembered while it holds one, so there are
/// never more entries than places that something else bounds.
#[derive(Debug)]
pub(crate) struct Places<K>(Arc<Shared<K>>);

#[derive(Debug)]
struct Shared<K> {
    most: usize,
    taken: Mutex<HashMap<K, usize>>,
}

/// A place that is taken. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Place<K: Hash + Eq> {
    caller: K,
    shared: Arc<Shared<K>>,
}

impl<K: Hash + Eq + Copy> Places<K> {
    /// Each caller may take `most` at a time.
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Shared { most, taken: Mutex::default() }))
    }

    /// Takes a place for `caller`; `None` when it has all it may have.
    pub(crate) fn take(&self, caller: K) -> Option<Place<K>> {
        let mut callers = self.0.lock();
        let taken = callers.get(&caller).copied().unwrap_or_default();
        if taken >= self.0.most {
            return None;
        }
        callers.insert(caller, taken + 1);
        Some(Place { caller, shared: Arc::clone(&self.0) })
    }
}

impl<K> Shared<K> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        // No code under this lock leaves a count half-way, so a poisoned one is good.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq> Drop for Place<K> {
    fn drop(&mut self) {
        let mut callers = self.shared.lock();
        if let Some(taken) = callers.get_mut(&self.caller) {
            *taken -= 1;
            if *taken == 0 {
                callers.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn one_caller_takes_nothing_from_another_and_leaves_nothing_behind() {
        let places = Places::new(2);
        let (first, second) = (places.take(1).unwrap(), places.take(1).unwrap());

        assert!(places.take(1).is_none());
        let other = places.take(2).unwrap();
        drop(first);
        assert!(places.take(1).is_some(), "what is given back may be taken again");
        drop((second, other));
        assert!(places.0.lock().is_empty());
    }

    #[test]
    fn a_place_outlives_what_it_was_taken_from() {
        let places = Places::new(1);
        let place = places.take(1);
        drop(places);
        drop(place);
    }
}
