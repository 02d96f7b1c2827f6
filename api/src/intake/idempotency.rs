//! `Idempotency-Key`: a caller's own name for one request, so that it may be repeated safely.

use std::fmt::Write;

use aws_lc_rs::digest::{Context, SHA256};
use poem::http::{HeaderMap, Method};
use schemas::job::Idempotency;

use crate::error::ApiError;

const HEADER: &str = "Idempotency-Key";

/// Longest key, in characters.
const MAX_KEY: usize = 255;

/// The key of a request: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdempotencyKey(String);

/// What makes two requests the same one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) body: &'a [u8],
}

impl IdempotencyKey {
    /// Reads the header, if it is there.
    ///
    /// # Errors
    ///
    /// 400 when it is sent twice or is not 1 to 255 visible ASCII characters.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Option<Self>, ApiError> {
        let mut values = headers.get_all(HEADER).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(ApiError::invalid(HEADER, "Send one key only."));
        }
        let key = value.as_bytes();
        if !(1..=MAX_KEY).contains(&key.len()) || !key.iter().all(u8::is_ascii_graphic) {
            return Err(ApiError::invalid(HEADER, "Send 1 to 255 visible ASCII characters."));
        }
        Ok(Some(Self(key.iter().copied().map(char::from).collect())))
    }

    /// The key together with what it is used for.
    pub(crate) fn used_for(self, request: Request<'_>) -> Idempotency {
        Idempotency { key: self.0, fingerprint: request.fingerprint() }
    }
}

impl Request<'_> {
    /// SHA-256 of method, path and body, each with its length before it.
    fn fingerprint(self) -> String {
        let mut context = Context::new(&SHA256);
        for part in [self.method.as_str().as_bytes(), self.path.as_bytes(), self.body] {
            context.update(&part.len().to_be_bytes());
            context.update(part);
        }
        let digest = context.finish();
        let mut hex = String::with_capacity(64);
        for byte in digest.as_ref() {
            // Writing to a string does not fail.
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }
}

/// The caller's idempotency key, if `request` has one, with the fingerprint of the request.
///
/// # Errors
///
/// As [`IdempotencyKey::read`].
pub(crate) fn idempotency(
    request: &poem::Request,
    path: &str,
    body: &[u8],
) -> Result<Option<Idempotency>, ApiError> {
    let key = IdempotencyKey::read(request.headers())?;
    Ok(key.map(|key| key.used_for(Request { method: request.method(), path, body })))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use poem::http::HeaderValue;

    use super::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_key_is_visible_ascii_and_sent_once() {
        let longest = [b'k'; 255];
        let too_long = [b'k'; 256];
        let cases: [(&str, &[&[u8]], bool); 7] = [
            ("plain", &[b"order-41"], true),
            ("longest", &[&longest], true),
            ("too long", &[&too_long], false),
            ("empty", &[b""], false),
            ("blank inside", &[b"a b"], false),
            ("not ASCII", &["sch\u{f6}n".as_bytes()], false),
            ("twice", &[b"a", b"a"], false),
        ];
        for (name, values, good) in cases {
            assert_eq!(IdempotencyKey::read(&headers(values)).is_ok(), good, "{name}");
        }
        assert_eq!(IdempotencyKey::read(&headers(&[])).unwrap(), None);
    }

    #[test]
    fn any_difference_between_two_requests_changes_the_fingerprint() {
        let one = Request { method: &Method::POST, path: "/a/", body: b"bc" };
        let others = [
            ("method", Request { method: &Method::DELETE, ..one }),
            ("path", Request { path: "/b/", ..one }),
            ("body", Request { body: b"bd", ..one }),
            ("where the path ends", Request { path: "/a/b", body: b"c", ..one }),
        ];

        assert_eq!(one.fingerprint(), one.fingerprint());
        assert_eq!(one.fingerprint().len(), 64);
        for (name, other) in others {
            assert_ne!(one.fingerprint(), other.fingerprint(), "{name}");
        }
    }
}
