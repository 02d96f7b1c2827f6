//! The settings about devices that get pushes, and about webhooks.

use std::time::Duration;

use providers::webhook::WebhookSettings;
use schemas::{BundleId, push_token::BrakePolicy};
use workers::TokenLife;

use super::{reader::Reader, setting::Accounts};

/// Seconds of a day.
const DAY: u64 = 86_400;

/// What is told about devices and webhooks.
#[derive(Clone, Default)]
pub(crate) struct Devices {
    /// The app of a token that is registered without naming one.
    pub(crate) default_app: Option<BundleId>,
    /// How long device tokens live.
    pub(crate) life: TokenLife,
    /// The back ends that want to hear of events.
    pub(crate) webhooks: Vec<WebhookSettings>,
}

impl Devices {
    /// Reads the settings, and notes what is wrong with them.
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let defaults = TokenLife::default();
        let days = |span: Duration| span.as_secs() / DAY;
        let mut span = |key: &str, default: Duration, most: u64| {
            super::groups::span(reader, key, days(default) * DAY, DAY..=most * DAY)
        };
        let stale_after = span("push_tokens.stale_after", defaults.stale_after, 3_650);
        let removed_kept = span("push_tokens.removed_kept", defaults.removed_kept, 3_650);
        let percent = defaults.brake.percent;
        let percent = reader.number("push_tokens.brake_percent", percent, 1..=100);
        let default_app = reader.optional("push_tokens.default_app");
        let webhooks: Option<Accounts<WebhookSettings>> = reader.optional("webhooks");
        let brake = BrakePolicy { percent, ..defaults.brake };
        Self {
            default_app,
            life: TokenLife { stale_after, removed_kept, brake },
            webhooks: webhooks.map(|list| list.0).unwrap_or_default(),
        }
    }
}
