//! The public form of a device token.

use poem_openapi::Object;
use schemas::push_token::PushTokenRecord;

use super::Moment;

/// One device of a user that gets Apple's pushes for an app.
#[derive(Debug, Clone, Object)]
#[oai(rename = "UserAPNsDeviceToken")]
pub(crate) struct PushDevice {
    /// Its number, below 2^53.
    id: i64,
    /// `uid` of its owner.
    user: i64,
    /// Apple's address of the device, in lower-case hexadecimal digits.
    device_token: String,
    /// The device, as the client names it; null when it has no name.
    device_id: Option<String>,
    /// The app.
    bundle_id: String,
    /// `sandbox` or `production`: where Apple knows the token, which may differ from what the app
    /// has said.
    environment: String,
    /// Language and region.
    locale: Option<String>,
    /// Version of the app.
    app_version: Option<String>,
    /// `active`, `suspect` (Apple did not know it the last time) or `quarantined` (it gets no
    /// pushes until it is registered again).
    status: String,
    /// When it was first registered.
    created_at: Moment,
    /// When it was last registered.
    updated_at: Moment,
}

impl PushDevice {
    /// The view of `device`.
    pub(crate) fn of(device: PushTokenRecord) -> Self {
        let named = !device.device_id.is_empty();
        Self {
            id: device.number.get(),
            user: device.owner.get(),
            device_token: device.token.as_str().to_owned(),
            device_id: named.then_some(device.device_id),
            bundle_id: device.app.to_string(),
            environment: device.environment.name().to_owned(),
            locale: device.locale,
            app_version: device.app_version,
            status: device.state.name().to_owned(),
            created_at: Moment(device.created_at),
            updated_at: Moment(device.registered_at),
        }
    }
}
