//! What of signing in goes to the audit record.
//!
//! A sign-in that cannot be written down is refused. A refusal is final already, so an entry about
//! one that cannot be stored goes to the log. What a limit sends away unseen is counted in the
//! metrics alone: nobody may fill the store by knocking.

use std::time::Duration;

use schemas::{
    ClientId, Scopes, UserId,
    account::SessionRecord,
    audit::{Action, Actor},
    code::CodeRecord,
};

use super::{client, guesses::Source, token_error::TokenError};
use crate::state::{AppState, RequestContext};

const CLIENTS_REFUSED: &str = "feat_clients_refused_total";

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

/// Writes down that a password was refused. `right`: it was the right one, of a closed account.
pub(super) async fn refused(
    state: &AppState,
    context: &RequestContext,
    client: &ClientId,
    source: &Source<'_>,
    right: bool,
    pause: Duration,
) {
    let why = match source.user {
        None => "no such account",
        Some(_) if right => "the account is disabled",
        Some(_) => "wrong password",
    };
    let entry = context.entry(Action::SignInRefused, &Actor::Nobody).client(client);
    let entry = entry.device(source.device_id).about(source.user.unwrap_or(UserId::FEAT));
    let entry = if pause.is_zero() {
        entry.detail(why)
    } else {
        entry.detail(format_args!("{why}; next attempt in {} s", pause.as_secs_f64().ceil()))
    };
    state.audit.note(&entry).await;
}

/// Counts a request that names no client that we know. It costs a stranger nothing, so it is no
/// entry.
pub(super) fn stranger_refused() {
    metrics::counter!(CLIENTS_REFUSED, "client" => "unknown").increment(1);
}

/// Counts that the client `named` is disabled or did not prove who it is, and writes it down as long
/// as there are few such entries about it.
pub(super) async fn client_refused(state: &AppState, context: &RequestContext, named: &ClientId) {
    metrics::counter!(CLIENTS_REFUSED, "client" => "known").increment(1);
    if !state.rates.refusal(named) {
        return;
    }
    let entry = context.entry(Action::ClientRefused, &Actor::Nobody).client(named);
    state.audit.note(&entry.detail(client::WRONG)).await;
}

/// Says what the metric means.
pub(super) fn describe_metrics() {
    metrics::describe_counter!(
        CLIENTS_REFUSED,
        "Requests of clients that are unknown, or known and disabled or with a wrong secret."
    );
    metrics::describe_counter!(
        "feat_trusted_keys_failed_total",
        "Times that the keys of the trusted issuer could not be fetched."
    );
}

/// Writes down that a used code came again and ended its session.
pub(super) async fn code_reused(state: &AppState, context: &RequestContext, code: &CodeRecord) {
    let entry = context
        .entry(Action::SessionStolen, &Actor::Nobody)
        .about(code.owner)
        .client(&code.client)
        .subject(code.session)
        .detail("a used code came again");
    state.audit.note(&entry).await;
}

/// What a user lets a client do.
pub(super) struct Consent<'a> {
    pub(super) owner: UserId,
    pub(super) scopes: &'a Scopes,
}

impl Consent<'_> {
    /// Writes it down.
    ///
    /// # Errors
    ///
    /// It may not be written down: give nothing away.
    pub(super) async fn given(
        &self,
        state: &AppState,
        context: &RequestContext,
        client: &ClientId,
    ) -> Result<(), TokenError> {
        let entry = context
            .entry(Action::ConsentGiven, &Actor::User(self.owner))
            .client(client)
            .detail(format_args!("scopes: {}", self.scopes));
        Ok(state.audit.record(&entry).await?)
    }
}

/// Writes down that `owner` did not let a client act for them.
pub(super) async fn consent_refused(
    state: &AppState,
    context: &RequestContext,
    owner: UserId,
    client: &ClientId,
) {
    let entry = context.entry(Action::ConsentRefused, &Actor::User(owner)).client(client);
    state.audit.note(&entry).await;
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
