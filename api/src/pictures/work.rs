//! What is done to a picture, from its first byte to its digest. All of it blocks.

use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use image::metadata::Orientation;
use schemas::image::ImageFormat;

use super::{
    Picture, PictureError, PictureLimits,
    decode::{decode, encode, prove_frames},
    gif, jpeg,
    memory::Memory,
    png,
    shape::Stripped,
    sniff, thumbnail, thumbnail_format, webp,
};

/// Quality of a JPEG that had to be turned.
const TURNED_QUALITY: u8 = 90;

/// Quality of a JPEG thumbnail.
const THUMBNAIL_QUALITY: u8 = 82;

/// Judges an upload and answers the form in which it is stored.
///
/// Its bits stay as they are where that is possible: only a picture that must be turned is
/// encoded again. An animation that must be turned is refused.
pub(super) fn admit(
    upload: &[u8],
    limits: &PictureLimits,
    memory: &Memory,
) -> Result<Picture, PictureError> {
    let picture = strip(upload, sniff::format_of(upload)?, limits)?;
    let turned = picture.orientation != Orientation::NoTransforms;
    if turned && picture.animated {
        return Err(PictureError::TurnedAnimation);
    }
    let _loan = memory.lend(if turned { 2 * picture.memory } else { picture.memory })?;
    if picture.animated {
        prove_frames(&picture, limits)?;
    }
    let mut decoded = decode(&picture, limits)?;
    if !turned {
        return Ok(finish(picture.bytes, picture.format, picture.width, picture.height));
    }
    decoded.image.apply_orientation(picture.orientation);
    let (width, height) = (decoded.image.width(), decoded.image.height());
    let bytes = encode(decoded, picture.format, TURNED_QUALITY)?;

    Ok(finish(bytes, picture.format, width, height))
}

/// Makes a picture of at most `width` pixels across.
pub(super) fn shrink(
    original: Bytes,
    format: ImageFormat,
    width: u32,
    limits: &PictureLimits,
    memory: &Memory,
) -> Result<Picture, PictureError> {
    let picture = strip(&original, format, limits)?;
    let width = width.max(1);
    if picture.width <= width {
        return Ok(finish(original, format, picture.width, picture.height));
    }
    let _loan = memory.lend(2 * picture.memory)?;
    let mut decoded = decode(&picture, limits)?;
    decoded.image = thumbnail::resize(decoded.image, width);
    let (width, height) = (decoded.image.width(), decoded.image.height());
    let format = thumbnail_format(format);

    Ok(finish(encode(decoded, format, THUMBNAIL_QUALITY)?, format, width, height))
}

fn strip(
    file: &[u8],
    format: ImageFormat,
    limits: &PictureLimits,
) -> Result<Stripped, PictureError> {
    match format {
        ImageFormat::Jpeg => jpeg::strip(file, limits),
        ImageFormat::Png => png::strip(file, limits),
        ImageFormat::Gif => gif::strip(file, limits),
        ImageFormat::WebP => webp::strip(file, limits),
    }
}

fn finish(bytes: impl Into<Bytes>, format: ImageFormat, width: u32, height: u32) -> Picture {
    let bytes = bytes.into();
    let digest = hex(digest(&SHA256, &bytes).as_ref());
    Picture { bytes, format, width, height, digest }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string does not fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}
