//! Apple's push service for tests: a simulator, a sender in front of it, and campaigns whose every
//! push is accounted for.

use std::{
    collections::HashMap,
    hash::BuildHasher,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKeyChain};
use providers::apns::{
    Apns, AppSettings, Clock, CredentialSource, Message, MessageParts, Next, Payload, Push,
    PushError, PushType, Roots, Settings, Transport,
};
use schemas::{ApnsEnvironment, Timestamp};
use sim::apns::{ClientCertificate, Simulator};
use tempfile::TempDir;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::eventually;

/// The app of most tests.
pub const APP: &str = "com.example.notes";
/// Id of its team.
pub const TEAM: &str = "TEAM000001";
/// Id of its key.
pub const KEY: &str = "KEY0000001";

/// A simulator with one key, and the file of that key.
pub struct Apple {
    /// The simulator.
    pub sim: Simulator,
    /// Holds `key.p8`.
    pub folder: TempDir,
    /// Minutes by which the sender's clock is ahead.
    pub minutes: Arc<AtomicU64>,
}

impl Apple {
    /// Starts a simulator that knows the key.
    ///
    /// # Panics
    ///
    /// When it cannot listen.
    pub async fn start(settings: sim::apns::Settings) -> Self {
        // A fixed address may still be another simulator's that is just ending.
        let sim = eventually("the simulator's address", Duration::from_secs(20), async || {
            match Simulator::start(settings.clone()).await {
                Ok(sim) => Some(sim),
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => None,
                Err(error) => panic!("no simulator: {error}"),
            }
        })
        .await;
        let folder = TempDir::new().expect("temporary folder");
        let apple = Self { sim, folder, minutes: Arc::default() };
        apple.write_key(KEY, &ApnsEnvironment::ALL);
        apple
    }

    /// Makes a key and writes it to the file of the credential.
    ///
    /// # Panics
    ///
    /// When the file cannot be written.
    pub fn write_key(&self, key_id: &str, environments: &[ApnsEnvironment]) {
        let pem = self.sim.make_key(key_id, TEAM, &[], environments).expect("key");
        let temporary = self.folder.path().join("key.new");
        std::fs::write(&temporary, pem).expect("key file");
        std::fs::rename(temporary, self.key_file()).expect("key file");
    }

    /// The file of the key.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.folder.path().join("key.p8")
    }

    /// The credential of that file.
    #[must_use]
    pub fn token(&self) -> CredentialSource {
        CredentialSource::Token {
            key_file: self.key_file(),
            key_id: KEY.into(),
            team_id: TEAM.into(),
        }
    }

    /// Settings of a sender in front of this simulator, which waits long for a sign of life.
    ///
    /// # Panics
    ///
    /// Never: the simulator's addresses are addresses.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let app = AppSettings { app: APP.parse().expect("bundle id"), credential: self.token() };
        let mut settings = Settings::for_apps(vec![app]);
        let url = |environment| self.sim.url(environment).parse().expect("address");
        settings.production = url(ApnsEnvironment::Production);
        settings.sandbox = url(ApnsEnvironment::Sandbox);
        settings.roots = Roots::Only(self.sim.authority_pem().into_bytes());
        // A busy machine may keep a whole test waiting for seconds.
        settings.ping_every = Duration::from_mins(1);
        settings.reload_every = Duration::from_millis(100);
        settings.clock = self.clock();
        settings
    }

    /// The sender's clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        let minutes = Arc::clone(&self.minutes);
        Clock::by(move || Timestamp::now() + Duration::from_mins(minutes.load(Ordering::SeqCst)))
    }

    /// A sender with these settings over the direct transport.
    ///
    /// # Panics
    ///
    /// When the credential cannot be read.
    #[must_use]
    pub fn sender(&self, settings: Settings) -> Apns {
        Apns::open(Settings { transport: Transport::Direct, ..settings }).expect("sender")
    }

    /// Writes a client certificate into a `.p12` file that `password` opens.
    ///
    /// # Panics
    ///
    /// When the file cannot be written.
    #[must_use]
    pub fn write_certificate(&self, made: &ClientCertificate, password: &str) -> PathBuf {
        let part = |der: &Vec<u8>| Certificate::from_der(der).expect("certificate");
        let chain = PrivateKeyChain::new(&made.key, b"1", made.chain.iter().map(part));
        let mut store = KeyStore::new();
        store.add_entry("push", KeyStoreEntry::PrivateKeyChain(chain));
        let bytes = store.writer(password).write().expect("p12");
        let file = self.folder.path().join("certificate.p12");
        std::fs::write(&file, bytes).expect("p12 file");
        file
    }
}

/// The parts of a plain alert.
///
/// # Panics
///
/// Never: they are right.
#[must_use]
pub fn alert() -> MessageParts {
    MessageParts {
        app: APP.parse().expect("bundle id"),
        push_type: PushType::Alert,
        payload: Payload::raw(r#"{"aps":{"alert":"Hello"}}"#).expect("payload"),
        priority: None,
        expiration: None,
        collapse_id: None,
        topic: None,
    }
}

/// A push of a plain alert to a device in production.
///
/// # Panics
///
/// When `device` is no token.
#[must_use]
pub fn push_to(device: &str) -> Push {
    push_of(alert(), device)
}

/// A push of `parts` to a device in production.
///
/// # Panics
///
/// When `device` is no token or `parts` are no message.
#[must_use]
pub fn push_of(parts: MessageParts, device: &str) -> Push {
    Push {
        id: Uuid::now_v7(),
        environment: ApnsEnvironment::Production,
        device: device.parse().expect("device token"),
        message: Arc::new(Message::new(parts).expect("message")),
    }
}

/// What became of one push of a campaign.
#[derive(Debug, Clone)]
pub struct Fate {
    /// The device it was for.
    pub device: String,
    /// Attempts without a usable answer, each of which may have been delivered.
    pub unknown: u32,
    /// Attempts in all.
    pub attempts: u32,
    /// Whether Apple took it in the end.
    pub accepted: bool,
}

/// Sends one alert to each of `count` devices, `at_a_time` together, and repeats what may be
/// repeated under the same id until it is accepted.
///
/// # Panics
///
/// When a push needs more than fifty attempts.
pub async fn campaign(apns: &Apns, count: u32, at_a_time: usize) -> HashMap<Uuid, Fate> {
    let message = Arc::new(Message::new(alert()).expect("message"));
    let mut fates = HashMap::new();
    let mut running = JoinSet::new();
    for number in 0..count {
        if running.len() >= at_a_time {
            let done: Option<Result<(Uuid, Fate), _>> = running.join_next().await;
            fates.extend(done.map(|done| done.expect("push")));
        }
        let device = format!("{number:08x}").repeat(8);
        let push = Push {
            id: Uuid::now_v7(),
            environment: ApnsEnvironment::Production,
            device: device.parse().expect("device token"),
            message: Arc::clone(&message),
        };
        let apns = apns.clone();
        running.spawn(async move { (push.id, insist(&apns, &push).await) });
    }
    while let Some(done) = running.join_next().await {
        fates.extend([done.expect("push")]);
    }
    fates
}

async fn insist(apns: &Apns, push: &Push) -> Fate {
    let device = push.device.as_str().to_owned();
    let mut fate = Fate { device, unknown: 0, attempts: 0, accepted: false };
    loop {
        fate.attempts += 1;
        assert!(fate.attempts <= 50, "fifty attempts for one push");
        match apns.send(push).await {
            Ok(accepted) => {
                assert_eq!(accepted.id, push.id);
                fate.accepted = true;
                return fate;
            }
            Err(error) => {
                fate.unknown += u32::from(matches!(error, PushError::Unknown(_)));
                let Next::Again(after) = error.next() else { panic!("{error}") };
                // The wait that is asked for is meant for the real service.
                tokio::time::sleep(after.min(Duration::from_millis(20))).await;
            }
        }
    }
}

/// Proves from the simulator's books that every push arrived at its device, and twice only where
/// an answer had been lost before. Says how many did.
///
/// # Panics
///
/// When one did not.
#[must_use]
pub fn account_for<S: BuildHasher>(sim: &Simulator, fates: &HashMap<Uuid, Fate, S>) -> usize {
    let mut arrived: HashMap<Uuid, u32> = HashMap::new();
    for delivery in sim.deliveries() {
        let fate = fates.get(&delivery.id).expect("a push that nobody sent");
        assert_eq!(*delivery.device, fate.device, "a push arrived at a stranger's");
        *arrived.entry(delivery.id).or_default() += 1;
    }
    let mut twice = 0;
    for (id, fate) in fates {
        let times = arrived.get(id).copied().unwrap_or_default();
        assert!(fate.accepted && times >= 1, "lost: {fate:?}");
        assert!(times <= 1 + fate.unknown, "arrived {times} times, though answered: {fate:?}");
        twice += usize::from(times > 1);
    }
    twice
}
