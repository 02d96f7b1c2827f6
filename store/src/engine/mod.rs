//! The port: the few things that an engine must be able to do, and the two engines.

mod mongo;
mod sqlite;

use std::time::Duration;

use crate::{
    Finding, Insert, Save, StoreError,
    aggregate::{Aggregate, Collection, Key},
    batch::Pace,
    query::Query,
};

pub(crate) use mongo::{Mongo, Tempo};
pub(crate) use sqlite::{Sqlite, Stay, is_owned};

/// A record in the form in which its engine stores it.
#[derive(Clone)]
pub(crate) struct Document {
    /// Its name.
    pub(crate) key: Key,
    /// A save replaces only the version before this one.
    pub(crate) version: u64,
    /// What no other write has; only where the engine needs it.
    pub(crate) revision: i64,
    /// JSON or BSON.
    pub(crate) body: Vec<u8>,
}

/// An answer for each of several inputs, in their order.
pub(crate) type Answers<T> = Vec<Result<T, StoreError>>;

/// One of the engines.
#[derive(Clone)]
pub(crate) enum Engine {
    Mongo(Mongo),
    Sqlite(Sqlite),
}

/// Deepest nesting of a record. MongoDB stores 100 levels, `serde_json` reads 128.
const MAX_DEPTH: usize = 64;

/// Largest record in bytes, half of what MongoDB stores.
const MAX_BYTES: usize = 8 * 1024 * 1024;

macro_rules! on_engine {
    ($self:ident, $engine:ident => $call:expr) => {
        match $self {
            Self::Mongo($engine) => $call.await,
            Self::Sqlite($engine) => $call.await,
        }
    };
}

impl Engine {
    /// How batches of writes, and of reads, follow each other.
    pub(crate) const fn pace(&self) -> (Pace, Pace) {
        match self {
            Self::Mongo(mongo) => mongo.pace(),
            // One writer: a second batch of writes would only wait for the first.
            Self::Sqlite(_) => (Pace::of(1, Duration::ZERO), Pace::of(2, Duration::ZERO)),
        }
    }

    /// The form in which `record` is stored.
    pub(crate) fn encode<A: Aggregate>(&self, record: &A) -> Result<Document, StoreError> {
        let document = match self {
            Self::Mongo(_) => mongo::encode(record)?,
            Self::Sqlite(_) => sqlite::encode(record)?,
        };
        if document.body.len() > MAX_BYTES {
            return Err(unreadable::<A>(&record.key(), "larger than 8 MiB"));
        }
        Ok(document)
    }

    /// The record that was stored as `body`.
    pub(crate) fn decode<A: Aggregate>(&self, body: &[u8]) -> Result<A, StoreError> {
        match self {
            Self::Mongo(_) => mongo::decode(body),
            Self::Sqlite(_) => sqlite::decode(body),
        }
    }

    /// Stores new records.
    pub(crate) async fn insert(
        &self,
        to: &'static Collection,
        new: Vec<Document>,
    ) -> Answers<Insert> {
        on_engine!(self, engine => engine.insert(to, new))
    }

    /// Replaces each record whose stored version is the one before.
    pub(crate) async fn replace(
        &self,
        to: &'static Collection,
        next: Vec<Document>,
    ) -> Answers<Save> {
        on_engine!(self, engine => engine.replace(to, next))
    }

    /// Reads records by their names.
    pub(crate) async fn load(
        &self,
        from: &'static Collection,
        keys: Vec<Key>,
    ) -> Answers<Option<Vec<u8>>> {
        on_engine!(self, engine => engine.load(from, keys))
    }

    /// The records that a query asks for.
    pub(crate) async fn find(
        &self,
        from: &'static Collection,
        query: Query,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        if query.limit == Some(0) {
            // MongoDB would take this for no limit at all.
            return Ok(Vec::new());
        }
        on_engine!(self, engine => engine.find(from, query))
    }

    /// How many records a query asks for, counted up to its limit.
    pub(crate) async fn count(
        &self,
        from: &'static Collection,
        query: Query,
    ) -> Result<u64, StoreError> {
        on_engine!(self, engine => engine.count(from, query))
    }

    /// Removes the records that a query asks for, up to its limit.
    pub(crate) async fn remove(
        &self,
        from: &'static Collection,
        query: Query,
    ) -> Result<u64, StoreError> {
        on_engine!(self, engine => engine.remove(from, query))
    }

    /// Makes what is missing: tables or collections, and indexes. Idempotent.
    pub(crate) async fn migrate(
        &self,
        all: &'static [&'static Collection],
    ) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.migrate(all))
    }

    /// Whether the engine answers, within two seconds.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.ping())
    }

    /// What an operator should know.
    pub(crate) async fn check(&self, all: &'static [&'static Collection]) -> Vec<Finding> {
        on_engine!(self, engine => engine.check(all))
    }

    /// Ends all work.
    pub(crate) async fn close(&self) {
        on_engine!(self, engine => engine.close());
    }
}

/// The same error for each of several inputs.
fn all<T>(error: &StoreError, inputs: usize) -> Answers<T> {
    (0..inputs).map(|_| Err(error.clone())).collect()
}

/// A changed record claims a name that another one holds. Saving it again would not help.
const NOT_UNIQUE: &str = "cannot be saved: another record holds one of its unique fields";

/// The error for a record that has no stored form, or whose stored form cannot be read.
fn unreadable<A: Aggregate>(key: &Key, reason: &'static str) -> StoreError {
    StoreError::Unreadable { collection: A::COLLECTION.name, id: key.id.to_string(), reason }
}
