//! Pictures, honest and hostile. Every file is made by `fixtures`.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod admission;
mod fixtures;
mod hostile;
mod pool;
mod thumbnails;

use super::{Picture, PictureError, PictureLimits, work};

/// Judges `file` by the default limits, on this thread.
fn admit(file: &[u8]) -> Result<Picture, PictureError> {
    work::admit(file, &PictureLimits::default())
}

fn contains(file: &[u8], part: &[u8]) -> bool {
    file.windows(part.len()).any(|window| window == part)
}
