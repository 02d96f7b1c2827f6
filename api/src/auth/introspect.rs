//! `POST /api/o/introspect/` (RFC 7662): a confidential client asks what a token is worth now.
//!
//! The order of checks is that of the token endpoint: form, client, parameters. Any confidential
//! client may ask about access tokens, because it is handed them as a resource server; a refresh
//! token is told to its own client only. Whatever does not count looks alike.

use poem_openapi::{ApiResponse, Object, OpenApi, payload::Json};
use schemas::{Timestamp, account::ClientRecord};

use super::{Caller, Principal, client_form::ClientForm, sessions, token_error::TokenError};
use crate::state::AppState;
use crate::view::Area;

/// The introspection endpoint.
pub(crate) struct IntrospectApi(pub(crate) AppState);

#[derive(Object)]
#[oai(rename = "IntrospectionRequest")]
struct IntrospectParameters {
    /// An access token or a refresh token.
    token: String,
    /// `access_token` or `refresh_token`; not needed.
    token_type_hint: Option<String>,
    /// Unless it is in HTTP Basic.
    client_id: Option<String>,
    /// Unless it is in HTTP Basic.
    client_secret: Option<String>,
}

/// What a token is worth; all but `active` is absent from one that does not count.
#[derive(Object, Default)]
#[oai(rename = "Introspection", skip_serializing_if_is_none)]
struct Introspection {
    /// Whether it counts now.
    active: bool,
    /// What it allows: names parted by spaces.
    scope: Option<String>,
    /// The client that it was issued to.
    client_id: Option<String>,
    /// `Bearer` for an access token, `refresh_token` for the other kind.
    token_type: Option<String>,
    /// When it ends, in seconds since 1970.
    exp: Option<i64>,
    /// When it was made.
    iat: Option<i64>,
    /// When it begins to count.
    nbf: Option<i64>,
    /// The uid, or `client:` and the client's id.
    sub: Option<String>,
    /// Whom it is for.
    aud: Option<String>,
    /// Who issued it.
    iss: Option<String>,
    /// Its own name.
    jti: Option<String>,
}

#[derive(ApiResponse)]
enum Told {
    /// What the token is worth.
    #[oai(status = 200)]
    Known(
        Json<Introspection>,
        #[oai(header = "Cache-Control")] String,
        #[oai(header = "Pragma")] String,
    ),
}

#[OpenApi(prefix_path = "/api/o", tag = "Area::OAuth")]
impl IntrospectApi {
    /// Ask what a token is worth
    ///
    /// Only for clients that have a secret.
    #[oai(path = "/introspect", method = "post", operation_id = "introspect_token")]
    async fn introspect(
        &self,
        request: ClientForm<IntrospectParameters>,
    ) -> Result<Told, TokenError> {
        let (state, form) = (&self.0, request.form()?);
        let client = request.client(state).await?;
        if client.secret_digest.is_none() {
            return Err(TokenError::InvalidClient("only a client with a secret may ask this"));
        }
        let token = form.require("token")?;
        let found = match of_access_token(state, token).await? {
            Some(found) => Some(found),
            None => of_refresh_token(state, &client, token).await?,
        };
        let body = Json(found.unwrap_or_default());
        Ok(Told::Known(body, "no-store".to_owned(), "no-cache".to_owned()))
    }
}

async fn of_access_token(
    state: &AppState,
    token: &str,
) -> Result<Option<Introspection>, TokenError> {
    let Some(claims) = state.auth.access_tokens.claims(token) else { return Ok(None) };
    let live = match claims.principal() {
        Some(Principal::User(caller)) => sessions::look(state, &caller).await?,
        Some(Principal::Client { .. }) => true,
        None => false,
    };
    Ok(live.then(|| Introspection {
        active: true,
        scope: Some(claims.scope),
        client_id: Some(claims.client_id.to_string()),
        token_type: Some("Bearer".to_owned()),
        exp: Some(claims.exp),
        iat: Some(claims.iat),
        nbf: Some(claims.nbf),
        sub: Some(claims.sub),
        aud: Some(claims.aud),
        iss: Some(claims.iss),
        jti: Some(claims.jti.to_string()),
    }))
}

async fn of_refresh_token(
    state: &AppState,
    client: &ClientRecord,
    token: &str,
) -> Result<Option<Introspection>, TokenError> {
    let Some((id, generation)) = state.auth.refresh_tokens.read(token) else { return Ok(None) };
    let Some(session) = state.store.sessions.get(id).await? else { return Ok(None) };
    let caller = Caller {
        user: session.owner,
        client: Some(client.id.clone()),
        scopes: session.scopes.clone(),
        session: Some(id),
        key: None,
    };
    let counts = session.client == client.id
        && session.generation == generation
        && session.is_live(Timestamp::now())
        && sessions::look(state, &caller).await?;
    Ok(counts.then(|| Introspection {
        active: true,
        scope: Some(session.scopes.to_string()),
        client_id: Some(client.id.to_string()),
        token_type: Some("refresh_token".to_owned()),
        exp: Some(session.expires_at.as_secs()),
        iat: Some(session.rotated_at.as_secs()),
        sub: Some(session.owner.to_string()),
        ..Introspection::default()
    }))
}
