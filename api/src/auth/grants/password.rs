//! Grant `password` (RFC 6749 4.3): a user signs in on one device.

use schemas::{
    SessionId, Timestamp,
    account::{ClientRecord, SessionRecord, UserRecord},
};
use store::Insert;

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
    form.require("username")?;
    form.require("password")?;
    let scopes = scopes(form, &client.scopes)?;
    let user = user(state, client, form, context).await?;
    let session = SessionRecord {
        id: SessionId::generate(),
        version: 1,
        owner: user.id,
        client: client.id.clone(),
        device_id: device_id.to_owned(),
        scopes: scopes.clone(),
        generation: 1,
        rotated_at: now,
        created_at: now,
        expires_at: now + state.settings.session_life,
        revoked_at: None,
    };
    match state.store.sessions.insert(&session).await? {
        Insert::Stored => {
            records::signed_in(state, context, &session).await?;
            Ok(Granted { session, scopes })
        }
        Insert::Taken => Err(TokenError::Server("a new session's id was taken".to_owned())),
    }
}

/// The user who knows the password. Unknown, disabled and mistaken look alike and take as long.
async fn user(
    state: &AppState,
    client: &ClientRecord,
    form: &Form,
    context: &RequestContext,
) -> Result<UserRecord, TokenError> {
    let username = form.require("username")?;
    let password = form.require("password")?;
    let user = state.store.users.by_username(username).await?;
    let source = Source {
        username,
        user: user.as_ref().map(|user| user.id),
        device_id: form.require("device_id")?,
        address: context.address,
    };
    let attempt = state.auth.guesses.begin(&state.store, &source).await?;
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let right = state.auth.passwords.verify(password.into(), hash).await?;
    let is_open = user.as_ref().is_some_and(|user| user.disabled_at.is_none());
    if let Some(user) = user.filter(|_| right && is_open) {
        attempt.succeeded().await?;
        return Ok(user);
    }
    let pause = attempt.failed().await?;
    // Right although refused: then it is the account that is closed.
    records::refused(state, context, client, &source, right, pause).await;
    Err(TokenError::InvalidGrant("the username or the password is wrong"))
}
