//! Aggregates in and out of the store. One repository per aggregate stands over a narrow engine
//! port with two engines: MongoDB, and a SQLite file. Nothing else in Feat knows BSON or SQL.
//!
//! What always holds:
//!
//! - A write that is answered with [`Insert::Stored`] or [`Save::Stored`] survives a crash.
//! - One change of a record is one guarded write: [`Save::Stored`] means that the version before
//!   was the one in the store. No write spans two records.
//! - Concurrent calls are gathered into batches (group commit), and each gets its own answer. A
//!   lone call is sent at once; only calls in a crowd wait for each other, some milliseconds.
//! - Everything that waits is bounded: a full intake answers [`StoreError::Busy`], a store that
//!   does not answer becomes [`StoreError::Unavailable`] after about ten seconds.
//! - A record is stored only in a form that can be read back: at most 8 MiB, and nested at most
//!   64 levels deep. MongoDB has no integer above `i64::MAX`, so it refuses one in a payload, and
//!   no field name with a NUL; SQLite stores both faithfully.

mod aggregate;
mod audit;
mod batch;
mod bills;
mod bindings;
mod clients;
mod codes;
mod devices;
mod engine;
mod error;
mod guesses;
mod images;
mod jobs;
mod keys;
mod matches;
mod push_cohorts;
mod push_tokens;
mod pushes;
mod query;
mod repository;
#[cfg(test)]
mod samples;
mod sessions;
mod users;
mod wallets;

use std::path::Path;

use secrecy::SecretString;

pub use audit::{Audit, AuditFilter};
pub use batch::promptly;
pub use bills::{BillFilter, BillSearch, Bills};
pub use bindings::Bindings;
pub use clients::Clients;
pub use codes::Codes;
pub use devices::Devices;
pub use error::{OpenError, StoreError};
pub use guesses::Guesses;
pub use images::{ImageField, ImageFilter, ImageOrder, Images};
pub use jobs::{JobFilter, Jobs};
pub use keys::Keys;
pub use matches::Matches;
pub use push_cohorts::PushCohorts;
pub use push_tokens::{Judged, PushTokenFilter, PushTokens, Registered};
pub use pushes::Pushes;
pub use sessions::Sessions;
pub use users::Users;
pub use wallets::Wallets;

use engine::{Engine, Mongo, Sqlite, Stay, Tempo, is_owned};

/// What became of an insert.
#[must_use = "a record that is not stored may be lost"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Insert {
    /// The record is stored and survives a crash.
    Stored,
    /// A record with this id, or with one of its unique keys, exists already; nothing changed.
    Taken,
}

/// What became of a save.
#[must_use = "a change that is not stored is lost"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Save {
    /// The change is stored and survives a crash.
    Stored,
    /// The record is gone or has moved on from the version that this change was made from: read
    /// it again and decide anew. On MongoDB the change itself may have been stored and overtaken
    /// at once by another process; what is read then shows it.
    Stale,
}

/// One thing that was looked at by [`Store::check`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub what: String,
    /// What is wrong and what to do; nothing when all is well.
    pub problem: Option<String>,
}

/// Says what the metrics of this crate mean, to the recorder that is installed already.
pub fn describe_metrics() {
    repository::describe_metrics();
}

/// Every record that Feat keeps. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Store {
    /// Jobs.
    pub jobs: Jobs,
    /// Uploaded pictures.
    pub images: Images,
    /// Bills.
    pub bills: Bills,
    /// Accounts of users at providers.
    pub bindings: Bindings,
    /// What users keep for paying and being paid.
    pub wallets: Wallets,
    /// What came of matching the providers' bills.
    pub matches: Matches,
    /// People who can sign in.
    pub users: Users,
    /// Applications that sign users in.
    pub clients: Clients,
    /// Sign-ins.
    pub sessions: Sessions,
    /// Devices that users sign in on.
    pub devices: Devices,
    /// Authorization codes.
    pub codes: Codes,
    /// Long-lived keys.
    pub keys: Keys,
    /// Recent wrong passwords.
    pub guesses: Guesses,
    /// Who did what.
    pub audit: Audit,
    /// Device tokens for pushes.
    pub push_tokens: PushTokens,
    /// Push campaigns.
    pub pushes: Pushes,
    /// What cohorts of devices have lost.
    pub push_cohorts: PushCohorts,
    engine: Engine,
}

impl Store {
    /// Opens the SQLite file `feat.db` in `folder`; creates both when they are missing. The file
    /// belongs to this process until [`Self::close`] or the end of the process.
    ///
    /// # Errors
    ///
    /// [`OpenError`] says what to do.
    pub async fn sqlite(folder: &Path) -> Result<Self, OpenError> {
        Self::sqlite_for(folder, Stay::Owner).await
    }

    /// As [`Self::sqlite`], for a short look or change from outside: whether another process owns
    /// the file or none does. The owner finds what was changed as it finds changes of its own.
    ///
    /// # Errors
    ///
    /// [`OpenError`] says what to do; never [`OpenError::InUse`].
    pub async fn sqlite_as_guest(folder: &Path) -> Result<Self, OpenError> {
        Self::sqlite_for(folder, Stay::Guest).await
    }

    /// Whether a process owns the file in `folder` now, so that its workers go on with what a guest
    /// leaves there.
    #[must_use]
    pub fn sqlite_has_owner(folder: &Path) -> bool {
        is_owned(folder)
    }

    async fn sqlite_for(folder: &Path, stay: Stay) -> Result<Self, OpenError> {
        let store = Self::over(Engine::Sqlite(Sqlite::open(folder, stay).await?));
        store.migrate().await.map_err(|error| OpenError::Failed(error.to_string()))?;
        Ok(store)
    }

    /// Opens `database` of the MongoDB replica set or sharded cluster at `uri`; returns when a
    /// primary has answered, or after about ten seconds. Writes wait for a majority and its
    /// journal whatever `uri` says. [`Self::migrate`] creates what is missing.
    ///
    /// # Errors
    ///
    /// [`OpenError`] says what to do; it never shows a password.
    pub async fn mongo(uri: &SecretString, database: &str) -> Result<Self, OpenError> {
        Ok(Self::over(Engine::Mongo(Mongo::open(uri, database, Tempo::Prompt).await?)))
    }

    /// [`Self::mongo`] for a process that works off a queue: under load its calls wait up to about
    /// 15 ms for each other, so that the database spends less on each; calls made [`promptly`] do
    /// not.
    ///
    /// # Errors
    ///
    /// As [`Self::mongo`].
    pub async fn mongo_in_bulk(uri: &SecretString, database: &str) -> Result<Self, OpenError> {
        Ok(Self::over(Engine::Mongo(Mongo::open(uri, database, Tempo::Bulk).await?)))
    }

    fn over(engine: Engine) -> Self {
        Self {
            jobs: Jobs::over(&engine),
            images: Images::over(&engine),
            bills: Bills::over(&engine),
            bindings: Bindings::over(&engine),
            wallets: Wallets::over(&engine),
            matches: Matches::over(&engine),
            users: Users::over(&engine),
            clients: Clients::over(&engine),
            sessions: Sessions::over(&engine),
            devices: Devices::over(&engine),
            codes: Codes::over(&engine),
            keys: Keys::over(&engine),
            guesses: Guesses::over(&engine),
            audit: Audit::over(&engine),
            push_tokens: PushTokens::over(&engine),
            pushes: Pushes::over(&engine),
            push_cohorts: PushCohorts::over(&engine),
            engine,
        }
    }

    /// Creates missing tables, collections and indexes. Repeating it changes nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]; also when an index of the same name but another form exists.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.engine.migrate(aggregate::COLLECTIONS).await
    }

    /// Asks the store for a sign of life; at most two seconds.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when none came.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.engine.ping().await
    }

    /// Looks whether the store is fit for work, part by part, for an operator.
    pub async fn check(&self) -> Vec<Finding> {
        self.engine.check(aggregate::COLLECTIONS).await
    }

    /// Writes what is gathered and closes the store, for all clones: later calls answer
    /// [`StoreError::Unavailable`].
    pub async fn close(self) {
        self.jobs.close().await;
        self.images.close().await;
        self.bills.close().await;
        self.bindings.close().await;
        self.wallets.close().await;
        self.matches.close().await;
        self.users.close().await;
        self.clients.close().await;
        self.sessions.close().await;
        self.devices.close().await;
        self.codes.close().await;
        self.keys.close().await;
        self.guesses.close().await;
        self.audit.close().await;
        self.push_tokens.close().await;
        self.pushes.close().await;
        self.push_cohorts.close().await;
        self.engine.close().await;
    }
}
