//! Origins whose pages may call the API.

use std::fmt;

/// The origin of a page: scheme, host and, if it is not the scheme's own, port; in the spelling in
/// which browsers send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

/// The text is no origin, or the list cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOrigins {
    /// Not `scheme://host[:port]`.
    #[error("{0:?} is no origin; expected one such as https://app.example.com, without a path")]
    Form(String),
    /// `*` and credentials together would open every user's session to every page.
    #[error("\"*\" cannot be combined with credentials; list the origins")]
    AnyWithCredentials,
}

impl Origin {
    /// Reads `scheme://host[:port]`; upper case and a port that the scheme has anyway are put into
    /// the browsers' spelling.
    ///
    /// # Errors
    ///
    /// [`InvalidOrigins::Form`].
    pub fn parse(text: &str) -> Result<Self, InvalidOrigins> {
        let wrong = || InvalidOrigins::Form(text.to_owned());
        let lower = text.to_ascii_lowercase();
        let (scheme, rest) = lower.split_once("://").ok_or_else(wrong)?;
        let mut letters = scheme.bytes();
        let fits = letters.next().is_some_and(|c| c.is_ascii_lowercase())
            && letters.all(|c| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'-' | b'.'));
        let (host, port) = split_port(rest).ok_or_else(wrong)?;
        if !fits || !is_host(host) {
            return Err(wrong());
        }
        let usual = match scheme {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        };
        Ok(Self(match port.filter(|port| Some(*port) != usual) {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        }))
    }

    /// The origin as browsers send it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Host and port of `host[:port]`; an IPv6 address stands in brackets.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let after = if text.starts_with('[') { text.find(']')? + 1 } else { 0 };
    match text[after..].find(':') {
        None => Some((text, None)),
        Some(colon) => {
            let (host, port) = (&text[..after + colon], &text[after + colon + 1..]);
            let digits = !port.is_empty() && port.bytes().all(|c| c.is_ascii_digit());
            Some((host, Some(port.parse().ok().filter(|port| digits && *port > 0)?)))
        }
    }
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
    };
    host.len() <= 253 && host.split('.').all(label)
}

/// Which pages of other origins may call the API; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CorsOrigins {
    /// Pages of every origin may.
    pub any: bool,
    /// Pages of these origins may.
    pub list: Vec<Origin>,
    /// Whether a page may send cookies and what a browser remembers by itself. The API reads none
    /// of that, so this is for clients whose HTTP library insists on it.
    pub credentials: bool,
}

impl CorsOrigins {
    /// The policy for these origins; `*` stands for all of them.
    ///
    /// # Errors
    ///
    /// [`InvalidOrigins`] of the first one that cannot be.
    pub fn new(
        origins: impl IntoIterator<Item = String>,
        credentials: bool,
    ) -> Result<Self, InvalidOrigins> {
        let mut policy = Self { credentials, ..Self::default() };
        for origin in origins {
            match origin.as_str() {
                "*" if credentials => return Err(InvalidOrigins::AnyWithCredentials),
                "*" => policy.any = true,
                text => policy.list.push(Origin::parse(text)?),
            }
        }
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_have_one_spelling() {
        let cases = [
            ("plain", "https://app.example.com", Some("https://app.example.com")),
            ("upper case", "HTTPS://App.Example.com", Some("https://app.example.com")),
            ("usual port", "https://app.example.com:443", Some("https://app.example.com")),
            ("other port", "http://localhost:3000", Some("http://localhost:3000")),
            ("IPv6", "http://[::1]:3000", Some("http://[::1]:3000")),
            ("an app", "capacitor://localhost", Some("capacitor://localhost")),
            ("slash at the end", "https://a.test/", None),
            ("path", "https://a.test/x", None),
            ("user", "https://u@a.test", None),
            ("query", "https://a.test?x", None),
            ("no host", "https://", None),
            ("no scheme", "a.test", None),
            ("wildcard", "https://*.a.test", None),
            ("bad port", "https://a.test:x", None),
            ("port out of range", "https://a.test:70000", None),
            ("bad IPv6", "http://[::x]", None),
            ("null", "null", None),
        ];
        for (name, text, expected) in cases {
            let origin = Origin::parse(text);
            assert_eq!(origin.as_ref().map(Origin::as_str).ok(), expected, "{name}");
        }
    }

    #[test]
    fn a_star_and_credentials_exclude_each_other() {
        let star = || vec!["*".to_owned()];

        assert!(CorsOrigins::new(star(), false).is_ok_and(|policy| policy.any));
        assert_eq!(CorsOrigins::new(star(), true), Err(InvalidOrigins::AnyWithCredentials));
    }
}
