//! Makes the files that the tests send.

use std::io::Cursor;

use image::{
    Delay, DynamicImage, ExtendedColorType, Frame, ImageEncoder, Rgb, RgbImage, Rgba, RgbaImage,
    codecs::{
        gif::{GifEncoder, Repeat},
        jpeg::JpegEncoder,
        png::PngEncoder,
        webp::WebPEncoder,
    },
};
use schemas::image::ImageFormat;

pub(super) const FORMATS: [ImageFormat; 4] =
    [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif];

/// Text that stands for what must not be stored: a place, a device, a person.
pub(super) const SECRET: &[u8] = b"31.2304N-121.4737E";

/// A picture whose corners differ, so that every orientation shows.
pub(super) fn scene(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let right = x * 2 >= width;
        let low = y * 2 >= height;
        match (right, low) {
            (false, false) => Rgb([230, 20, 20]),
            (true, false) => Rgb([20, 230, 20]),
            (false, true) => Rgb([20, 20, 230]),
            (true, true) => Rgb([240, 240, 240]),
        }
    })
}

/// A still picture without metadata.
pub(super) fn still(format: ImageFormat, width: u32, height: u32) -> Vec<u8> {
    let scene = scene(width, height);
    let colour = ExtendedColorType::Rgb8;
    let mut file = Vec::new();
    match format {
        ImageFormat::Jpeg => {
            JpegEncoder::new_with_quality(&mut file, 95).encode_image(&scene).unwrap();
        }
        ImageFormat::Png => {
            PngEncoder::new(&mut file).write_image(&scene, width, height, colour).unwrap();
        }
        ImageFormat::WebP => {
            let encoder = WebPEncoder::new_lossless(&mut file);
            encoder.write_image(&scene, width, height, colour).unwrap();
        }
        ImageFormat::Gif => return gif(width, height, 1),
    }
    file
}

fn frame(width: u32, height: u32, index: u32) -> RgbaImage {
    let shade = u8::try_from(index % 256).unwrap();
    RgbaImage::from_pixel(width, height, Rgba([shade, 255 - shade, 40, 255]))
}

/// A GIF of so many frames that repeats for ever.
pub(super) fn gif(width: u32, height: u32, frames: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut file, 30);
    encoder.set_repeat(Repeat::Infinite).unwrap();
    for index in 0..frames {
        let delay = Delay::from_numer_denom_ms(50, 1);
        let frame = Frame::from_parts(frame(width, height, index), 0, 0, delay);
        encoder.encode_frame(frame).unwrap();
    }
    drop(encoder);
    file
}

/// An animated PNG of so many frames.
pub(super) fn apng(width: u32, height: u32, frames: u32) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut sequence = 0_u32;
    for index in 0..frames {
        let mut one = Vec::new();
        let picture = DynamicImage::from(frame(width, height, index));
        picture.write_to(&mut Cursor::new(&mut one), image::ImageFormat::Png).unwrap();
        let chunks = png_chunks(&one);
        if index == 0 {
            file.extend(png_chunk(*b"IHDR", &chunks[0].1));
            let control = [frames.to_be_bytes(), 0_u32.to_be_bytes()].concat();
            file.extend(png_chunk(*b"acTL", &control));
        }
        let numbers = [sequence, width, height, 0, 0].map(u32::to_be_bytes).concat();
        file.extend(png_chunk(*b"fcTL", &[numbers, vec![0, 1, 0, 20, 0, 0]].concat()));
        sequence += 1;
        for (_, data) in chunks.iter().filter(|(kind, _)| kind == b"IDAT") {
            if index == 0 {
                file.extend(png_chunk(*b"IDAT", data));
            } else {
                let data = [&sequence.to_be_bytes(), data.as_slice()].concat();
                file.extend(png_chunk(*b"fdAT", &data));
                sequence += 1;
            }
        }
    }
    file.extend(png_chunk(*b"IEND", b""));
    file
}

/// An animated WebP of so many frames.
pub(super) fn animated_webp(width: u32, height: u32, frames: u32) -> Vec<u8> {
    let sides = [u24(width - 1), u24(height - 1)].concat();
    let header = [&[0x02, 0, 0, 0], sides.as_slice()].concat();
    let mut chunks = [riff_chunk(*b"VP8X", &header), riff_chunk(*b"ANIM", &[0; 6])].concat();
    for index in 0..frames {
        let mut one = Vec::new();
        let pixels = DynamicImage::from(frame(width, height, index)).into_rgb8();
        let encoder = WebPEncoder::new_lossless(&mut one);
        encoder.encode(&pixels, width, height, ExtendedColorType::Rgb8).unwrap();
        let place = [vec![0; 6], sides.clone(), u24(50), vec![0]].concat();
        chunks.extend(riff_chunk(*b"ANMF", &[&place, &one[12..]].concat()));
    }
    riff(&chunks)
}

/// Exif with an orientation and a place, and more private text in every other spot that the
/// format has for it; then something else after the end of the image.
pub(super) fn with_metadata(format: ImageFormat, file: &[u8], orientation: u8) -> Vec<u8> {
    match format {
        ImageFormat::Jpeg => jpeg_with_metadata(file, orientation),
        ImageFormat::Png => png_with_metadata(file, orientation),
        ImageFormat::WebP => webp_with_metadata(file, orientation),
        ImageFormat::Gif => gif_with_metadata(file),
    }
}

fn jpeg_with_metadata(file: &[u8], orientation: u8) -> Vec<u8> {
    let exif = [b"Exif\0\0", exif(orientation).as_slice()].concat();
    let xmp = [b"http://ns.adobe.com/xap/1.0/\0", SECRET].concat();
    let iptc = [b"Photoshop 3.0\0", SECRET].concat();
    let segments = [(0xE1, exif), (0xE1, xmp), (0xED, iptc), (0xFE, SECRET.to_vec())];
    let mut out = file[..2].to_vec();
    for (marker, payload) in segments {
        let length = u16::try_from(payload.len() + 2).unwrap();
        out.extend([0xFF, marker]);
        out.extend(length.to_be_bytes());
        out.extend(payload);
    }
    out.extend(&file[2..]);
    out
}

fn png_with_metadata(file: &[u8], orientation: u8) -> Vec<u8> {
    let header_end = 8 + 25;
    let text = [b"Comment\0", SECRET].concat();
    let international = [b"XML:com.adobe.xmp\0\0\0\0\0", SECRET].concat();
    [
        &file[..header_end],
        &png_chunk(*b"eXIf", &exif(orientation)),
        &png_chunk(*b"tEXt", &text),
        &png_chunk(*b"iTXt", &international),
        &png_chunk(*b"tIME", &[7, 232, 1, 1, 1, 1, 1]),
        &png_chunk(*b"prVt", SECRET),
        &file[header_end..],
    ]
    .concat()
}

fn webp_with_metadata(file: &[u8], orientation: u8) -> Vec<u8> {
    let own = &file[12..];
    let mut chunks = if own.starts_with(b"VP8X") {
        let mut own = own.to_vec();
        own[8] |= 0x0C;
        own
    } else {
        let bits = u32::from_le_bytes(own[9..13].try_into().unwrap());
        let sides = [u24(bits & 0x3FFF), u24(bits >> 14 & 0x3FFF)].concat();
        let header = riff_chunk(*b"VP8X", &[&[0x0C, 0, 0, 0], sides.as_slice()].concat());
        [&header, own].concat()
    };
    chunks.extend(riff_chunk(*b"EXIF", &exif(orientation)));
    chunks.extend(riff_chunk(*b"XMP ", SECRET));
    chunks.extend(riff_chunk(*b"PRIV", SECRET));
    riff(&chunks)
}

fn gif_with_metadata(file: &[u8]) -> Vec<u8> {
    let palette = if file[10] & 0x80 == 0 { 0 } else { 3 << ((file[10] & 7) + 1) };
    let head = 13 + palette;
    let block = |label: u8, parts: &[&[u8]]| {
        let mut block = vec![0x21, label];
        for part in parts {
            block.push(u8::try_from(part.len()).unwrap());
            block.extend(*part);
        }
        block.push(0);
        block
    };
    let comment = block(0xFE, &[SECRET]);
    let xmp = block(0xFF, &[b"XMP DataXMP", SECRET]);
    [&file[..head], &comment, &xmp, &file[head..]].concat()
}

/// A TIFF block in big-endian order: an orientation, and a place among the GPS tags.
pub(super) fn exif(orientation: u8) -> Vec<u8> {
    let mut tiff = b"MM\0*\0\0\0\x08\0\x02".to_vec();
    tiff.extend([0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0]);
    tiff.extend([0x88, 0x25, 0, 4, 0, 0, 0, 1, 0, 0, 0, 38]);
    tiff.extend([0; 4]);
    tiff.extend(b"GPSLatitude");
    tiff.extend(SECRET);
    tiff
}

pub(super) fn png_chunk(kind: [u8; 4], data: &[u8]) -> Vec<u8> {
    let mut chunk = u32::try_from(data.len()).unwrap().to_be_bytes().to_vec();
    chunk.extend(kind);
    chunk.extend(data);
    chunk.extend(crc32(&chunk[4..]).to_be_bytes());
    chunk
}

pub(super) fn png_chunks(file: &[u8]) -> Vec<([u8; 4], Vec<u8>)> {
    let mut left = &file[8..];
    let mut chunks = Vec::new();
    while !left.is_empty() {
        let length = u32::from_be_bytes(left[..4].try_into().unwrap()) as usize;
        chunks.push((left[4..8].try_into().unwrap(), left[8..8 + length].to_vec()));
        left = &left[12 + length..];
    }
    chunks
}

pub(super) fn riff_chunk(kind: [u8; 4], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap().to_le_bytes();
    let fill: &[u8] = if data.len() % 2 == 1 { &[0] } else { &[] };
    [&kind, &length, data, fill].concat()
}

pub(super) fn riff(chunks: &[u8]) -> Vec<u8> {
    let size = u32::try_from(chunks.len() + 4).unwrap().to_le_bytes();
    [b"RIFF", size.as_slice(), b"WEBP", chunks].concat()
}

pub(super) fn u24(number: u32) -> Vec<u8> {
    number.to_le_bytes()[..3].to_vec()
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 }
        })
    })
}
