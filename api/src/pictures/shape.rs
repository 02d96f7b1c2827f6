//! What the headers of a picture claim, measured against the limits before anything is decoded.

use image::metadata::Orientation;
use schemas::image::ImageFormat;

use super::{PictureError, PictureLimits};

/// A picture without its metadata, not decoded yet.
#[derive(Debug)]
pub(super) struct Stripped {
    pub(super) format: ImageFormat,
    /// The file, up to the end of the image.
    pub(super) bytes: Vec<u8>,
    /// As stored, before the orientation is applied.
    pub(super) width: u32,
    /// As stored, before the orientation is applied.
    pub(super) height: u32,
    /// Pictures that the file holds.
    pub(super) frames: u32,
    /// Whether they are shown one after the other.
    pub(super) animated: bool,
    /// What the metadata said, before it was removed.
    pub(super) orientation: Orientation,
    /// Most bytes that its decode takes.
    pub(super) memory: u64,
}

/// Checks one frame of `width` by `height`, whose decode takes `bytes_per_pixel`.
pub(super) fn check_frame(
    width: u32,
    height: u32,
    bytes_per_pixel: u64,
    limits: &PictureLimits,
) -> Result<(), PictureError> {
    if width == 0 || height == 0 {
        return Err(PictureError::Damaged);
    }
    if width.max(height) > limits.max_side {
        return Err(PictureError::SideTooLong { limit: limits.max_side });
    }
    let limit = most_pixels(bytes_per_pixel, limits);
    if pixels(width, height) > limit {
        return Err(PictureError::TooManyPixels { limit });
    }
    Ok(())
}

/// Most pixels of a picture whose decode takes `bytes_per_pixel`.
pub(super) fn most_pixels(bytes_per_pixel: u64, limits: &PictureLimits) -> u64 {
    limits.max_pixels.min(limits.max_memory / bytes_per_pixel.max(1))
}

pub(super) fn pixels(width: u32, height: u32) -> u64 {
    u64::from(width) * u64::from(height)
}

/// Counts the frames of an animation and what they cost.
#[derive(Debug, Default)]
pub(super) struct Frames {
    pub(super) count: u32,
    pixels: u64,
}

impl Frames {
    /// Counts one more frame of so many pixels. The first is always within the limits, because
    /// a picture of one frame has limits of its own.
    pub(super) fn add(&mut self, pixels: u64, limits: &PictureLimits) -> Result<(), PictureError> {
        self.count += 1;
        self.pixels += pixels;
        if self.count > limits.max_frames.max(1) {
            return Err(PictureError::TooManyFrames { limit: u64::from(limits.max_frames.max(1)) });
        }
        if self.count > 1 && self.pixels > limits.max_animation_pixels {
            return Err(PictureError::TooManyFrames { limit: u64::from(self.count - 1) });
        }
        Ok(())
    }
}

/// The orientation in an Exif block, with or without its prefix. What cannot be read is upright.
pub(super) fn orientation_of(exif: &[u8]) -> Orientation {
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    Orientation::from_exif_chunk(tiff).unwrap_or(Orientation::NoTransforms)
}
