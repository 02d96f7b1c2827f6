//! Batches of writes: one command, and an answer for each statement.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use bson::{Bson, Document as Reply, RawArrayBuf, RawDocument, RawDocumentBuf, cstr, doc, rawdoc};
use futures::TryStreamExt;
use mongodb::Database;

use super::{
    connect::{CONFIRMATION, is_passing_code},
    document, filter,
    patience::{Trouble, patiently},
    read::any_owner,
};
use crate::{
    StoreError,
    engine::{Answers, Document, MAX_BYTES, NOT_UNIQUE},
    query::Condition,
};

const DUPLICATE_KEY: i32 = 11_000;

/// What one statement did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// The stored document is the one that was to be written.
    Stored,
    /// Another document is stored, or none.
    Lost,
}

/// What a batch does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Adds new documents.
    Insert,
    /// Replaces each document of the version before.
    Replace,
}

/// Documents for one command.
struct Batch {
    database: Database,
    collection: &'static str,
    kind: Kind,
    documents: Vec<Document>,
}

/// Writes all documents; the answers are in their order.
pub(super) async fn all(
    database: &Database,
    collection: &'static str,
    kind: Kind,
    documents: Vec<Document>,
) -> Answers<Written> {
    let mut answers = Vec::with_capacity(documents.len());
    let mut rest = documents.into_iter().peekable();
    while let Some(first) = rest.next() {
        let mut bytes = first.body.len();
        let mut documents = vec![first];
        while let Some(next) = rest.next_if(|next| bytes + next.body.len() <= MAX_BYTES) {
            bytes += next.body.len();
            documents.push(next);
        }
        let batch = Batch { database: database.clone(), collection, kind, documents };
        answers.extend(Arc::new(batch).write().await);
    }
    answers
}

/// Whether a majority confirms writes: a removal of nothing waits for all that came before it.
pub(super) async fn confirm(database: &Database) -> Result<(), StoreError> {
    let removal = doc! {
        "delete": "jobs",
        "deletes": [{ "q": { "_id": "" }, "limit": 0 }],
        "writeConcern": { "w": "majority", "j": true, "wtimeout": wait() },
    };
    patiently(|_| {
        let (database, removal) = (database.clone(), removal.clone());
        async move { confirmed(&database.run_command(removal).await?) }
    })
    .await
}

fn wait() -> i64 {
    i64::try_from(CONFIRMATION.as_millis()).unwrap_or(i64::MAX)
}

impl Batch {
    /// Sends the command until there is an answer. Repeating is safe: what an earlier one wrote
    /// is known by its revision.
    async fn write(self: Arc<Self>) -> Answers<Written> {
        let count = self.documents.len();
        let answers = patiently(|repeated| {
            let batch = Arc::clone(&self);
            async move { batch.once(repeated).await }
        });
        answers.await.unwrap_or_else(|error| crate::engine::all(&error, count))
    }

    /// Sends the command once and finds out what each statement did.
    ///
    /// A reply without a write concern error covers what earlier commands wrote, too: the server
    /// waits until a majority has all that this one saw. So the read afterwards may be local.
    async fn once(&self, repeated: bool) -> Result<Answers<Written>, Trouble> {
        let command = self.command().map_err(|_| malformed())?;
        let reply = self.database.run_raw_command(command).await?;
        let codes = failures(&reply);
        if let Some(code) = codes.values().find(|code| is_passing_code(**code)) {
            return Err(Trouble::Passing(refused(*code)));
        }
        confirmed(&reply)?;
        let effective = usize::try_from(reply.get_i32("n").unwrap_or_default()).unwrap_or_default();
        let stored = if effective == self.documents.len() {
            return Ok(self.documents.iter().map(|_| Ok(Written::Stored)).collect());
        } else if self.kind == Kind::Insert && !repeated {
            None
        } else {
            Some(self.revisions().await?)
        };
        Ok(self.answers(&codes, stored.as_ref()))
    }

    /// Each statement's answer, by the errors and, where known, by the revisions in the store.
    fn answers(
        &self,
        codes: &HashMap<usize, i32>,
        stored: Option<&HashSet<i64>>,
    ) -> Answers<Written> {
        let answer = |(index, document): (usize, &Document)| {
            if stored.is_some_and(|stored| stored.contains(&document.revision)) {
                return Ok(Written::Stored);
            }
            match (codes.get(&index), self.kind) {
                (None, Kind::Insert) if stored.is_none() => Ok(Written::Stored),
                (None, _) | (Some(&DUPLICATE_KEY), Kind::Insert) => Ok(Written::Lost),
                (Some(&DUPLICATE_KEY), Kind::Replace) => Err(StoreError::Unreadable {
                    collection: self.collection,
                    id: document.key.id.to_string(),
                    reason: NOT_UNIQUE,
                }),
                (Some(code), _) => Err(refused(*code)),
            }
        };
        self.documents.iter().enumerate().map(answer).collect()
    }

    /// The revisions that are stored under the ids of this batch.
    async fn revisions(&self) -> Result<HashSet<i64>, Trouble> {
        let ids = self.documents.iter().map(|document| document.key.id.clone()).collect();
        let owners: Option<Vec<_>> =
            self.documents.iter().map(|document| document.key.owner).collect();
        let mut named = vec![Condition::In("id", ids)];
        named.extend(owners.map(any_owner));
        let records = self.database.collection::<RawDocumentBuf>(self.collection);
        let found = records.find(filter::filter(&named)).projection(doc! { "revision": 1 });
        let found: Vec<RawDocumentBuf> = found.await?.try_collect().await?;
        Ok(found.iter().filter_map(|document| document::revision(document)).collect())
    }

    fn command(&self) -> bson::error::Result<RawDocumentBuf> {
        let (name, list) = match self.kind {
            Kind::Insert => (cstr!("insert"), cstr!("documents")),
            Kind::Replace => (cstr!("update"), cstr!("updates")),
        };
        let mut statements = RawArrayBuf::new();
        for document in &self.documents {
            let body = RawDocument::from_bytes(&document.body)?;
            match self.kind {
                Kind::Insert => statements.push(body),
                Kind::Replace => statements.push(replacement(document, body)),
            }
        }
        let mut command = RawDocumentBuf::new();
        command.append(name, self.collection);
        command.append(list, statements);
        command.append(cstr!("ordered"), false);
        // A raw command does not take the client's write concern.
        let concern = rawdoc! { "w": "majority", "j": true, "wtimeout": wait() };
        command.append(cstr!("writeConcern"), concern);
        Ok(command)
    }
}

/// The statement that puts `body` in the place of the version before.
fn replacement(next: &Document, body: &RawDocument) -> RawDocumentBuf {
    let mut statement = RawDocumentBuf::new();
    statement.append(cstr!("q"), guard(next));
    statement.append(cstr!("u"), body);
    // The id alone finds the document; without the hint the server weighs every index of the owner
    // for each statement.
    statement.append(cstr!("hint"), rawdoc! { "_id": 1 });
    statement
}

/// Only the version before, and with the shard key where there is one.
fn guard(next: &Document) -> RawDocumentBuf {
    let mut guard = RawDocumentBuf::new();
    guard.append(cstr!("_id"), filter::raw(&next.key.id));
    guard.append(cstr!("version"), next.version.saturating_sub(1).cast_signed());
    if let Some(owner) = next.key.owner {
        guard.append(cstr!("owner"), owner);
    }
    guard
}

/// The code of each statement that failed, by its index.
fn failures(reply: &Reply) -> HashMap<usize, i32> {
    let failure = |error: &Bson| {
        let error = error.as_document()?;
        Some((usize::try_from(error.get_i32("index").ok()?).ok()?, error.get_i32("code").ok()?))
    };
    let failed = reply.get_array("writeErrors").map(Vec::as_slice).unwrap_or_default();
    failed.iter().filter_map(failure).collect()
}

/// Whether a majority has confirmed the command of this reply.
fn confirmed(reply: &Reply) -> Result<(), Trouble> {
    match reply.get_document("writeConcernError") {
        Ok(error) => {
            let code = error.get_i32("code").unwrap_or_default();
            let text = format!("not confirmed by a majority ({code})");
            Err(Trouble::Passing(StoreError::Unavailable(text)))
        }
        Err(_) => Ok(()),
    }
}

fn refused(code: i32) -> StoreError {
    StoreError::Unavailable(format!("write error {code}"))
}

fn malformed() -> Trouble {
    Trouble::Final(StoreError::Unavailable("a document of the batch is malformed".to_owned()))
}
