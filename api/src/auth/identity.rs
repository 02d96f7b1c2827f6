//! Whom a request speaks for. The shell asks once, before anything else is done for the request,
//! and leaves the answer with it.

use std::time::Instant;

use poem::{Request, http::header};
use schemas::ErrorCode;
use store::StoreError;

use super::{Caller, Principal, records, sessions};
use crate::{error::ApiError, state::AppState};

/// What a request's credentials came to.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    /// It has no credentials of a kind that we read here.
    Nobody,
    /// Its credentials do not count.
    Wrong,
    /// It speaks for a user or a client.
    Known(Principal),
    /// The store did not say.
    Unsure(StoreError),
}

impl Identity {
    fn caller(&self) -> Result<Caller, ApiError> {
        match self {
            Self::Known(Principal::User(caller)) => Ok(caller.clone()),
            Self::Known(Principal::Client { .. }) => {
                Err(ApiError::of(ErrorCode::PermissionDenied, "This call needs a user."))
            }
            Self::Nobody => Err(ApiError::not_authenticated()),
            Self::Wrong => Err(ApiError::authentication_failed()),
            Self::Unsure(error) => Err(error.clone().into()),
        }
    }
}

/// The user that `request` speaks for, as [`identify`] has found.
///
/// # Errors
///
/// 401 `not_authenticated` without credentials, 401 `authentication_failed` with bad ones or those
/// of a sign-in that has ended, 403 `permission_denied` with a client's own, 503 when the store did
/// not say.
pub(crate) fn authenticate(request: &Request) -> Result<Caller, ApiError> {
    let identity = request.data::<Identity>();
    identity.ok_or_else(|| ApiError::internal("a request that passed no gate"))?.caller()
}

/// Finds out whom a request speaks for, by `Authorization: Bearer …` or `Authorization: Token …`.
pub(crate) async fn identify(state: &AppState, request: &Request) -> Identity {
    let Some(value) = request.headers().get(header::AUTHORIZATION) else { return Identity::Nobody };
    let Ok(text) = value.to_str() else { return Identity::Wrong };
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    let started = Instant::now();
    let (scheme, found) = if scheme.eq_ignore_ascii_case("bearer") {
        ("bearer", bearer(state, token.trim()).await)
    } else if scheme.eq_ignore_ascii_case("token") {
        let caller = state.auth.api_keys.verify(&state.store, token.trim()).await;
        ("token", caller.map(|caller| caller.map(Principal::User)))
    } else {
        return Identity::Nobody;
    };
    metrics::histogram!("feat_auth_seconds", "scheme" => scheme).record(started.elapsed());
    match found {
        Ok(Some(principal)) => Identity::Known(principal),
        Ok(None) => Identity::Wrong,
        Err(error) => Identity::Unsure(error),
    }
}

/// Whom a token of ours, or of the trusted issuer, speaks for, if its sign-in has not ended.
async fn bearer(state: &AppState, token: &str) -> Result<Option<Principal>, StoreError> {
    let principal = match (state.auth.access_tokens.verify(token), &state.auth.trusted) {
        (Some(principal), _) => principal,
        (None, Some(trusted)) => match trusted.verify(token).await {
            Some(caller) => Principal::User(caller),
            None => return Ok(None),
        },
        (None, None) => return Ok(None),
    };
    let live = match &principal {
        Principal::User(caller) => sessions::is_live(state, caller).await?,
        Principal::Client { .. } => true,
    };
    Ok(live.then_some(principal))
}

/// Says what the metrics mean.
pub(crate) fn describe_metrics() {
    records::describe_metrics();
    metrics::describe_histogram!(
        "feat_auth_seconds",
        metrics::Unit::Seconds,
        "Time to find out whom an access token or key speaks for."
    );
    metrics::describe_counter!("feat_passwords_checked_total", "Passwords that were hashed.");
    metrics::describe_counter!(
        "feat_sign_ins_slowed_total",
        "Sign-ins that were refused unseen, because their source has failed too often."
    );
}
