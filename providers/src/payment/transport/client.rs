//! Clients and the addresses they may speak to.

use std::time::Duration;

use reqwest::{Certificate, ClientBuilder, redirect::Policy};
use secrecy::ExposeSecret;
use url::{Host, Url};

use crate::payment::{Mode, Reach};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Shorter than the providers' own, so that a connection is rarely closed under a request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// What is wrong with how a provider is to be reached.
pub(in crate::payment) type ClientError = String;

/// A place that may be spoken to.
#[derive(Debug, Clone)]
pub(in crate::payment) struct Reachable {
    base: Url,
}

impl Reachable {
    /// The address of `path`, which begins with a slash and may have a query.
    pub(in crate::payment) fn at(&self, path: &str) -> Option<Url> {
        let base = self.base.as_str().trim_end_matches('/');
        let url = Url::parse(&format!("{base}{path}")).ok()?;
        (url.origin() == self.base.origin()).then_some(url)
    }

    /// The address itself.
    pub(in crate::payment) const fn url(&self) -> &Url {
        &self.base
    }
}

/// Reads an address of a provider: TLS, or plain HTTP to this machine in test mode. It has no
/// credentials, query or fragment.
pub(in crate::payment) fn endpoint(text: &str, mode: Mode) -> Result<Reachable, ClientError> {
    let base = Url::parse(text).map_err(|_| format!("{text} is no address"))?;
    let loopback = match base.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(_)) | None => false,
    };
    let fits =
        base.scheme() == "https" || (base.scheme() == "http" && loopback && mode == Mode::Test);
    if !fits {
        return Err(format!("{text}: expected https, or in test mode http to 127.0.0.1 or [::1]"));
    }
    let plain = base.username().is_empty() && base.password().is_none();
    if !plain || base.query().is_some() || base.fragment().is_some() {
        return Err(format!("{text}: expected no credentials, query or fragment"));
    }
    Ok(Reachable { base })
}

/// A client with the rules of this module. Its checks of certificates cannot be switched off.
pub(in crate::payment) fn client_builder(reach: &Reach) -> Result<ClientBuilder, ClientError> {
    let mut builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(crate::payment::DEFAULT_TIMEOUT)
        .redirect(Policy::none())
        .no_proxy()
        .pool_idle_timeout(IDLE_TIMEOUT)
        .referer(false)
        .user_agent("feat");
    if let Some(roots) = &reach.trust_roots {
        let pem = roots.text()?;
        let roots = Certificate::from_pem_bundle(pem.expose_secret().as_bytes());
        let roots = roots.map_err(|_| "trust_roots: not certificates in PEM".to_owned())?;
        builder = builder.tls_certs_only(roots);
    }
    Ok(builder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_without_tls_are_for_tests_on_this_machine_only() {
        let cases = [
            ("live with TLS", "https://api.example.com", Mode::Live, true),
            ("test with TLS", "https://sandbox.example.com/gateway.do", Mode::Test, true),
            ("test on this machine", "http://127.0.0.1:8181", Mode::Test, true),
            ("test on this machine, IPv6", "http://[::1]:8181/", Mode::Test, true),
            ("live on this machine", "http://127.0.0.1:8181", Mode::Live, false),
            ("test elsewhere", "http://10.0.0.1", Mode::Test, false),
            ("a name may lead elsewhere", "http://localhost:8181", Mode::Test, false),
            ("looks like this machine", "http://127.0.0.1.example.com", Mode::Test, false),
            ("credentials", "https://user:secret@example.com", Mode::Live, false),
            ("query", "https://example.com/?a=1", Mode::Live, false),
            ("other scheme", "ftp://127.0.0.1", Mode::Test, false),
        ];
        for (name, text, mode, fits) in cases {
            assert_eq!(endpoint(text, mode).is_ok(), fits, "{name}");
        }
    }

    #[test]
    fn a_path_cannot_lead_to_another_host() {
        let place = endpoint("https://api.example.com", Mode::Live).ok();
        let at = |path| place.as_ref().and_then(|place| place.at(path)).map(String::from);

        assert_eq!(at("/v3/x?a=b").as_deref(), Some("https://api.example.com/v3/x?a=b"));
        assert_eq!(at("@evil.example.com/"), None);
        assert_eq!(at(".evil.example.com/"), None);
    }
}
