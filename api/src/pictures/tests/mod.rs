//! Pictures, honest and hostile. Every file is made by `fixtures`.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod admission;
mod fixtures;
mod hostile;
mod pool;
mod profiles;
mod thumbnails;

use schemas::image::ImageFormat;

use super::{Picture, PictureError, PictureLimits, memory::Memory, work};

/// Judges `file` by the default limits, on this thread.
fn admit(file: &[u8]) -> Result<Picture, PictureError> {
    admit_within(file, &PictureLimits::default())
}

/// Judges `file` by `limits`, on this thread.
fn admit_within(file: &[u8], limits: &PictureLimits) -> Result<Picture, PictureError> {
    work::admit(file, limits, &Memory::new(limits))
}

/// Makes a smaller picture of `file` by the default limits, on this thread.
fn shrink(file: &[u8], format: ImageFormat, width: u32) -> Result<Picture, PictureError> {
    let limits = PictureLimits::default();
    work::shrink(file.to_vec().into(), format, width, &limits, &Memory::new(&limits))
}

fn contains(file: &[u8], part: &[u8]) -> bool {
    file.windows(part.len()).any(|window| window == part)
}
