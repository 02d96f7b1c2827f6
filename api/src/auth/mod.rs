//! Who calls, and what they may do: the token endpoint, access tokens, passwords and clients.
//!
//! - `key`: the one key pair of a deployment, from which everything below derives.
//! - `access_token`: short-lived JWTs, checked without the store and remembered until they expire.
//!   A session that ends stops its refresh tokens at once and its access tokens when they expire.
//! - `refresh_token`: names a session and a generation under a MAC; nothing of it is stored.
//! - `api_key`: long-lived keys, `Authorization: Token …`.
//! - `client`, `password`: how a client and a person prove who they are; `guesses`: what wrong
//!   passwords cost. `records`: what of all that goes to the audit record.
//! - `token`: `POST /api/o/token/`, which sends each grant to its file in `grants`.

mod access_token;
mod api_key;
mod cache;
mod client;
mod form;
mod grants;
mod guesses;
mod key;
mod password;
mod records;
mod refresh_token;
mod token;
mod token_error;

use std::{sync::Arc, time::Instant};

use poem::{Request, RequestBody, http::header};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions, SecurityScheme,
    auth::{ApiKey as ApiKeyValue, Bearer as BearerToken},
    registry::Registry,
};
use schemas::{ClientId, KeyId, Scope, Scopes, SessionId, UserId, api_key::KeyRecord};

pub(crate) use self::{
    access_token::AccessTokens, api_key::ApiKeys, guesses::Guesses, password::Passwords,
    refresh_token::RefreshTokens, token::TokenApi,
};
pub use self::{
    api_key::NewKey,
    client::digest_secret,
    key::{InvalidTokenKey, TokenKey},
    password::{PasswordError, hash_password, verify_password},
};
use store::StoreError;

use crate::{error::ApiError, settings::Settings, state::AppState};

/// Whom an access token or a long-lived key speaks for, and what it allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub user: UserId,
    /// Of a token, the application that the user signed in through.
    pub client: Option<ClientId>,
    /// What the user granted to it.
    pub scopes: Scopes,
    /// Of a token, the sign-in that it belongs to.
    pub session: Option<SessionId>,
    /// The long-lived key, if it is one.
    pub key: Option<KeyId>,
}

impl Caller {
    /// Whom a long-lived key speaks for.
    pub(crate) fn of_key(key: &KeyRecord) -> Self {
        Self {
            user: key.owner,
            client: None,
            scopes: key.scopes.clone(),
            session: None,
            key: Some(key.id),
        }
    }

    /// Passes if the token was granted `scope`.
    ///
    /// # Errors
    ///
    /// 403 `permission_denied`: the user must grant the scope first.
    pub fn require(&self, scope: Scope) -> Result<(), ApiError> {
        if self.scopes.allows(scope) { Ok(()) } else { Err(ApiError::missing_scope(scope)) }
    }
}

/// What the API needs in order to know callers.
#[derive(Debug, Clone)]
pub(crate) struct Auth {
    pub(crate) access_tokens: Arc<AccessTokens>,
    pub(crate) refresh_tokens: RefreshTokens,
    pub(crate) passwords: Passwords,
    pub(crate) keys: Arc<ApiKeys>,
    pub(crate) guesses: Guesses,
}

impl Auth {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            access_tokens: Arc::new(AccessTokens::new(settings)),
            refresh_tokens: RefreshTokens::new(&settings.token_key),
            passwords: Passwords::new(settings.limits.waiting_passwords),
            keys: Arc::new(ApiKeys::new(settings.limits.cached_tokens, settings.key_check)),
            guesses: Guesses::new(settings.guesses),
        }
    }
}

/// What a request's credentials came to. The shell asks once and leaves it with the request.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    /// It has no credentials of a kind that we read.
    Nobody,
    /// Its credentials do not count.
    Wrong,
    /// It speaks for this caller.
    Known(Caller),
    /// The store did not say.
    Unsure(StoreError),
}

impl Identity {
    /// The caller.
    ///
    /// # Errors
    ///
    /// 401 `not_authenticated` without credentials, 401 `authentication_failed` with bad ones.
    fn caller(&self) -> Result<Caller, ApiError> {
        match self {
            Self::Known(caller) => Ok(caller.clone()),
            Self::Nobody => Err(ApiError::not_authenticated()),
            Self::Wrong => Err(ApiError::authentication_failed()),
            Self::Unsure(error) => Err(error.clone().into()),
        }
    }
}

/// Finds out who calls, from `Authorization: Bearer …` or `Authorization: Token …`.
pub(crate) async fn identify(state: &AppState, request: &Request) -> Identity {
    let Some(value) = request.headers().get(header::AUTHORIZATION) else { return Identity::Nobody };
    let Ok(text) = value.to_str() else { return Identity::Wrong };
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    let started = Instant::now();
    let (scheme, found) = if scheme.eq_ignore_ascii_case("bearer") {
        ("bearer", Ok(state.auth.access_tokens.verify(token.trim())))
    } else if scheme.eq_ignore_ascii_case("token") {
        ("token", state.auth.keys.verify(&state.store, token.trim()).await)
    } else {
        return Identity::Nobody;
    };
    metrics::histogram!("feat_auth_seconds", "scheme" => scheme).record(started.elapsed());
    match found {
        Ok(Some(caller)) => Identity::Known(caller),
        Ok(None) => Identity::Wrong,
        Err(error) => Identity::Unsure(error),
    }
}

/// Says what the metrics mean.
pub(crate) fn describe_metrics() {
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

/// Access token from `POST /api/o/token/`.
#[derive(SecurityScheme)]
#[oai(rename = "bearer", ty = "bearer", bearer_format = "JWT")]
struct Scheme(#[expect(dead_code, reason = "only the scheme's description is used")] BearerToken);

/// Long-lived key from `feat user key add`: `Authorization: Token …`.
#[derive(SecurityScheme)]
#[oai(rename = "token", ty = "api_key", key_name = "Authorization", key_in = "header")]
struct KeyScheme(
    #[expect(dead_code, reason = "only the scheme's description is used")] ApiKeyValue,
);

/// The caller of a poem-openapi operation: as a parameter, it refuses calls without a good token
/// or key and marks the operation in the OpenAPI document. Scopes are the operation's own to check, with
/// [`Caller::require`].
#[derive(Debug, Clone)]
pub struct Bearer(pub Caller);

impl<'a> ApiExtractor<'a> for Bearer {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        Scheme::register(registry);
        KeyScheme::register(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        [Scheme::security_schemes(), KeyScheme::security_schemes()].concat()
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let identity = request
            .data::<Identity>()
            .ok_or_else(|| ApiError::internal("a request that passed no gate"))?;
        Ok(Self(identity.caller()?))
    }
}
