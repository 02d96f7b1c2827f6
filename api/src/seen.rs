//! Records that passed through this process a moment ago.
//!
//! Whoever deletes a picture has mostly just uploaded, listed or read it, and whoever pays a bill has
//! mostly just made it. What was seen may be old by now, so it serves only where a guarded write
//! tells: a stale one is read again.

use std::{hash::Hash, time::Duration};

use moka::sync::Cache;
use schemas::{BillRecord, BillSn, ImageId, UserId, image::ImageRecord};

/// Most memory for the records of a kind, in bytes.
const MAX_BYTES: u64 = 8 << 20;

/// How long a record is kept.
const KEPT: Duration = Duration::from_mins(10);

/// A record that is worth keeping for its owner's next call.
pub(crate) trait Passing: Clone + Send + Sync + 'static {
    /// Its id.
    type Id: Hash + Eq + Send + Sync + 'static;

    /// Its owner and its id.
    fn key(&self) -> (UserId, Self::Id);

    /// Whether the owner's next call may begin with it.
    fn is_of_use(&self) -> bool;

    /// About how many bytes its texts take.
    fn texts(&self) -> usize;
}

/// The records, by owner and id. Cheap to clone.
pub(crate) struct Seen<R: Passing>(Cache<(UserId, R::Id), R>);

impl<R: Passing> Seen<R> {
    pub(crate) fn new() -> Self {
        let cache = Cache::builder()
            .max_capacity(MAX_BYTES)
            .weigher(|_, record| weight(record))
            .time_to_live(KEPT)
            .build();
        Self(cache)
    }

    /// Takes note of `record` as the store gave it or took it.
    pub(crate) fn note(&self, record: &R) {
        if record.is_of_use() {
            self.0.insert(record.key(), record.clone());
        }
    }

    /// The record as it was seen last, for the caller who owns it; it is forgotten with that.
    pub(crate) fn take(&self, owner: UserId, id: R::Id) -> Option<R> {
        self.0.remove(&(owner, id))
    }
}

impl Passing for ImageRecord {
    type Id = ImageId;

    fn key(&self) -> (UserId, ImageId) {
        (self.owner, self.id)
    }

    fn is_of_use(&self) -> bool {
        self.is_live()
    }

    fn texts(&self) -> usize {
        let tags: usize = self.tags.iter().map(|tag| size_of::<String>() + tag.len()).sum();
        self.file_name.len() + self.digest.len() + tags
    }
}

impl Passing for BillRecord {
    type Id = BillSn;

    fn key(&self) -> (UserId, BillSn) {
        (self.owner, self.id.clone())
    }

    /// As long as nobody has begun anything with it.
    fn is_of_use(&self) -> bool {
        self.version == 1
    }

    fn texts(&self) -> usize {
        self.subject.len() + self.client_ref.as_ref().map_or(0, String::len)
    }
}

/// About how many bytes an entry takes, with the cache's own.
fn weight<R: Passing>(record: &R) -> u32 {
    const BESIDE: usize = 256;
    u32::try_from(BESIDE + size_of::<R>() + record.texts()).unwrap_or(u32::MAX)
}
