//! The simulated push service of `feat dev`, and a device of the demo user that gets pushes.

use providers::apns::{Apns, AppSettings, CredentialSource, Endpoint, Roots, Settings};
use schemas::{
    ApnsEnvironment, BundleId, Timestamp,
    push_token::{PushTokenRecord, Registration, SignedIn},
};
use sim::apns::Simulator;
use store::Store;

use super::demo;
use crate::failure::Failure;

/// The app that can be pushed to.
pub(super) const APP: &str = "com.example.demo";

const KEY: &str = "DEMOKEY001";
const TEAM: &str = "DEMOTEAM01";

/// The simulated service and the way there.
pub(super) struct Simulated {
    pub(super) simulator: Simulator,
    pub(super) apns: Apns,
    pub(super) app: BundleId,
}

/// Starts the simulator on free ports of this machine, with a key that it believes.
///
/// # Errors
///
/// There is no free port.
pub(super) async fn start() -> Result<Simulated, Failure> {
    let report = |error: &dyn std::fmt::Display| Failure::setup(error, "Report this");
    let settings = sim::apns::Settings {
        control: Some(([127, 0, 0, 1], 0).into()),
        keep_payloads: true,
        keep_deliveries: 1_000,
        ..sim::apns::Settings::default()
    };
    let simulator = Simulator::start(settings).await.map_err(|error| report(&error))?;
    let key = simulator.make_key(KEY, TEAM, &[], &ApnsEnvironment::ALL);
    let key = key.map_err(|error| report(&error))?.into();
    let app: BundleId = APP.parse().map_err(|error| report(&error))?;
    let credential =
        CredentialSource::TokenText { key, key_id: KEY.to_owned(), team_id: TEAM.to_owned() };
    let mut way = Settings::for_apps(vec![AppSettings { app: app.clone(), credential }]);
    let endpoint = |environment| {
        let url = simulator.url(environment).parse::<Endpoint>();
        url.map_err(|error| report(&error))
    };
    way.production = endpoint(ApnsEnvironment::Production)?;
    way.sandbox = endpoint(ApnsEnvironment::Sandbox)?;
    way.roots = Roots::Only(simulator.authority_pem().into_bytes());
    let apns = Apns::open(way).map_err(|error| report(&error))?;
    Ok(Simulated { simulator, apns, app })
}

/// Gives the demo user a device, unless there is one with that token.
///
/// # Errors
///
/// The store does not answer.
pub(super) async fn add_device(store: &Store, app: &BundleId) -> Result<(), Failure> {
    let Some(user) = store.users.by_username(demo::USERNAME).await? else { return Ok(()) };
    let token = "feed".repeat(16).parse();
    let registration = Registration {
        owner: user.id,
        app: app.clone(),
        environment: ApnsEnvironment::Sandbox,
        token: token.map_err(|error| Failure::setup(error, "Report this"))?,
        device_id: "demo:1".to_owned(),
        signed_in: SignedIn::default(),
        locale: Some("en-GB".to_owned()),
        app_version: Some("1.0".to_owned()),
    };
    // Taken means that an earlier start did it.
    let record = PushTokenRecord::new(registration, Timestamp::now());
    let _ = store.push_tokens.insert(&record).await?;
    Ok(())
}
