//! What can go wrong, sorted by what the caller may do next.

use std::path::PathBuf;

/// Why a call on an open store gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No answer in time, or no primary: whether the write happened is not known. The same call
    /// again is safe.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// More calls are waiting than the store takes in: nothing was written. Come back later.
    #[error("the store is busy")]
    Busy,
    /// A stored record does not parse, or a record has no form in which it could be stored; the
    /// same call again gives the same answer. Names the record, never its content.
    #[error("{collection} {id}: {reason}")]
    Unreadable {
        /// Collection or table.
        collection: &'static str,
        /// The record's id.
        id: String,
        /// What is wrong.
        reason: &'static str,
    },
}

impl StoreError {
    pub(crate) fn closed() -> Self {
        Self::Unavailable("it is closed".to_owned())
    }
}

/// Why a store could not be opened. Each text is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made, or nothing can be written there.
    #[error("cannot write in {}: {reason}; make the folder writable, or choose another one", folder.display())]
    NotWritable {
        /// The folder.
        folder: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// The file is damaged, or no SQLite database.
    #[error("{} is damaged or no SQLite database; move it away and put a backup in its place", file.display())]
    Corrupt {
        /// The file.
        file: PathBuf,
    },
    /// A newer Feat has changed the file in ways that this one does not know.
    #[error("{} was made by a newer Feat (format {found}, this one knows {known}); start that version instead", file.display())]
    Newer {
        /// The file.
        file: PathBuf,
        /// Format of the file.
        found: i32,
        /// Newest format that this build knows.
        known: i32,
    },
    /// Another process has the folder open.
    #[error("another Feat process uses {}; stop it first, or choose another folder", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The address or the database's name cannot be right.
    #[error(
        "the MongoDB address cannot be used ({0}); expected mongodb://host:port/?replicaSet=name"
    )]
    Address(String),
    /// No primary answered in time.
    #[error(
        "no MongoDB primary answered ({0}); check the address, the credentials and that the replica set is running"
    )]
    NoPrimary(String),
    /// Anything else.
    #[error("the store cannot be opened ({0}); run `feat check` and look at the disk")]
    Failed(String),
}
