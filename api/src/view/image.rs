//! The public form of a picture.

use std::fmt::Write;

use poem_openapi::Object;
use schemas::image::ImageRecord;

use super::Moment;

/// One picture of a user.
#[derive(Debug, Clone, Object)]
pub(crate) struct UserImage {
    /// Its number, below 2^53.
    id: i64,
    /// `uid` of its owner.
    user: i64,
    /// Absolute address of the file. `?w=64`, `128`, `320`, `640` or `1280` gives a smaller one.
    img: String,
    /// Height in pixels.
    img_height: u32,
    /// Width in pixels.
    img_width: u32,
    /// When it was uploaded.
    create_time: Moment,
    /// When its owner deleted it; null while it is live.
    delete_time: Option<Moment>,
    /// In the order given by the owner, without doubles.
    tags: Vec<String>,
}

impl UserImage {
    /// The view of `image`; `public_url` has no slash at its end.
    pub(crate) fn of(image: ImageRecord, public_url: &str) -> Self {
        Self {
            id: image.id.get(),
            user: image.owner.get(),
            img: format!(
                "{public_url}/media/{}/UserImage/{}",
                image.owner,
                percent_encode(&image.file_name)
            ),
            img_height: image.height,
            img_width: image.width,
            create_time: Moment(image.created_at),
            delete_time: image.deletion.map(|deletion| Moment(deletion.at)),
            tags: image.tags,
        }
    }
}

/// One segment of a path: everything but RFC 3986's unreserved characters is escaped.
fn percent_encode(segment: &str) -> String {
    let mut encoded = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_nothing_that_a_url_reads_otherwise() {
        let cases = [
            ("plain", "dune_Ab3dE9x.jpg", "dune_Ab3dE9x.jpg"),
            ("not ASCII", "沙丘.png", "%E6%B2%99%E4%B8%98.png"),
            ("reserved", "a b?c#d%/e", "a%20b%3Fc%23d%25%2Fe"),
        ];
        for (name, segment, expected) in cases {
            assert_eq!(percent_encode(segment), expected, "{name}");
        }
    }
}
