//! Where bills are paid: the accounts at the providers, and what every call to them needs.

use schemas::Channel;

use crate::{
    payment::{Gateway, Gateways, PaymentSettings},
    seal::Sealer,
};

/// The accounts at the providers and what goes with them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Till {
    /// The accounts.
    pub gateways: Gateways,
    /// Seals the ids of payers.
    pub sealer: Sealer,
    /// Where providers and browsers reach this installation, without a slash at the end.
    pub public_url: String,
}

impl Till {
    /// A till without accounts: nothing can be paid.
    ///
    /// # Panics
    ///
    /// Never: there are no keys to read.
    #[must_use]
    #[expect(clippy::expect_used, reason = "without accounts there is nothing to fail")]
    pub fn closed() -> Self {
        let gateways = Gateways::open(&PaymentSettings::default()).expect("no accounts");
        Self { gateways, sealer: Sealer::ephemeral(), public_url: String::new() }
    }

    /// The account `app` at `channel`.
    #[must_use]
    pub fn gateway(&self, channel: Channel, app: &str) -> Option<&Gateway> {
        self.gateways.get(channel, app)
    }

    /// Where the provider tells of what happened at account `app`.
    #[must_use]
    pub fn notify_url(&self, channel: Channel, app: &str) -> String {
        format!("{}/api/pay/notify/{channel}/{app}/", self.public_url)
    }

    /// Where the provider's page sends the browser. Being there proves nothing.
    #[must_use]
    pub fn return_url(&self) -> String {
        format!("{}/api/pay/return/", self.public_url)
    }
}
