//! SQLite: one file, one writer thread, a few readers.
//!
//! Records lie as JSON in column `body`; the indexes stand on expressions over it. A batch is one
//! transaction, on disk (WAL, `synchronous=FULL`) before it is answered.

mod open;
mod sql;
mod threads;

use std::{path::Path, sync::Arc, time::Duration};

use rusqlite::{Connection, OptionalExtension, params};

use super::{Answers, Document, MAX_DEPTH, all, unreadable};
use crate::{
    Finding, Insert, OpenError, Save, StoreError,
    aggregate::{Aggregate, Collection, Key},
    query::{Query, Value},
};
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
    pub(crate) async fn open(folder: &Path) -> Result<Self, OpenError> {
        let folder = folder.to_owned();
        let opened = tokio::task::spawn_blocking(move || open::open(&folder)).await;
        let opened = opened.map_err(|error| OpenError::Failed(error.to_string()))??;
        Ok(Self(Arc::new(Threads::start(opened))))
    }

    pub(super) async fn insert(
        &self,
        to: &'static Collection,
        new: Vec<Document>,
    ) -> Answers<Insert> {
        let statement =
            format!("INSERT OR IGNORE INTO {} (id, version, body) VALUES (?1, ?2, ?3)", to.name);
        self.batch(statement, new, |changed| if changed { Insert::Stored } else { Insert::Taken })
            .await
    }

    pub(super) async fn replace(
        &self,
        to: &'static Collection,
        next: Vec<Document>,
    ) -> Answers<Save> {
        let name = to.name;
        let statement = format!(
            "UPDATE OR IGNORE {name} SET version = ?2, body = ?3 WHERE id = ?1 AND version = ?2 - 1"
        );
        self.batch(statement, next, |changed| if changed { Save::Stored } else { Save::Stale })
            .await
    }

    /// One transaction over all documents; an answer counts only once it is committed.
    async fn batch<T: Send + 'static>(
        &self,
        statement: String,
        documents: Vec<Document>,
        answer: fn(bool) -> T,
    ) -> Answers<T> {
        let count = documents.len();
        let answers = self.0.write(move |connection| {
            let transaction = connection.transaction().map_err(unavailable)?;
            let mut answers = Vec::with_capacity(documents.len());
            {
                let mut write = transaction.prepare_cached(&statement).map_err(unavailable)?;
                for document in &documents {
                    let body = std::str::from_utf8(&document.body).unwrap_or_default();
                    let version = document.version.cast_signed();
                    let changed = write.execute(params![document.key.id, version, body]);
                    answers.push(changed.map(|changed| answer(changed == 1)).map_err(unavailable));
                }
            }
            transaction.commit().map_err(unavailable)?;
            Ok(answers)
        });
        answers.await.unwrap_or_else(|error| all(&error, count))
    }

    pub(super) async fn load(
        &self,
        from: &'static Collection,
        keys: Vec<Key>,
    ) -> Answers<Option<Vec<u8>>> {
        let count = keys.len();
        let statement = format!("SELECT body FROM {} WHERE id = ?1", from.name);
        let answers = self.0.read(move |connection| {
            let mut select = connection.prepare_cached(&statement).map_err(unavailable)?;
            let load = |key: &Key| {
                let body = select.query_one([&key.id], |row| row.get::<_, String>(0));
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

    pub(super) async fn check(&self, _: &'static [&'static Collection]) -> Vec<Finding> {
        let checked = self.0.read(|connection| {
            connection
                .query_one("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))
                .map_err(unavailable)
        });
        let problem = match checked.await {
            Ok(text) if text == "ok" => None,
            Ok(text) => Some(format!("{text}; move the file away and put a backup in its place")),
            Err(error) => Some(error.to_string()),
        };
        vec![Finding { what: "the SQLite file is whole".to_owned(), problem }]
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;
    use crate::aggregate::COLLECTIONS;
    use crate::query::{Condition, Direction};

    #[test]
    fn nesting_is_counted_outside_of_texts() {
        let cases = [
            ("flat", "{\"a\":1}", 1),
            ("nested", "{\"a\":[[{}]]}", 4),
            ("text", r#"{"a":"[[\"{"}"#, 1),
        ];
        for (name, json, expected) in cases {
            assert_eq!(depth(json.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn every_question_of_the_pipeline_is_answered_by_an_index() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, COLLECTIONS).unwrap();
        let text = |text: &str| Value::from(text);
        let cases = [
            (
                "due",
                "jobs",
                vec![
                    Condition::In("state", vec![text("waiting"), text("scheduled")]),
                    Condition::In("queue", vec![text("images")]),
                    Condition::Lte("wake_at", text("2026")),
                ],
            ),
            (
                "by key",
                "jobs",
                vec![Condition::Eq("owner", 7.into()), Condition::Eq("unique_key", text("k"))],
            ),
            (
                "by idempotency key",
                "jobs",
                vec![Condition::Eq("owner", 7.into()), Condition::Eq("idempotency.key", text("k"))],
            ),
            ("settled", "jobs", vec![Condition::Lt("settled_at", text("2026"))]),
            (
                "by file",
                "images",
                vec![Condition::Eq("owner", 7.into()), Condition::Eq("file_name", text("a"))],
            ),
            ("by name", "users", vec![Condition::Eq("username", text("a"))]),
        ];
        for (name, table, conditions) in cases {
            let (statement, values) = sql::select("body", table, &Query::all(conditions));
            let mut explain =
                connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
            let values = rusqlite::params_from_iter(values);
            let steps = explain.query_map(values, |row| row.get::<_, String>(3)).unwrap();
            let plan: Vec<_> = steps.map(Result::unwrap).collect();
            assert!(plan.iter().any(|step| step.contains("USING INDEX")), "{name}: {plan:?}");
        }
        let _ = Direction::Ascending;
    }
}
