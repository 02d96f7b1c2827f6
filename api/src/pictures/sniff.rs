//! What a file is, by its first bytes and nothing else.

use schemas::image::ImageFormat;

use super::{PictureError, png::SIGNATURE};

/// The format of `file`.
///
/// # Errors
///
/// [`PictureError::Unsupported`] for pictures of other kinds, else [`PictureError::NotAPicture`].
pub(super) fn format_of(file: &[u8]) -> Result<ImageFormat, PictureError> {
    if file.starts_with(&[0xFF, 0xD8, 0xFF]) {
        return Ok(ImageFormat::Jpeg);
    }
    if file.starts_with(&SIGNATURE) {
        return Ok(ImageFormat::Png);
    }
    if file.starts_with(b"GIF87a") || file.starts_with(b"GIF89a") {
        return Ok(ImageFormat::Gif);
    }
    if file.starts_with(b"RIFF") && file.get(8..12) == Some(b"WEBP") {
        return Ok(ImageFormat::WebP);
    }
    Err(other_kind(file).map_or(PictureError::NotAPicture, PictureError::Unsupported))
}

/// Names a kind of picture that people do send.
fn other_kind(file: &[u8]) -> Option<&'static str> {
    if file.get(4..8) == Some(b"ftyp") {
        return match file.get(8..12)? {
            b"heic" | b"heix" | b"hevc" | b"heim" | b"heis" | b"mif1" | b"msf1" => Some("HEIC"),
            b"avif" | b"avis" => Some("AVIF"),
            _ => None,
        };
    }
    let kinds: [(&[u8], &str); 6] = [
        (b"II*\0", "TIFF"),
        (b"MM\0*", "TIFF"),
        (b"8BPS\0\x01", "A Photoshop file"),
        (b"\0\0\x01\0", "An icon file"),
        (b"\xFF\x0A", "JPEG XL"),
        (b"\0\0\0\x0CJXL \r\n\x87\n", "JPEG XL"),
    ];
    let known = kinds.iter().find(|(start, _)| file.starts_with(start)).map(|(_, name)| *name);
    let bitmap = file.starts_with(b"BM") && file.get(6..10) == Some(&[0; 4]);
    known.or(bitmap.then_some("BMP"))
}
