//! Why the file store did not do what was asked.

/// Why a call to the file store failed, sorted by what the caller may do next.
///
/// The texts name no secret and no content. They may name the path of a folder.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum BlobError {
    /// No answer, or a passing trouble: what was asked may or may not have happened. The same
    /// call again is safe.
    #[error("the file store did not answer: {0}")]
    Unavailable(String),
    /// The disk refuses to be written: it is read-only, full, or not ours. The operator must act;
    /// the same call later is safe.
    #[error("the file store cannot be written: {0}")]
    NotWritable(String),
    /// The settings are wrong, or the service refused the credentials or the bucket. The operator
    /// must act; the same call later is safe.
    #[error("the file store is not set up: {0}")]
    Misconfigured(String),
    /// The key is not a path of plain segments. The same call would fail again.
    #[error("the key of a file is not valid")]
    InvalidKey,
}
