//! What an operator sets: apps and their credentials, addresses, limits.

use std::{net::IpAddr, path::PathBuf, str::FromStr, time::Duration};

use http::uri::{Authority, Scheme};
use schemas::{ApnsEnvironment, BundleId};
use secrecy::SecretString;

use super::Clock;

/// Which of the two ways to Apple is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// HTTP/2 by Feat itself, to any address, for every push type.
    #[default]
    Direct,
    /// The crate a2: Apple's two addresses only, and neither priority 1 nor the push types
    /// `complication`, `widgets` and `controls`.
    A2,
}

/// Everything about the way to Apple. [`Settings::for_apps`] fills in what is usual.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The apps that may be pushed to.
    pub apps: Vec<AppSettings>,
    /// The way.
    pub transport: Transport,
    /// Address for tokens of the App Store and `TestFlight`. Direct only.
    pub production: Endpoint,
    /// Address for tokens of development builds. Direct only.
    pub sandbox: Endpoint,
    /// Whose certificates are believed. Direct only.
    pub roots: Roots,
    /// Connections per credential and environment, 1 to 16. Direct only.
    pub connections: usize,
    /// Most pushes under way on one connection, 1 to 1,500; the peer's own limit binds as well.
    pub in_flight: usize,
    /// Longest wait for an answer, from 1 second to 5 minutes.
    pub answer_timeout: Duration,
    /// Longest wait for a connection and for a free stream, from 100 ms to 5 minutes.
    pub room_timeout: Duration,
    /// How often a connection with pushes under way is asked whether it is alive, and how long it
    /// may take to say so: from 100 ms to 5 minutes. Direct only.
    pub ping_every: Duration,
    /// How often credential files are looked at for changes, from 100 ms.
    pub reload_every: Duration,
    /// The time by which provider tokens are made.
    pub clock: Clock,
}

impl Settings {
    /// Apple's addresses, the system's roots and the usual limits.
    #[must_use]
    pub fn for_apps(apps: Vec<AppSettings>) -> Self {
        Self {
            apps,
            transport: Transport::default(),
            production: Endpoint::of_apple(ApnsEnvironment::Production),
            sandbox: Endpoint::of_apple(ApnsEnvironment::Sandbox),
            roots: Roots::System,
            connections: 2,
            in_flight: 500,
            answer_timeout: Duration::from_secs(20),
            room_timeout: Duration::from_secs(10),
            ping_every: Duration::from_secs(10),
            reload_every: Duration::from_secs(10),
            clock: Clock::system(),
        }
    }

    pub(super) const fn endpoint(&self, environment: ApnsEnvironment) -> &Endpoint {
        match environment {
            ApnsEnvironment::Production => &self.production,
            ApnsEnvironment::Sandbox => &self.sandbox,
        }
    }

    /// The same with every number within its range.
    pub(super) fn bounded(mut self) -> Self {
        const LONGEST: Duration = Duration::from_mins(5);
        let shortest = Duration::from_millis(100);
        self.connections = self.connections.clamp(1, 16);
        self.in_flight = self.in_flight.clamp(1, 1_500);
        self.answer_timeout = self.answer_timeout.clamp(Duration::from_secs(1), LONGEST);
        self.room_timeout = self.room_timeout.clamp(shortest, LONGEST);
        self.ping_every = self.ping_every.clamp(shortest, LONGEST);
        self.reload_every = self.reload_every.max(shortest);
        self
    }
}

/// One app and what it signs in with. Apps with the same credential share it and its connections.
#[derive(Debug, Clone)]
pub struct AppSettings {
    /// The app.
    pub app: BundleId,
    /// What Apple knows its maker by.
    pub credential: CredentialSource,
}

/// Where a credential comes from.
#[derive(Debug, Clone)]
pub enum CredentialSource {
    /// A key from which provider tokens are made. One key serves every app of its team.
    Token {
        /// The `.p8` file.
        key_file: PathBuf,
        /// Ten letters and digits.
        key_id: String,
        /// Ten letters and digits.
        team_id: String,
    },
    /// The same with the text of the key, which is not read again.
    TokenText {
        /// Content of the `.p8` file.
        key: SecretString,
        /// Ten letters and digits.
        key_id: String,
        /// Ten letters and digits.
        team_id: String,
    },
    /// A certificate of one app. It cannot send `location` and `liveactivity`, and it expires.
    Certificate {
        /// The `.p12` file with certificate and key.
        file: PathBuf,
        /// What opens it.
        password: SecretString,
    },
}

impl CredentialSource {
    /// The file that is looked at for changes.
    pub(super) const fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::Token { key_file: file, .. } | Self::Certificate { file, .. } => Some(file),
            Self::TokenText { .. } => None,
        }
    }
}

/// Whose certificates are believed.
#[derive(Debug, Clone)]
pub enum Roots {
    /// The system's.
    System,
    /// Only those in this PEM text.
    Only(Vec<u8>),
}

/// The text is no address for pushes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an address such as https://host:443, or http:// of this machine itself")]
pub struct NotAnEndpoint;

/// Where pushes are sent: `https://host[:port]`, or `http://` for an address of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub(super) scheme: Scheme,
    pub(super) authority: Authority,
}

impl Endpoint {
    /// Apple's own.
    #[must_use]
    pub fn of_apple(environment: ApnsEnvironment) -> Self {
        let host = match environment {
            ApnsEnvironment::Production => "api.push.apple.com",
            ApnsEnvironment::Sandbox => "api.sandbox.push.apple.com",
        };
        Self { scheme: Scheme::HTTPS, authority: Authority::from_static(host) }
    }

    pub(super) fn has_tls(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// The host without the brackets of an IPv6 address.
    pub(super) fn host(&self) -> &str {
        self.authority.host().trim_start_matches('[').trim_end_matches(']')
    }

    pub(super) fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.has_tls() { 443 } else { 80 })
    }
}

impl FromStr for Endpoint {
    type Err = NotAnEndpoint;

    fn from_str(text: &str) -> Result<Self, NotAnEndpoint> {
        let (scheme, rest) = text.split_once("://").ok_or(NotAnEndpoint)?;
        let authority: Authority = rest.trim_end_matches('/').parse().map_err(|_| NotAnEndpoint)?;
        let scheme = match scheme {
            "https" => Scheme::HTTPS,
            "http" => Scheme::HTTP,
            _ => return Err(NotAnEndpoint),
        };
        let endpoint = Self { scheme, authority };
        let named = !endpoint.host().is_empty() && !endpoint.authority.as_str().contains('@');
        let own = |host: &str| host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
        if !named || !(endpoint.has_tls() || own(endpoint.host())) {
            return Err(NotAnEndpoint);
        }
        Ok(endpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushes_leave_this_machine_only_under_tls() {
        let cases = [
            ("Apple's", "https://api.push.apple.com", true),
            ("another port", "https://api.push.apple.com:2197/", true),
            ("an IPv6 address", "https://[2001:db8::1]:443", true),
            ("this machine", "http://127.0.0.1:9000", true),
            ("this machine over IPv6", "http://[::1]:9000", true),
            ("a name may lead anywhere", "http://localhost:9000", false),
            ("another machine", "http://192.0.2.1:9000", false),
            ("no scheme", "api.push.apple.com", false),
            ("another scheme", "ftp://127.0.0.1", false),
            ("no host", "https://", false),
            ("a user", "https://me@api.push.apple.com", false),
            ("a path", "https://api.push.apple.com/3", false),
        ];
        for (name, text, valid) in cases {
            assert_eq!(text.parse::<Endpoint>().is_ok(), valid, "{name}");
        }
    }
}
