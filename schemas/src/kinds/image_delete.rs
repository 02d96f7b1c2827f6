//! Removes the files of one picture that its owner deleted.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::ImageId,
    job::{Claim, Job, RetryPolicy},
    queue::Queue,
    scope::Scope,
};

/// Removes the file of a picture and every variant, and proves them gone.
///
/// Repeatable: what is already gone counts as removed. Cancelled before the first removal, it
/// gives the picture back to everyone.
pub enum ImageDelete {}

impl Job for ImageDelete {
    const KIND: &'static str = "image.delete";
    const QUEUE: Queue = Queue::Images;
    const RETRY: RetryPolicy =
        RetryPolicy::doubling(12, Duration::from_secs(1), Duration::from_mins(30));
    const TIMEOUT: Duration = Duration::from_secs(30);
    const CLAIM: Claim = Claim::OnRepeat;
    const SCOPE: Option<Scope> = Some(Scope::UserImage);
    type Payload = ImageDeletion;
    type Output = DeletionReceipt;
}

/// Which picture to remove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImageDeletion {
    /// The picture; its owner is the job's owner.
    pub image: ImageId,
}

/// What a finished deletion did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeletionReceipt {
    /// The picture.
    pub image: ImageId,
    /// Files that this run removed, original and variants; 0 when they were gone before.
    pub files_removed: u32,
}

impl ImageDeletion {
    /// The key by which a picture has one deletion at most.
    #[must_use]
    pub fn unique_key(&self) -> String {
        format!("{}:{}", ImageDelete::KIND, self.image)
    }
}
