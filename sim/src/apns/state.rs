//! What a simulator knows: keys, devices, rules, connections, the time.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use schemas::ApnsEnvironment;
use serde::{Deserialize, Serialize};

use super::{
    AuthorityError, ClientCertificate, Disruption, Refusal, Settings, Stats,
    authority::Authority,
    connection::Link,
    ledger::Ledger,
    provider_token::{PublicKey, Shown},
    script::Script,
};

/// A registered device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Bundle id of the app.
    pub app: String,
    /// Where the token belongs.
    pub environment: ApnsEnvironment,
    /// Set when the token has ended.
    #[serde(default)]
    pub gone: Option<Gone>,
}

/// When and why a token ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gone {
    /// Milliseconds since 1970.
    pub timestamp: u64,
    /// `Unregistered` or `ExpiredToken`.
    pub reason: String,
}

/// The app and environment that a client certificate was made for.
#[derive(Debug, Clone)]
pub(super) struct CertificateOf {
    pub(super) app: String,
    pub(super) environment: ApnsEnvironment,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) settings: Settings,
    pub(super) authority: Authority,
    /// Provider tokens that were shown.
    pub(super) shown: Shown,
    keys: Mutex<HashMap<String, Arc<PublicKey>>>,
    devices: Mutex<HashMap<String, Device>>,
    certificates: Mutex<HashMap<Vec<u8>, CertificateOf>>,
    script: Mutex<Script>,
    ledger: Mutex<Ledger>,
    links: Mutex<HashMap<u64, Arc<Link>>>,
    latency_us: AtomicU64,
    ahead_secs: AtomicU64,
}

/// Each of them is whole between any two statements, so a panic elsewhere harms nothing.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    pub(super) fn new(settings: Settings, authority: Authority) -> Self {
        Self {
            authority,
            shown: Shown::default(),
            keys: Mutex::default(),
            devices: Mutex::default(),
            certificates: Mutex::default(),
            script: Mutex::default(),
            ledger: Mutex::new(Ledger::new(settings.keep_deliveries)),
            links: Mutex::default(),
            latency_us: AtomicU64::new(micros(settings.latency)),
            ahead_secs: AtomicU64::new(0),
            settings,
        }
    }

    pub(super) fn add_key(&self, key_id: &str, key: PublicKey) {
        locked(&self.keys).insert(key_id.to_owned(), Arc::new(key));
        self.shown.forget();
    }

    pub(super) fn revoke_key(&self, key_id: &str) {
        locked(&self.keys).remove(key_id);
        self.shown.forget();
    }

    pub(super) fn key(&self, key_id: &str) -> Option<Arc<PublicKey>> {
        locked(&self.keys).get(key_id).cloned()
    }

    pub(super) fn make_certificate(
        &self,
        app: &str,
        environment: ApnsEnvironment,
        valid_for: Duration,
    ) -> Result<ClientCertificate, AuthorityError> {
        let made = self.authority.client(app, valid_for)?;
        let of = CertificateOf { app: app.to_owned(), environment };
        locked(&self.certificates).insert(made.chain[0].clone(), of);
        Ok(made)
    }

    pub(super) fn certificate(&self, der: &[u8]) -> Option<CertificateOf> {
        locked(&self.certificates).get(der).cloned()
    }

    pub(super) fn register(&self, token: &str, device: Device) {
        locked(&self.devices).insert(token.to_ascii_lowercase(), device);
    }

    pub(super) fn unregister(&self, token: &str, gone: Gone) {
        if let Some(device) = locked(&self.devices).get_mut(&token.to_ascii_lowercase()) {
            device.gone = Some(gone);
        }
    }

    /// Whether `token` takes pushes for `app` in `environment`.
    pub(super) fn check_device(
        &self,
        token: &str,
        app: &str,
        environment: ApnsEnvironment,
    ) -> Result<(), Refusal> {
        let devices = locked(&self.devices);
        let Some(device) = devices.get(token) else {
            let strict = self.settings.known_devices_only;
            return if strict { Err(Refusal::of("BadDeviceToken")) } else { Ok(()) };
        };
        if device.environment != environment {
            return Err(Refusal::of("BadDeviceToken"));
        }
        if device.app != app {
            return Err(Refusal::of("DeviceTokenNotForTopic"));
        }
        match &device.gone {
            None => Ok(()),
            Some(gone) => {
                Err(Refusal { timestamp: Some(gone.timestamp), ..Refusal::new(410, &gone.reason) })
            }
        }
    }

    pub(super) fn script(&self) -> MutexGuard<'_, Script> {
        locked(&self.script)
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        locked(&self.ledger)
    }

    pub(super) fn stats(&self) -> Stats {
        let open = locked(&self.links).len();
        self.ledger().stats(open)
    }

    pub(super) fn add_link(&self, link: &Arc<Link>) {
        locked(&self.links).insert(link.number, Arc::clone(link));
    }

    pub(super) fn remove_link(&self, link: &Link) {
        locked(&self.links).remove(&link.number);
    }

    pub(super) fn disrupt(&self, disruption: &Disruption) {
        let links: Vec<_> = locked(&self.links).values().cloned().collect();
        for link in links {
            link.disrupt(disruption);
        }
    }

    pub(super) fn end_connections(&self) {
        self.disrupt(&Disruption::Cut);
    }

    pub(super) fn latency(&self) -> Duration {
        Duration::from_micros(self.latency_us.load(Ordering::Relaxed))
    }

    pub(super) fn set_latency(&self, latency: Duration) {
        self.latency_us.store(micros(latency), Ordering::Relaxed);
    }

    pub(super) fn set_clock_ahead(&self, by: Duration) {
        self.ahead_secs.store(by.as_secs(), Ordering::Relaxed);
    }

    /// Seconds since 1970 by its own clock.
    pub(super) fn now(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        now + self.ahead_secs.load(Ordering::Relaxed)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
