//! The store of files: a folder, or anything that speaks S3.
//!
//! A key is a path of plain segments joined by `/`. A file appears whole or not at all, and what
//! was put is on the disk (or confirmed by the service) when the call returns.

mod error;
mod folder;
mod key;
mod probe;
mod removals;
mod s3;

use std::{ops::Range, path::Path};

use bytes::Bytes;
use futures::stream::BoxStream;
use secrecy::SecretString;

pub use self::error::BlobError;
use self::{folder::Folder, s3::Bucket};
use crate::Finding;

/// A store of files. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Blobs {
    engine: Engine,
}

#[derive(Debug, Clone)]
enum Engine {
    Folder(Folder),
    Bucket(Bucket),
}

/// Where an S3-compatible store is, and who asks.
#[derive(Debug, Clone)]
pub struct S3Settings {
    /// Name of the bucket. It must exist.
    pub bucket: String,
    /// Region that requests are signed for.
    pub region: String,
    /// Address of the service; `None` means Amazon's own for the region.
    pub endpoint: Option<String>,
    /// Name of the access key.
    pub access_key_id: String,
    /// The access key itself.
    pub secret_access_key: SecretString,
    /// Whether an endpoint without TLS is acceptable.
    pub allow_http: bool,
}

/// A file on its way out.
pub struct BlobRead {
    /// Size of the whole file in bytes, also when a range was asked for.
    pub size: u64,
    /// Its bytes, or those of the range.
    pub bytes: BoxStream<'static, Result<Bytes, BlobError>>,
}

impl Blobs {
    /// Keeps the files below folder `path`, which is created when it is missing.
    ///
    /// # Errors
    ///
    /// [`BlobError::NotWritable`] when the folder cannot be made or written.
    pub fn folder(path: &Path) -> Result<Self, BlobError> {
        Ok(Self { engine: Engine::Folder(Folder::open(path)?) })
    }

    /// Keeps the files in a bucket. Nothing is asked of the service yet: see [`Self::check`].
    ///
    /// # Errors
    ///
    /// [`BlobError::Misconfigured`] when the settings cannot be right.
    pub fn s3(settings: S3Settings) -> Result<Self, BlobError> {
        Ok(Self { engine: Engine::Bucket(Bucket::open(settings)?) })
    }

    /// Stores `bytes` under `key`; what was there is replaced at once. Again is safe.
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<(), BlobError> {
        key::check(key)?;
        match &self.engine {
            Engine::Folder(files) => files.put(key, bytes).await,
            Engine::Bucket(files) => files.put(key, bytes).await,
        }
    }

    /// Reads the file at `key`, or a range of it in bytes (what lies past its end is left out).
    /// `None` when there is no such file.
    pub async fn get(
        &self,
        key: &str,
        range: Option<Range<u64>>,
    ) -> Result<Option<BlobRead>, BlobError> {
        key::check(key)?;
        match &self.engine {
            Engine::Folder(files) => files.get(key, range).await,
            Engine::Bucket(files) => files.get(key, range).await,
        }
    }

    /// Removes the file at `key` and every file below `folder`, and reads back that nothing is
    /// left.
    ///
    /// Answers how many files this call removed: 0 when they were gone before. Again is safe.
    pub async fn remove(&self, key: &str, folder: &str) -> Result<u32, BlobError> {
        key::check(key)?;
        key::check(folder)?;
        match &self.engine {
            Engine::Folder(files) => files.remove(key, folder).await,
            Engine::Bucket(files) => files.remove(key, folder).await,
        }
    }

    /// Removes every file below `folder` and reads back that nothing is left.
    ///
    /// Answers how many files this call removed: 0 when they were gone before. Again is safe.
    pub async fn remove_folder(&self, folder: &str) -> Result<u32, BlobError> {
        key::check(folder)?;
        match &self.engine {
            Engine::Folder(files) => files.remove_folder(folder).await,
            Engine::Bucket(files) => files.remove_folder(folder).await,
        }
    }

    /// The keys of every file below `folder`, sorted.
    pub async fn list(&self, folder: &str) -> Result<Vec<String>, BlobError> {
        key::check(folder)?;
        match &self.engine {
            Engine::Folder(files) => files.list(folder).await,
            Engine::Bucket(files) => files.list(folder).await,
        }
    }

    /// Writes, reads and removes a probe.
    pub async fn check(&self) -> Vec<Finding> {
        probe::run(self).await
    }
}
