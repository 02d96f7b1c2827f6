//! The blocks of a GIF file: what is kept is the frames, their timing and how often they repeat.

use image::metadata::Orientation;
use schemas::image::ImageFormat;

use super::{
    PictureError, PictureLimits,
    cursor::Cursor,
    shape::{Frames, Stripped, check_frame, pixels},
};

/// A canvas, the frame and the canvas of the frame before, four bytes each.
const BYTES_PER_PIXEL: u64 = 12;

/// Removes the metadata and what follows the image, after the limits were checked.
pub(super) fn strip(input: &[u8], limits: &PictureLimits) -> Result<Stripped, PictureError> {
    let whole = input;
    let mut input = Cursor::new(input);
    if !matches!(&input.array()?, b"GIF87a" | b"GIF89a") {
        return Err(PictureError::NotAPicture);
    }
    let width = u32::from(u16::from_le_bytes(input.array()?));
    let height = u32::from(u16::from_le_bytes(input.array()?));
    check_frame(width, height, BYTES_PER_PIXEL, limits)?;
    let [flags, _, _] = input.array()?;
    skip_palette(flags, &mut input)?;

    let mut file =
        File { kept: before(whole, input).to_vec(), control: &[], frames: Frames::default() };
    while file.block(&mut input, pixels(width, height), limits)? {}

    if file.frames.count == 0 {
        return Err(PictureError::Damaged);
    }
    Ok(Stripped {
        format: ImageFormat::Gif,
        bytes: file.kept,
        width,
        height,
        frames: file.frames.count,
        animated: file.frames.count > 1,
        orientation: Orientation::NoTransforms,
        memory: BYTES_PER_PIXEL * pixels(width, height),
    })
}

/// What was read so far.
struct File<'a> {
    kept: Vec<u8>,
    /// Timing and transparency of the frame to come.
    control: &'a [u8],
    frames: Frames,
}

impl<'a> File<'a> {
    /// Reads one block; `false` after the end of the image.
    fn block(
        &mut self,
        input: &mut Cursor<'a>,
        canvas: u64,
        limits: &PictureLimits,
    ) -> Result<bool, PictureError> {
        let whole = input.rest();
        match input.byte()? {
            0x3B => {
                self.kept.push(0x3B);
                return Ok(false);
            }
            0x21 => self.extension(whole, input)?,
            0x2C => self.frame(whole, input, canvas, limits)?,
            // Some writers fill up with zeros.
            0x00 => {}
            _ => return Err(PictureError::Damaged),
        }
        Ok(true)
    }

    fn extension(&mut self, whole: &'a [u8], input: &mut Cursor<'a>) -> Result<(), PictureError> {
        let label = input.byte()?;
        let content = input.rest();
        skip_sub_blocks(input)?;
        match label {
            0xF9 => self.control = before(whole, *input),
            // How often the animation repeats: a name, then a sub-block of three bytes.
            0xFF if is_repetition(content) => {
                self.kept.extend([0x21, 0xFF]);
                self.kept.extend(&content[..16]);
                self.kept.push(0);
            }
            // Text that is drawn takes the control before it. Nothing shows it any more.
            0x01 => self.control = &[],
            _ => {}
        }
        Ok(())
    }

    fn frame(
        &mut self,
        whole: &'a [u8],
        input: &mut Cursor<'a>,
        canvas: u64,
        limits: &PictureLimits,
    ) -> Result<(), PictureError> {
        input.take(4)?;
        let width = u32::from(u16::from_le_bytes(input.array()?));
        let height = u32::from(u16::from_le_bytes(input.array()?));
        check_frame(width, height, BYTES_PER_PIXEL, limits)?;
        self.frames.add(canvas.max(pixels(width, height)), limits)?;
        let flags = input.byte()?;
        skip_palette(flags, input)?;
        input.byte()?;
        skip_sub_blocks(input)?;

        self.kept.extend(std::mem::take(&mut self.control));
        self.kept.extend(before(whole, *input));
        Ok(())
    }
}

fn is_repetition(content: &[u8]) -> bool {
    let named = content.starts_with(b"\x0bNETSCAPE2.0") || content.starts_with(b"\x0bANIMEXTS1.0");
    named && content[12..].starts_with(b"\x03\x01") && content.len() > 16
}

/// The part of `whole` that lies before `rest`, its tail.
fn before<'a>(whole: &'a [u8], rest: Cursor<'_>) -> &'a [u8] {
    &whole[..whole.len() - rest.rest().len()]
}

fn skip_palette(flags: u8, input: &mut Cursor<'_>) -> Result<(), PictureError> {
    if flags & 0x80 != 0 {
        input.take(3 << ((flags & 7) + 1))?;
    }
    Ok(())
}

fn skip_sub_blocks(input: &mut Cursor<'_>) -> Result<(), PictureError> {
    loop {
        match input.byte()? {
            0 => return Ok(()),
            length => input.take(length.into())?,
        };
    }
}
