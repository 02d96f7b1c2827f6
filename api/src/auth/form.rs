//! The body of a token request: named values, each at most once.

use std::collections::BTreeMap;

use secrecy::SecretString;

use super::token_error::TokenError;

/// Longest value of any parameter.
const MAX_VALUE: usize = 4 << 10;

/// The parameters of one request. It does not print: half of them are secrets.
#[derive(Default)]
pub(crate) struct Form(BTreeMap<String, String>);

impl Form {
    /// Reads `application/x-www-form-urlencoded`. A parameter without a value counts as left out,
    /// and unknown ones are carried along and not looked at (RFC 6749 3.2).
    ///
    /// # Errors
    ///
    /// `invalid_request` for text that is no UTF-8, and for a parameter that comes twice or is
    /// longer than any real one.
    pub(super) fn parse(body: &[u8]) -> Result<Self, TokenError> {
        if std::str::from_utf8(body).is_err() {
            return Err(TokenError::invalid_request("the body is not UTF-8"));
        }
        let mut form = Self::default();
        for (name, value) in form_urlencoded::parse(body) {
            if value.len() > MAX_VALUE {
                return Err(TokenError::invalid_request("a parameter is too long"));
            }
            if form.0.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err(TokenError::invalid_request("a parameter is repeated"));
            }
        }
        form.0.retain(|_, value| !value.is_empty());
        Ok(form)
    }

    /// The value of `name`, if it was given.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The value of `name`.
    ///
    /// # Errors
    ///
    /// `invalid_request` with the description “`name` is required”.
    pub(super) fn require(&self, name: &str) -> Result<&str, TokenError> {
        self.get(name).ok_or_else(|| TokenError::invalid_request(format!("{name} is required")))
    }

    /// The secret value of `name`, if it was given.
    pub(super) fn secret(&self, name: &str) -> Option<SecretString> {
        self.get(name).map(SecretString::from)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn values_are_decoded_and_empty_ones_left_out() {
        let form = Form::parse(b"username=%2B86-138&password=a+b%26&scope=&x").unwrap();

        assert_eq!(form.get("username"), Some("+86-138"));
        assert_eq!(form.get("password"), Some("a b&"));
        assert_eq!(form.get("scope"), None);
        assert_eq!(form.get("x"), None);
    }

    #[test]
    fn malformed_bodies_are_refused() {
        let long = format!("a={}", "x".repeat(5_000));
        let cases: [(&str, &[u8]); 4] = [
            ("repeated", b"a=1&b=2&a=1"),
            ("repeated empty", b"a=&a="),
            ("not UTF-8", b"a=\xff"),
            ("long", long.as_bytes()),
        ];
        for (name, body) in cases {
            assert!(Form::parse(body).is_err(), "{name}");
        }
    }
}
