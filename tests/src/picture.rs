//! Pictures for tests, made on the spot.

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};

/// A small PNG, different for each `seed`.
///
/// # Panics
///
/// Never: the encoder writes to memory.
#[must_use]
pub fn png(width: u32, height: u32, seed: u8) -> Vec<u8> {
    let picture = RgbImage::from_fn(width, height, |x, y| {
        let mix = |value: u32| u8::try_from(value % 251).unwrap_or(0);
        Rgb([mix(x), mix(y), seed])
    });
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).expect("PNG in memory");
    bytes.into_inner()
}
