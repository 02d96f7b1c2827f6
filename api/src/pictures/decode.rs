//! From bytes to pixels and back, within the limits.

use std::io::Cursor;

use image::{
    AnimationDecoder, DynamicImage, ExtendedColorType, Frames, ImageDecoder, ImageEncoder,
    ImageError, ImageResult, Limits,
    codecs::{
        gif::GifDecoder,
        jpeg::{JpegDecoder, JpegEncoder},
        png::{CompressionType, FilterType, PngDecoder, PngEncoder},
        webp::{WebPDecoder, WebPEncoder},
    },
};
use schemas::image::ImageFormat;

use super::{PictureError, PictureLimits, profile, shape::Stripped};

/// Pixels, and the colour profile that says what they mean.
pub(super) struct Decoded {
    pub(super) image: DynamicImage,
    pub(super) profile: Option<Vec<u8>>,
}

/// Decodes the picture, or the first one of an animation.
pub(super) fn decode(picture: &Stripped, limits: &PictureLimits) -> Result<Decoded, PictureError> {
    let bytes = Cursor::new(picture.bytes.as_slice());
    let bounds = bounds(limits);
    let decoded = match picture.format {
        ImageFormat::Jpeg => JpegDecoder::new(bytes).and_then(|decoder| read(decoder, bounds)),
        ImageFormat::Png => {
            PngDecoder::with_limits(bytes, bounds.clone()).and_then(|decoder| read(decoder, bounds))
        }
        ImageFormat::Gif => GifDecoder::new(bytes).and_then(|decoder| read(decoder, bounds)),
        ImageFormat::WebP => WebPDecoder::new(bytes).and_then(|decoder| read(decoder, bounds)),
    };
    let decoded = decoded.map_err(|error| failure(&error, limits))?;
    if (decoded.image.width(), decoded.image.height()) != (picture.width, picture.height) {
        return Err(PictureError::Damaged);
    }
    Ok(decoded)
}

fn read(mut decoder: impl ImageDecoder, bounds: Limits) -> ImageResult<Decoded> {
    decoder.set_limits(bounds)?;
    // A broken profile is not worth the loss of the picture.
    let profile = decoder.icc_profile().ok().flatten();
    Ok(Decoded { image: DynamicImage::from_decoder(decoder)?, profile })
}

/// Proves every frame of an animation intact, one after the other.
pub(super) fn prove_frames(picture: &Stripped, limits: &PictureLimits) -> Result<(), PictureError> {
    let frames = frames(picture, limits).map_err(|error| failure(&error, limits))?;
    let mut count = 0;
    for frame in frames {
        frame.map_err(|error| failure(&error, limits))?;
        count += 1;
    }
    if count == picture.frames { Ok(()) } else { Err(PictureError::Damaged) }
}

fn frames<'a>(picture: &'a Stripped, limits: &PictureLimits) -> ImageResult<Frames<'a>> {
    let bytes = Cursor::new(picture.bytes.as_slice());
    match picture.format {
        ImageFormat::Jpeg => Ok(Frames::new(Box::new(std::iter::empty()))),
        ImageFormat::Png => {
            Ok(PngDecoder::with_limits(bytes, bounds(limits))?.apng()?.into_frames())
        }
        ImageFormat::Gif => {
            let mut decoder = GifDecoder::new(bytes)?;
            decoder.set_limits(bounds(limits))?;
            Ok(decoder.into_frames())
        }
        ImageFormat::WebP => Ok(WebPDecoder::new(bytes)?.into_frames()),
    }
}

/// Writes pixels in `format`; `quality` (1 to 100) is that of a JPEG, all others lose nothing.
pub(super) fn encode(
    decoded: Decoded,
    format: ImageFormat,
    quality: u8,
) -> Result<Vec<u8>, PictureError> {
    let Decoded { image, profile } = decoded;
    let mut bytes = Vec::new();
    let written = match format {
        ImageFormat::Jpeg => {
            let image = if image.color().has_color() {
                DynamicImage::from(image.into_rgb8())
            } else {
                DynamicImage::from(image.into_luma8())
            };
            write(JpegEncoder::new_with_quality(&mut bytes, quality), &image, profile)
        }
        ImageFormat::Png | ImageFormat::Gif => {
            let filter = FilterType::Adaptive;
            let encoder =
                PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, filter);
            write(encoder, &image, profile)
        }
        ImageFormat::WebP => {
            let image = if image.color().has_alpha() {
                DynamicImage::from(image.into_rgba8())
            } else {
                DynamicImage::from(image.into_rgb8())
            };
            write(WebPEncoder::new_lossless(&mut bytes), &image, profile)
        }
    };
    written.map_err(|_| PictureError::Damaged)?;
    Ok(bytes)
}

fn write(
    mut encoder: impl ImageEncoder,
    image: &DynamicImage,
    profile: Option<Vec<u8>>,
) -> ImageResult<()> {
    if let Some(profile) = profile.filter(|profile| profile::fits(profile, image.color())) {
        // An encoder that has no place for a profile writes the picture without it.
        encoder.set_icc_profile(profile).ok();
    }
    let colour: ExtendedColorType = image.color().into();
    encoder.write_image(image.as_bytes(), image.width(), image.height(), colour)
}

fn bounds(limits: &PictureLimits) -> Limits {
    let mut bounds = Limits::no_limits();
    bounds.max_image_width = Some(limits.max_side);
    bounds.max_image_height = Some(limits.max_side);
    bounds.max_alloc = Some(limits.max_memory);
    bounds
}

/// Sorts an error of a decoder by what was wrong with the upload.
fn failure(error: &ImageError, limits: &PictureLimits) -> PictureError {
    match error {
        // The headers were within the limits; a decoder that needs more than it should is rare.
        ImageError::Limits(_) => PictureError::TooManyPixels { limit: limits.max_pixels },
        ImageError::Unsupported(_) => PictureError::Unsupported("This kind of picture file"),
        _ => PictureError::Damaged,
    }
}
