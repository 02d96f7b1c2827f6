//! The segments of a JPEG file: what is kept is the image, its colour profile and nothing else.

use std::ops::Range;

use image::metadata::Orientation;
use schemas::image::ImageFormat;

use super::{
    PictureError, PictureLimits,
    cursor::Cursor,
    profile::{MAX_BYTES, MAX_SEGMENTS},
    shape::{Stripped, check_frame, orientation_of, pixels},
};

/// Most scans of a file. Each is a pass over the whole picture, however short it is.
const MAX_SCANS: u32 = 100;

/// Most pixels that all scans pass over: thirty scans of the largest picture. Encoders write about
/// ten.
const MAX_SCANNED_PIXELS: u64 = 1_500_000_000;

const UNSUPPORTED: PictureError = PictureError::Unsupported("This kind of JPEG file");

/// The frame header.
#[derive(Debug, Clone, Copy)]
struct Frame {
    width: u32,
    height: u32,
    components: u64,
    progressive: bool,
    /// Bytes of all coefficients, for each pixel.
    coefficients: u64,
}

impl Frame {
    fn parse(marker: u8, payload: &[u8]) -> Result<Self, PictureError> {
        let mut header = Cursor::new(payload);
        let precision = header.byte()?;
        let height = u16::from_be_bytes(header.array()?);
        let width = u16::from_be_bytes(header.array()?);
        let components = header.byte()?;
        // A height of 0 is given after the first scan, by a marker that nobody writes.
        if precision != 8 || height == 0 || !matches!(components, 1 | 3 | 4) {
            return Err(UNSUPPORTED);
        }
        let mut samples = 0;
        let mut most = 1;
        for _ in 0..components {
            let [_, factors, _] = header.array()?;
            let count = u64::from(factors >> 4) * u64::from(factors & 15);
            samples += count;
            most = most.max(count);
        }
        Ok(Self {
            width: width.into(),
            height: height.into(),
            components: components.into(),
            progressive: marker == 0xC2,
            coefficients: (2 * samples).div_ceil(most),
        })
    }

    fn check(self, keeps_coefficients: bool, limits: &PictureLimits) -> Result<(), PictureError> {
        check_frame(self.width, self.height, self.bytes_per_pixel(keeps_coefficients), limits)
    }

    fn bytes_per_pixel(self, keeps_coefficients: bool) -> u64 {
        self.components + if keeps_coefficients { self.coefficients } else { 0 }
    }
}

/// Removes the metadata and what follows the image, after the limits were checked.
///
/// Kept are the tables, the frame, the scans, the JFIF header without its thumbnail, the colour
/// profile unless it is too long, and the colour transform.
pub(super) fn strip(input: &[u8], limits: &PictureLimits) -> Result<Stripped, PictureError> {
    let mut input = Cursor::new(input);
    if input.array()? != [0xFF, 0xD8] {
        return Err(PictureError::NotAPicture);
    }
    let mut file = File::new(input.rest().len());
    while file.segment(&mut input, limits)? {}

    let frame = file.frame.ok_or(PictureError::Damaged)?;
    if file.scans == 0 {
        return Err(PictureError::Damaged);
    }
    let keeps_coefficients = frame.progressive || file.scans > 1;
    frame.check(keeps_coefficients, limits)?;
    Ok(Stripped {
        format: ImageFormat::Jpeg,
        memory: frame.bytes_per_pixel(keeps_coefficients) * pixels(frame.width, frame.height),
        orientation: file.orientation.unwrap_or(Orientation::NoTransforms),
        bytes: file.finish(),
        width: frame.width,
        height: frame.height,
        frames: 1,
        animated: false,
    })
}

/// What was read so far.
struct File {
    kept: Vec<u8>,
    frame: Option<Frame>,
    scans: u32,
    orientation: Option<Orientation>,
    profile: Profile,
}

/// The segments of the colour profile, among what is kept.
#[derive(Default)]
struct Profile {
    segments: Vec<Range<usize>>,
    bytes: usize,
}

impl Profile {
    fn is_too_long(&self) -> bool {
        self.bytes > MAX_BYTES || self.segments.len() > MAX_SEGMENTS
    }
}

impl File {
    fn new(size: usize) -> Self {
        let mut kept = Vec::with_capacity(size);
        kept.extend([0xFF, 0xD8]);
        Self { kept, frame: None, scans: 0, orientation: None, profile: Profile::default() }
    }

    /// Reads one segment; `false` after the end of the image.
    fn segment(
        &mut self,
        input: &mut Cursor<'_>,
        limits: &PictureLimits,
    ) -> Result<bool, PictureError> {
        let marker = next_marker(input)?;
        if marker == 0xD9 {
            self.kept.extend([0xFF, 0xD9]);
            return Ok(false);
        }
        if matches!(marker, 0x00..=0xBF | 0xD0..=0xD8) {
            return Err(PictureError::Damaged);
        }
        let length = usize::from(u16::from_be_bytes(input.array()?));
        let payload = input.take(length.checked_sub(2).ok_or(PictureError::Damaged)?)?;
        match marker {
            0xC0..=0xC2 => self.start_frame(marker, payload, limits)?,
            0xC4 | 0xDB | 0xDD => self.keep(marker, payload),
            0xC3..=0xCF | 0xDC | 0xDE | 0xDF => return Err(UNSUPPORTED),
            0xDA => self.scan(payload, input)?,
            _ => self.application(marker, payload),
        }
        Ok(true)
    }

    fn keep(&mut self, marker: u8, payload: &[u8]) {
        // A payload came with a length of 16 bits, and no kept one is longer than it came.
        let length = u16::try_from(payload.len() + 2).unwrap_or(u16::MAX);
        self.kept.extend([0xFF, marker]);
        self.kept.extend(length.to_be_bytes());
        self.kept.extend(payload);
    }

    fn keep_profile(&mut self, marker: u8, payload: &[u8]) {
        if self.profile.is_too_long() {
            return;
        }
        let start = self.kept.len();
        self.keep(marker, payload);
        self.profile.segments.push(start..self.kept.len());
        self.profile.bytes += payload.len();
    }

    /// What is stored: without a profile that turned out too long.
    fn finish(self) -> Vec<u8> {
        if !self.profile.is_too_long() {
            return self.kept;
        }
        let mut kept = Vec::with_capacity(self.kept.len());
        let mut from = 0;
        for segment in self.profile.segments {
            kept.extend(&self.kept[from..segment.start]);
            from = segment.end;
        }
        kept.extend(&self.kept[from..]);
        kept
    }

    fn start_frame(
        &mut self,
        marker: u8,
        payload: &[u8],
        limits: &PictureLimits,
    ) -> Result<(), PictureError> {
        let frame = Frame::parse(marker, payload)?;
        frame.check(frame.progressive, limits)?;
        if self.frame.replace(frame).is_some() {
            return Err(PictureError::Damaged);
        }
        self.keep(marker, payload);
        Ok(())
    }

    /// Keeps a scan with its data, up to the next marker.
    fn scan(&mut self, payload: &[u8], input: &mut Cursor<'_>) -> Result<(), PictureError> {
        self.scans += 1;
        let frame = self.frame.ok_or(PictureError::Damaged)?;
        let scanned = u64::from(self.scans) * pixels(frame.width, frame.height);
        if self.scans > MAX_SCANS || scanned > MAX_SCANNED_PIXELS {
            return Err(UNSUPPORTED);
        }
        self.keep(0xDA, payload);
        let is_end = |pair: &[u8]| pair[0] == 0xFF && !matches!(pair[1], 0x00 | 0xD0..=0xD7 | 0xFF);
        let end = input.rest().windows(2).position(is_end).ok_or(PictureError::Damaged)?;
        self.kept.extend(input.take(end)?);
        Ok(())
    }

    fn application(&mut self, marker: u8, payload: &[u8]) {
        match marker {
            0xE0 if payload.starts_with(b"JFIF\0") && payload.len() >= 14 => {
                let mut header = payload[..14].to_vec();
                // The sides of the thumbnail, which is left out.
                header[12..].fill(0);
                self.keep(marker, &header);
            }
            0xE1 if payload.starts_with(b"Exif\0\0") => {
                self.orientation.get_or_insert_with(|| orientation_of(payload));
            }
            0xE2 if payload.starts_with(b"ICC_PROFILE\0") => self.keep_profile(marker, payload),
            0xEE if payload.starts_with(b"Adobe") && payload.len() >= 12 => {
                self.keep(marker, &payload[..12]);
            }
            _ => {}
        }
    }
}

/// Moves over a marker and the bytes that fill up before it.
fn next_marker(input: &mut Cursor<'_>) -> Result<u8, PictureError> {
    if input.byte()? != 0xFF {
        return Err(PictureError::Damaged);
    }
    loop {
        match input.byte()? {
            0xFF => {}
            marker => return Ok(marker),
        }
    }
}
