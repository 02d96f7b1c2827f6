//! Who calls, and what they may do: the OAuth2 server, access tokens, passwords and clients.
//!
//! - `key`: the key pairs of a deployment, from which everything below derives.
//! - `access_token`: short-lived JWTs, checked without the store and remembered until they expire;
//!   `trusted` checks those of an issuer elsewhere.
//! - `sessions`: whether the sign-in of a token is still live, and how it ends; `silence`: the
//!   pushes that end with it.
//! - `access`: the one table of who may call what.
//! - `refresh_token`: names a session and a generation under a MAC; nothing of it is stored.
//! - `api_key`: long-lived keys, `Authorization: Token …`. `identity`: whom a request speaks for.
//! - `client`, `password`: how a client and a person prove who they are; `guesses`: what wrong
//!   passwords cost. `records`: what of all that goes to the audit record.
//! - `token`: `POST /api/o/token/`, which sends each grant to its file in `grants`.
//! - `authorize`: how a user allows a client something, as JSON and as a page.
//! - `revoke`, `introspect`, `discovery`: the smaller calls of an OAuth2 server.

pub(crate) mod access;
mod access_token;
mod api_key;
mod authorize;
mod cache;
mod client;
mod client_form;
mod code;
mod discovery;
mod form;
mod grants;
mod guesses;
mod identity;
mod introspect;
mod key;
mod password;
mod records;
mod refresh_token;
mod revoke;
pub(crate) mod sessions;
pub(crate) mod silence;
mod token;
mod token_error;
mod trusted;

use std::sync::Arc;

use poem::{PathPattern, Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions, SecurityScheme,
    auth::{ApiKey as ApiKeyValue, Bearer as BearerToken},
    registry::Registry,
};
use schemas::{
    ClientId, KeyId, Scope, Scopes, SessionId, UserId, api_key::KeyRecord, job::JobSpec,
};

use self::{access::Access, authorize::Visits, sessions::Sessions, trusted::Trusted};
pub(crate) use self::{
    access_token::AccessTokens,
    api_key::ApiKeys,
    authorize::{AuthorizeApi, AuthorizePage, PATH as AUTHORIZE_PATH},
    discovery::{DiscoveryApi, METADATA_PATH, metadata},
    guesses::Guesses,
    identity::{Identity, authenticate, describe_metrics, identify},
    introspect::IntrospectApi,
    key::KeyRing,
    password::Passwords,
    refresh_token::RefreshTokens,
    revoke::RevokeApi,
    token::TokenApi,
};
pub use self::{
    api_key::NewKey,
    client::digest_secret,
    key::{InvalidTokenKey, TokenKey},
    password::{PasswordError, hash_password, verify_password},
};
use crate::{error::ApiError, settings::Settings};

/// The user that an access token or a long-lived key speaks for, and what it allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub user: UserId,
    /// Of a token, the application that the user signed in through.
    pub client: Option<ClientId>,
    /// What the user granted to it.
    pub scopes: Scopes,
    /// The sign-in that the token belongs to; absent when it did not happen here.
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

    /// Whether the caller may see and stop their own jobs of this kind.
    pub(crate) fn sees(&self, kind: &JobSpec) -> bool {
        kind.scope.is_some_and(|scope| self.scopes.allows(scope))
    }
}

/// Whom an access token or a key speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Principal {
    /// A user, through a client.
    User(Caller),
    /// A client, for itself.
    Client {
        /// The client.
        client: ClientId,
        /// What it may do.
        scopes: Scopes,
    },
}

/// What the API needs in order to know callers.
#[derive(Debug, Clone)]
pub(crate) struct Auth {
    pub(crate) keys: KeyRing,
    pub(crate) access_tokens: Arc<AccessTokens>,
    pub(crate) trusted: Option<Arc<Trusted>>,
    pub(crate) refresh_tokens: RefreshTokens,
    pub(crate) passwords: Passwords,
    pub(crate) sessions: Sessions,
    pub(crate) visits: Visits,
    pub(crate) api_keys: Arc<ApiKeys>,
    pub(crate) guesses: Guesses,
}

impl Auth {
    pub(crate) fn new(settings: &Settings) -> Self {
        let keys = KeyRing::new(settings.token_key.clone(), &settings.other_token_keys);
        let limits = &settings.limits;
        Self {
            access_tokens: Arc::new(AccessTokens::new(settings, keys.clone())),
            trusted: settings.trusted_issuer.clone().map(|issuer| Arc::new(Trusted::new(issuer))),
            refresh_tokens: RefreshTokens::new(&keys),
            passwords: Passwords::new(limits.waiting_passwords),
            sessions: Sessions::new(limits.cached_sessions, settings.session_check),
            visits: Visits::new(&keys),
            api_keys: Arc::new(ApiKeys::new(limits.cached_tokens, settings.key_check)),
            guesses: Guesses::new(settings.guesses),
            keys,
        }
    }
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
/// or key, or without the scope that the operation's row in `access` names, and marks the operation in
/// the OpenAPI document.
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
        let caller = authenticate(request)?;
        permit(request, &caller)?;
        Ok(Self(caller))
    }
}

/// Passes if `caller` may call what `request` was routed to.
fn permit(request: &Request, caller: &Caller) -> Result<(), ApiError> {
    let pattern = request.data::<PathPattern>().map(|pattern| &*pattern.0).unwrap_or_default();
    match access::of(request.method(), pattern) {
        Some(Access::User | Access::Anyone) => Ok(()),
        Some(Access::Scope(scope)) => caller.require(scope),
        Some(Access::Client) | None => {
            Err(ApiError::internal(format!("no row in the table of access for {pattern}")))
        }
    }
}
