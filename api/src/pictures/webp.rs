//! The chunks of a WebP file: what is kept is the image, its colour profile and its animation.

use image::metadata::Orientation;
use schemas::image::ImageFormat;

use super::{
    PictureError, PictureLimits,
    cursor::Cursor,
    profile,
    shape::{Frames, Stripped, check_frame, orientation_of, pixels},
};

/// The decoded picture beside the planes or the transforms that it comes from.
const BYTES_PER_PIXEL: u64 = 8;

/// The same, beside a canvas.
const BYTES_PER_ANIMATED_PIXEL: u64 = 16;

/// Bits of the extended header that announce Exif and XMP.
const METADATA: u8 = 0x08 | 0x04;

/// The bit of the extended header that announces an animation.
const ANIMATION: u8 = 0x02;

/// The bit of the extended header that announces a colour profile.
const PROFILE: u8 = 0x20;

/// Removes the metadata and what follows the image, after the limits were checked.
pub(super) fn strip(input: &[u8], limits: &PictureLimits) -> Result<Stripped, PictureError> {
    let mut input = Cursor::new(input);
    if input.array()? != *b"RIFF" {
        return Err(PictureError::NotAPicture);
    }
    let size = u32::from_le_bytes(input.array()?) as usize;
    let mut chunks = Cursor::new(input.take(size)?);
    if chunks.array()? != *b"WEBP" {
        return Err(PictureError::NotAPicture);
    }
    let mut file = File::new(size + 8);
    while !chunks.is_empty() {
        let (kind, data) = next_chunk(&mut chunks)?;
        file.chunk(kind, data, limits)?;
    }
    file.finish()
}

/// What was read so far.
struct File {
    kept: Vec<u8>,
    /// Sides of the whole picture.
    canvas: Option<(u32, u32)>,
    animated: bool,
    has_still: bool,
    frames: Frames,
    orientation: Option<Orientation>,
    has_profile: bool,
    /// Where the bits of the extended header are among what is kept.
    flags_at: Option<usize>,
}

impl File {
    fn new(size: usize) -> Self {
        let mut kept = Vec::with_capacity(size);
        kept.extend(b"RIFF\0\0\0\0WEBP");
        Self {
            kept,
            canvas: None,
            animated: false,
            has_still: false,
            frames: Frames::default(),
            orientation: None,
            has_profile: false,
            flags_at: None,
        }
    }

    fn chunk(
        &mut self,
        kind: [u8; 4],
        data: &[u8],
        limits: &PictureLimits,
    ) -> Result<(), PictureError> {
        match &kind {
            b"VP8X" if self.canvas.is_none() => self.extended_header(data, limits)?,
            b"VP8 " | b"VP8L" if !self.has_still && !self.animated => {
                self.still(kind, data, limits)?;
            }
            b"ANMF" if self.animated => self.frame(data, limits)?,
            b"ICCP" => self.profile(data),
            b"ANIM" | b"ALPH" if self.canvas.is_some() => keep(&mut self.kept, kind, data),
            b"EXIF" => self.orientation = self.orientation.or(Some(orientation_of(data))),
            _ => {}
        }
        Ok(())
    }

    fn extended_header(&mut self, data: &[u8], limits: &PictureLimits) -> Result<(), PictureError> {
        let mut header = Cursor::new(data);
        let [flags, ..] = header.array::<4>()?;
        let (width, height) = (1 + u24(&mut header)?, 1 + u24(&mut header)?);
        self.animated = flags & ANIMATION != 0;
        let cost = if self.animated { BYTES_PER_ANIMATED_PIXEL } else { BYTES_PER_PIXEL };
        check_frame(width, height, cost, limits)?;
        self.canvas = Some((width, height));

        let mut kept = data[..10].to_vec();
        kept[0] = flags & !METADATA;
        keep(&mut self.kept, *b"VP8X", &kept);
        self.flags_at = Some(self.kept.len() - kept.len());
        Ok(())
    }

    fn profile(&mut self, data: &[u8]) {
        if self.flags_at.is_some() && !self.has_profile && data.len() <= profile::MAX_BYTES {
            self.has_profile = true;
            keep(&mut self.kept, *b"ICCP", data);
        }
    }

    fn still(
        &mut self,
        kind: [u8; 4],
        data: &[u8],
        limits: &PictureLimits,
    ) -> Result<(), PictureError> {
        let (width, height) = sides(kind, data)?;
        check_frame(width, height, BYTES_PER_PIXEL, limits)?;
        if self.canvas.is_some_and(|canvas| canvas != (width, height)) {
            return Err(PictureError::Damaged);
        }
        self.canvas = Some((width, height));
        self.has_still = true;
        self.frames.add(pixels(width, height), limits)?;
        keep(&mut self.kept, kind, data);
        Ok(())
    }

    fn frame(&mut self, data: &[u8], limits: &PictureLimits) -> Result<(), PictureError> {
        let canvas = self.canvas.ok_or(PictureError::Damaged)?;
        let mut input = Cursor::new(data);
        let (x, y) = (2 * u24(&mut input)?, 2 * u24(&mut input)?);
        let (width, height) = (1 + u24(&mut input)?, 1 + u24(&mut input)?);
        input.take(4)?;
        if x + width > canvas.0 || y + height > canvas.1 {
            return Err(PictureError::Damaged);
        }
        self.frames.add(pixels(canvas.0, canvas.1), limits)?;

        let mut kept = data[..16].to_vec();
        while !input.is_empty() {
            let (kind, data) = next_chunk(&mut input)?;
            match &kind {
                b"VP8 " | b"VP8L" if sides(kind, data)? != (width, height) => {
                    return Err(PictureError::Damaged);
                }
                b"VP8 " | b"VP8L" | b"ALPH" => keep(&mut kept, kind, data),
                _ => {}
            }
        }
        keep(&mut self.kept, *b"ANMF", &kept);
        Ok(())
    }

    fn finish(mut self) -> Result<Stripped, PictureError> {
        let (width, height) = self.canvas.ok_or(PictureError::Damaged)?;
        if self.frames.count == 0 {
            return Err(PictureError::Damaged);
        }
        if let Some(at) = self.flags_at.filter(|_| !self.has_profile) {
            self.kept[at] &= !PROFILE;
        }
        let cost = if self.animated { BYTES_PER_ANIMATED_PIXEL } else { BYTES_PER_PIXEL };
        let size = u32::try_from(self.kept.len() - 8).map_err(|_| PictureError::Damaged)?;
        self.kept[4..8].copy_from_slice(&size.to_le_bytes());
        Ok(Stripped {
            format: ImageFormat::WebP,
            bytes: self.kept,
            width,
            height,
            frames: self.frames.count,
            animated: self.animated,
            orientation: self.orientation.unwrap_or(Orientation::NoTransforms),
            memory: cost * pixels(width, height),
        })
    }
}

/// Reads a chunk and the byte that fills it up to an even length.
fn next_chunk<'a>(input: &mut Cursor<'a>) -> Result<([u8; 4], &'a [u8]), PictureError> {
    let kind = input.array()?;
    let length = u32::from_le_bytes(input.array()?) as usize;
    let data = input.take(length)?;
    // The last one is not always filled up.
    if length % 2 == 1 && !input.is_empty() {
        input.byte()?;
    }
    Ok((kind, data))
}

fn keep(kept: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    // A chunk came with a length of 32 bits, and no kept one is longer than it came.
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    kept.extend(kind);
    kept.extend(length.to_le_bytes());
    kept.extend(data);
    kept.extend((data.len() % 2 == 1).then_some(0));
}

fn u24(input: &mut Cursor<'_>) -> Result<u32, PictureError> {
    let [low, middle, high] = input.array()?;
    Ok(u32::from_le_bytes([low, middle, high, 0]))
}

/// The sides that the bit stream itself claims.
fn sides(kind: [u8; 4], data: &[u8]) -> Result<(u32, u32), PictureError> {
    let mut input = Cursor::new(data);
    if &kind == b"VP8L" {
        if input.byte()? != 0x2F {
            return Err(PictureError::Damaged);
        }
        let bits = u32::from_le_bytes(input.array()?);
        return Ok((1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)));
    }
    input.take(3)?;
    if input.array()? != [0x9D, 0x01, 0x2A] {
        return Err(PictureError::Damaged);
    }
    let width = u16::from_le_bytes(input.array()?) & 0x3FFF;
    let height = u16::from_le_bytes(input.array()?) & 0x3FFF;
    Ok((width.into(), height.into()))
}
