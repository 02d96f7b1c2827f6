//! Answers of UnionPay as text: `name=value&name=value`, not percent-encoded.

use crate::payment::fields::Fields;

/// Reads an answer. A name ends at the first `=`. In a value, `{` opens a group that ends at the
/// next `}`, and `[` one that ends at the next `]`; an `&` inside a group belongs to the value.
///
/// # Errors
///
/// What is wrong with it; pages and plain sentences that come instead of an answer end here.
pub(super) fn read(body: &[u8]) -> Result<Fields, &'static str> {
    let text = std::str::from_utf8(body).map_err(|_| "text is not UTF-8")?;
    let mut fields = Fields::default();
    for part in parts(text) {
        let (name, value) = part.split_once('=').ok_or("a part without a name")?;
        let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !plain {
            return Err("a name that is none");
        }
        fields.add(name.to_owned(), value.to_owned())?;
    }
    Ok(fields)
}

/// The parts between those `&` that are outside of groups.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut begin, mut in_value, mut closing) = (0, false, None);
    for (at, byte) in text.bytes().enumerate() {
        match (byte, closing) {
            (b'=', None) => in_value = true,
            (b'{', None) if in_value => closing = Some(b'}'),
            (b'[', None) if in_value => closing = Some(b']'),
            (b'&', None) => {
                parts.push(&text[begin..at]);
                (begin, in_value) = (at + 1, false);
            }
            (byte, Some(end)) if byte == end => closing = None,
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_keep_what_is_in_them() {
        let read = read(b"a={x=1&y={2}&b=[p&q]&c=1+/==&d=");
        let Ok(fields) = read else { return assert!(read.is_ok()) };

        assert_eq!(fields.get("a"), Some("{x=1&y={2}"));
        assert_eq!(fields.get("b"), Some("[p&q]"));
        assert_eq!(fields.get("c"), Some("1+/=="));
        assert_eq!(fields.iter().count(), 4);
    }

    #[test]
    fn what_comes_instead_of_an_answer_is_refused() {
        let cases = [
            ("sentence", "Invalid request."),
            ("page", "<html><body class=\"x\">no</body></html>"),
            ("twice", "a=1&a=2"),
            ("empty", ""),
            ("no name", "=1"),
        ];
        for (name, text) in cases {
            assert!(read(text.as_bytes()).is_err(), "{name}");
        }
    }
}
