//! Entity tags and byte ranges (RFC 9110, sections 8.8, 13 and 14).

use std::ops::Range;

use poem::http::{HeaderMap, header};

/// A strong entity tag, with its quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Etag(String);

impl Etag {
    /// The tag for `opaque`, which is visible ASCII without a quote.
    pub(crate) fn new(opaque: impl std::fmt::Display) -> Self {
        Self(format!("\"{opaque}\""))
    }

    /// The header's value.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the caller has this version already: `If-None-Match`, by weak comparison.
    pub(crate) fn is_known(&self, headers: &HeaderMap) -> bool {
        let mut lists = headers.get_all(header::IF_NONE_MATCH).iter();
        lists.any(|list| list.to_str().is_ok_and(|list| self.is_in(list)))
    }

    /// The same for the text of one header.
    pub(crate) fn is_in(&self, list: &str) -> bool {
        list.split(',')
            .map(str::trim)
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.0)
    }
}

/// What part of a file a caller wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// These bytes; neither empty nor beyond the end.
    Bytes(Range<u64>),
    /// Bytes that it does not have.
    Unsatisfiable,
}

impl Part {
    /// Reads `Range` and `If-Range` for a file of `size` bytes with tag `etag`.
    ///
    /// Several ranges at once, other units and malformed text are passed over, as the RFC allows:
    /// the caller gets the whole. So is a range of another version than the caller's.
    pub(crate) fn of(headers: &HeaderMap, etag: &Etag, size: u64) -> Self {
        let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
        let same = headers.get(header::IF_RANGE).is_none_or(|tag| tag == etag.as_str());
        match range.filter(|_| same).and_then(|text| text.trim().strip_prefix("bytes=")) {
            Some(range) => Self::read(range.trim(), size).unwrap_or(Self::Whole),
            None => Self::Whole,
        }
    }

    /// `None` for what is no single range.
    fn read(range: &str, size: u64) -> Option<Self> {
        let (first, last) = range.split_once('-')?;
        let bytes = match (first, last) {
            ("", suffix) => size.saturating_sub(number(suffix)?)..size,
            (first, "") => number(first)?..size,
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                if last < first {
                    return None;
                }
                first..size.min(last.saturating_add(1))
            }
        };
        Some(if bytes.is_empty() { Self::Unsatisfiable } else { Self::Bytes(bytes) })
    }
}

/// Digits only; a number too large to count is as good as the largest.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_writes_them() {
        let cases = [
            ("first bytes", "bytes=0-9", Part::Bytes(0..10)),
            ("one byte", "bytes=5-5", Part::Bytes(5..6)),
            ("to the end", "bytes=90-", Part::Bytes(90..100)),
            ("beyond the end", "bytes=90-200", Part::Bytes(90..100)),
            ("last bytes", "bytes=-10", Part::Bytes(90..100)),
            ("more last bytes than there are", "bytes=-1000", Part::Bytes(0..100)),
            ("begins behind the end", "bytes=100-", Part::Unsatisfiable),
            ("begins far behind", "bytes=99999999999999999999-", Part::Unsatisfiable),
            ("no last bytes", "bytes=-0", Part::Unsatisfiable),
            ("turned round", "bytes=9-0", Part::Whole),
            ("several", "bytes=0-1,3-4", Part::Whole),
            ("other unit", "pages=1-2", Part::Whole),
            ("no numbers", "bytes=a-b", Part::Whole),
            ("signs", "bytes=+1-2", Part::Whole),
            ("nothing", "bytes=-", Part::Whole),
        ];
        for (name, text, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, text.parse().unwrap());
            assert_eq!(Part::of(&headers, &Etag::new("a"), 100), expected, "{name}");
        }
    }

    #[test]
    fn a_range_of_another_version_is_passed_over() {
        let cases = [
            ("same version", "\"a\"", Part::Bytes(0..10)),
            ("other version", "\"b\"", Part::Whole),
            ("weak", "W/\"a\"", Part::Whole),
            ("date", "Tue, 24 Nov 2026 00:00:00 GMT", Part::Whole),
        ];
        for (name, tag, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, "bytes=0-9".parse().unwrap());
            headers.insert(header::IF_RANGE, tag.parse().unwrap());
            assert_eq!(Part::of(&headers, &Etag::new("a"), 100), expected, "{name}");
        }
    }

    #[test]
    fn a_known_version_is_recognised() {
        let cases = [
            ("same", "\"a\"", true),
            ("weak", "W/\"a\"", true),
            ("in a list", "\"x\", \"a\"", true),
            ("any", "*", true),
            ("other", "\"b\"", false),
            ("without quotes", "a", false),
        ];
        for (name, list, known) in cases {
            assert_eq!(Etag::new("a").is_in(list), known, "{name}");
        }
    }
}
