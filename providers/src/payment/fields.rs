//! Named texts, as three of the four protocols speak: bounded, each name once, sorted by bytes.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::ProviderError;

/// Most fields of one message.
const MAX_FIELDS: usize = 256;

/// What stays as it is in an encoded value.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Named texts.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Fields(BTreeMap<String, String>);

/// What to do with empty values in a signed text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Empty {
    /// They take part, as `name=`.
    Keep,
    /// They take no part.
    Drop,
}

impl Fields {
    /// The fields with these values; empty ones are left out, because no provider wants them.
    pub(super) fn of<'f>(fields: impl IntoIterator<Item = (&'f str, &'f str)>) -> Self {
        let mut made = Self::default();
        for (name, value) in fields {
            made.set(name, value);
        }
        made
    }

    /// Sets a field, or removes it when the value is empty.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            self.0.remove(name);
        } else {
            self.0.insert(name.to_owned(), value.to_owned());
        }
    }

    /// Adds a field that arrived.
    ///
    /// # Errors
    ///
    /// A name that is there already, and one field too many.
    pub(super) fn add(&mut self, name: String, value: String) -> Result<(), &'static str> {
        if self.0.len() == MAX_FIELDS {
            return Err("too many fields");
        }
        if self.0.insert(name, value).is_some() { Err("a field twice") } else { Ok(()) }
    }

    /// The value of `name`, if it is there and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether `name` is there with exactly this value.
    pub(super) fn is(&self, name: &str, value: &str) -> bool {
        self.get(name) == Some(value)
    }

    /// The value of `name` in a signed answer, which must have it.
    pub(super) fn need(&self, name: &str) -> Result<&str, ProviderError> {
        self.get(name).ok_or_else(|| ProviderError::unknown(&format!("without_{name}")))
    }

    /// All fields, sorted by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The text that is signed: `name=value` of all fields but those in `without`, joined by `&`.
    pub(super) fn joined(&self, without: &[&str], empty: Empty) -> String {
        let part = |(name, value): &(&str, &str)| {
            !without.contains(name) && (empty == Empty::Keep || !value.is_empty())
        };
        let parts = self.iter().filter(part).map(|(name, value)| format!("{name}={value}"));
        parts.collect::<Vec<_>>().join("&")
    }

    /// The body of a form.
    pub(super) fn to_form(&self) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(self.iter());
        form.finish()
    }

    /// `name=value` joined by `&`, every value percent-encoded (a blank as `%20`).
    pub(super) fn to_query(&self) -> String {
        let parts = self.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
        parts.collect::<Vec<_>>().join("&")
    }

    /// Reads the body of a form or a query string.
    ///
    /// # Errors
    ///
    /// What is wrong with it: text that is not UTF-8, a name twice, too many fields.
    pub(super) fn from_form(body: &[u8]) -> Result<Self, &'static str> {
        let mut fields = Self::default();
        for (name, value) in form_urlencoded::parse(body) {
            if name.contains('\u{fffd}') || value.contains('\u{fffd}') {
                return Err("text is not UTF-8");
            }
            fields.add(name.into_owned(), value.into_owned())?;
        }
        Ok(fields)
    }
}

/// `text` percent-encoded, a blank as `%20`.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

/// `text` for an attribute or the content of HTML.
pub(super) fn html(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// A page that posts `fields` to `action` as soon as a browser shows it.
pub(super) fn form_page<'f>(
    action: &str,
    fields: impl IntoIterator<Item = (&'f str, &'f str)>,
) -> String {
    let input = |(name, value)| {
        let (name, value) = (html(name), html(value));
        format!("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">")
    };
    let inputs = fields.into_iter().map(input).collect::<Vec<_>>().concat();
    let action = html(action);
    format!(
        "<!DOCTYPE html><html><head><meta charset=\"utf-8\"></head><body>\
         <form id=\"pay\" method=\"post\" action=\"{action}\">{inputs}\
         <noscript><button type=\"submit\">Pay</button></noscript></form>\
         <script>document.getElementById(\"pay\").submit()</script></body></html>"
    )
}

/// `text` without control characters and without those in `unwanted`, cut to `bytes` bytes of
/// UTF-8 between two characters.
pub(super) fn cut(text: &str, bytes: usize, unwanted: &str) -> String {
    let mut cut = String::new();
    for c in text.chars().filter(|c| !c.is_control() && !unwanted.contains(*c)) {
        if cut.len() + c.len_utf8() > bytes {
            break;
        }
        cut.push(c);
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_with_a_name_twice_or_other_text_is_refused() {
        assert_eq!(Fields::from_form(b"a=1&a=1").err(), Some("a field twice"));
        assert_eq!(Fields::from_form(b"a=%ff").err(), Some("text is not UTF-8"));
        let many = (0..1_000).map(|n| format!("f{n}=1")).collect::<Vec<_>>().join("&");
        assert_eq!(Fields::from_form(many.as_bytes()).err(), Some("too many fields"));
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut("会员\n12", 7, ""), "会员1");
        assert_eq!(cut("a/b=c&d", 20, "/=&"), "abcd");
    }

    #[test]
    fn a_page_cannot_be_broken_out_of() {
        let page = form_page("https://x/?a=1&b=2", [("n", "\"><script>alert('1')</script>")]);

        assert!(!page.contains("<script>alert"));
        assert!(page.contains("https://x/?a=1&amp;b=2"));
    }
}
