//! The chunks of a PNG file: what is kept is the image, its colours and its animation.

use image::metadata::Orientation;
use schemas::image::ImageFormat;

use super::{
    PictureError, PictureLimits,
    cursor::Cursor,
    profile,
    shape::{Frames, Stripped, check_frame, orientation_of, pixels},
};

/// How every PNG file begins.
pub(super) const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// Chunks that say how the picture looks. All others are left out.
const KEPT: [&[u8; 4]; 15] = [
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT",
    b"pHYs", b"cICP", b"acTL", b"fcTL", b"fdAT",
];

/// Removes the metadata and what follows the image, after the limits were checked. Of what is
/// deflated only the picture is left, and a colour profile that inflates to no more than it may.
pub(super) fn strip(input: &[u8], limits: &PictureLimits) -> Result<Stripped, PictureError> {
    let mut input = Cursor::new(input);
    if input.array()? != SIGNATURE {
        return Err(PictureError::NotAPicture);
    }
    let mut kept = Vec::with_capacity(input.rest().len() + SIGNATURE.len());
    kept.extend(SIGNATURE);
    let header = Header::read(input)?;
    check_frame(header.width, header.height, header.bytes_per_pixel, limits)?;

    let mut frames = Frames::default();
    let mut orientation = None;
    let mut profiles = 0;
    loop {
        let whole = input.rest();
        let length = u32::from_be_bytes(input.array()?) as usize;
        let kind = input.array()?;
        let data = input.take(length)?;
        input.take(4)?;
        match &kind {
            b"fcTL" => frames.add(pixels(header.width, header.height), limits)?,
            b"eXIf" => orientation = orientation.or(Some(orientation_of(data))),
            _ => {}
        }
        // Further profiles mean nothing, so they are not even looked at.
        profiles += u32::from(&kind == b"iCCP");
        let kept_one = &kind != b"iCCP" || (profiles == 1 && profile::may_be_kept(data));
        if KEPT.contains(&&kind) && kept_one {
            kept.extend(&whole[..length + 12]);
        }
        if &kind == b"IEND" {
            break;
        }
    }
    let mut bytes_per_pixel = header.bytes_per_pixel;
    if frames.count > 0 {
        // An animation is composed on a canvas and keeps the one before.
        bytes_per_pixel += 12;
        check_frame(header.width, header.height, bytes_per_pixel, limits)?;
    }
    Ok(Stripped {
        format: ImageFormat::Png,
        bytes: kept,
        width: header.width,
        height: header.height,
        frames: frames.count.max(1),
        animated: frames.count > 0,
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
        memory: bytes_per_pixel * pixels(header.width, header.height),
    })
}

/// The first chunk.
struct Header {
    width: u32,
    height: u32,
    bytes_per_pixel: u64,
}

impl Header {
    fn read(mut input: Cursor<'_>) -> Result<Self, PictureError> {
        if input.array()? != *b"\0\0\0\x0dIHDR" {
            return Err(PictureError::Damaged);
        }
        let width = u32::from_be_bytes(input.array()?);
        let height = u32::from_be_bytes(input.array()?);
        let [depth, colour] = input.array()?;
        // Transparency may be added to what has none.
        let channels = if matches!(colour, 0 | 4) { 2 } else { 4 };
        let bytes_per_pixel = if depth == 16 { 2 * channels } else { channels };
        Ok(Self { width, height, bytes_per_pixel })
    }
}
