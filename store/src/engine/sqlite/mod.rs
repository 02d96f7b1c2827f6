//! SQLite: one file, one writer thread, a few readers.
//!
//! Records lie as JSON in column `body`; the indexes stand on expressions over it. A batch is one
//! transaction, on disk (WAL, `synchronous=FULL`) before it is answered.

mod open;
mod sql;
#[cfg(test)]
mod tests;
mod threads;

use std::{path::Path, sync::Arc, time::Duration};

use rusqlite::{
    Connection, ErrorCode, OptionalExtension, params,
    types::{ToSqlOutput, ValueRef},
};

use super::{Answers, Document, MAX_DEPTH, NOT_UNIQUE, all, unreadable};
use crate::{
    Finding, Insert, OpenError, Save, StoreError,
    aggregate::{Aggregate, Collection, Key},
    query::{Query, Value},
};
pub(crate) use open::{Stay, is_owned};
use threads::Threads;

/// The engine over one file.
#[derive(Clone)]
pub(crate) struct Sqlite(Arc<Threads>);

/// The stored form of a record.
pub(super) fn encode<A: Aggregate>(record: &A) -> Result<Document, StoreError> {
    let key = record.key();
    let body =
        serde_json::to_vec(record).map_err(|_| unreadable::<A>(&key, "it has no JSON form"))?;
    if depth(&body) > MAX_DEPTH {
        return Err(unreadable::<A>(&key, "nested deeper than 64 levels"));
    }
    Ok(Document { version: record.version(), revision: 0, key, body })
}

/// The record with this stored form.
pub(super) fn decode<A: Aggregate>(body: &[u8]) -> Result<A, StoreError> {
    serde_json::from_slice(body).map_err(|_| StoreError::Unreadable {
        collection: A::COLLECTION.name,
        id: id_of(body),
        reason: "this build does not understand its fields",
    })
}

/// The id in a stored form, for messages.
fn id_of(body: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    value["id"].as_str().map_or_else(|| value["id"].to_string(), str::to_owned)
}

/// How deeply valid JSON is nested.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in json {
        match (quoted, escaped, byte) {
            (true, true, _) => escaped = false,
            (true, false, b'\\') => escaped = true,
            (_, _, b'"') => quoted = !quoted,
            (false, _, b'{' | b'[') => depth += 1,
            (false, _, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

impl Sqlite {
    /// Opens or makes the file in `folder`.
    pub(crate) async fn open(folder: &Path, stay: Stay) -> Result<Self, OpenError> {
        let folder = folder.to_owned();
        let opened = tokio::task::spawn_blocking(move || open::open(&folder, stay)).await;
        let opened = opened.map_err(|error| OpenError::Failed(error.to_string()))??;
        Ok(Self(Arc::new(Threads::start(opened))))
    }

    pub(super) async fn insert(
        &self,
        to: &'static Collection,
        new: Vec<Document>,
    ) -> Answers<Insert> {
        let statement = format!(
            "INSERT INTO {} (id, owner, version, body) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT DO NOTHING",
            to.name
        );
        self.batch(statement, new, |_, changed| match changed? {
            1 => Ok(Ok(Insert::Stored)),
            _ => Ok(Ok(Insert::Taken)),
        })
        .await
    }

    pub(super) async fn replace(
        &self,
        to: &'static Collection,
        next: Vec<Document>,
    ) -> Answers<Save> {
        let name = to.name;
        let statement = format!(
            "UPDATE {name} SET version = ?3, body = ?4 \
             WHERE id = ?1 AND owner IS ?2 AND version = ?3 - 1"
        );
        self.batch(statement, next, move |document, changed| match changed {
            Ok(1) => Ok(Ok(Save::Stored)),
            Ok(_) => Ok(Ok(Save::Stale)),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                let id = document.key.id.to_string();
                Ok(Err(StoreError::Unreadable { collection: name, id, reason: NOT_UNIQUE }))
            }
            Err(error) => Err(error),
        })
        .await
    }

    /// One transaction over all documents; an answer counts only once it is committed. `answer`
    /// turns what one statement did into its caller's answer, or gives up the whole batch.
    async fn batch<T: Send + 'static>(
        &self,
        statement: String,
        documents: Vec<Document>,
        answer: impl Fn(&Document, rusqlite::Result<usize>) -> rusqlite::Result<Result<T, StoreError>>
        + Send
        + 'static,
    ) -> Answers<T> {
        let count = documents.len();
        let answers = self.0.write(move |connection| {
            let mut write = || {
                let transaction = connection.transaction()?;
                let mut statement = transaction.prepare_cached(&statement)?;
                let each = |document: &Document| {
                    let Document { key, version, body, .. } = document;
                    let body = ToSqlOutput::Borrowed(ValueRef::Text(body));
                    let values = params![key.id, key.owner, version.cast_signed(), body];
                    answer(document, statement.execute(values))
                };
                let answers = documents.iter().map(each).collect::<rusqlite::Result<Vec<_>>>()?;
                drop(statement);
                transaction.commit()?;
                Ok(answers)
            };
            write().map_err(unavailable)
        });
        answers.await.unwrap_or_else(|error| all(&error, count))
    }

    pub(super) async fn load(
        &self,
        from: &'static Collection,
        keys: Vec<Key>,
    ) -> Answers<Option<Vec<u8>>> {
        let count = keys.len();
        let statement =
            format!("SELECT body FROM {} WHERE id = ?1 AND (?2 IS NULL OR owner = ?2)", from.name);
        let answers = self.0.read(move |connection| {
            let mut select = connection.prepare_cached(&statement).map_err(unavailable)?;
            let load = |key: &Key| {
                let body =
                    select.query_one(params![key.id, key.owner], |row| row.get::<_, String>(0));
                Ok(body.optional().map_err(unavailable)?.map(String::into_bytes))
            };
            Ok(keys.iter().map(load).collect())
        });
        answers.await.unwrap_or_else(|error| all(&error, count))
    }

    pub(super) async fn find(
        &self,
        from: &'static Collection,
        query: Query,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let (statement, values) = sql::select("body", from.name, &query);
        self.0
            .read(move |connection| {
                let mut select = connection.prepare_cached(&statement).map_err(unavailable)?;
                let values = rusqlite::params_from_iter(values);
                let bodies =
                    select.query_map(values, |row| row.get::<_, String>(0)).map_err(unavailable)?;
                bodies.map(|body| body.map(String::into_bytes).map_err(unavailable)).collect()
            })
            .await
    }

    pub(super) async fn count(
        &self,
        from: &'static Collection,
        query: Query,
    ) -> Result<u64, StoreError> {
        let (inner, values) = sql::select("1", from.name, &query);
        let statement = format!("SELECT count(*) FROM ({inner})");
        let count = self.0.read(move |connection| {
            let values = rusqlite::params_from_iter(values);
            connection
                .query_one(&statement, values, |row| row.get::<_, i64>(0))
                .map_err(unavailable)
        });
        Ok(count.await?.cast_unsigned())
    }

    pub(super) async fn remove(
        &self,
        from: &'static Collection,
        query: Query,
    ) -> Result<u64, StoreError> {
        let (inner, values) = sql::select("id", from.name, &query);
        let statement = format!("DELETE FROM {} WHERE id IN ({inner})", from.name);
        self.0
            .write(move |connection| {
                let values = rusqlite::params_from_iter(values);
                let removed = connection.execute(&statement, values).map_err(unavailable)?;
                Ok(u64::try_from(removed).unwrap_or(u64::MAX))
            })
            .await
    }

    pub(super) async fn migrate(
        &self,
        collections: &'static [&'static Collection],
    ) -> Result<(), StoreError> {
        self.0.write(|connection| migrate(connection, collections).map_err(unavailable)).await
    }

    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        let answer = self.0.read(|connection| {
            connection.query_one("SELECT 1", [], |_| Ok(())).map_err(unavailable)
        });
        tokio::time::timeout(Duration::from_secs(2), answer)
            .await
            .unwrap_or_else(|_| Err(StoreError::Unavailable("no answer within 2 s".to_owned())))
    }

    pub(super) async fn check(&self, all: &'static [&'static Collection]) -> Vec<Finding> {
        let whole = self.0.read(|connection| {
            connection
                .query_one("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))
                .map_err(unavailable)
        });
        let whole = match whole.await {
            Ok(text) if text == "ok" => None,
            Ok(text) => Some(format!("{text}; move the file away and put a backup in its place")),
            Err(error) => Some(error.to_string()),
        };
        let write = self.0.write(|connection| {
            connection.execute_batch("BEGIN IMMEDIATE; COMMIT").map_err(unavailable)
        });
        let write = write.await.err().map(|error| error.to_string());
        vec![
            Finding { what: "the SQLite file is whole".to_owned(), problem: whole },
            Finding { what: "the SQLite file can be written".to_owned(), problem: write },
            Finding { what: "every index exists".to_owned(), problem: self.missing(all).await },
        ]
    }

    async fn missing(&self, collections: &'static [&'static Collection]) -> Option<String> {
        let names = self.0.read(|connection| {
            let select = "SELECT name FROM sqlite_schema WHERE type = 'index'";
            let mut select = connection.prepare(select).map_err(unavailable)?;
            let names = select.query_map([], |row| row.get(0)).map_err(unavailable)?;
            names.collect::<rusqlite::Result<Vec<String>>>().map_err(unavailable)
        });
        let names = match names.await {
            Ok(names) => names,
            Err(error) => return Some(error.to_string()),
        };
        let declared = collections.iter().flat_map(|collection| {
            let here = collection.indexes.iter().filter(|index| !index.list);
            here.map(|index| sql::index_name(collection, index))
        });
        let missing: Vec<_> = declared.filter(|name| !names.contains(name)).collect();
        let advice = "start Feat once, which makes them";
        (!missing.is_empty()).then(|| format!("{} missing; {advice}", missing.join(", ")))
    }

    pub(super) async fn close(&self) {
        self.0.close().await;
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the argument of map_err")]
fn unavailable(error: rusqlite::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

/// Makes the tables and indexes that are missing, in one transaction.
fn migrate(
    connection: &mut Connection,
    collections: &[&Collection],
) -> Result<(), rusqlite::Error> {
    let transaction = connection.transaction()?;
    for collection in collections {
        transaction.execute_batch(&sql::table(collection))?;
        // Only MongoDB can index the items of a list.
        for index in collection.indexes.iter().filter(|index| !index.list) {
            transaction.execute_batch(&sql::index(collection, index))?;
        }
    }
    transaction.pragma_update(None, "user_version", open::FORMAT)?;
    transaction.commit()
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        match self {
            Self::Number(number) => number.to_sql(),
            Self::Text(text) => text.to_sql(),
        }
    }
}
