//! Colour profiles: how long one may be, and when it says something about the pixels.

use image::ColorType;

/// Longest profile that is kept, in bytes as it is read. Real ones have some hundred bytes to some
/// hundred kilobytes; without the longer ones a picture is shown in the usual colours.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// Most segments of a profile in a JPEG file: they are numbered by one byte.
pub(super) const MAX_SEGMENTS: usize = 255;

/// Longest name of a profile in a PNG file.
const MAX_NAME: usize = 79;

/// Whether the content of a PNG's `iCCP` chunk is a profile that may be kept. It is inflated here
/// within [`MAX_BYTES`], by the same means as in the decoder, which itself knows no bound but the
/// memory of the picture.
pub(super) fn may_be_kept(chunk: &[u8]) -> bool {
    let Some(end) = chunk.iter().take(MAX_NAME + 1).position(|byte| *byte == 0) else {
        return false;
    };
    match chunk.get(end + 1..) {
        Some([0, deflated @ ..]) if end > 0 => {
            fdeflate::decompress_to_vec_bounded(deflated, MAX_BYTES).is_ok()
        }
        _ => false,
    }
}

/// Whether `profile` speaks of pixels in `colour`. A decoder turns CMYK into RGB and hands over
/// the profile for CMYK all the same.
pub(super) fn fits(profile: &[u8], colour: ColorType) -> bool {
    let space: &[u8] = if colour.has_color() { b"RGB " } else { b"GRAY" };
    profile.get(16..20) == Some(space)
}
