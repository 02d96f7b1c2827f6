//! Where a client may be sent back to with a code or a token.
//!
//! The rules are narrow on purpose: an address that two parsers could read in two ways is none.
//! What must hold: whatever [`RedirectUri::allows`] passes leads a browser to the registered
//! scheme, host, port and path, and nowhere else.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest address, in bytes.
const MAX_LENGTH: usize = 2_000;

/// Schemes that do something in the browser itself instead of leading to an application.
const FORBIDDEN: [&str; 11] = [
    "about",
    "blob",
    "data",
    "file",
    "filesystem",
    "ftp",
    "javascript",
    "vbscript",
    "view-source",
    "ws",
    "wss",
];

/// Names that the reply itself carries; an address that brings its own could pass it off as ours.
const RESERVED: [&str; 7] =
    ["access_token", "code", "error", "error_description", "expires_in", "state", "token_type"];

/// The text is no address that a client may be sent back to.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "not an address to come back to: expected one such as https://app.example.com/oauth or \
     com.example.app:/oauth, without user, fragment or relative parts"
)]
pub struct InvalidRedirectUri;

/// An address that a client has registered: `http` or `https` with a host, or an app's own scheme.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct RedirectUri(String);

impl RedirectUri {
    /// The address as it was registered.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a request may name `requested` where this address is registered.
    ///
    /// For `http` and `https`, scheme, host, port and path must be the same, a registered query
    /// must stand at the begin of the requested one, and the request may add parameters, other
    /// than those of the reply. An app's own scheme must be the same text.
    #[must_use]
    pub fn allows(&self, requested: &str) -> bool {
        let (Some(ours), Some(theirs)) = (Parts::of(&self.0), Parts::of(requested)) else {
            return false;
        };
        match (&ours.web, &theirs.web) {
            (Some(our_web), Some(their_web)) => {
                ours.scheme.eq_ignore_ascii_case(theirs.scheme)
                    && our_web.host.eq_ignore_ascii_case(their_web.host)
                    && our_web.port == their_web.port
                    && our_web.path == their_web.path
                    && extends(our_web.query, their_web.query)
            }
            _ => self.0 == requested,
        }
    }
}

/// What a content security policy calls the place of `uri`: its origin, or its scheme.
#[must_use]
pub fn origin(uri: &str) -> Option<String> {
    let parts = Parts::of(uri)?;
    Some(match &parts.web {
        Some(web) => format!("{}://{}", parts.scheme, web.authority),
        None => format!("{}:", parts.scheme),
    })
}

impl TryFrom<String> for RedirectUri {
    type Error = InvalidRedirectUri;

    fn try_from(text: String) -> Result<Self, InvalidRedirectUri> {
        if Parts::of(&text).is_some() { Ok(Self(text)) } else { Err(InvalidRedirectUri) }
    }
}

impl std::str::FromStr for RedirectUri {
    type Err = InvalidRedirectUri;

    fn from_str(text: &str) -> Result<Self, InvalidRedirectUri> {
        Self::try_from(text.to_owned())
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An address in its parts, if every parser reads it in the same way.
struct Parts<'a> {
    scheme: &'a str,
    /// Absent for an app's own scheme.
    web: Option<Web<'a>>,
}

struct Web<'a> {
    authority: &'a str,
    host: &'a str,
    port: u16,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Option<Self> {
        if text.len() > MAX_LENGTH || !is_plain(text) {
            return None;
        }
        let (scheme, rest) = text.split_once(':')?;
        if !is_scheme(scheme) || rest.is_empty() {
            return None;
        }
        let lower = scheme.to_ascii_lowercase();
        let web = match lower.as_str() {
            "http" => Some(Web::of(rest, 80)?),
            "https" => Some(Web::of(rest, 443)?),
            _ if FORBIDDEN.contains(&lower.as_str()) => return None,
            _ => None,
        };
        Some(Self { scheme, web })
    }
}

impl<'a> Web<'a> {
    fn of(rest: &'a str, default_port: u16) -> Option<Self> {
        let rest = rest.strip_prefix("//")?;
        let (before, query) = match rest.split_once('?') {
            Some((before, query)) => (before, Some(query)),
            None => (rest, None),
        };
        let end = before.find('/').unwrap_or(before.len());
        let (authority, path) = before.split_at(end);
        let (host, port) = host_and_port(authority)?;
        let port = if port.is_empty() { default_port } else { number(port)? };
        let path = if path.is_empty() { "/" } else { path };
        let plain = is_host(host) && !path.contains(['[', ']']) && !path.split('/').any(is_dots);
        plain.then_some(Self { authority, host, port, path, query })
    }
}

/// Only characters that an address may have, none of which any parser drops or turns round: no
/// blanks, no controls, no backslash, no fragment, nothing beyond ASCII, no broken `%`.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    bytes.iter().enumerate().all(|(at, byte)| match byte {
        b'%' => is_hex(at + 1) && is_hex(at + 2),
        _ => byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=".contains(byte),
    })
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"+-.".contains(&c))
}

/// An address of IP version 6 stands in brackets; a colon elsewhere begins the port.
fn host_and_port(authority: &str) -> Option<(&str, &str)> {
    let end = match authority.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(end);
    if port.is_empty() { Some((host, "")) } else { port.strip_prefix(':').map(|port| (host, port)) }
}

fn number(port: &str) -> Option<u16> {
    let digits = port.bytes().all(|c| c.is_ascii_digit());
    port.parse().ok().filter(|port| digits && *port > 0)
}

fn is_host(host: &str) -> bool {
    if let Some(six) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return six.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let allowed = |c: u8| c.is_ascii_alphanumeric() || b"-._".contains(&c);
    !host.is_empty() && host.len() <= 253 && host.bytes().all(allowed)
}

/// A segment that a browser resolves away, in any of its spellings.
fn is_dots(segment: &str) -> bool {
    matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
}

/// Whether `requested` is the registered query, or that with parameters after it.
fn extends(registered: Option<&str>, requested: Option<&str>) -> bool {
    let added = match (registered, requested) {
        (None, requested) => requested.unwrap_or_default(),
        (Some(registered), Some(requested)) => match requested.strip_prefix(registered) {
            Some("") => "",
            Some(more) if more.starts_with('&') || registered.is_empty() => more,
            _ => return false,
        },
        (Some(_), None) => return false,
    };
    let names = added.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
    names.map(decoded).all(|name| !RESERVED.contains(&name.as_str()))
}

/// A parameter's name as its reader will see it; only ASCII matters here.
fn decoded(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        let hex = rest.get(1..3).filter(|_| c == '%');
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        text.push(byte.map_or(c, char::from));
        rest = rest.get(byte.map_or(c.len_utf8(), |_| 3)..).unwrap_or_default();
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn only_addresses_that_have_one_reading_are_registered() {
        let cases = [
            ("https", "https://app.example.com/oauth", true),
            ("local, with a port", "http://localhost:3000/oauth", true),
            ("no path", "https://app.example.com", true),
            ("query", "https://app.example.com/oauth?tenant=1", true),
            ("IP version 6", "http://[::1]:3000/oauth", true),
            ("an app's own scheme", "com.example.app:/oauth", true),
            ("empty", "", false),
            ("relative", "/oauth", false),
            ("no scheme", "//app.example.com/oauth", false),
            ("no host", "https:///oauth", false),
            ("one slash", "https:/app.example.com/oauth", false),
            ("user", "https://app.example.com@evil.test/oauth", false),
            ("fragment", "https://app.example.com/oauth#x", false),
            ("empty fragment", "https://app.example.com/oauth#", false),
            ("backslash", "https://app.example.com\\@evil.test/", false),
            ("blank", "https://app.example.com/a b", false),
            ("line feed", "https://app.example.com/\n", false),
            ("letters of elsewhere", "https://äpp.example.com/", false),
            ("port 0", "https://app.example.com:0/", false),
            ("port with a sign", "https://app.example.com:+443/", false),
            ("port too large", "https://app.example.com:65536/", false),
            ("dots", "https://app.example.com/a/../b", false),
            ("encoded dots", "https://app.example.com/a/%2E%2e/b", false),
            ("broken escape", "https://app.example.com/%2", false),
            ("script", "javascript:alert(1)", false),
            ("script in capitals", "JavaScript:alert(1)", false),
            ("data", "data:text/html,x", false),
            ("file", "file:///etc/passwd", false),
            ("scheme alone", "myapp:", false),
        ];
        for (name, text, accepted) in cases {
            assert_eq!(text.parse::<RedirectUri>().is_ok(), accepted, "{name}: {text}");
        }
        assert!(format!("https://a.test/{}", "x".repeat(2_000)).parse::<RedirectUri>().is_err());
    }

    #[test]
    fn a_request_may_add_to_the_query_and_to_nothing_else() {
        let web = "https://app.example.com/oauth";
        let local = "http://localhost:3000/oauth";
        let tenant = "https://app.example.com/oauth?tenant=1";
        let app = "com.example.app:/oauth";
        let cases = [
            ("the same", web, web, true),
            ("with a query", local, "http://localhost:3000/oauth?next=%2Fprofile", true),
            ("capitals in the host", web, "https://APP.example.com/oauth", true),
            ("the default port", web, "https://app.example.com:443/oauth", true),
            (
                "registered query and more",
                tenant,
                "https://app.example.com/oauth?tenant=1&a=2",
                true,
            ),
            ("an app's", app, app, true),
            ("user before the host", web, "https://app.example.com@evil.test/oauth", false),
            ("user and password", web, "https://a:b@app.example.com/oauth", false),
            ("host as user, encoded", web, "https://app.example.com%40evil.test/oauth", false),
            ("backslash for a slash", web, "https://evil.test\\app.example.com/oauth", false),
            ("backslash before the user", web, "https://app.example.com\\@evil.test/oauth", false),
            ("no scheme", web, "//app.example.com/oauth", false),
            ("double slash", web, "https://app.example.com//oauth", false),
            ("other port", web, "https://app.example.com:8443/oauth", false),
            ("other local port", local, "http://localhost:3001/oauth", false),
            ("other scheme", web, "http://app.example.com/oauth", false),
            ("longer path", web, "https://app.example.com/oauth/evil", false),
            ("path prefix", web, "https://app.example.com/oauthevil", false),
            ("slash at the end", web, "https://app.example.com/oauth/", false),
            ("shorter path", web, "https://app.example.com/", false),
            ("dots", web, "https://app.example.com/oauth/../oauth", false),
            ("encoded path", web, "https://app.example.com/%6Fauth", false),
            ("capitals in the path", web, "https://app.example.com/OAUTH", false),
            ("subdomain", web, "https://evil.app.example.com/oauth", false),
            ("longer host", web, "https://app.example.com.evil.test/oauth", false),
            ("dot after the host", web, "https://app.example.com./oauth", false),
            ("other host for local", local, "http://127.0.0.1:3000/oauth", false),
            ("fragment", web, "https://app.example.com/oauth#x", false),
            (
                "encoded fragment in the host",
                web,
                "https://app.example.com%23.evil.test/oauth",
                false,
            ),
            ("line feed", web, "https://app.example.com/oauth\n", false),
            ("tab in the host", web, "https://app.exam\tple.com/oauth", false),
            ("blank in front", web, " https://app.example.com/oauth", false),
            ("without the registered query", tenant, "https://app.example.com/oauth", false),
            ("another query", tenant, "https://app.example.com/oauth?tenant=2", false),
            ("longer value", tenant, "https://app.example.com/oauth?tenant=12", false),
            ("a code of its own", web, "https://app.example.com/oauth?code=x", false),
            ("encoded code of its own", web, "https://app.example.com/oauth?a=1&%63ode=x", false),
            ("a state of its own", web, "https://app.example.com/oauth?state=x", false),
            ("script", web, "javascript:alert(1)//app.example.com/oauth", false),
            ("an app's, unregistered", web, "com.example.app:/oauth", false),
            ("an app's, with a query", app, "com.example.app:/oauth?x=1", false),
            ("an app's, other capitals", app, "com.example.APP:/oauth", false),
        ];
        for (name, registered, requested, allowed) in cases {
            let registered: RedirectUri = registered.parse().unwrap();
            assert_eq!(registered.allows(requested), allowed, "{name}: {requested}");
        }
    }

    #[test]
    fn an_origin_is_what_a_policy_names() {
        let cases = [
            ("http://localhost:3000/oauth?next=/a", Some("http://localhost:3000")),
            ("https://app.example.com", Some("https://app.example.com")),
            ("com.example.app:/oauth", Some("com.example.app:")),
            ("javascript:alert(1)", None),
        ];
        for (uri, expected) in cases {
            assert_eq!(origin(uri).as_deref(), expected, "{uri}");
        }
    }
}
