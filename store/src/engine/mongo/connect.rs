//! The connection: safe defaults whatever the address says, and errors without credentials.

use std::time::Duration;

use bson::{Document, doc};
use mongodb::{
    Client, Database,
    error::{Error, ErrorKind},
    options::{
        Acknowledgment, ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern,
    },
};
use secrecy::{ExposeSecret, SecretString};

use super::patience::patiently;
use crate::{OpenError, StoreError};

/// Connections to each server.
const POOL: u32 = 32;

/// How long a call waits for a usable server.
const SELECTION: Duration = Duration::from_secs(4);

/// How long a write waits for its majority before it is sent again.
pub(super) const CONFIRMATION: Duration = Duration::from_secs(8);

/// Connects to `database` and waits for a primary.
pub(super) async fn connect(uri: &SecretString, database: &str) -> Result<Database, OpenError> {
    let options = ClientOptions::parse(uri.expose_secret()).await;
    let mut options = options.map_err(|error| OpenError::Address(describe(&error)))?;
    options.app_name.get_or_insert("feat".to_owned());
    options.max_pool_size = options.max_pool_size.max(Some(POOL));
    options.server_selection_timeout.get_or_insert(SELECTION);
    options.connect_timeout.get_or_insert(SELECTION);
    // What is promised to callers must not depend on the address or on the server's defaults.
    let journalled = WriteConcern::builder()
        .w(Acknowledgment::Majority)
        .journal(true)
        .w_timeout(CONFIRMATION)
        .build();
    options.write_concern = Some(journalled);
    options.read_concern = Some(ReadConcern::local());
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    let client = Client::with_options(options);
    let client = client.map_err(|error| OpenError::Address(describe(&error)))?;
    let database = client.database(database);
    match ask(&database, doc! { "ping": 1 }).await {
        Ok(_) => Ok(database),
        Err(StoreError::Unavailable(reason)) => Err(OpenError::NoPrimary(reason)),
        Err(error) => Err(OpenError::Failed(error.to_string())),
    }
}

/// The primary's answer to a command that changes nothing.
pub(super) async fn ask(database: &Database, command: Document) -> Result<Document, StoreError> {
    patiently(|_| {
        let (database, command) = (database.clone(), command.clone());
        async move { Ok(database.run_command(command).await?) }
    })
    .await
}

/// An error in words that hold neither an address with credentials nor a document.
pub(super) fn describe(error: &Error) -> String {
    match &*error.kind {
        ErrorKind::Command(command) => format!("{} ({})", command.code_name, command.code),
        ErrorKind::Authentication { .. } => "the credentials are refused".to_owned(),
        ErrorKind::Io(io) => io.to_string(),
        ErrorKind::ServerSelection { .. } => "no primary can be reached".to_owned(),
        ErrorKind::ConnectionPoolCleared { .. } => "the connection was lost".to_owned(),
        ErrorKind::DnsResolve { .. } => "its name cannot be resolved".to_owned(),
        // The driver quotes the part that it does not understand, which may be a password.
        ErrorKind::InvalidArgument { .. } => "a part of the address is malformed".to_owned(),
        ErrorKind::BsonDeserialization(_)
        | ErrorKind::BsonSerialization(_)
        | ErrorKind::Bson(_) => "an answer cannot be read".to_owned(),
        _ => "an unexpected error of the driver".to_owned(),
    }
}

/// The error for the caller; what was written, if anything, is not known.
pub(super) fn unavailable(error: &Error) -> StoreError {
    tracing::debug!(?error, "MongoDB call failed");
    StoreError::Unavailable(describe(error))
}

/// Server codes that say "not now": elections, shutdowns, lost hosts, exceeded waits.
const PASSING: [i32; 14] =
    [6, 7, 64, 89, 91, 189, 262, 9001, 10_058, 10_107, 11_600, 11_602, 13_435, 13_436];

/// Whether the same call may succeed a moment later.
pub(super) fn is_passing(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::Io(_)
        | ErrorKind::ConnectionPoolCleared { .. }
        | ErrorKind::ServerSelection { .. } => true,
        ErrorKind::Command(command) => PASSING.contains(&command.code),
        _ => false,
    }
}

/// Whether there is no such collection yet.
pub(super) fn is_missing(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::Command(command) if command.code == 26)
}

/// Whether the code of a write concern error, or of a statement's error, may pass.
pub(super) fn is_passing_code(code: i32) -> bool {
    PASSING.contains(&code)
}
