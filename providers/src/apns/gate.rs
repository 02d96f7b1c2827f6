//! How many requests may be under way on one connection.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Lets as many in as the peer allows at the moment. Its limit may rise and fall.
#[derive(Debug)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    limit: usize,
    inside: usize,
    closed: bool,
}

/// The connection will open no more streams.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Closed;

/// One place inside; given back when dropped.
#[derive(Debug)]
pub(super) struct Inside(Arc<Gate>);

impl Gate {
    pub(super) fn new(limit: usize) -> Self {
        let state = State { limit, inside: 0, closed: false };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    /// Waits for a place.
    ///
    /// # Errors
    ///
    /// [`Closed`] at once when the gate closes; whoever waits has sent nothing.
    pub(super) async fn enter(self: &Arc<Self>) -> Result<Inside, Closed> {
        loop {
            let changed = self.changed.notified();
            if let Some(inside) = self.try_enter() {
                return Ok(inside);
            }
            if self.is_closed() {
                return Err(Closed);
            }
            changed.await;
        }
    }

    /// A place, if there is one now.
    pub(super) fn try_enter(self: &Arc<Self>) -> Option<Inside> {
        let mut state = self.state();
        let room = !state.closed && state.inside < state.limit;
        state.inside += usize::from(room);
        drop(state);
        room.then(|| Inside(Arc::clone(self)))
    }

    /// Sets how many may be inside; those who are stay.
    pub(super) fn set_limit(&self, limit: usize) {
        let mut state = self.state();
        let rises = limit > state.limit;
        state.limit = limit;
        drop(state);
        if rises {
            self.changed.notify_waiters();
        }
    }

    /// Lets nobody in any more.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_waiters();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// How many are inside.
    pub(super) fn inside(&self) -> usize {
        self.state().inside
    }

    /// The state is whole between any two of its statements, so a panic elsewhere harms nothing.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.state().inside -= 1;
        self.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn nobody_enters_above_the_limit_and_nobody_is_forgotten() {
        let gate = Arc::new(Gate::new(1));
        let (most, now) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut guests = tokio::task::JoinSet::new();
        for n in 0..500 {
            let (gate, most, now) = (Arc::clone(&gate), Arc::clone(&most), Arc::clone(&now));
            guests.spawn(async move {
                let inside = gate.enter().await.unwrap();
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                if n % 50 == 0 {
                    gate.set_limit(1 + n % 7);
                }
                now.fetch_sub(1, Ordering::SeqCst);
                drop(inside);
            });
        }
        let all = async { while guests.join_next().await.is_some() {} };
        timeout(Duration::from_secs(10), all).await.unwrap();

        assert!(most.load(Ordering::SeqCst) <= 7);
        assert_eq!(gate.inside(), 0);
    }

    #[tokio::test]
    async fn who_waits_hears_that_the_gate_closes() {
        let gate = Arc::new(Gate::new(0));
        let waiting = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.enter().await.map(drop) }
        });
        tokio::task::yield_now().await;
        gate.close();

        assert_eq!(timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap(), Err(Closed));
        assert!(gate.enter().await.is_err());
    }
}
