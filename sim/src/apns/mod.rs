//! A strict simulator of Apple's push service.
//!
//! It is written from Apple's documents and shares no code with the sender, so that it catches
//! the sender's mistakes. It listens on two addresses, one for each environment, speaks HTTP/2
//! over TLS under a certificate authority of its own, checks every header, token and payload, and
//! writes down what each device got. [`Rule`]s make it fail in every way that the real one does.
//!
//! All of it can be steered by this handle, and over HTTP by another process ([`control`]).

pub mod answer;
pub mod authority;
mod connection;
pub mod control;
pub mod ledger;
mod listener;
mod provider_token;
mod request;
pub mod script;
mod state;
mod wire;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use schemas::ApnsEnvironment;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use self::{
    answer::Refusal,
    authority::{AuthorityError, ClientCertificate},
    ledger::{Delivery, Stats},
    script::{Act, Disruption, Rule, When},
    state::{Device, Gone},
};
use self::{authority::Authority, provider_token::PublicKey, state::State};

/// How the simulator behaves.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each switches one thing by itself")]
pub struct Settings {
    /// Where it listens as the production service; port 0 takes a free one.
    pub production: SocketAddr,
    /// Where it listens as the sandbox.
    pub sandbox: SocketAddr,
    /// Where it can be steered over HTTP; `None` does not listen.
    pub control: Option<SocketAddr>,
    /// TLS with its own authority; without, HTTP/2 in clear text.
    pub tls: bool,
    /// Key of the authority in PEM form; `None` makes one.
    pub authority_key: Option<String>,
    /// Streams that a connection gets before something was accepted on it.
    pub first_streams: u32,
    /// Streams that it gets from then on.
    pub streams: u32,
    /// How long every push takes.
    pub latency: Duration,
    /// Tokens that were never registered are answered `BadDeviceToken`.
    pub known_devices_only: bool,
    /// Provider tokens may be written in base64 with padding, as the real service lets pass.
    pub padded_tokens: bool,
    /// New provider tokens are counted over all connections instead of on each by itself.
    pub count_tokens_together: bool,
    /// Payloads are written down with the deliveries.
    pub keep_payloads: bool,
    /// Deliveries that are written down; of older ones only the counts stay.
    pub keep_deliveries: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            production: any,
            sandbox: any,
            control: None,
            tls: true,
            authority_key: None,
            first_streams: 1,
            streams: 1_000,
            latency: Duration::ZERO,
            known_devices_only: false,
            padded_tokens: false,
            count_tokens_together: false,
            keep_payloads: false,
            keep_deliveries: 200_000,
        }
    }
}

/// A running simulator. It stops when dropped.
#[derive(Debug)]
pub struct Simulator {
    state: Arc<State>,
    production: SocketAddr,
    sandbox: SocketAddr,
    control: Option<SocketAddr>,
    stop: CancellationToken,
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop.cancel();
        self.state.end_connections();
    }
}

impl Simulator {
    /// Starts listening.
    ///
    /// # Errors
    ///
    /// An address is taken, or no certificate could be made.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        let authority =
            Authority::new(settings.authority_key.as_deref()).map_err(io::Error::other)?;
        let stop = CancellationToken::new();
        // A failed start leaves nothing listening.
        let failed = stop.clone().drop_guard();
        let state = Arc::new(State::new(settings.clone(), authority));
        let production = listener::start(&state, ApnsEnvironment::Production, &stop).await?;
        let sandbox = listener::start(&state, ApnsEnvironment::Sandbox, &stop).await?;
        let control = match settings.control {
            Some(address) => {
                let listener = TcpListener::bind(address).await?;
                let address = listener.local_addr()?;
                tokio::spawn(control::serve(listener, Arc::clone(&state), stop.clone()));
                Some(address)
            }
            None => None,
        };
        let _ = failed.disarm();
        Ok(Self { state, production, sandbox, control, stop })
    }

    /// Where pushes for `environment` go, such as `https://127.0.0.1:4321`.
    #[must_use]
    pub fn url(&self, environment: ApnsEnvironment) -> String {
        let scheme = if self.state.settings.tls { "https" } else { "http" };
        let address = match environment {
            ApnsEnvironment::Production => self.production,
            ApnsEnvironment::Sandbox => self.sandbox,
        };
        format!("{scheme}://{address}")
    }

    /// Where it can be steered, such as `http://127.0.0.1:4322`.
    #[must_use]
    pub fn control_url(&self) -> Option<String> {
        self.control.map(|address| format!("http://{address}"))
    }

    /// The authority's certificate in PEM form, for clients to believe.
    #[must_use]
    pub fn authority_pem(&self) -> String {
        self.state.authority.pem()
    }

    /// Makes a signing key of a team and gives it as the text of a `.p8` file. It serves the apps
    /// in `apps`, or all when there are none, in the environments in `environments`.
    ///
    /// # Errors
    ///
    /// The system has no randomness.
    pub fn make_key(
        &self,
        key_id: &str,
        team_id: &str,
        apps: &[&str],
        environments: &[ApnsEnvironment],
    ) -> Result<String, AuthorityError> {
        let (pem, bytes) = authority::signing_key()?;
        let apps = apps.iter().map(|&app| app.to_owned()).collect();
        let environments = environments.to_vec();
        let team_id = team_id.to_owned();
        self.state.add_key(key_id, PublicKey { bytes, team_id, apps, environments });
        Ok(pem)
    }

    /// Takes a key back, as its maker would after it leaked.
    pub fn revoke_key(&self, key_id: &str) {
        self.state.revoke_key(key_id);
    }

    /// Makes a client certificate of one app; it ends `valid_for` from now, or has ended when
    /// that is zero.
    ///
    /// # Errors
    ///
    /// The system has no randomness.
    pub fn make_certificate(
        &self,
        app: &str,
        environment: ApnsEnvironment,
        valid_for: Duration,
    ) -> Result<ClientCertificate, AuthorityError> {
        self.state.make_certificate(app, environment, valid_for)
    }

    /// Registers a device's token, again if need be: a token that was gone is back.
    pub fn register(&self, token: &str, app: &str, environment: ApnsEnvironment) {
        self.state.register(token, Device { app: app.to_owned(), environment, gone: None });
    }

    /// The token ended at `timestamp` (milliseconds since 1970), for `reason`: `Unregistered` or
    /// `ExpiredToken`.
    pub fn unregister(&self, token: &str, timestamp: u64, reason: &str) {
        self.state.unregister(token, Gone { timestamp, reason: reason.to_owned() });
    }

    /// Adds a rule; earlier rules are asked first.
    pub fn add_rule(&self, rule: Rule) {
        self.state.script().add(rule);
    }

    /// Forgets every rule.
    pub fn clear_rules(&self) {
        self.state.script().clear();
    }

    /// Does something to every open connection, at once.
    pub fn disrupt(&self, disruption: &Disruption) {
        self.state.disrupt(disruption);
    }

    /// How long every push takes from now on.
    pub fn set_latency(&self, latency: Duration) {
        self.state.set_latency(latency);
    }

    /// Moves its clock ahead of the system's by this much.
    pub fn set_clock_ahead(&self, by: Duration) {
        self.state.set_clock_ahead(by);
    }

    /// What was delivered, in order, as far as it is kept.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.state.ledger().deliveries()
    }

    /// Forgets deliveries and counts.
    pub fn forget(&self) {
        self.state.ledger().forget();
    }

    /// What has happened so far, in numbers.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.state.stats()
    }
}
