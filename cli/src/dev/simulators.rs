//! The simulated payment providers of `feat dev`, and a till that is paid through them.

use std::net::SocketAddr;

use providers::{
    payment::{Gateways, PaymentSettings},
    seal::Sealer,
    till::Till,
};
use secrecy::SecretString;
use sim::Running;

use crate::failure::Failure;

/// Starts the simulators on `listen` and opens the accounts that they know.
///
/// # Errors
///
/// The address is taken.
pub(super) async fn start(
    listen: SocketAddr,
    public_url: &str,
    sealing_key: &SecretString,
) -> Result<(Running, Till), Failure> {
    let report = |error: &dyn std::fmt::Display| Failure::setup(error, "Report this");
    let mut settings = sim::Settings::fixture().map_err(|error| report(&error))?;
    settings.listen = vec![listen];
    let running = sim::start(settings)
        .await
        .map_err(|error| Failure::setup(error, "Choose another address with --simulators"))?;
    let accounts: PaymentSettings =
        serde_json::from_value(running.payments()).map_err(|error| report(&error))?;
    let gateways = Gateways::open(&accounts).map_err(|findings| {
        let problems = findings.into_iter().filter_map(|finding| finding.problem);
        report(&problems.collect::<Vec<_>>().join("; "))
    })?;
    let sealer = Sealer::new(sealing_key).map_err(|error| report(&error))?;
    Ok((running, Till { gateways, sealer, public_url: public_url.to_owned() }))
}
