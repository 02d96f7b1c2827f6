//! Why a server could not be had.

use std::{io, path::PathBuf, time::Duration};

/// Why a server could not be started, stopped or asked, sorted by what the caller may do next.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// There is no way to get the server on this machine: take one of the three that are named.
    #[error(
        "cannot start {server}: {reason}\n\
         There are three ways to get it:\n  \
         1. start it yourself and give its address: {variables}\n  \
         2. start a Docker engine (`docker version` must show a server)\n  \
         3. on Debian or Ubuntu, run this command as root: it installs what is missing"
    )]
    NoWay {
        /// What is wanted.
        server: &'static str,
        /// The environment variables that give an address.
        variables: &'static str,
        /// What is missing for the native way.
        reason: String,
    },
    /// A command that installs or asks something failed: its output says why.
    #[error("`{command}` failed: {output}")]
    Command {
        /// The command line.
        command: String,
        /// The end of what it wrote.
        output: String,
    },
    /// The server ended or did not answer in time: its log says why.
    #[error("{server} was not ready after {} s ({reason}); the end of {log}:\n{tail}", .within.as_secs())]
    NotReady {
        /// The server.
        server: &'static str,
        /// How long it was given.
        within: Duration,
        /// What was seen instead.
        reason: String,
        /// Its log.
        log: String,
        /// The last lines of it.
        tail: String,
    },
    /// A file or folder cannot be used: look at its permissions and the free space.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ServiceError {
    /// For [`Result::map_err`] on calls about `path`.
    pub(super) fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::File { path, source }
    }
}
