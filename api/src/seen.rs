//! Pictures that passed through this process a moment ago.
//!
//! Whoever deletes a picture has mostly just uploaded, listed or read it. What was seen may be old
//! by now, so it serves only where a guarded save tells: a stale one is read again.

use std::time::Duration;

use moka::sync::Cache;
use schemas::{ImageId, UserId, image::ImageRecord};

/// Most memory for it, in bytes.
const MAX_BYTES: u64 = 8 << 20;

/// How long a picture is kept.
const KEPT: Duration = Duration::from_mins(10);

/// The pictures, by owner and id. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Seen(Cache<(UserId, ImageId), ImageRecord>);

impl Seen {
    pub(crate) fn new() -> Self {
        let cache = Cache::builder()
            .max_capacity(MAX_BYTES)
            .weigher(|_, image| weight(image))
            .time_to_live(KEPT)
            .build();
        Self(cache)
    }

    /// Takes note of `image` as the store gave it or took it.
    pub(crate) fn note(&self, image: &ImageRecord) {
        if image.is_live() {
            self.0.insert((image.owner, image.id), image.clone());
        }
    }

    /// The picture as it was seen last, for the caller who owns it; it is forgotten with that.
    pub(crate) fn take(&self, owner: UserId, id: ImageId) -> Option<ImageRecord> {
        self.0.remove(&(owner, id))
    }
}

/// About how many bytes an entry takes, with the cache's own.
fn weight(image: &ImageRecord) -> u32 {
    const BESIDE: usize = 256;
    let tags: usize = image.tags.iter().map(|tag| size_of::<String>() + tag.len()).sum();
    let texts = image.file_name.len() + image.digest.len() + tags;
    u32::try_from(BESIDE + size_of::<ImageRecord>() + texts).unwrap_or(u32::MAX)
}
