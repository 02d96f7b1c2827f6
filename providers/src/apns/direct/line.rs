//! The connections of one credential in one environment: made when needed, used in turn,
//! replaced when they end, and not tried too often when nobody answers.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rand::RngExt;
use rustls::{ClientConfig, pki_types::ServerName};
use schemas::ApnsEnvironment;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::TlsConnector;

use super::connection::{Connection, Io};
use crate::apns::{
    CredentialError, PushError, Settings, credential::Credential, drive::not_sent, gate::Inside,
    tls,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// How long a push waits at one connection before it looks for room at the others.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Connections to one address under one credential.
#[derive(Debug)]
pub(super) struct Line {
    settings: Arc<Settings>,
    environment: ApnsEnvironment,
    tls: Arc<ClientConfig>,
    slots: Vec<Slot>,
    turn: AtomicUsize,
}

/// Place of one connection.
#[derive(Debug, Default)]
struct Slot {
    live: Mutex<Option<Arc<Connection>>>,
    /// Whoever holds it makes the next connection.
    trying: tokio::sync::Mutex<Trying>,
}

#[derive(Debug, Default)]
struct Trying {
    failures: u32,
    not_before: Option<Instant>,
}

impl Trying {
    /// Counts a connection that came to nothing and sets when the next may be tried.
    fn failed(&mut self) {
        let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(self.failures));
        let pause = pause.min(LONGEST_PAUSE).mul_f64(rand::rng().random_range(0.5..1.0));
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(Instant::now() + pause);
    }
}

impl Slot {
    fn live(&self) -> MutexGuard<'_, Option<Arc<Connection>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn usable(&self) -> Option<Arc<Connection>> {
        self.live().as_ref().filter(|connection| connection.is_open()).cloned()
    }
}

impl Line {
    pub(super) fn new(
        settings: &Arc<Settings>,
        credential: &Credential,
        environment: ApnsEnvironment,
    ) -> Result<Self, CredentialError> {
        Ok(Self {
            tls: tls::config(&settings.roots, credential)?,
            slots: (0..settings.connections).map(|_| Slot::default()).collect(),
            settings: Arc::clone(settings),
            environment,
            turn: AtomicUsize::new(0),
        })
    }

    /// A connection and a place for one push on it. `born` is the number of the newest provider
    /// token.
    ///
    /// # Errors
    ///
    /// [`PushError::NotSent`] when there was neither in time.
    pub(super) async fn enter(&self, born: u64) -> Result<(Arc<Connection>, Inside), PushError> {
        let entering = timeout(self.settings.room_timeout, self.wait(born)).await;
        entering.unwrap_or_else(|_| Err(not_sent("no connection, or no free stream, in time")))
    }

    async fn wait(&self, born: u64) -> Result<(Arc<Connection>, Inside), PushError> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let in_turn = || (turn..).take(self.slots.len()).map(|n| &self.slots[n % self.slots.len()]);
        loop {
            let roomy = in_turn().filter_map(Slot::usable).find_map(|connection| {
                let inside = connection.try_enter()?;
                Some((connection, inside))
            });
            if let Some(found) = roomy {
                return Ok(found);
            }
            // One more connection if there may be one, else a place where the turn is; but not for
            // long, because there may be room elsewhere by then.
            let slot = in_turn().find(|slot| slot.usable().is_none());
            let connection = match slot {
                Some(slot) => self.open(slot, born).await,
                None => match in_turn().find_map(Slot::usable) {
                    Some(connection) => connection,
                    None => continue,
                },
            };
            if let Ok(Some(inside)) = timeout(LOOK_AGAIN, connection.enter()).await {
                return Ok((connection, inside));
            }
        }
    }

    /// Tries until there is a connection; of many callers one tries.
    async fn open(&self, slot: &Slot, born: u64) -> Arc<Connection> {
        loop {
            let mut trying = slot.trying.lock().await;
            if let Some(connection) = slot.usable() {
                return connection;
            }
            let last = slot.live().take();
            match last {
                // It ended before it was of any use: as bad as none.
                Some(last) if !last.has_answered() => trying.failed(),
                Some(_) => *trying = Trying::default(),
                None => {}
            }
            if let Some(moment) = trying.not_before {
                tokio::time::sleep_until(moment).await;
            }
            match self.connect(born).await {
                Ok(connection) => {
                    *slot.live() = Some(Arc::clone(&connection));
                    return connection;
                }
                Err(why) => {
                    tracing::warn!(environment = %self.environment, why, "no connection to APNs");
                    trying.failed();
                }
            }
        }
    }

    /// Makes one connection and hears the peer's greeting.
    ///
    /// # Errors
    ///
    /// Why there is none, for a log or a person.
    pub(super) async fn connect(&self, born: u64) -> Result<Arc<Connection>, String> {
        let made = timeout(CONNECT_TIMEOUT, self.try_connect(born)).await;
        let made = made.unwrap_or_else(|_| Err(format!("no answer within {CONNECT_TIMEOUT:?}")));
        let outcome = if made.is_ok() { "made" } else { "failed" };
        metrics::counter!("feat_apns_connections_total",
            "environment" => self.environment.name(), "outcome" => outcome)
        .increment(1);
        made
    }

    async fn try_connect(&self, born: u64) -> Result<Arc<Connection>, String> {
        let endpoint = self.settings.endpoint(self.environment);
        // A name is looked up anew each time, so connections spread over what it leads to.
        let stream = TcpStream::connect((endpoint.host(), endpoint.port())).await;
        let stream = stream.map_err(|error| format!("{}: {error}", endpoint.authority))?;
        // Head and body leave as separate writes; waiting between them costs 40 ms.
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let io: Box<dyn Io> = if endpoint.has_tls() {
            let name = ServerName::try_from(endpoint.host().to_owned());
            let name = name.map_err(|_| format!("{} is no name for TLS", endpoint.host()))?;
            let connector = TlsConnector::from(Arc::clone(&self.tls));
            let stream = connector.connect(name, stream).await;
            let stream = stream.map_err(|error| format!("{}: {error}", endpoint.authority))?;
            if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                return Err(format!("{} does not speak HTTP/2", endpoint.authority));
            }
            Box::new(stream)
        } else {
            Box::new(stream)
        };
        Connection::start(io, &self.settings, self.environment, born).await
    }
}
