//! What a smaller picture is.

use std::io::Cursor;

use image::{DynamicImage, GenericImageView, Rgba, RgbaImage};
use schemas::image::ImageFormat;

use super::{
    super::{PictureError, thumbnail_format},
    fixtures::{self, FORMATS, still},
    shrink,
};

#[test]
fn every_format_is_made_smaller_and_keeps_its_proportions() {
    for format in FORMATS {
        let file = still(format, 640, 400);
        for (width, height) in [(320, 200), (100, 63), (1, 1)] {
            let small = shrink(&file, format, width).unwrap();

            assert_eq!((small.width, small.height), (width, height), "{format:?}");
            assert_eq!(small.format, thumbnail_format(format));
            let decoded = image::load_from_memory(&small.bytes).unwrap();
            assert_eq!(decoded.dimensions(), (width, height), "{format:?}");
        }
    }
}

#[test]
fn corners_keep_their_colours() {
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
        let small = shrink(&still(format, 640, 400), format, 64).unwrap();
        let decoded = image::load_from_memory(&small.bytes).unwrap().into_rgb8();
        let scene = fixtures::scene(64, 40);
        for (x, y) in [(4, 4), (60, 4), (4, 36), (60, 36)] {
            let pair = decoded.get_pixel(x, y).0.into_iter().zip(scene.get_pixel(x, y).0);
            for (is, expected) in pair {
                assert!(is.abs_diff(expected) < 16, "{format:?} at {x}, {y}");
            }
        }
    }
}

#[test]
fn a_picture_is_never_made_larger() {
    for format in FORMATS {
        let file = still(format, 64, 48);
        for width in [64, 65, 10_000, u32::MAX] {
            let same = shrink(&file, format, width).unwrap();
            assert!(same.bytes == file && same.format == format, "{format:?} {width}");
        }
    }
}

#[test]
fn a_line_keeps_one_pixel_of_height() {
    let small = shrink(&still(ImageFormat::Png, 3000, 1), ImageFormat::Png, 10).unwrap();

    assert_eq!((small.width, small.height), (10, 1));
}

#[test]
fn no_width_is_a_width_of_one() {
    let small = shrink(&still(ImageFormat::Png, 30, 30), ImageFormat::Png, 0).unwrap();

    assert_eq!((small.width, small.height), (1, 1));
}

#[test]
fn an_animation_shows_its_first_frame() {
    let cases = [
        ("GIF", ImageFormat::Gif, fixtures::gif(40, 20, 5)),
        ("APNG", ImageFormat::Png, fixtures::apng(40, 20, 5)),
        ("WebP", ImageFormat::WebP, fixtures::animated_webp(40, 20, 5)),
    ];
    for (name, format, file) in cases {
        let small = shrink(&file, format, 10).unwrap();

        let decoded = image::load_from_memory(&small.bytes).unwrap().into_rgb8();
        let [red, green, _] = decoded.get_pixel(5, 2).0;
        assert!(red < 10 && green > 245, "{name}: {red} {green}");
    }
}

#[test]
fn what_cannot_be_seen_does_not_bleed() {
    let image = RgbaImage::from_fn(64, 64, |x, _| {
        if x < 32 { Rgba([255, 255, 255, 255]) } else { Rgba([255, 0, 0, 0]) }
    });
    let mut file = Vec::new();
    let image = DynamicImage::from(image);
    image.write_to(&mut Cursor::new(&mut file), image::ImageFormat::Png).unwrap();

    let small = shrink(&file, ImageFormat::Png, 11).unwrap();

    let decoded = image::load_from_memory(&small.bytes).unwrap().into_rgba8();
    let (left, right) = (decoded.get_pixel(0, 5), decoded.get_pixel(10, 5));
    assert_eq!((left.0[3], right.0[3]), (255, 0), "transparency is kept");
    for pixel in decoded.pixels().filter(|pixel| pixel.0[3] > 32) {
        assert!(pixel.0[1] > 240, "{pixel:?}");
    }
}

#[test]
fn a_damaged_original_is_an_error() {
    let file = still(ImageFormat::Png, 64, 48);

    let broken = shrink(&file[..file.len() / 2], ImageFormat::Png, 32);

    assert_eq!(broken, Err(PictureError::Damaged));
}
