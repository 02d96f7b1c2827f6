//! One uploaded picture, as stored.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::{ImageId, JobId, UserId},
    time::Timestamp,
};

/// Most tags of one picture.
pub const MAX_TAGS: usize = 64;

/// Longest tag, in characters.
pub const MAX_TAG_CHARS: usize = 64;

/// The record of one picture. Its bytes lie in the file store at
/// [`ImageRecord::original`] and below [`ImageRecord::variants`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImageRecord {
    /// Its name.
    pub id: ImageId,
    /// Who uploaded it, and alone may change it.
    pub owner: UserId,
    /// Counts the saved changes, from 1.
    pub version: u64,
    /// Last part of its public address; unique for each owner and hard to guess.
    pub file_name: String,
    /// Format of the original file.
    pub format: ImageFormat,
    /// Size of the original file in bytes.
    pub bytes: u64,
    /// SHA-256 of the original file, in hex; its entity tag.
    pub digest: String,
    /// Pixels, after the orientation was applied.
    pub width: u32,
    /// Pixels, after the orientation was applied.
    pub height: u32,
    /// In the order given by the owner, without doubles.
    pub tags: Vec<String>,
    /// When it was uploaded.
    pub created_at: Timestamp,
    /// Set from the moment its owner deleted it. Nobody else sees it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<Deletion>,
}

/// That, when and by which job a picture is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deletion {
    /// When its owner asked.
    pub at: Timestamp,
    /// The job that removes the files.
    pub job: JobId,
    /// Set before the first file is removed: from then on there is nothing to give back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purge_started_at: Option<Timestamp>,
}

/// A picture format that is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImageFormat {
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// WebP.
    WebP,
    /// GIF, also animated.
    Gif,
}

impl ImageFormat {
    /// File name extension, without the dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::WebP => "webp",
            Self::Gif => "gif",
        }
    }

    /// Media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
        }
    }
}

impl ImageRecord {
    /// Key of the original in the file store.
    #[must_use]
    pub fn original(&self) -> String {
        format!("{}.{}", self.variants(), self.format.extension())
    }

    /// Folder in the file store that holds every variant and nothing else; there is none before
    /// the first variant.
    #[must_use]
    pub fn variants(&self) -> String {
        format!("images/{}/{}", self.owner, self.id)
    }

    /// Whether anybody but the owner may see it.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        self.deletion.is_none()
    }

    /// Hides the picture on behalf of `job`. An earlier deletion stays.
    #[must_use]
    pub fn delete(mut self, job: JobId, now: Timestamp) -> Self {
        self.deletion.get_or_insert(Deletion { at: now, job, purge_started_at: None });
        self.version += 1;
        self
    }

    /// Hides the picture, if it is not hidden yet, and marks that its files are being removed.
    #[must_use]
    pub fn purge(mut self, job: JobId, now: Timestamp) -> Self {
        let deletion = Deletion { at: now, job, purge_started_at: None };
        self.deletion.get_or_insert(deletion).purge_started_at.get_or_insert(now);
        self.version += 1;
        self
    }

    /// Whether files may be missing already.
    #[must_use]
    pub fn is_purging(&self) -> bool {
        self.deletion.as_ref().is_some_and(|deletion| deletion.purge_started_at.is_some())
    }

    /// Shows the picture again after `job`, and no other, had hidden it. `None` when there is
    /// nothing to give back, because it is not hidden by that job or its files may be missing.
    #[must_use]
    pub fn restore(mut self, job: JobId) -> Option<Self> {
        let deletion = self.deletion.take()?;
        if deletion.job != job || deletion.purge_started_at.is_some() {
            return None;
        }
        self.version += 1;
        Some(self)
    }

    /// Changes nothing but the version, so that a save that was decided before becomes stale.
    #[must_use]
    pub fn fence(mut self) -> Self {
        self.version += 1;
        self
    }

    /// Replaces the tags.
    #[must_use]
    pub fn tag(mut self, tags: Vec<String>) -> Self {
        self.tags = tags;
        self.version += 1;
        self
    }
}
