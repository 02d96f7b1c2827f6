//! Why a command ended without doing what it was asked, in words that say what to do next.

use std::io;

use store::StoreError;

use crate::config::Problems;

/// Ends the command with exit code 1 (2 for a misuse, as for other mistakes on the command line).
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Something outside has to change first; the text says what and how.
    #[error("{0}")]
    Setup(String),
    /// The command was asked for in a way that it does not do.
    #[error("{0}")]
    Misuse(String),
    /// The configuration is wrong.
    #[error("{0}")]
    Config(#[from] Problems),
    /// The store did not do what it was asked.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The answer could not be written.
    #[error("cannot write the answer: {0}")]
    Output(#[from] io::Error),
    /// The books differ; the command's own answer says how. Exit code 3.
    #[error("the books differ")]
    Differs,
    /// What was wrong has been said already, as the command's own answer.
    #[error("not well")]
    Told,
}

impl Failure {
    /// What went wrong and what to do about it, as one line.
    pub(crate) fn setup(problem: impl std::fmt::Display, advice: impl std::fmt::Display) -> Self {
        Self::Setup(format!("{problem}. {advice}."))
    }

    /// Tells the person on standard error; returns the exit code.
    pub(crate) fn report(&self) -> u8 {
        match self {
            // The reader of our output went away, as `head` does: nothing to complain about.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Told => 1,
            Self::Differs => 3,
            Self::Misuse(_) => {
                eprintln!("feat: {self}");
                2
            }
            Self::Setup(_) | Self::Config(_) | Self::Store(_) | Self::Output(_) => {
                eprintln!("feat: {self}");
                1
            }
        }
    }
}
