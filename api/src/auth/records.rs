//! What of signing in goes to the audit record.
//!
//! A sign-in that cannot be written down is refused. A refusal is final already, so an entry about
//! one that cannot be stored goes to the log. What a limit sends away unseen is counted in the
//! metrics alone: nobody may fill the store by knocking.

use std::time::Duration;

use schemas::{
    account::{ClientRecord, SessionRecord},
    audit::{Action, Actor},
};

use super::{form::Form, guesses::Source, token_error::TokenError};
use crate::state::{AppState, RequestContext};

/// Writes down a new sign-in.
///
/// # Errors
///
/// It may not be written down: give nothing away.
pub(super) async fn signed_in(
    state: &AppState,
    context: &RequestContext,
    session: &SessionRecord,
) -> Result<(), TokenError> {
    let entry = context
        .entry(Action::SignIn, &Actor::User(session.owner))
        .client(&session.client)
        .device(&session.device_id)
        .subject(session.id)
        .detail(format_args!("scopes: {}", session.scopes));
    Ok(state.audit.record(&entry).await?)
}

/// Writes down that a password was refused. `disabled`: it was the right one.
pub(super) async fn refused(
    state: &AppState,
    context: &RequestContext,
    client: &ClientRecord,
    source: &Source<'_>,
    disabled: bool,
    pause: Duration,
) {
    let why = match source.user {
        None => "no such account",
        Some(_) if disabled => "the account is disabled",
        Some(_) => "wrong password",
    };
    let entry = context.entry(Action::SignInRefused, &Actor::Nobody).client(&client.id);
    let entry = entry.device(source.device_id);
    let entry = if pause.is_zero() {
        entry.detail(why)
    } else {
        entry.detail(format_args!("{why}; next attempt in {} s", pause.as_secs_f64().ceil()))
    };
    let entry = source.user.map_or_else(|| entry.clone(), |user| entry.clone().about(user));
    state.audit.note(&entry).await;
}

/// Passes on what proving a client came to, and writes a refusal down.
pub(super) async fn client(
    state: &AppState,
    context: &RequestContext,
    form: &Form,
    found: Result<ClientRecord, TokenError>,
) -> Result<ClientRecord, TokenError> {
    if let Err(TokenError::InvalidClient(why)) = &found {
        let entry = context.entry(Action::ClientRefused, &Actor::Nobody).detail(why);
        let named = form.get("client_id").and_then(|id| id.parse().ok());
        let entry = named.map_or_else(|| entry.clone(), |id| entry.clone().client(&id));
        state.audit.note(&entry).await;
    }
    found
}

/// Writes down that a used refresh token came again and ended its session.
pub(super) async fn stolen(state: &AppState, context: &RequestContext, session: &SessionRecord) {
    let entry = context
        .entry(Action::SessionStolen, &Actor::Nobody)
        .about(session.owner)
        .client(&session.client)
        .device(&session.device_id)
        .subject(session.id)
        .detail("a used refresh token came again");
    state.audit.note(&entry).await;
}
