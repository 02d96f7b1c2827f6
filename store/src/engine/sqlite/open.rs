//! Opening the file: what can be wrong with it, told apart.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::OpenError;

/// Version of the tables and indexes, kept in the file.
pub(super) const FORMAT: i32 = 1;

/// How long a process that is just ending may take to let go of the folder.
const LOCK_WAIT: Duration = Duration::from_secs(1);
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// How long a write waits for one of another process.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// Connections that only read.
pub(super) const READERS: usize = 3;

/// How a process lives in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stay {
    /// As the one that works there; a second one is refused.
    Owner,
    /// For a moment, whether somebody works there or not.
    Guest,
}

/// The open file: its connections, and the lock that keeps other owners out.
pub(super) struct Opened {
    pub(super) writer: Connection,
    pub(super) readers: Vec<Connection>,
    /// Held until the last connection is closed; an owner's alone.
    pub(super) lock: Option<File>,
}

/// Opens or makes the database in `folder`.
pub(super) fn open(folder: &Path, stay: Stay) -> Result<Opened, OpenError> {
    let lock = match stay {
        Stay::Owner => Some(lock(folder)?),
        Stay::Guest => None,
    };
    let file = folder.join("feat.db");
    let writer = connect(&file).map_err(|error| sort(folder, &file, &error))?;
    let found: i32 = writer
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|error| sort(folder, &file, &error))?;
    if found > FORMAT {
        return Err(OpenError::Newer { file, found, known: FORMAT });
    }
    let check: String = writer
        .query_one("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| sort(folder, &file, &error))?;
    if check != "ok" {
        return Err(OpenError::Corrupt { file });
    }
    let readers = (0..READERS).map(|_| connect(&file)).collect::<Result<_, _>>();
    let readers = readers.map_err(|error| sort(folder, &file, &error))?;
    Ok(Opened { writer, readers, lock })
}

fn lock(folder: &Path) -> Result<File, OpenError> {
    let not_writable = |error: std::io::Error| OpenError::NotWritable {
        folder: folder.to_owned(),
        reason: error.to_string(),
    };
    fs::create_dir_all(folder).map_err(not_writable)?;
    let lock = File::create(folder.join("feat.lock")).map_err(not_writable)?;
    let deadline = Instant::now() + LOCK_WAIT;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse { folder: folder.to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(not_writable(error)),
        }
    }
}

/// Whether another process owns `folder` at this moment.
pub(crate) fn is_owned(folder: &Path) -> bool {
    let lock = File::open(folder.join("feat.lock"));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn connect(file: &PathBuf) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    // A transaction that only turns into a writing one later would not wait for another process.
    connection.set_transaction_behavior(TransactionBehavior::Immediate);
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// What an error at opening means for the person who started Feat.
fn sort(folder: &Path, file: &Path, error: &rusqlite::Error) -> OpenError {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure,
        ) => OpenError::NotWritable { folder: folder.to_owned(), reason: error.to_string() },
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            OpenError::Corrupt { file: file.to_owned() }
        }
        _ => OpenError::Failed(error.to_string()),
    }
}
