//! The parameters of an authorization request, wherever they came from: a query, a form or a
//! multipart form. Some of them may come several times.

use poem::{Body, FromRequest as _, Request, RequestBody, web::Multipart};

use super::error::AuthorizeError;

/// Most parameters of one request.
const MOST: usize = 64;

/// Longest value of any parameter, in bytes.
const MAX_VALUE: usize = 2 << 10;

/// Largest body, in bytes.
const MAX_BODY: usize = 64 << 10;

/// Named values in their order. It does not print: a password may be among them.
#[derive(Default)]
pub(super) struct Parts(Vec<(String, String)>);

impl Parts {
    /// Reads a query or an `application/x-www-form-urlencoded` body.
    ///
    /// # Errors
    ///
    /// `invalid_request` for text that is no UTF-8, and for more or longer values than any real
    /// request has.
    pub(super) fn of_form(text: &[u8]) -> Result<Self, AuthorizeError> {
        if std::str::from_utf8(text).is_err() {
            return Err(AuthorizeError::invalid("the request is not UTF-8"));
        }
        let mut parts = Self::default();
        for (name, value) in form_urlencoded::parse(text) {
            parts.push(name.into_owned(), value.into_owned())?;
        }
        Ok(parts)
    }

    /// Reads a body of either form.
    ///
    /// # Errors
    ///
    /// As [`Self::of_form`]; also for other content types and too large bodies.
    pub(super) async fn of_body(request: &Request, body: Body) -> Result<Self, AuthorizeError> {
        let content_type = request.content_type().unwrap_or_default().to_ascii_lowercase();
        let bytes = body.into_bytes_limit(MAX_BODY).await;
        let bytes = bytes.map_err(|_| AuthorizeError::invalid("the body could not be read"))?;
        if content_type.starts_with("application/x-www-form-urlencoded") {
            return Self::of_form(&bytes);
        }
        if !content_type.starts_with("multipart/form-data") {
            return Err(AuthorizeError::invalid(
                "the content type must be multipart/form-data or application/x-www-form-urlencoded",
            ));
        }
        let broken = |_| AuthorizeError::invalid("the multipart form cannot be read");
        let mut body = RequestBody::new(Body::from(bytes));
        let mut form = Multipart::from_request(request, &mut body).await.map_err(broken)?;
        let broken = |_| AuthorizeError::invalid("the multipart form cannot be read");
        let mut parts = Self::default();
        while let Some(field) = form.next_field().await.map_err(broken)? {
            let name = field.name().unwrap_or_default().to_owned();
            parts.push(name, field.text().await.map_err(broken)?)?;
        }
        Ok(parts)
    }

    fn push(&mut self, name: String, value: String) -> Result<(), AuthorizeError> {
        if self.0.len() >= MOST || value.len() > MAX_VALUE || name.len() > MAX_VALUE {
            return Err(AuthorizeError::invalid("a parameter is too long, or there are too many"));
        }
        self.0.push((name, value));
        Ok(())
    }

    /// The values of `name` that are not empty.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(found, value)| found == name && !value.is_empty());
        named.map(|(_, value)| value.as_str())
    }

    /// The value of `name`, if it was given; an empty one counts as left out.
    ///
    /// # Errors
    ///
    /// `invalid_request` when it comes twice.
    pub(super) fn one(&self, name: &'static str) -> Result<Option<&str>, AuthorizeError> {
        if self.0.iter().filter(|(found, _)| found == name).nth(1).is_some() {
            return Err(AuthorizeError::invalid(format!("{name} is repeated")));
        }
        Ok(self
            .0
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty()))
    }

    /// The value of `name`.
    ///
    /// # Errors
    ///
    /// `invalid_request` when it is missing or comes twice.
    pub(super) fn require(&self, name: &'static str) -> Result<&str, AuthorizeError> {
        self.one(name)?.ok_or_else(|| AuthorizeError::invalid(format!("{name} is required")))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn unknown_parameters_may_repeat_and_those_that_count_may_not() {
        let parts = Parts::of_form(b"x=1&x=2&client_id=a&state=&client_id=b&s=c&s=d").unwrap();

        assert!(parts.one("client_id").is_err());
        assert_eq!(parts.one("state").unwrap(), None);
        assert_eq!(parts.all("s").collect::<Vec<_>>(), ["c", "d"]);
        assert!(parts.require("redirect_uri").is_err());
    }

    #[test]
    fn more_than_any_real_request_has_is_refused() {
        let cases = [
            ("many", "a=1&".repeat(65).into_bytes()),
            ("long", format!("a={}", "x".repeat(3_000)).into_bytes()),
            ("not UTF-8", b"a=\xff".to_vec()),
        ];
        for (name, text) in cases {
            assert!(Parts::of_form(&text).is_err(), "{name}");
        }
    }
}
