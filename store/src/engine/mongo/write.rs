//! Batches of writes: one command, an answer for each statement, and patience with a database
//! that is just electing a primary.

use std::{collections::HashMap, time::Duration};

use bson::{Bson, RawArrayBuf, RawDocumentBuf, cstr, doc, rawdoc};
use futures::TryStreamExt;
use mongodb::{Database, error::Error};
use tokio::time::{Instant, sleep};

use super::{
    connect::{is_passing, is_passing_code, unavailable},
    document, filter,
};
use crate::{
    StoreError,
    engine::{Answers, Document},
};

/// How long a batch is tried before its callers hear that the database is away.
const PATIENCE: Duration = Duration::from_secs(8);

/// Bytes of one command, well below the server's 48 MB.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// What one statement did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// The stored document is the one that was to be written.
    Stored,
    /// Another document is stored, or none.
    Lost,
}

/// Which command a statement belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Insert,
    Update,
}

/// One write.
pub(super) struct Statement {
    command: Command,
    body: RawDocumentBuf,
    id: Bson,
    revision: i64,
}

impl Statement {
    /// The write of a new record.
    pub(super) fn insertion(new: Document) -> Option<Self> {
        let body = RawDocumentBuf::from_bytes(new.body).ok()?;
        let id = filter::bson(&new.key.id);
        Some(Self { command: Command::Insert, body, id, revision: new.revision })
    }

    /// The write of a record over the version before.
    pub(super) fn replacement(next: Document) -> Option<Self> {
        let mut guard = RawDocumentBuf::new();
        guard.append(cstr!("_id"), filter::raw(&next.key.id));
        guard.append(cstr!("version"), next.version.saturating_sub(1).cast_signed());
        if let Some(owner) = next.key.owner {
            // The shard key, so that a sharded cluster asks one shard only.
            guard.append(cstr!("owner"), owner);
        }
        let mut body = RawDocumentBuf::new();
        body.append(cstr!("q"), guard);
        body.append(cstr!("u"), RawDocumentBuf::from_bytes(next.body).ok()?);
        let id = filter::bson(&next.key.id);
        Some(Self { command: Command::Update, body, id, revision: next.revision })
    }
}

/// Writes all statements; the answers are in their order.
pub(super) async fn all(
    database: &Database,
    collection: &str,
    statements: Vec<Statement>,
) -> Answers<Written> {
    let mut answers = Vec::with_capacity(statements.len());
    let mut rest = statements.as_slice();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(fitting(rest));
        answers.extend(patiently(database, collection, now).await);
        rest = later;
    }
    answers
}

/// How many statements from the start fit into one command; at least one.
fn fitting(statements: &[Statement]) -> usize {
    let mut bytes = 0;
    let fits = statements.iter().take_while(|statement| {
        bytes += statement.body.as_bytes().len();
        bytes <= MAX_BYTES
    });
    fits.count().max(1)
}

/// Repeats a command while the reason to fail may pass. Repeating is safe: what the first one
/// wrote is known by its revision.
async fn patiently(
    database: &Database,
    collection: &str,
    statements: &[Statement],
) -> Answers<Written> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(50);
    let mut first = true;
    loop {
        let error = match once(database, collection, statements, first).await {
            Ok(answers) => return answers,
            Err(Trouble::Final(error)) => return super::all(&error, statements.len()),
            Err(Trouble::Passing(error)) => error,
        };
        if Instant::now() + pause > deadline {
            return super::all(&error, statements.len());
        }
        tracing::debug!(%error, "a batch is written again");
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
        first = false;
    }
}

/// Why a whole command has no answer.
enum Trouble {
    /// It may work a moment later.
    Passing(StoreError),
    /// It will not.
    Final(StoreError),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let sorted = unavailable(&error);
        if is_passing(&error) { Self::Passing(sorted) } else { Self::Final(sorted) }
    }
}

/// Sends the command once and finds out what each statement did.
async fn once(
    database: &Database,
    collection: &str,
    statements: &[Statement],
    first: bool,
) -> Result<Answers<Written>, Trouble> {
    let reply = database.run_raw_command(command(collection, statements)).await?;
    let failed = reply.get_array("writeErrors").map(Vec::as_slice).unwrap_or_default();
    let codes: HashMap<_, _> = failed.iter().filter_map(failure).collect();
    let concern = reply.get_document("writeConcernError").ok();
    if let Some(code) = codes.values().copied().find(|code| is_passing_code(*code)) {
        return Err(Trouble::Passing(StoreError::Unavailable(format!("write error {code}"))));
    }
    if let Some(concern) = concern {
        let code = concern.get_i32("code").unwrap_or_default();
        return Err(Trouble::Passing(StoreError::Unavailable(format!(
            "not confirmed by a majority ({code})"
        ))));
    }
    let matched = reply.get_i32("n").unwrap_or_default();
    let everything = usize::try_from(matched).is_ok_and(|matched| matched == statements.len());
    if everything && first {
        return Ok(statements.iter().map(|_| Ok(Written::Stored)).collect());
    }
    by_revision(database, collection, statements, &codes).await
}

/// Index and code of one statement's error.
fn failure(error: &Bson) -> Option<(usize, i32)> {
    let error = error.as_document()?;
    Some((usize::try_from(error.get_i32("index").ok()?).ok()?, error.get_i32("code").ok()?))
}

const DUPLICATE_KEY: i32 = 11_000;

/// Reads which revisions are stored, which tells the winners from the losers.
async fn by_revision(
    database: &Database,
    collection: &str,
    statements: &[Statement],
    codes: &HashMap<usize, i32>,
) -> Result<Answers<Written>, Trouble> {
    let ids: Vec<_> = statements.iter().map(|statement| statement.id.clone()).collect();
    let records = database.collection::<RawDocumentBuf>(collection);
    let found =
        records.find(doc! { "_id": { "$in": ids } }).projection(doc! { "revision": 1 }).await?;
    let found: Vec<RawDocumentBuf> = found.try_collect().await?;
    let stored: std::collections::HashSet<_> =
        found.iter().filter_map(|document| document::revision(document)).collect();
    let answer = |(index, statement): (usize, &Statement)| {
        if stored.contains(&statement.revision) {
            return Ok(Written::Stored);
        }
        match codes.get(&index) {
            None | Some(&DUPLICATE_KEY) => Ok(Written::Lost),
            Some(code) => Err(StoreError::Unavailable(format!("write error {code}"))),
        }
    };
    Ok(statements.iter().enumerate().map(answer).collect())
}

/// The command for statements of one kind.
fn command(collection: &str, statements: &[Statement]) -> RawDocumentBuf {
    let kind = statements.first().map_or(Command::Insert, |statement| statement.command);
    let (name, list) = match kind {
        Command::Insert => (cstr!("insert"), cstr!("documents")),
        Command::Update => (cstr!("update"), cstr!("updates")),
    };
    let mut bodies = RawArrayBuf::new();
    for statement in statements {
        bodies.push(statement.body.clone());
    }
    let mut command = RawDocumentBuf::new();
    command.append(name, collection);
    command.append(list, bodies);
    command.append(cstr!("ordered"), false);
    // A raw command does not take the client's write concern.
    let concern = rawdoc! { "w": "majority", "j": true, "wtimeout": 10_000 };
    command.append(cstr!("writeConcern"), concern);
    command
}
