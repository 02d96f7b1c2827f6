//! The code of a payable bill as a picture.

use std::{fmt::Write, io::Cursor};

use fast_qr::{QRBuilder, QRCode};
use image::{GrayImage, ImageFormat, Luma};
use schemas::{
    BillRecord, ErrorCode, Timestamp,
    bill::{Attempt, AttemptState},
};

use super::order::conflict;
use crate::error::ApiError;

/// White modules around the code, as the standard wants it.
const QUIET: usize = 4;

/// Pixels of a module.
const SCALE: u32 = 8;

/// The text that the payer scans: of the latest attempt that can still be paid so.
///
/// # Errors
///
/// 409 when there is none, or nobody may pay the bill any more.
pub(super) fn code(bill: &BillRecord) -> Result<&str, ApiError> {
    let now = Timestamp::now();
    bill.may_pay(now).map_err(conflict)?;
    let scanned = |attempt: &&Attempt| {
        let fresh = attempt.offer.as_ref().is_some_and(|offer| now < offer.until);
        attempt.state == AttemptState::Open && fresh
    };
    let mut latest = bill.attempts.iter().rev().filter(scanned);
    let code = latest.find_map(|one| one.offer.as_ref()?.code.as_deref());
    code.ok_or_else(|| {
        let text = "There is no code to pay this bill with: pay it first, with end_type 0.";
        ApiError::of(ErrorCode::Conflict, text)
    })
}

/// `text` as an SVG picture.
///
/// # Errors
///
/// 500 when it is too long for a code.
pub(super) fn svg(text: &str) -> Result<Vec<u8>, ApiError> {
    let code = draw(text)?;
    let side = code.size + 2 * QUIET;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" \
         shape-rendering=\"crispEdges\"><rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/>\
         <path d=\""
    );
    for (row, column) in dark(&code) {
        // Writing to a string does not fail.
        let _ = write!(svg, "M{} {}h1v1h-1z", column + QUIET, row + QUIET);
    }
    svg.push_str("\"/></svg>");
    Ok(svg.into_bytes())
}

/// `text` as a PNG picture.
///
/// # Errors
///
/// 500 when it is too long for a code.
pub(super) fn png(text: &str) -> Result<Vec<u8>, ApiError> {
    let code = draw(text)?;
    let modules = u32::try_from(code.size + 2 * QUIET).map_err(ApiError::internal)?;
    let mut picture = GrayImage::from_pixel(modules * SCALE, modules * SCALE, Luma([255]));
    for (row, column) in dark(&code) {
        let left = u32::try_from(column + QUIET).map_err(ApiError::internal)? * SCALE;
        let top = u32::try_from(row + QUIET).map_err(ApiError::internal)? * SCALE;
        for y in top..top + SCALE {
            for x in left..left + SCALE {
                picture.put_pixel(x, y, Luma([0]));
            }
        }
    }
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, ImageFormat::Png).map_err(ApiError::internal)?;
    Ok(file.into_inner())
}

fn draw(text: &str) -> Result<QRCode, ApiError> {
    QRBuilder::new(text).build().map_err(|error| ApiError::internal(error.to_string()))
}

/// Rows and columns of the dark modules.
fn dark(code: &QRCode) -> impl Iterator<Item = (usize, usize)> + '_ {
    let cells = (0..code.size).flat_map(|row| (0..code.size).map(move |column| (row, column)));
    cells.filter(|(row, column)| code[*row][*column].value())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    const TEXT: &str = "weixin://wxpay/bizpayurl?pr=A1b2C3";

    #[test]
    fn both_pictures_show_the_same_code_with_its_margin() {
        let code = draw(TEXT).unwrap();
        let svg = String::from_utf8(svg(TEXT).unwrap()).unwrap();
        let png = image::load_from_memory(&png(TEXT).unwrap()).unwrap().to_luma8();
        let side = u32::try_from(code.size + 2 * QUIET).unwrap();

        assert_eq!(png.dimensions(), (side * SCALE, side * SCALE));
        assert_eq!(svg.matches('M').count(), dark(&code).count());
        assert!(svg.contains(&format!("viewBox=\"0 0 {side} {side}\"")));
        let quiet = u32::try_from(QUIET).unwrap() * SCALE;
        assert_eq!(png.get_pixel(quiet, quiet).0, [0], "the finder pattern's corner");
        assert_eq!(png.get_pixel(quiet - 1, quiet).0, [255]);
        // The finder pattern: dark, light, dark in the corner's diagonal.
        let at = |module: u32| png.get_pixel(quiet + module * SCALE, quiet + module * SCALE).0[0];
        assert_eq!([at(0), at(1), at(2), at(3)], [0, 255, 0, 0]);
    }

    #[test]
    fn a_text_that_is_too_long_is_no_panic() {
        assert!(svg(&"x".repeat(10_000)).is_err());
    }
}
