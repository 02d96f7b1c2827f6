//! What is stored of an honest picture.

use std::io::Cursor;

use image::{AnimationDecoder, DynamicImage, RgbImage, codecs::gif::GifDecoder, imageops};
use schemas::image::ImageFormat;

use super::{
    admit, contains,
    fixtures::{self, FORMATS, SECRET, scene, still, with_metadata},
};

/// How `upright` looks when `orientation` is applied, by the table of the Exif standard.
fn turned(upright: &RgbImage, orientation: u8) -> RgbImage {
    match orientation {
        2 => imageops::flip_horizontal(upright),
        3 => imageops::rotate180(upright),
        4 => imageops::flip_vertical(upright),
        5 => imageops::flip_horizontal(&imageops::rotate90(upright)),
        6 => imageops::rotate90(upright),
        7 => imageops::flip_horizontal(&imageops::rotate270(upright)),
        8 => imageops::rotate270(upright),
        _ => upright.clone(),
    }
}

fn pixels(file: &[u8]) -> RgbImage {
    image::load_from_memory(file).unwrap().into_rgb8()
}

fn farthest(one: &RgbImage, other: &RgbImage) -> u8 {
    assert_eq!(one.dimensions(), other.dimensions());
    let pairs = one.iter().zip(other.iter());
    pairs.map(|(one, other)| one.abs_diff(*other)).max().unwrap()
}

#[test]
fn what_carries_no_metadata_is_stored_as_it_came() {
    for format in FORMATS {
        let file = still(format, 64, 48);

        let picture = admit(&file).unwrap();

        assert_eq!((picture.format, picture.width, picture.height), (format, 64, 48));
        assert!(picture.bytes == file, "{format:?}");
        assert_eq!(picture.digest.len(), 64);
    }
}

#[test]
fn the_digest_is_that_of_the_stored_bytes() {
    let file = still(ImageFormat::Png, 8, 8);
    let one = admit(&file).unwrap();
    let same = admit(&with_metadata(ImageFormat::Png, &file, 1)).unwrap();
    let other = admit(&still(ImageFormat::Png, 8, 9)).unwrap();

    assert_eq!(one.digest, same.digest);
    assert_ne!(one.digest, other.digest);
    let computed = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &one.bytes);
    assert_eq!(one.digest, format!("{computed:?}").split(':').next_back().unwrap());
}

#[test]
fn every_orientation_is_applied_and_no_metadata_is_left() {
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
        let file = still(format, 64, 48);
        let upright = pixels(&file);
        for orientation in 1..=8 {
            let name = format!("{format:?} {orientation}");
            let upload = with_metadata(format, &file, orientation);
            assert!(contains(&upload, SECRET), "{name}");

            let picture = admit(&upload).unwrap();

            let expected = turned(&upright, orientation);
            assert_eq!((picture.width, picture.height), expected.dimensions(), "{name}");
            let close = if format == ImageFormat::Jpeg { 24 } else { 0 };
            assert!(farthest(&pixels(&picture.bytes), &expected) <= close, "{name}");
            for private in [SECRET, b"Exif", b"EXIF", b"eXIf", b"GPS", b"XMP ", b"xmp", b"tEXt"] {
                assert!(!contains(&picture.bytes, private), "{name}");
            }
        }
    }
}

#[test]
fn an_upright_picture_loses_its_metadata_and_not_a_bit_more() {
    for format in FORMATS {
        let file = still(format, 64, 48);

        let picture = admit(&with_metadata(format, &file, 1)).unwrap();

        assert!(!contains(&picture.bytes, SECRET), "{format:?}");
        assert_eq!(pixels(&picture.bytes), pixels(&file), "{format:?}");
        if format != ImageFormat::WebP {
            assert!(picture.bytes == file, "{format:?}");
        }
    }
}

#[test]
fn an_orientation_that_makes_no_sense_is_ignored() {
    let file = still(ImageFormat::Jpeg, 64, 48);
    for orientation in [0, 9, 255] {
        let picture = admit(&with_metadata(ImageFormat::Jpeg, &file, orientation)).unwrap();
        assert!(picture.bytes == file, "{orientation}");
    }
}

#[test]
fn animations_stay_animated() {
    let cases = [
        ("GIF", ImageFormat::Gif, fixtures::gif(20, 10, 7)),
        ("APNG", ImageFormat::Png, fixtures::apng(20, 10, 7)),
        ("WebP", ImageFormat::WebP, fixtures::animated_webp(20, 10, 7)),
    ];
    for (name, format, file) in cases {
        let picture = admit(&with_metadata(format, &file, 1)).unwrap();

        assert!(picture.bytes == file, "{name}");
        assert_eq!((picture.width, picture.height), (20, 10), "{name}");
    }
    let decoder = GifDecoder::new(Cursor::new(fixtures::gif(20, 10, 7))).unwrap();
    assert_eq!(decoder.into_frames().collect_frames().unwrap().len(), 7);
}

#[test]
fn a_thumbnail_inside_the_header_is_dropped() {
    let file = still(ImageFormat::Jpeg, 16, 16);
    let mut upload = vec![0xFF, 0xD8, 0xFF, 0xE0, 0, 16 + 12];
    upload.extend(b"JFIF\0\x01\x02\0\0\x01\0\x01\x02\x02");
    upload.extend(b"small-secret");
    upload.extend(&file[20..]);

    let picture = admit(&upload).unwrap();

    assert!(!contains(&picture.bytes, b"small-secret"));
    assert_eq!(pixels(&picture.bytes), pixels(&file));
}

#[test]
fn grey_transparent_and_deep_pictures_are_taken() {
    let deep = DynamicImage::from(scene(9, 9)).into_rgba16();
    let cases = [
        ("grey", DynamicImage::from(scene(9, 9)).into_luma8().into()),
        ("grey and transparent", DynamicImage::from(scene(9, 9)).into_luma_alpha8().into()),
        ("transparent", DynamicImage::from(DynamicImage::from(scene(9, 9)).into_rgba8())),
        ("sixteen bits", DynamicImage::from(deep)),
    ];
    for (name, image) in cases {
        let mut file = Vec::new();
        image.write_to(&mut Cursor::new(&mut file), image::ImageFormat::Png).unwrap();
        for orientation in [1, 5] {
            let upload = with_metadata(ImageFormat::Png, &file, orientation);
            let picture = admit(&upload).unwrap();
            let stored = image::load_from_memory(&picture.bytes).unwrap();
            assert_eq!(stored.color(), image.color(), "{name} {orientation}");
        }
    }
}
