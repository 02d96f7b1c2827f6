//! Colour profiles: kept where they say what the pixels mean, and never a way to fill memory.

use std::io::Cursor;

use image::{ExtendedColorType, ImageDecoder, codecs::jpeg::JpegDecoder, codecs::png::PngDecoder};
use schemas::image::ImageFormat;

use super::{
    admit, contains,
    fixtures::{png_chunk, png_chunks, riff, riff_chunk, still, u24, with_metadata},
    shrink,
};

/// A JPEG in CMYK, 24 by 16 pixels, without metadata.
const CMYK: &[u8] = include_bytes!("cmyk.jpg");

/// Far beyond any real profile.
const LONG: usize = 3 << 20;

/// The head of a profile for pixels in `space`, and what fills it up to `size` bytes.
fn profile(space: [u8; 4], size: usize) -> Vec<u8> {
    let mut profile = vec![7; size];
    profile[..4].copy_from_slice(&u32::try_from(size).unwrap().to_be_bytes());
    profile[16..20].copy_from_slice(&space);
    profile[36..40].copy_from_slice(b"acsp");
    profile
}

/// `file` with `profile` in as many segments as it needs.
fn jpeg_with(file: &[u8], profile: &[u8]) -> Vec<u8> {
    let mut out = file[..2].to_vec();
    let parts = profile.chunks(65_000);
    let count = u8::try_from(parts.len()).unwrap();
    for (number, part) in (1..).zip(parts) {
        out.extend([0xFF, 0xE2]);
        out.extend(u16::try_from(part.len() + 16).unwrap().to_be_bytes());
        out.extend(b"ICC_PROFILE\0");
        out.extend([number, count]);
        out.extend(part);
    }
    out.extend(&file[2..]);
    out
}

fn png_with(file: &[u8], chunks: &[Vec<u8>]) -> Vec<u8> {
    let header_end = 8 + 25;
    [&file[..header_end], chunks.concat().as_slice(), &file[header_end..]].concat()
}

fn iccp(name: &[u8], deflated: &[u8]) -> Vec<u8> {
    png_chunk(*b"iCCP", &[name, &[0, 0], deflated].concat())
}

fn webp_with(file: &[u8], profile: &[u8]) -> Vec<u8> {
    let bits = u32::from_le_bytes(file[21..25].try_into().unwrap());
    let sides = [u24(bits & 0x3FFF), u24(bits >> 14 & 0x3FFF)].concat();
    let header = riff_chunk(*b"VP8X", &[&[0x20, 0, 0, 0], sides.as_slice()].concat());
    riff(&[&header, &riff_chunk(*b"ICCP", profile), &file[12..]].concat())
}

fn png_profile(file: &[u8]) -> Option<Vec<u8>> {
    PngDecoder::new(Cursor::new(file)).unwrap().icc_profile().unwrap()
}

fn jpeg_profile(file: &[u8]) -> Option<Vec<u8>> {
    JpegDecoder::new(Cursor::new(file)).unwrap().icc_profile().unwrap()
}

#[test]
fn a_profile_is_kept_whether_the_picture_is_turned_or_not() {
    let short = profile(*b"RGB ", 560);
    let jpeg = still(ImageFormat::Jpeg, 16, 16);
    let deflated = fdeflate::compress_to_vec(&short);
    let png = png_with(&still(ImageFormat::Png, 16, 16), &[iccp(b"p", &deflated)]);
    for orientation in [1, 6] {
        let upload = jpeg_with(&with_metadata(ImageFormat::Jpeg, &jpeg, orientation), &short);
        let picture = admit(&upload).unwrap();
        assert_eq!(jpeg_profile(&picture.bytes), Some(short.clone()), "JPEG {orientation}");

        let picture = admit(&with_metadata(ImageFormat::Png, &png, orientation)).unwrap();
        assert_eq!(png_profile(&picture.bytes), Some(short.clone()), "PNG {orientation}");
    }
    let webp = webp_with(&still(ImageFormat::WebP, 16, 16), &short);
    assert!(admit(&webp).unwrap().bytes == webp, "WebP");
}

#[test]
fn a_profile_beyond_every_measure_is_left_out() {
    let long = profile(*b"RGB ", LONG);
    let jpeg = still(ImageFormat::Jpeg, 16, 16);
    let png = still(ImageFormat::Png, 16, 16);
    let webp = still(ImageFormat::WebP, 16, 16);

    let stored = admit(&jpeg_with(&jpeg, &long)).unwrap().bytes;
    assert!(stored == jpeg, "JPEG: {} bytes", stored.len());
    let deflated = fdeflate::compress_to_vec(&long);
    let stored = admit(&png_with(&png, &[iccp(b"p", &deflated)])).unwrap().bytes;
    assert!(stored == png, "PNG: {} bytes", stored.len());
    let stored = admit(&webp_with(&webp, &long)).unwrap().bytes;
    assert!(!contains(&stored, b"ICCP") && stored[20] & 0x20 == 0, "WebP: {}", stored.len());
}

#[test]
fn a_profile_that_inflates_without_end_costs_nothing() {
    let bomb = fdeflate::compress_to_vec(&vec![0; 300 << 20]);
    let png = still(ImageFormat::Png, 16, 16);
    let text = [b"Comment\0\0", bomb.as_slice()].concat();
    let international = [b"Comment\0\x01\0\0\0", bomb.as_slice()].concat();
    let chunks = [
        iccp(b"p", &bomb),
        iccp(b"p", &bomb),
        png_chunk(*b"zTXt", &text),
        png_chunk(*b"iTXt", &international),
    ];
    let upload = png_with(&png, &chunks);

    assert!(admit(&upload).unwrap().bytes == png);
    // What was stored by an earlier version is read again for each thumbnail.
    let small = shrink(&upload, ImageFormat::Png, 8).unwrap();
    assert_eq!(png_profile(&small.bytes), None);
}

#[test]
fn a_profile_that_is_none_is_left_out() {
    let short = fdeflate::compress_to_vec(&profile(*b"RGB ", 560));
    let png = still(ImageFormat::Png, 16, 16);
    let cases = [
        ("no deflated data", iccp(b"p", b"no deflated data")),
        ("cut off", iccp(b"p", &short[..short.len() / 2])),
        ("nothing", iccp(b"p", b"")),
        ("no name", png_chunk(*b"iCCP", b"")),
        ("a long name", iccp(&[b'n'; 200], &short)),
    ];
    for (name, chunk) in cases {
        let stored = admit(&png_with(&png, &[chunk])).unwrap().bytes;
        assert_eq!(png_chunks(&stored).len(), png_chunks(&png).len(), "{name}");
    }
}

#[test]
fn pixels_in_another_colour_space_lose_the_profile() {
    let print = profile(*b"CMYK", 560);
    let upright = admit(&jpeg_with(CMYK, &print)).unwrap();
    assert_eq!(jpeg_profile(&upright.bytes), Some(print.clone()), "stored as it came");

    let turned = with_metadata(ImageFormat::Jpeg, CMYK, 6);
    let turned = admit(&jpeg_with(&turned, &print)).unwrap();
    assert_eq!((turned.width, turned.height), (16, 24));
    let decoder = JpegDecoder::new(Cursor::new(&turned.bytes)).unwrap();
    assert_eq!(decoder.original_color_type(), ExtendedColorType::Rgb8);
    assert_eq!(jpeg_profile(&turned.bytes), None, "turned");

    let small = shrink(&upright.bytes, ImageFormat::Jpeg, 8).unwrap();
    assert_eq!(jpeg_profile(&small.bytes), None, "thumbnail");
}
