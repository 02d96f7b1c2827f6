//! What is refused, and at what cost.

use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use schemas::image::ImageFormat;

use super::{
    super::{PictureError, PictureLimits, jpeg},
    admit, admit_within, contains,
    fixtures::{self, FORMATS, exif, png_chunk, riff, riff_chunk, still, u24, with_metadata},
};

fn samples() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("JPEG", with_metadata(ImageFormat::Jpeg, &still(ImageFormat::Jpeg, 96, 64), 6)),
        ("PNG", with_metadata(ImageFormat::Png, &still(ImageFormat::Png, 96, 64), 3)),
        ("WebP", with_metadata(ImageFormat::WebP, &still(ImageFormat::WebP, 96, 64), 8)),
        ("GIF", with_metadata(ImageFormat::Gif, &fixtures::gif(96, 64, 4), 1)),
        ("APNG", fixtures::apng(96, 64, 4)),
        ("animated WebP", fixtures::animated_webp(96, 64, 4)),
    ]
}

#[test]
fn what_is_no_picture_is_refused_by_its_content() {
    let svg = br#"<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>"#;
    let riff_sound = riff(b"").iter().map(|byte| byte ^ 1).collect::<Vec<_>>();
    let cases: [(&str, &[u8], PictureError); 14] = [
        ("nothing", b"", PictureError::NotAPicture),
        ("one byte", b"\xFF", PictureError::NotAPicture),
        ("text", b"holiday.jpg", PictureError::NotAPicture),
        ("an SVG with a script", svg, PictureError::NotAPicture),
        ("HTML", b"<!DOCTYPE html><script>alert(1)</script>", PictureError::NotAPicture),
        ("a ZIP", b"PK\x03\x04....", PictureError::NotAPicture),
        ("a PDF", b"%PDF-1.7\n", PictureError::NotAPicture),
        ("a film", b"\0\0\0\x18ftypmp42", PictureError::NotAPicture),
        ("a sound", b"RIFF\x04\0\0\0WAVE", PictureError::NotAPicture),
        ("scrambled", &riff_sound, PictureError::NotAPicture),
        ("HEIC", b"\0\0\0\x18ftypheic\0\0\0\0", PictureError::Unsupported("HEIC")),
        ("AVIF", b"\0\0\0\x18ftypavif\0\0\0\0", PictureError::Unsupported("AVIF")),
        ("TIFF", b"II*\0\x08\0\0\0", PictureError::Unsupported("TIFF")),
        ("BMP", b"BM\x46\0\0\0\0\0\0\0\x36\0", PictureError::Unsupported("BMP")),
    ];
    for (name, file, expected) in cases {
        assert_eq!(admit(file), Err(expected), "{name}");
    }
}

#[test]
fn a_picture_that_is_cut_off_is_refused_wherever_it_is_cut() {
    for (name, file) in samples() {
        assert!(admit(&file).is_ok(), "{name}");
        for length in (12..file.len()).step_by(97).chain(file.len() - 20..file.len()) {
            // A RIFF file may lack the byte that fills up what is left out anyway.
            let refused = admit(&file[..length]);
            assert_eq!(refused, Err(PictureError::Damaged), "{name} at {length}");
        }
    }
}

#[test]
fn what_follows_the_image_is_not_stored() {
    let tails: [&[u8]; 3] =
        [b"PK\x03\x04payload.zip", b"<script>payload</script>", b"payload\xFF\xD9payload"];
    for (name, file) in samples() {
        let alone = admit(&file).unwrap();
        for tail in tails {
            let picture = admit(&[&file, tail].concat()).unwrap();
            assert!(!contains(&picture.bytes, b"payload"), "{name}");
            assert_eq!(picture.digest, alone.digest, "{name}");
        }
    }
}

/// A header that claims these sides, and nothing behind it.
fn claim(format: ImageFormat, width: u32, height: u32) -> Vec<u8> {
    let low = |side: u32| u16::try_from(side).unwrap();
    match format {
        ImageFormat::Jpeg => {
            let sides = [low(height).to_be_bytes(), low(width).to_be_bytes()].concat();
            let parts: [&[u8]; 4] = [
                b"\xFF\xD8\xFF\xC0\0\x11\x08",
                &sides,
                b"\x03\x01\x22\0\x02\x11\0\x03\x11\0",
                b"\xFF\xD9",
            ];
            parts.concat()
        }
        ImageFormat::Png => {
            let header = [width.to_be_bytes(), height.to_be_bytes()].concat();
            let header = png_chunk(*b"IHDR", &[&header, [8, 6, 0, 0, 0].as_slice()].concat());
            [b"\x89PNG\r\n\x1a\n", header.as_slice()].concat()
        }
        ImageFormat::WebP => {
            let sides = [u24(width - 1), u24(height - 1)].concat();
            riff(&riff_chunk(*b"VP8X", &[&[0; 4], sides.as_slice()].concat()))
        }
        ImageFormat::Gif => {
            let sides = [low(width).to_le_bytes(), low(height).to_le_bytes()].concat();
            [b"GIF89a", sides.as_slice(), &[0, 0, 0, 0x3B]].concat()
        }
    }
}

#[test]
fn a_bomb_is_refused_by_its_header() {
    let side = PictureError::SideTooLong { limit: 12_000 };
    for format in FORMATS {
        let began = Instant::now();
        assert_eq!(admit(&claim(format, 50_000, 50_000)), Err(side), "{format:?}");
        assert_eq!(admit(&claim(format, 12_001, 1)), Err(side), "{format:?}");
        let wide = admit(&claim(format, 12_000, 12_000));
        assert!(matches!(wide, Err(PictureError::TooManyPixels { .. })), "{format:?}: {wide:?}");
        assert!(began.elapsed() < Duration::from_secs(1), "{format:?}");
    }
    let zero = [(ImageFormat::Png, 0, 9), (ImageFormat::Gif, 9, 0)];
    for (format, width, height) in zero {
        assert_eq!(admit(&claim(format, width, height)), Err(PictureError::Damaged), "{format:?}");
    }
}

#[test]
fn a_tiny_file_that_inflates_is_refused_before_it_does() {
    let limits = PictureLimits { max_pixels: 500_000, ..PictureLimits::default() };
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif, ImageFormat::Jpeg] {
        let file = still(format, 800, 700);
        let refused = admit_within(&file, &limits);
        assert_eq!(refused, Err(PictureError::TooManyPixels { limit: 500_000 }), "{format:?}");
    }
}

#[test]
fn memory_bounds_what_is_decoded() {
    let limits = PictureLimits { max_memory: 64 * 1024, ..PictureLimits::default() };
    for format in FORMATS {
        let refused = admit_within(&still(format, 300, 300), &limits);
        assert!(matches!(refused, Err(PictureError::TooManyPixels { .. })), "{format:?}");
    }
}

#[test]
fn a_frame_inside_that_claims_more_than_the_canvas_is_refused() {
    let honest = still(ImageFormat::WebP, 64, 64);
    let sides = [u24(9), u24(9)].concat();
    let header = riff_chunk(*b"VP8X", &[&[0; 4], sides.as_slice()].concat());
    let liar = riff(&[&header, &honest[12..]].concat());
    assert_eq!(admit(&liar), Err(PictureError::Damaged));

    let mut gif = fixtures::gif(8, 8, 2);
    let frame = gif.iter().rposition(|byte| *byte == 0x2C).unwrap();
    assert_eq!(&gif[frame + 5..frame + 9], &[8, 0, 8, 0]);
    gif[frame + 5..frame + 9].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0xFF]);
    assert_eq!(admit(&gif), Err(PictureError::SideTooLong { limit: 12_000 }));
}

#[test]
fn animations_have_a_bound_of_frames_and_of_pixels() {
    type Make = fn(u32, u32, u32) -> Vec<u8>;
    let makers: [(&str, Make); 3] =
        [("GIF", fixtures::gif), ("APNG", fixtures::apng), ("WebP", fixtures::animated_webp)];
    let small = PictureLimits { max_animation_pixels: 8 * 8 * 5, ..PictureLimits::default() };
    for (name, make) in makers {
        assert!(admit(&make(8, 8, 200)).is_ok(), "{name}");
        let long = admit(&make(8, 8, 201));
        assert_eq!(long, Err(PictureError::TooManyFrames { limit: 200 }), "{name}");
        assert!(admit_within(&make(8, 8, 5), &small).is_ok(), "{name}");
        let heavy = admit_within(&make(8, 8, 6), &small);
        assert_eq!(heavy, Err(PictureError::TooManyFrames { limit: 5 }), "{name}");
        assert!(admit_within(&make(32, 32, 1), &small).is_ok(), "{name}: one frame is a still");
    }
}

#[test]
fn an_animation_that_would_have_to_be_turned_is_refused() {
    let cases = [
        ("APNG", ImageFormat::Png, fixtures::apng(20, 10, 3)),
        ("animated WebP", ImageFormat::WebP, fixtures::animated_webp(20, 10, 3)),
    ];
    for (name, format, file) in cases {
        for orientation in 2..=8 {
            let refused =
                admit(&with_metadata(format, &file, orientation)).map_err(|e| e.to_string());
            let text =
                "The animation is stored turned or mirrored. Save it upright and send it again.";
            assert_eq!(refused.err().as_deref(), Some(text), "{name} {orientation}");
        }
        assert!(admit(&with_metadata(format, &file, 9)).is_ok(), "{name}: no such orientation");
    }
}

#[test]
fn a_picture_of_endless_scans_is_refused() {
    let file = still(ImageFormat::Jpeg, 16, 16);
    let scan = file.windows(2).position(|pair| pair == [0xFF, 0xDA]).unwrap();
    let mut upload = file[..scan].to_vec();
    for _ in 0..2000 {
        upload.extend(b"\xFF\xDA\0\x08\x01\x01\0\0\x3F\0");
    }
    upload.extend([0xFF, 0xD9]);

    let refused = admit(&upload);

    assert!(matches!(refused, Err(PictureError::Unsupported(_))), "{refused:?}");
}

#[test]
fn the_scans_of_a_large_picture_are_few() {
    let file = still(ImageFormat::Jpeg, 16, 16);
    let at = |marker: u8| file.windows(2).position(|pair| pair == [0xFF, marker]).unwrap();
    let (frame, scan) = (at(0xC0), at(0xDA));
    let with = |side: u16, scans: usize| {
        let mut upload = file[..scan].to_vec();
        upload[frame + 5..frame + 7].copy_from_slice(&side.to_be_bytes());
        upload[frame + 7..frame + 9].copy_from_slice(&side.to_be_bytes());
        for _ in 0..scans {
            upload.extend(b"\xFF\xDA\0\x08\x01\x01\0\0\x3F\0");
        }
        upload.extend([0xFF, 0xD9]);
        jpeg::strip(&upload, &PictureLimits::default()).map(|stripped| stripped.width)
    };

    assert_eq!(with(5_000, 60), Ok(5_000));
    assert!(matches!(with(5_000, 61), Err(PictureError::Unsupported(_))));
    assert_eq!(with(3_000, 100), Ok(3_000));
}

#[test]
fn a_broken_exif_block_does_no_harm() {
    let file = still(ImageFormat::Jpeg, 16, 16);
    let whole = exif(6);
    for length in 0..whole.len() {
        let block = [b"Exif\0\0", &whole[..length]].concat();
        let mut upload = vec![0xFF, 0xD8, 0xFF, 0xE1, 0, u8::try_from(block.len() + 2).unwrap()];
        upload.extend(block);
        upload.extend(&file[2..]);
        assert!(admit(&upload).is_ok(), "cut at {length}");
    }
}

/// Whatever is sent: an answer, in time, and what is taken is a picture that is taken again.
#[test]
fn random_damage_never_panics_and_what_is_taken_stays_taken() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let limits = PictureLimits { max_pixels: 1_000_000, ..PictureLimits::default() };
    let samples = samples();
    let mut taken = 0;
    for round in 0..1500 {
        let (name, sample) = &samples[round % samples.len()];
        let mut file = sample.clone();
        damage(&mut file, &mut random);

        let began = Instant::now();
        let Ok(picture) = admit_within(&file, &limits) else { continue };
        let again = admit_within(&picture.bytes, &limits);

        assert!(began.elapsed() < Duration::from_secs(5), "{name} in round {round}");
        assert_eq!(again.map(|again| again.digest), Ok(picture.digest), "{name} in round {round}");
        taken += 1;
    }
    println!("{taken} of 1500 were taken");
}

fn damage(file: &mut Vec<u8>, random: &mut StdRng) {
    for _ in 0..random.random_range(1..6) {
        let place = random.random_range(0..file.len());
        match random.random_range(0..5) {
            0 => file[place] = random.random(),
            1 => file[place] ^= 1 << random.random_range(0..8),
            2 => drop(file.drain(place..(place + 7).min(file.len()))),
            3 => file.splice(place..place, [0xFF; 3]).for_each(drop),
            _ => file[place] = [0, 1, 0x7F, 0x80, 0xFF][random.random_range(0..5)],
        }
        if file.is_empty() {
            file.push(0);
        }
    }
}
