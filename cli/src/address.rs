//! Addresses as people write them: where to listen, and where clients find Feat.

use std::net::{Ipv4Addr, SocketAddr};

/// The one name that is understood; others would have to be looked up.
const LOCALHOST: &str = "localhost:";

/// Reads an address to listen on: an IP address with a port, or `localhost` with a port.
///
/// # Errors
///
/// What was expected instead.
pub(crate) fn listen(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    let named = text.strip_prefix(LOCALHOST).and_then(|port| port.parse().ok());
    match named {
        Some(port) => Ok((Ipv4Addr::LOCALHOST, port).into()),
        None => text.parse().map_err(|_| {
            "expected an IP address with a port, such as 127.0.0.1:8080, [::1]:8080 or \
             0.0.0.0:8080 for every address of this machine"
                .to_owned()
        }),
    }
}

/// Reads the address under which clients reach Feat. Every address in a reply begins with it.
///
/// # Errors
///
/// What was expected instead.
pub(crate) fn public_url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '@' | '\\' | '"');
    let host = rest.unwrap_or_default().split(['/', ':']).next().unwrap_or_default();
    let good = !host.is_empty() && !text.ends_with('/') && text.chars().all(is_plain);
    if good {
        return Ok(text.to_owned());
    }
    Err("expected an address such as https://feat.example.com, without a slash at the end"
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_to_listen_on_is_an_ip_address_or_localhost() {
        let cases = [
            ("IPv4", "0.0.0.0:80", Some("0.0.0.0:80")),
            ("IPv6", "[::1]:8080", Some("[::1]:8080")),
            ("localhost", "localhost:8080", Some("127.0.0.1:8080")),
            ("any port", " localhost:0 ", Some("127.0.0.1:0")),
            ("another name", "feat.example.com:80", None),
            ("no port", "localhost", None),
            ("a port alone", "8080", None),
            ("no address", ":8080", None),
            ("a port beyond", "localhost:99999", None),
        ];
        for (name, text, expected) in cases {
            let found = listen(text).ok().map(|address| address.to_string());
            assert_eq!(found.as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn a_public_address_is_one_of_the_web() {
        let cases = [
            ("plain", "https://feat.example.com", true),
            ("with a port", "http://127.0.0.1:8080", true),
            ("IPv6", "http://[::1]:8080", true),
            ("below a path", "https://example.com/feat", true),
            ("nonsense", "nonsense", false),
            ("nothing", "", false),
            ("no host", "https://", false),
            ("a port alone", "https://:80", false),
            ("other scheme", "ftp://feat.example.com", false),
            ("slash at the end", "https://feat.example.com/", false),
            ("blank inside", "https://feat example.com", false),
            ("a query", "https://feat.example.com?a", false),
            ("a password", "https://a:b@feat.example.com", false),
        ];
        for (name, text, good) in cases {
            assert_eq!(public_url(text).is_ok(), good, "{name}");
        }
    }
}
