//! Where RabbitMQ is.

use std::time::Duration;

use lapin::{ConnectionProperties, uri::AMQPUri};
use secrecy::{ExposeSecret, SecretString};

use crate::InvalidUri;

/// Where RabbitMQ is and how this process presents itself there.
#[derive(Debug, Clone)]
pub struct RabbitSettings {
    /// `amqp://` or `amqps://` address with user, password and vhost. Of its parameters
    /// `heartbeat` (seconds, 10 when absent) and `connection_timeout` (milliseconds, 5,000 when
    /// absent) are worth setting.
    pub uri: SecretString,
    /// Name of this process, which the server shows for its connections.
    pub name: String,
    /// Longest that a publication may take before it counts as unconfirmed; 5 s is a good value.
    pub publish_timeout: Duration,
    /// Whether somebody may wait here for what becomes of jobs, so that events about it are fetched.
    pub news: bool,
}

/// A server that answers nothing for twice this long is given up, in seconds.
const HEARTBEAT: u16 = 10;
const CONNECT_TIMEOUT_MS: u64 = 5_000;

/// What it takes to open a connection.
#[derive(Clone)]
pub(super) struct Target {
    uri: AMQPUri,
    name: String,
}

impl Target {
    pub(super) fn parse(settings: RabbitSettings) -> Result<Self, InvalidUri> {
        let mut uri: AMQPUri =
            settings.uri.expose_secret().parse().map_err(|_: String| InvalidUri)?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        uri.query.connection_timeout.get_or_insert(CONNECT_TIMEOUT_MS);
        Ok(Self { uri, name: settings.name })
    }

    /// Opens one connection; lapin bounds the wait for TCP, nothing the handshake after it.
    pub(super) async fn connect(self, purpose: &str) -> lapin::Result<lapin::Connection> {
        let name = format!("{} ({purpose})", self.name);
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        lapin::Connection::connect_uri(self.uri, properties).await
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    fn parse(uri: &str) -> Result<Target, InvalidUri> {
        let publish_timeout = Duration::from_secs(5);
        let name = "t".to_owned();
        Target::parse(RabbitSettings { uri: uri.into(), name, publish_timeout, news: false })
    }

    #[test]
    fn an_address_gets_the_bounds_that_it_lacks() {
        let plain = parse("amqp://u:p@localhost:5672/feat").unwrap().uri;
        assert_eq!(plain.query.heartbeat, Some(HEARTBEAT));
        assert_eq!(plain.query.connection_timeout, Some(CONNECT_TIMEOUT_MS));

        let own = parse("amqps://u:p@localhost/%2f?heartbeat=3&connection_timeout=100").unwrap();
        assert_eq!(own.uri.query.heartbeat, Some(3));
        assert_eq!(own.uri.query.connection_timeout, Some(100));
        assert_eq!(own.uri.vhost, "/");
    }

    #[test]
    fn what_is_no_address_is_refused_without_showing_it() {
        for uri in ["", "localhost", "http://u:secret@localhost/", "amqp://u:secret@localhost:x/"] {
            let error = parse(uri).err().unwrap_or_else(|| panic!("{uri:?} was taken"));
            assert!(!error.to_string().contains("secret"), "{uri:?}");
        }
    }
}
