//! One connection that comes back, and work that is taken up again on whatever connection there is.
//!
//! lapin's own recovery stays off: it gives up after some attempts and does not bring back a
//! channel that the server closed or a consumer that it cancelled.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::StreamExt;
use lapin::{
    Connection, Event,
    protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError},
};
use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::settings::Target;
use crate::BrokerError;

/// The server gets this long to answer the handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// So many connections may hang in the handshake before no further one is opened.
const HANGING: usize = 4;
/// lapin does not say that a connection died; it is asked this often. Whoever uses the connection
/// notices sooner.
const LOOK: Duration = Duration::from_millis(250);
/// The longest pause before the next attempt.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// What held for so long did not fail at once.
const STEADY: Duration = Duration::from_secs(5);

/// Why work on a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    /// The connection or the channel is gone.
    #[error(transparent)]
    Amqp(#[from] lapin::Error),
    /// The channel is gone and nobody said why.
    #[error("the channel was closed")]
    Closed,
    /// Somebody found a queue deleted, so the subscription may be dead without knowing.
    #[error("a queue was deleted")]
    Deleted,
    /// The server ended a subscription, as it does when the queue is deleted.
    #[error("the server cancelled the subscription")]
    Cancelled,
}

impl Lost {
    /// The same for the caller of the crate.
    pub(super) fn to_error(&self) -> BrokerError {
        use AMQPHardError::{INVALIDPATH, NOTALLOWED};
        use AMQPSoftError::{ACCESSREFUSED, PRECONDITIONFAILED};

        let refused = match self {
            Self::Amqp(error) => match error.kind() {
                lapin::ErrorKind::ProtocolError(error) => matches!(
                    error.kind(),
                    AMQPErrorKind::Soft(ACCESSREFUSED | PRECONDITIONFAILED)
                        | AMQPErrorKind::Hard(NOTALLOWED | INVALIDPATH)
                ),
                _ => false,
            },
            Self::Closed | Self::Deleted | Self::Cancelled => false,
        };
        let text = self.to_string();
        if refused { BrokerError::Refused(text) } else { BrokerError::Unavailable(text) }
    }
}

/// Pauses that double up to [`LONGEST_PAUSE`], each shortened at random by up to half so that
/// processes which lost the same server do not come back in step.
#[derive(Default)]
pub(super) struct Pauses {
    failures: u32,
}

impl Pauses {
    /// The pause after something that held for `held`.
    fn after(&mut self, held: Duration) -> Duration {
        self.failures = if held >= STEADY { 1 } else { self.failures.saturating_add(1) };
        let full = Duration::from_millis(50) * 2_u32.pow(self.failures.min(8));
        full.min(LONGEST_PAUSE).mul_f64(rand::random_range(0.5..=1.0))
    }

    /// Whether the last failure was the first in a row, and so worth a line in the log.
    fn first(&self) -> bool {
        self.failures == 1
    }
}

/// A connection for one purpose.
pub(super) struct Link {
    purpose: &'static str,
    connection: watch::Sender<Option<Arc<Connection>>>,
    blocked: watch::Sender<bool>,
    problem: Mutex<Option<BrokerError>>,
}

impl Link {
    pub(super) fn new(purpose: &'static str) -> Self {
        Self {
            purpose,
            connection: watch::Sender::new(None),
            blocked: watch::Sender::new(false),
            problem: Mutex::new(None),
        }
    }

    /// The connection, once there is one.
    pub(super) async fn connected(&self) -> Arc<Connection> {
        let mut connection = self.connection.subscribe();
        loop {
            if let Some(connection) = &*connection.borrow_and_update()
                && connection.status().connected()
            {
                return Arc::clone(connection);
            }
            if connection.changed().await.is_err() {
                // The sender lives as long as this link.
                return std::future::pending().await;
            }
        }
    }

    /// Whether the server takes no messages over this connection.
    pub(super) fn blocked(&self) -> watch::Receiver<bool> {
        self.blocked.subscribe()
    }

    /// What went wrong last, until it goes well.
    pub(super) fn problem(&self) -> Option<BrokerError> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_problem(&self, problem: Option<BrokerError>) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }

    /// Connects, and again after every loss, until `stop`; then disconnects.
    pub(super) async fn supervise(&self, target: Target, stop: CancellationToken) {
        let hanging = Arc::new(Semaphore::new(HANGING));
        let mut pauses = Pauses::default();
        let mut connections = 0_u64;
        self.measure(false);
        loop {
            let attempt = connect(target.clone(), self.purpose, &hanging);
            let Some(outcome) = stop.run_until_cancelled(attempt).await else { return };
            let begun = Instant::now();
            match outcome {
                Ok(connection) => {
                    connections += 1;
                    self.hold(connection, connections, &stop).await;
                }
                Err(error) => self.set_problem(Some(error)),
            }
            let pause = pauses.after(begun.elapsed());
            if pauses.first() {
                let problem = self.problem().map(|problem| problem.to_string());
                tracing::warn!(purpose = self.purpose, problem, "not connected to RabbitMQ");
            }
            if stop.run_until_cancelled(sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    /// Offers `connection` for as long as it lives.
    async fn hold(&self, connection: Connection, number: u64, stop: &CancellationToken) {
        tracing::info!(purpose = self.purpose, number, "connected to RabbitMQ");
        if number > 1 {
            metrics::counter!("feat_broker_reconnects_total", "connection" => self.purpose)
                .increment(1);
        }
        self.set_problem(None);
        self.measure(true);
        let connection = Arc::new(connection);
        self.connection.send_replace(Some(Arc::clone(&connection)));

        let stopped = stop.run_until_cancelled(self.watch(&connection)).await.is_none();

        self.connection.send_replace(None);
        self.blocked.send_replace(false);
        self.measure(false);
        if stopped {
            // What the server does not answer in time, it notices by the closed socket.
            let _ = timeout(LONGEST_PAUSE, connection.close(200, "OK".into())).await;
        } else {
            let lost = BrokerError::Unavailable("the connection was lost".to_owned());
            self.set_problem(Some(lost));
        }
    }

    /// Returns when `connection` is dead; passes on meanwhile whether it is blocked.
    async fn watch(&self, connection: &Connection) {
        let mut events = std::pin::pin!(connection.events_listener());
        let mut look = tokio::time::interval(LOOK);
        while connection.status().connected() {
            tokio::select! {
                Some(event) = events.next() => match event {
                    Event::ConnectionBlocked(reason) => {
                        tracing::warn!(purpose = self.purpose, reason, "RabbitMQ takes no messages");
                        self.blocked.send_replace(true);
                    }
                    Event::ConnectionUnblocked => {
                        tracing::info!(purpose = self.purpose, "RabbitMQ takes messages again");
                        self.blocked.send_replace(false);
                    }
                    _ => {}
                },
                _ = look.tick() => {}
            }
        }
    }

    fn measure(&self, connected: bool) {
        metrics::gauge!("feat_broker_connected", "connection" => self.purpose).set(if connected {
            1.0
        } else {
            0.0
        });
    }
}

/// One attempt. lapin cannot abandon a handshake that the server does not answer, so the attempt
/// goes on by itself after the time is up, and closes what it opens too late.
async fn connect(
    target: Target,
    purpose: &'static str,
    hanging: &Arc<Semaphore>,
) -> Result<Connection, BrokerError> {
    let silent = || BrokerError::Unavailable("no answer to the handshake".to_owned());
    let slot = timeout(HANDSHAKE, Arc::clone(hanging).acquire_owned()).await;
    let slot = slot.map_err(|_| silent())?;
    let attempt = tokio::spawn(async move {
        let _slot = slot;
        target.connect(purpose).await
    });
    match timeout(HANDSHAKE, attempt).await {
        Ok(Ok(outcome)) => outcome.map_err(|error| Lost::from(error).to_error()),
        Ok(Err(_)) => Err(BrokerError::Unavailable("the attempt to connect panicked".to_owned())),
        Err(_) => Err(silent()),
    }
}

/// Does `work` on the link's connection, again on the next one whenever it ends by a loss, until
/// it ends by itself or `stop`. `work` must end soon after `stop`.
pub(super) async fn keep<W, F>(link: &Link, what: &str, stop: &CancellationToken, mut work: W)
where
    W: FnMut(Arc<Connection>) -> F,
    F: Future<Output = Result<(), Lost>>,
{
    let mut pauses = Pauses::default();
    loop {
        let Some(connection) = stop.run_until_cancelled(link.connected()).await else { return };
        let begun = Instant::now();
        let Err(lost) = work(connection).await else { return };
        let pause = pauses.after(begun.elapsed());
        if pauses.first() {
            tracing::warn!(what, error = %lost, "lost at RabbitMQ, beginning again");
        }
        link.set_problem(Some(lost.to_error()));
        if stop.run_until_cancelled(sleep(pause)).await.is_none() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_begin_again_after_steady_work() {
        let mut pauses = Pauses::default();
        let blink = Duration::ZERO;

        assert!(pauses.after(blink) <= Duration::from_millis(100));
        for _ in 0..100 {
            let pause = pauses.after(blink);
            assert!(pause <= LONGEST_PAUSE && pause >= Duration::from_millis(100), "{pause:?}");
        }
        assert!(pauses.after(blink) >= LONGEST_PAUSE / 2);
        assert!(pauses.after(STEADY) <= Duration::from_millis(100));
    }
}
