//! The simulated Apple push service of `feat sim`, and the settings by which a Feat elsewhere
//! pushes to it.

use std::net::SocketAddr;

use schemas::ApnsEnvironment;
use serde_json::{Value, json};
use sim::apns::{Settings, Simulator};

use crate::failure::Failure;

/// The app that it is set up for. Its key serves any other, too.
const APP: &str = "com.example.demo";

const KEY: &str = "SIMULATED1";
const TEAM: &str = "SIMTEAM001";

/// Deliveries that can be read back.
const KEPT: usize = 100_000;

/// The running service.
pub(super) struct Pushes {
    simulator: Simulator,
    /// The signing key that it believes, PEM.
    key: String,
}

/// Starts it: production at `address`, the sandbox and the control at the two ports behind it; all
/// at free ports when that of `address` is 0.
///
/// # Errors
///
/// A port is taken, or there is none behind `address`.
pub(super) async fn start(address: SocketAddr) -> Result<Pushes, Failure> {
    let advice = "Choose another address with --apns";
    let behind = |by: u16| {
        let port = if address.port() == 0 { Some(0) } else { address.port().checked_add(by) };
        let port = port.ok_or_else(|| Failure::setup("there is no further port", advice))?;
        Ok::<_, Failure>(SocketAddr::new(address.ip(), port))
    };
    let settings = Settings {
        production: address,
        sandbox: behind(1)?,
        control: Some(behind(2)?),
        keep_payloads: true,
        keep_deliveries: KEPT,
        ..Settings::default()
    };
    let simulator = Simulator::start(settings).await;
    let simulator = simulator.map_err(|error| Failure::setup(error, advice))?;
    let key = simulator.make_key(KEY, TEAM, &[], &ApnsEnvironment::ALL);
    let key = key.map_err(|error| Failure::setup(error, "Report this"))?;
    Ok(Pushes { simulator, key })
}

impl Pushes {
    /// Where it is and whom it believes, for programs.
    pub(super) fn json(&self) -> Value {
        json!({
            "production": self.simulator.url(ApnsEnvironment::Production),
            "sandbox": self.simulator.url(ApnsEnvironment::Sandbox),
            "control": self.control(),
            "authority": self.simulator.authority_pem(),
            "app": APP,
            "key": self.key,
            "key_id": KEY,
            "team_id": TEAM,
        })
    }

    /// The same for a person: the section of `feat.toml` by which APIs and workers push to it.
    pub(super) fn told(&self) -> String {
        format!(
            "Simulated Apple push: what devices got is at {control}/deliveries\n\
             \n\
             curl -so apns-roots.pem {control}/authority.pem   # then, in feat.toml:\n\
             \n\
             [apns]\n\
             production = \"{production}\"\n\
             sandbox = \"{sandbox}\"\n\
             roots_file = \"apns-roots.pem\"\n\
             \n\
             [[apns.accounts]]\n\
             apps = [\"{APP}\"]\n\
             key_id = \"{KEY}\"\n\
             team_id = \"{TEAM}\"\n\
             key = {{ value = \"\"\"\n{key}\"\"\" }}",
            control = self.control(),
            production = self.simulator.url(ApnsEnvironment::Production),
            sandbox = self.simulator.url(ApnsEnvironment::Sandbox),
            key = self.key,
        )
    }

    fn control(&self) -> String {
        self.simulator.control_url().unwrap_or_default()
    }
}
