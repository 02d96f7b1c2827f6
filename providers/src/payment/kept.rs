//! Keys that are read again when their files change. What cannot be used leaves the last good
//! ones in force.

use std::{
    fmt, fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::SystemTime,
};

use schemas::Channel;

use super::Source;

/// Which account keys belong to, for logs and metrics.
#[derive(Debug, Clone)]
pub(super) struct Account {
    /// Its provider.
    pub(super) channel: Channel,
    /// Its name in the settings.
    pub(super) name: String,
}

impl Account {
    /// What is wrong, with the account before it.
    pub(super) fn problem(&self, text: &str) -> String {
        format!("{} {}: {text}", self.channel, self.name)
    }

    /// Shows until when a certificate is valid, in seconds since 1970.
    pub(super) fn show_expiry(&self, what: &'static str, not_after: i64) {
        #[expect(clippy::cast_precision_loss, reason = "seconds of a date fit into 52 bits")]
        let seconds = not_after as f64;
        metrics::gauge!("feat_payment_certificate_not_after_seconds",
            "channel" => self.channel.name(), "account" => self.name.clone(),
            "certificate" => what)
        .set(seconds);
    }
}

type Load<T> = Box<dyn Fn() -> Result<T, String> + Send + Sync>;

/// What a file looked like: when it was changed, and its size. `None` when it was not there.
type Look = Option<(SystemTime, u64)>;

/// Keys in force.
pub(super) struct Kept<T> {
    account: Account,
    load: Load<T>,
    files: Vec<PathBuf>,
    looks: Mutex<Vec<Look>>,
    current: RwLock<Arc<T>>,
}

impl<T> Kept<T> {
    /// Reads the keys for the first time.
    ///
    /// # Errors
    ///
    /// What `load` says is wrong.
    pub(super) fn open<'s>(
        account: &Account,
        sources: impl IntoIterator<Item = &'s Source>,
        load: impl Fn() -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let files: Vec<_> = sources
            .into_iter()
            .filter_map(|source| match source {
                Source::File(path) => Some(path.clone()),
                Source::Env(_) | Source::Value(_) => None,
            })
            .collect();
        // Looked at before it is read: a change in between is then seen the next time.
        let looks = Mutex::new(look_at(&files));
        let current = RwLock::new(Arc::new(load()?));
        Ok(Self { account: account.clone(), load: Box::new(load), files, looks, current })
    }

    /// The keys in force.
    pub(super) fn get(&self) -> Arc<T> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the keys again when a file has changed. Answers whether new ones are in force.
    pub(super) fn reload(&self) -> bool {
        let seen = look_at(&self.files);
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        if *looks == seen {
            return false;
        }
        *looks = seen;
        drop(looks);
        let loaded = (self.load)();
        let (channel, account) = (self.account.channel.name(), self.account.name.clone());
        metrics::gauge!("feat_payment_keys_stale", "channel" => channel, "account" => account)
            .set(if loaded.is_ok() { 0.0 } else { 1.0 });
        match loaded {
            Ok(keys) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
                tracing::info!(channel, account = %self.account.name, "payment keys were read again");
                true
            }
            Err(problem) => {
                tracing::error!(channel, account = %self.account.name, %problem,
                    "changed payment keys cannot be used; the earlier ones stay in force");
                false
            }
        }
    }

    /// What is wrong with the keys as they could be read now.
    pub(super) fn problem(&self) -> Option<String> {
        (self.load)().err()
    }
}

impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("account", &self.account).finish_non_exhaustive()
    }
}

fn look_at(files: &[PathBuf]) -> Vec<Look> {
    let look = |path: &PathBuf| {
        let meta = fs::metadata(path).ok()?;
        Some((meta.modified().ok()?, meta.len()))
    };
    files.iter().map(look).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn changed_files_are_read_again_and_bad_ones_leave_the_last_good_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "one").unwrap();
        let source = Source::File(path.clone());
        let account = Account { channel: Channel::Alipay, name: "shop".to_owned() };
        let reader = source.clone();
        let load = move || {
            use secrecy::ExposeSecret as _;
            let text = reader.text()?.expose_secret().to_owned();
            if text.starts_with("bad") { Err("bad".to_owned()) } else { Ok(text) }
        };
        let kept = Kept::open(&account, [&source], load).unwrap();
        assert!(!kept.reload(), "nothing has changed");

        fs::write(&path, "two, longer").unwrap();
        assert!(kept.reload());
        assert_eq!(*kept.get(), "two, longer");

        fs::write(&path, "bad, and longer still").unwrap();
        assert!(!kept.reload());
        assert_eq!(*kept.get(), "two, longer");
        assert_eq!(kept.problem().as_deref(), Some("bad"));

        fs::remove_file(&path).unwrap();
        assert!(!kept.reload());
        assert_eq!(*kept.get(), "two, longer");
    }
}
