//! The credentials of every app, read again when their files change.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use schemas::BundleId;
use secrecy::ExposeSecret;

use super::{Clock, CredentialError, CredentialSource, Settings, credential::Credential};

/// Which credential each app has.
#[derive(Debug)]
pub(super) struct Apps {
    held: BTreeMap<BundleId, Arc<Held>>,
    every: Duration,
    pub(super) settings: Arc<Settings>,
}

/// One credential's file and what was last read from it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) source: CredentialSource,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    current: Arc<Credential>,
    stamp: Option<Stamp>,
    looked: Instant,
    problem: Option<CredentialError>,
}

/// Changes when a file is written or put in another's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    written: (i64, i64),
}

impl Stamp {
    fn of(file: &PathBuf) -> Option<Self> {
        let about = fs::metadata(file).ok()?;
        let written = (about.mtime(), about.mtime_nsec());
        Some(Self { inode: about.ino(), size: about.len(), written })
    }
}

impl Apps {
    /// Reads every credential once. Blocks.
    pub(super) fn load(settings: &Arc<Settings>) -> Result<Self, CredentialError> {
        let mut held: BTreeMap<BundleId, Arc<Held>> = BTreeMap::new();
        for app in &settings.apps {
            if held.contains_key(&app.app) {
                return Err(CredentialError::Misconfigured("an app has two credentials"));
            }
            let shared = held.values().find(|held| is_same(&held.source, &app.credential));
            let one = match shared {
                Some(shared) => Arc::clone(shared),
                None => Arc::new(Held::load(app.credential.clone(), settings.clock.clone())?),
            };
            held.insert(app.app.clone(), one);
        }
        let apps = Self { held, every: settings.reload_every, settings: Arc::clone(settings) };
        apps.tell_expiry();
        Ok(apps)
    }

    pub(super) fn names(&self) -> Vec<BundleId> {
        self.held.keys().cloned().collect()
    }

    pub(super) fn held(&self) -> impl Iterator<Item = (&BundleId, &Arc<Held>)> {
        self.held.iter()
    }

    /// The credential of `app`, as new as its file was within the last few seconds.
    pub(super) async fn credential(&self, app: &BundleId) -> Option<Arc<Credential>> {
        let held = self.held.get(app)?;
        if held.is_due(self.every) {
            held.refresh().await;
            self.tell_expiry();
        }
        Some(held.current())
    }

    pub(super) async fn reload(&self) {
        for held in self.held.values() {
            held.refresh().await;
        }
        self.tell_expiry();
    }

    /// How long each certificate still counts.
    fn tell_expiry(&self) {
        for (app, held) in &self.held {
            let Some(ends) = held.current().ends() else { continue };
            let left = ends.since(self.settings.clock.now()).as_secs_f64();
            metrics::gauge!("feat_apns_credential_expires_seconds", "app" => app.to_string())
                .set(left);
        }
    }
}

impl Held {
    fn load(source: CredentialSource, clock: Clock) -> Result<Self, CredentialError> {
        let stamp = source.file().and_then(Stamp::of);
        let current = Arc::new(Credential::load(&source, &clock)?);
        let state = State { current, stamp, looked: Instant::now(), problem: None };
        Ok(Self { source, clock, state: Mutex::new(state) })
    }

    pub(super) fn current(&self) -> Arc<Credential> {
        Arc::clone(&self.state().current)
    }

    /// What is wrong with the file since the credential in force was read.
    pub(super) fn problem(&self) -> Option<CredentialError> {
        self.state().problem.clone()
    }

    /// Whether it is time to look at the file. Says so to one caller at a time.
    fn is_due(&self, every: Duration) -> bool {
        let mut state = self.state();
        let due = state.looked.elapsed() >= every;
        if due {
            state.looked = Instant::now();
        }
        due
    }

    /// Reads the file if it has changed. What cannot be used leaves the credential in force.
    pub(super) async fn refresh(self: &Arc<Self>) {
        let held = Arc::clone(self);
        let looked = tokio::task::spawn_blocking(move || held.look()).await;
        if looked.is_err() {
            tracing::error!("a credential's file could not be looked at");
        }
    }

    fn look(&self) {
        let Some(file) = self.source.file() else { return };
        let stamp = Stamp::of(file);
        {
            let state = self.state();
            if stamp == state.stamp && state.problem.is_none() {
                return;
            }
        }
        let read = Credential::load(&self.source, &self.clock);
        let mut state = self.state();
        match read {
            Ok(read) if stamp != state.stamp => {
                tracing::info!(file = %file.display(), "credential read anew");
                (state.current, state.stamp, state.problem) = (Arc::new(read), stamp, None);
            }
            // The file in force is back.
            Ok(_) => state.problem = None,
            Err(problem) => {
                if state.problem.as_ref() != Some(&problem) {
                    tracing::error!(%problem, "a changed credential cannot be used");
                }
                state.problem = Some(problem);
            }
        }
    }

    /// The state is whole between any two of its statements, so a panic elsewhere harms nothing.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_same(one: &CredentialSource, other: &CredentialSource) -> bool {
    use CredentialSource as C;
    match (one, other) {
        (
            C::Token { key_file, key_id, team_id },
            C::Token { key_file: file, key_id: key, team_id: team },
        ) => key_file == file && key_id == key && team_id == team,
        (
            C::TokenText { key, key_id, team_id },
            C::TokenText { key: text, key_id: id, team_id: team },
        ) => key.expose_secret() == text.expose_secret() && key_id == id && team_id == team,
        (C::Certificate { file, password }, C::Certificate { file: other, password: word }) => {
            file == other && password.expose_secret() == word.expose_secret()
        }
        _ => false,
    }
}
