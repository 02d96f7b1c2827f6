//! Grant `password` (RFC 6749 4.3): a user signs in on one device, of which a record is kept.

use std::time::Duration;

use schemas::{
    ClientId, DeviceId, SessionId, Timestamp,
    account::{ClientRecord, Grant, SessionRecord, UserRecord},
    device::DeviceRecord,
};
use store::{Insert, Save};

use crate::{
    auth::{
        form::Form,
        guesses::Source,
        records,
        token::{Granted, scopes},
        token_error::TokenError,
    },
    state::{AppState, RequestContext},
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
    context: &RequestContext,
    now: Timestamp,
) -> Result<Granted, TokenError> {
    let device_id = form.require("device_id")?;
    if device_id.len() > MAX_DEVICE || device_id.chars().any(char::is_control) {
        return Err(TokenError::invalid_request("device_id is not valid"));
    }
    let username = form.require("username")?;
    let password = form.require("password")?;
    let scopes = scopes(form, &client.scopes)?;
    let attempt = Attempt { username, password, device_id, client: &client.id };
    let user = user(state, context, &attempt).await?;
    let id = SessionId::generate();
    let expires_at = now + state.settings.session_life;
    let fresh = DeviceRecord {
        id: DeviceId::generate(),
        version: 1,
        owner: user.id,
        device_id: device_id.to_owned(),
        client: client.id.clone(),
        session: id,
        first_seen: now,
        last_seen: now,
        expires_at: Some(expires_at),
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
        expires_at,
        revoked_at: None,
    };
    match state.store.sessions.insert(&session).await? {
        Insert::Stored => {
            records::signed_in(state, context, &session).await?;
            Ok(Granted::to_user(session, scopes, true))
        }
        Insert::Taken => Err(TokenError::Server("a new session's id was taken".to_owned())),
    }
}

/// Somebody who says who they are, and where.
pub(in crate::auth) struct Attempt<'a> {
    pub(in crate::auth) username: &'a str,
    pub(in crate::auth) password: &'a str,
    /// The device, as the client names it.
    pub(in crate::auth) device_id: &'a str,
    pub(in crate::auth) client: &'a ClientId,
}

/// The user who knows the password. Unknown, disabled and mistaken look alike and take as long.
pub(in crate::auth) async fn user(
    state: &AppState,
    context: &RequestContext,
    attempt: &Attempt<'_>,
) -> Result<UserRecord, TokenError> {
    let user = state.store.users.by_username(attempt.username).await?;
    let source = Source {
        username: attempt.username,
        user: user.as_ref().map(|user| user.id),
        device_id: attempt.device_id,
        address: context.address,
    };
    let counted = state.auth.guesses.begin(&state.store, &source).await?;
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let right = state.auth.passwords.verify(attempt.password.into(), hash).await?;
    let is_open = user.as_ref().is_some_and(|user| user.disabled_at.is_none());
    if let Some(user) = user.filter(|_| right && is_open) {
        counted.succeeded().await?;
        return Ok(user);
    }
    let pause = counted.failed().await?;
    // Right although refused: then it is the account that is closed.
    records::refused(state, context, attempt.client, &source, right, pause).await;
    Err(TokenError::InvalidGrant("the username or the password is wrong"))
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
        let seen = earlier.seen(&fresh);
        if let Save::Stored = devices.save(&seen).await? {
            return Ok(seen.id);
        }
    }
    Err(TokenError::Unavailable(Duration::from_secs(1)))
}
