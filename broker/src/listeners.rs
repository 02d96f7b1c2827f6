//! Who in this process listens to events.

use schemas::Event;
use tokio::sync::broadcast;

use crate::EVENTS_KEPT;

/// Receivers of every event, and receivers of those that workers act on.
pub(crate) struct Listeners {
    all: broadcast::Sender<Event>,
    workers: broadcast::Sender<Event>,
}

impl Listeners {
    pub(crate) fn new() -> Self {
        let sender = || broadcast::Sender::new(EVENTS_KEPT);
        Self { all: sender(), workers: sender() }
    }

    /// Copies `event` for whoever listens; nobody listening is no error and costs no copy.
    pub(crate) fn tell(&self, event: &Event) {
        let workers = event.is_for_workers().then_some(&self.workers);
        for sender in workers.into_iter().chain([&self.all]) {
            if sender.receiver_count() > 0 {
                // The last one may have gone this moment.
                let _ = sender.send(event.clone());
            }
        }
    }

    pub(crate) fn all(&self) -> broadcast::Receiver<Event> {
        self.all.subscribe()
    }

    pub(crate) fn workers(&self) -> broadcast::Receiver<Event> {
        self.workers.subscribe()
    }
}
