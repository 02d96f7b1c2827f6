//! Files in a bucket of an S3-compatible service.
//!
//! Every request has a time-out and is repeated for a bounded time; each of them may be repeated
//! safely. Proxies of the environment are not used, so that files go where the settings say.

use std::{ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    client::{HttpClient, HttpConnector},
    path::Path,
};
use reqwest::redirect::Policy;
use secrecy::ExposeSecret;

use super::{BlobError, BlobRead, S3Settings};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a removal begins again because files appear meanwhile.
const ROUNDS: u32 = 4;

/// A bucket.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    store: Arc<AmazonS3>,
}

impl Bucket {
    pub(super) fn open(settings: S3Settings) -> Result<Self, BlobError> {
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(settings.bucket)
            .with_region(settings.region)
            .with_access_key_id(settings.access_key_id)
            .with_secret_access_key(settings.secret_access_key.expose_secret())
            .with_allow_http(settings.allow_http)
            .with_http_connector(Direct { allow_http: settings.allow_http })
            .with_retry(retries());
        if let Some(endpoint) = settings.endpoint {
            let plain = endpoint.strip_prefix("http://").is_some();
            if plain && !settings.allow_http {
                let text = format!("{endpoint} has no TLS, and allow_http is not set");
                return Err(BlobError::Misconfigured(text));
            }
            builder = builder.with_endpoint(endpoint);
        }
        let store = builder.build().map_err(|error| BlobError::Misconfigured(error.to_string()))?;

        Ok(Self { store: Arc::new(store) })
    }

    pub(super) async fn put(&self, key: &str, bytes: Bytes) -> Result<(), BlobError> {
        self.store.put(&path(key)?, bytes.into()).await.map_err(failure)?;
        Ok(())
    }

    pub(super) async fn get(
        &self,
        key: &str,
        range: Option<Range<u64>>,
    ) -> Result<Option<BlobRead>, BlobError> {
        let path = path(key)?;
        if range.as_ref().is_some_and(Range::is_empty) {
            return self.nothing_of(&path).await;
        }
        let start = range.as_ref().map_or(0, |range| range.start);
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        match self.store.get_opts(&path, options).await {
            Ok(found) => {
                let size = found.meta.size;
                Ok(Some(BlobRead { size, bytes: found.into_stream().map_err(failure).boxed() }))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            // A range past the end is an error of the service, and not one of ours.
            Err(error) if start > 0 => match self.nothing_of(&path).await? {
                Some(empty) if empty.size > start => Err(failure(error)),
                empty_or_absent => Ok(empty_or_absent),
            },
            Err(error) => Err(failure(error)),
        }
    }

    /// The size of a file without any of its bytes.
    async fn nothing_of(&self, path: &Path) -> Result<Option<BlobRead>, BlobError> {
        match self.store.head(path).await {
            Ok(meta) => Ok(Some(BlobRead { size: meta.size, bytes: stream::empty().boxed() })),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failure(error)),
        }
    }

    pub(super) async fn remove(&self, key: &str, folder: &str) -> Result<u32, BlobError> {
        self.take_away(Some(path(key)?), path(folder)?).await
    }

    pub(super) async fn remove_folder(&self, folder: &str) -> Result<u32, BlobError> {
        self.take_away(None, path(folder)?).await
    }

    async fn take_away(&self, file: Option<Path>, folder: Path) -> Result<u32, BlobError> {
        let found = async || {
            let mut found = self.paths(&folder).await?;
            if let Some(file) = &file
                && self.nothing_of(file).await?.is_some()
            {
                found.push(file.clone());
            }
            Ok(found)
        };
        let mut removed = 0;
        for _ in 0..ROUNDS {
            let found = found().await?;
            if found.is_empty() {
                return Ok(removed);
            }
            let gone = self.store.delete_stream(stream::iter(found.into_iter().map(Ok)).boxed());
            let gone = gone.filter(|gone| {
                let absent = matches!(gone, Err(object_store::Error::NotFound { .. }));
                std::future::ready(!absent)
            });
            let gone: Vec<_> = gone.try_collect().await.map_err(failure)?;
            removed += u32::try_from(gone.len()).unwrap_or(u32::MAX);
        }
        if found().await?.is_empty() {
            return Ok(removed);
        }
        Err(BlobError::Unavailable("files keep appearing in the folder".into()))
    }

    pub(super) async fn list(&self, folder: &str) -> Result<Vec<String>, BlobError> {
        let found = self.paths(&path(folder)?).await?;
        let mut keys: Vec<_> = found.into_iter().map(String::from).collect();
        keys.sort_unstable();
        Ok(keys)
    }

    async fn paths(&self, folder: &Path) -> Result<Vec<Path>, BlobError> {
        let found = self.store.list(Some(folder)).map_ok(|meta| meta.location);
        found.try_collect().await.map_err(failure)
    }
}

/// Connects without a proxy and without redirects.
#[derive(Debug)]
struct Direct {
    allow_http: bool,
}

impl HttpConnector for Direct {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = reqwest::Client::builder()
            .https_only(!self.allow_http)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .redirect(Policy::none())
            .no_proxy()
            .build();
        client
            .map(HttpClient::new)
            .map_err(|error| object_store::Error::Generic { store: "S3", source: Box::new(error) })
    }
}

/// At most three repetitions within ten seconds; a job that needs longer is tried again later.
fn retries() -> RetryConfig {
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(2),
        base: 2.0,
    };
    RetryConfig { backoff, max_retries: 3, retry_timeout: Duration::from_secs(10) }
}

fn path(key: &str) -> Result<Path, BlobError> {
    Path::parse(key).map_err(|_| BlobError::InvalidKey)
}

/// Sorts an error of the service by what the caller may do next.
fn failure(error: object_store::Error) -> BlobError {
    use object_store::Error as E;
    match error {
        E::InvalidPath { .. } => BlobError::InvalidKey,
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => {
            BlobError::Misconfigured("the service refused the access key".into())
        }
        // Of what Feat asks for, only a bucket can be missing here.
        E::NotFound { .. } => BlobError::Misconfigured("the bucket does not exist".into()),
        other => BlobError::Unavailable(other.to_string()),
    }
}
