//! Grant `password` (RFC 6749 4.3): a user signs in on one device, of which a record is kept.

use std::time::Duration;

use schemas::{
    DeviceId, SessionId, Timestamp,
    account::{ClientRecord, Grant, SessionRecord, UserRecord},
    device::DeviceRecord,
};
use store::{Insert, Save};

use crate::{
    auth::{
        form::Form,
        token::{Granted, scopes},
        token_error::TokenError,
    },
    state::AppState,
};

/// Longest name of a device, in bytes.
const MAX_DEVICE: usize = 255;

/// Times that a device's record may change under our hands before we give up for now.
const MAX_RACES: usize = 5;

/// Starts a session for the user whose name and password `form` holds.
pub(in crate::auth) async fn password(
    state: &AppState,
    client: &ClientRecord,
    form: &Form,
    now: Timestamp,
) -> Result<Granted, TokenError> {
    let device_id = form.require("device_id")?;
    if device_id.len() > MAX_DEVICE || device_id.chars().any(char::is_control) {
        return Err(TokenError::invalid_request("device_id is not valid"));
    }
    let username = form.require("username")?;
    let password = form.require("password")?;
    let scopes = scopes(form, &client.scopes)?;
    let user = user(state, username, password).await?;
    let id = SessionId::generate();
    let fresh = DeviceRecord {
        id: DeviceId::generate(),
        version: 1,
        owner: user.id,
        device_id: device_id.to_owned(),
        client: client.id.clone(),
        session: id,
        first_seen: now,
        last_seen: now,
    };
    let session = SessionRecord {
        id,
        version: 1,
        owner: user.id,
        client: client.id.clone(),
        grant: Grant::Password,
        device_id: device_id.to_owned(),
        device: Some(device(state, fresh).await?),
        scopes: scopes.clone(),
        generation: 1,
        rotated_at: now,
        created_at: now,
        expires_at: now + state.settings.session_life,
        revoked_at: None,
    };
    match state.store.sessions.insert(&session).await? {
        Insert::Stored => Ok(Granted::to_user(session, scopes, true)),
        Insert::Taken => Err(TokenError::Server("a new session's id was taken".to_owned())),
    }
}

/// The user who knows the password. Unknown, disabled and mistaken look alike and take as long.
pub(in crate::auth) async fn user(
    state: &AppState,
    username: &str,
    password: &str,
) -> Result<UserRecord, TokenError> {
    let user = state.store.users.by_username(username).await?;
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let right = state.auth.passwords.verify(password.into(), hash).await?;
    user.filter(|user| right && user.disabled_at.is_none())
        .ok_or(TokenError::InvalidGrant("the username or the password is wrong"))
}

/// Keeps the record of the device: `fresh` when it is the first sign-in on it, otherwise the
/// earlier record with this sign-in as its latest.
async fn device(state: &AppState, fresh: DeviceRecord) -> Result<DeviceId, TokenError> {
    let devices = &state.store.devices;
    for _ in 0..MAX_RACES {
        let Some(earlier) = devices.by_device(fresh.owner, &fresh.device_id).await? else {
            if let Insert::Stored = devices.insert(&fresh).await? {
                return Ok(fresh.id);
            }
            continue;
        };
        let seen = earlier.seen(fresh.client.clone(), fresh.session, fresh.last_seen);
        if let Save::Stored = devices.save(&seen).await? {
            return Ok(seen.id);
        }
    }
    Err(TokenError::Unavailable(Duration::from_secs(1)))
}
