//! Registers a device for Apple's pushes.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    apns::{ApnsEnvironment, BundleId, DeviceToken},
    id::{KeyId, PushTokenId, SessionId},
    job::{Claim, Job, RetryPolicy},
    queue::Queue,
    scope::Scope,
    time::Timestamp,
};

/// Registers a device token for the job's owner, or renews it. Repeats change nothing, and of
/// several registrations of a token the one that was received last counts.
pub enum PushTokenRegister {}

impl Job for PushTokenRegister {
    const KIND: &'static str = "push_token.register";
    const QUEUE: Queue = Queue::PushTokens;
    const RETRY: RetryPolicy =
        RetryPolicy::doubling(20, Duration::from_millis(500), Duration::from_mins(5));
    const TIMEOUT: Duration = Duration::from_secs(30);
    const CLAIM: Claim = Claim::Always;
    const SCOPE: Option<Scope> = Some(Scope::PushDevice);
    type Payload = TokenRegistration;
    type Output = RegistrationReceipt;
}

/// What an app has said about the device that it runs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenRegistration {
    /// The app.
    pub app: BundleId,
    /// Where the token belongs.
    pub environment: ApnsEnvironment,
    /// Apple's address of the device.
    pub token: DeviceToken,
    /// The device, as the client names it; without it the sign-in's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// The sign-in of the caller, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// The long-lived key of the caller, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// Language and region of the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Version of the app on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_version: Option<String>,
    /// When the request came.
    pub received_at: Timestamp,
}

/// What a finished registration did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegistrationReceipt {
    /// The number of the token.
    pub id: PushTokenId,
    /// Whether this job registered it for the first time.
    pub created: bool,
}
