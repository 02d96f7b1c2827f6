//! What may be stored as a picture, and in which form.
//!
//! An upload is judged by its content alone. Its limits are checked from the headers before
//! anything is decoded, one full decode proves it intact, and what is stored carries no metadata
//! and nothing after the end of the image. Decoding runs off the async threads, on a bounded pool.

mod cursor;
mod decode;
mod error;
mod gif;
mod jpeg;
mod limits;
mod memory;
mod png;
mod pool;
mod profile;
mod shape;
mod sniff;
#[cfg(test)]
mod tests;
mod thumbnail;
mod webp;
mod work;

use std::sync::Arc;

use bytes::Bytes;
use schemas::image::ImageFormat;

pub use self::{error::PictureError, limits::PictureLimits};
use self::{memory::Memory, pool::Pool};

/// A picture that is fit to be stored or served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The file.
    pub bytes: Bytes,
    /// What it is.
    pub format: ImageFormat,
    /// Pixels, as shown: after the orientation was applied.
    pub width: u32,
    /// Pixels, as shown: after the orientation was applied.
    pub height: u32,
    /// SHA-256 of `bytes`, in hex.
    pub digest: String,
}

/// The pool that decodes pictures. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pictures {
    limits: Arc<PictureLimits>,
    memory: Memory,
    pool: Pool,
}

impl Pictures {
    /// A pool with these limits.
    #[must_use]
    pub fn new(limits: PictureLimits) -> Self {
        let (pool, memory) = (Pool::new(&limits), Memory::new(&limits));
        Self { limits: Arc::new(limits), memory, pool }
    }

    /// Judges an upload and answers the form in which it is stored.
    ///
    /// # Errors
    ///
    /// [`PictureError::Busy`]: nothing was looked at, the same upload may come again shortly.
    /// Everything else is the fault of the upload and stays so.
    pub async fn admit(&self, upload: Bytes) -> Result<Picture, PictureError> {
        let size = upload.len();
        if size as u64 > self.limits.max_bytes {
            return Err(PictureError::TooLarge { limit: self.limits.max_bytes });
        }
        let (limits, memory) = (Arc::clone(&self.limits), self.memory.clone());
        self.pool.run(size, move || work::admit(&upload, &limits, &memory)).await
    }

    /// Makes a picture of at most `width` pixels across (at least 1) from a stored `original`.
    ///
    /// Its format is [`thumbnail_format`]. An original that is not wider is answered as it is,
    /// in its own format. Of an animation the first frame is shown.
    ///
    /// # Errors
    ///
    /// As [`Self::admit`].
    pub async fn thumbnail(
        &self,
        original: Bytes,
        format: ImageFormat,
        width: u32,
    ) -> Result<Picture, PictureError> {
        let (limits, memory) = (Arc::clone(&self.limits), self.memory.clone());
        let size = original.len();
        self.pool.run(size, move || work::shrink(original, format, width, &limits, &memory)).await
    }
}

/// The format of a thumbnail made from an original in `format`.
#[must_use]
pub const fn thumbnail_format(format: ImageFormat) -> ImageFormat {
    match format {
        ImageFormat::Jpeg => ImageFormat::Jpeg,
        ImageFormat::Png | ImageFormat::Gif => ImageFormat::Png,
        ImageFormat::WebP => ImageFormat::WebP,
    }
}
