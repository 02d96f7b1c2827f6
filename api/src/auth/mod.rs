//! Who calls, and what they may do: the token endpoint, access tokens, passwords and clients.
//!
//! - `key`: the one key pair of a deployment, from which everything below derives.
//! - `access_token`: short-lived JWTs, checked without the store and remembered until they expire.
//!   A session that ends stops its refresh tokens at once and its access tokens when they expire.
//! - `refresh_token`: names a session and a generation under a MAC; nothing of it is stored.
//! - `client`, `password`: how a client and a person prove who they are.
//! - `token`: `POST /api/o/token/`, which sends each grant to its file in `grants`.

mod access_token;
mod cache;
mod client;
mod form;
mod grants;
mod key;
mod password;
mod refresh_token;
mod token;
mod token_error;

use std::sync::Arc;

use poem::{Request, RequestBody, http::header};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions, SecurityScheme,
    auth::Bearer as BearerToken, registry::Registry,
};
use schemas::{ClientId, Scope, Scopes, SessionId, UserId};

pub(crate) use self::{
    access_token::AccessTokens, password::Passwords, refresh_token::RefreshTokens, token::TokenApi,
};
pub use self::{
    client::digest_secret,
    key::{InvalidTokenKey, TokenKey},
    password::{PasswordError, hash_password, verify_password},
};
use crate::{error::ApiError, settings::Settings, state::AppState};

/// Whom an access token speaks for, and what it allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub user: UserId,
    /// The application that the user signed in through.
    pub client: ClientId,
    /// What the user granted to it.
    pub scopes: Scopes,
    /// The sign-in that the token belongs to.
    pub session: SessionId,
}

impl Caller {
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
}

impl Auth {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            access_tokens: Arc::new(AccessTokens::new(settings)),
            refresh_tokens: RefreshTokens::new(&settings.token_key),
            passwords: Passwords::new(settings.limits.waiting_passwords),
        }
    }
}

/// Finds out who calls, from `Authorization: Bearer …`. For routes outside poem-openapi; inside,
/// [`Bearer`] does it.
///
/// # Errors
///
/// 401 `not_authenticated` without a bearer token, 401 `authentication_failed` with a bad one.
pub fn authenticate(state: &AppState, request: &Request) -> Result<Caller, ApiError> {
    let value =
        request.headers().get(header::AUTHORIZATION).ok_or_else(ApiError::not_authenticated)?;
    let text = value.to_str().map_err(|_| ApiError::authentication_failed())?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(ApiError::not_authenticated());
    }
    state.auth.access_tokens.verify(token.trim()).ok_or_else(ApiError::authentication_failed)
}

/// Access token from `POST /api/o/token/`.
#[derive(SecurityScheme)]
#[oai(rename = "bearer", ty = "bearer", bearer_format = "JWT")]
struct Scheme(#[expect(dead_code, reason = "only the scheme's description is used")] BearerToken);

/// The caller of a poem-openapi operation: as a parameter, it refuses calls without a good token
/// and marks the operation in the OpenAPI document. Scopes are the operation's own to check, with
/// [`Caller::require`].
#[derive(Debug, Clone)]
pub struct Bearer(pub Caller);

impl<'a> ApiExtractor<'a> for Bearer {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        Scheme::register(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        Scheme::security_schemes()
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let state = request
            .data::<AppState>()
            .ok_or_else(|| ApiError::internal("a request without its state"))?;
        Ok(Self(authenticate(state, request)?))
    }
}
