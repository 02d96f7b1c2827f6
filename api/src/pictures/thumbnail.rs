//! Makes a picture smaller.

use image::{DynamicImage, RgbaImage, imageops::FilterType};

/// From this factor on a picture is averaged down first: the good filter then has less to do.
const AVERAGE_FROM: u32 = 4;

/// `image` at `width` pixels across, which is less than it has, in eight bits a channel. The
/// height follows, and is at least one pixel.
pub(super) fn resize(image: DynamicImage, width: u32) -> DynamicImage {
    let height = height_at(width, &image);
    if image.color().has_alpha() {
        let mut pixels = image.into_rgba8();
        premultiply(&mut pixels);
        let mut small = sample(&DynamicImage::from(pixels), width, height).into_rgba8();
        unmultiply(&mut small);
        return small.into();
    }
    if image.color().has_color() {
        return sample(&DynamicImage::from(image.into_rgb8()), width, height);
    }
    sample(&DynamicImage::from(image.into_luma8()), width, height)
}

fn height_at(width: u32, image: &DynamicImage) -> u32 {
    let across = u64::from(image.width().max(1));
    let height = (u64::from(image.height()) * u64::from(width) + across / 2) / across;
    u32::try_from(height).unwrap_or(u32::MAX).max(1)
}

fn sample(image: &DynamicImage, width: u32, height: u32) -> DynamicImage {
    let averaged = (image.width() / width >= AVERAGE_FROM
        && image.height() / height >= AVERAGE_FROM)
        .then(|| image.thumbnail_exact(2 * width, 2 * height));
    let image = averaged.as_ref().unwrap_or(image);
    image.resize_exact(width, height, FilterType::Lanczos3)
}

/// Weighs colours by their opacity, so that what cannot be seen does not bleed into what can.
fn premultiply(image: &mut RgbaImage) {
    for pixel in image.pixels_mut() {
        let [colours @ .., alpha] = &mut pixel.0;
        for colour in colours {
            *colour = divided(u32::from(*colour) * u32::from(*alpha), 255);
        }
    }
}

fn unmultiply(image: &mut RgbaImage) {
    for pixel in image.pixels_mut() {
        let [colours @ .., alpha] = &mut pixel.0;
        for colour in colours {
            *colour = divided(u32::from(*colour) * 255, u32::from(*alpha).max(1));
        }
    }
}

fn divided(value: u32, by: u32) -> u8 {
    u8::try_from((value + by / 2) / by).unwrap_or(u8::MAX)
}
