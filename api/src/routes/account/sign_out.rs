//! Ending sign-ins and keys. Ending one that has ended changes nothing.

use std::time::Duration;

use schemas::{
    KeyId, SessionId, Timestamp, UserId,
    account::SessionRecord,
    audit::{Action, Actor},
};
use store::Save;

use crate::{
    auth::{sessions, silence},
    error::ApiError,
    state::{AppState, RequestContext},
};

/// Saves that are tried when others change the record at the same time.
const TRIES: usize = 8;

/// Sign-ins in memory at a time.
const PAGE: usize = 100;

/// Ends the sign-in `id` of `owner`; says how many that ended.
///
/// # Errors
///
/// 404 for what is not the owner's.
pub(super) async fn one(
    state: &AppState,
    context: &RequestContext,
    owner: UserId,
    id: SessionId,
) -> Result<u64, ApiError> {
    let session = state.store.sessions.get_owned(owner, id).await?;
    let session = session.ok_or_else(ApiError::not_found)?;
    let ended = u64::from(end(state, session).await?);
    if ended > 0 {
        let entry = context.entry(Action::SignOut, &Actor::User(owner)).subject(id);
        state.audit.note(&entry).await;
    }
    Ok(ended)
}

/// Ends every sign-in of `owner`; says how many that ended.
///
/// # Errors
///
/// The store went away in between: some may have ended, and calling again ends the rest.
pub(super) async fn all(
    state: &AppState,
    context: &RequestContext,
    owner: UserId,
) -> Result<u64, ApiError> {
    let (mut ended, mut after) = (0, None);
    let now = Timestamp::now();
    loop {
        let page = state.store.sessions.live(owner, now, after, PAGE).await?;
        after = page.last().map(|session| session.id);
        let is_last = page.len() < PAGE;
        for session in page {
            ended += u64::from(end(state, session).await?);
        }
        if is_last {
            break;
        }
    }
    let entry = context.entry(Action::SignOut, &Actor::User(owner));
    let entry = entry.detail(format_args!("everywhere: {ended} sign-ins"));
    state.audit.note(&entry).await;
    Ok(ended)
}

/// Revokes the key `id`.
///
/// # Errors
///
/// The store did not do it.
pub(super) async fn key(
    state: &AppState,
    context: &RequestContext,
    id: KeyId,
) -> Result<u64, ApiError> {
    for _ in 0..TRIES {
        let key = state.store.keys.get(id).await?;
        let Some(key) = key else { return Ok(0) };
        let owner = key.owner;
        silence::key(state, owner, id).await?;
        if key.revoked_at.is_some() {
            return Ok(0);
        }
        if state.store.keys.save(&key.revoke(Timestamp::now())).await? == Save::Stored {
            state.auth.api_keys.forget();
            silence::key(state, owner, id).await?;
            let entry = context.entry(Action::KeyRevoked, &Actor::User(owner)).subject(id);
            state.audit.note(&entry).await;
            return Ok(1);
        }
    }
    Err(ApiError::unavailable(Duration::from_secs(1)))
}

/// Ends a sign-in; false when it had ended before.
async fn end(state: &AppState, mut session: SessionRecord) -> Result<bool, ApiError> {
    let (owner, id) = (session.owner, session.id);
    silence::session(state, &session).await?;
    for _ in 0..TRIES {
        if session.revoked_at.is_some() {
            return Ok(false);
        }
        let revoked = session.revoke(Timestamp::now());
        if state.store.sessions.save(&revoked).await? == Save::Stored {
            sessions::tell(state, id);
            silence::session(state, &revoked).await?;
            return Ok(true);
        }
        match state.store.sessions.get_owned(owner, id).await? {
            Some(latest) => session = latest,
            None => return Ok(false),
        }
    }
    Err(ApiError::unavailable(Duration::from_secs(1)))
}
