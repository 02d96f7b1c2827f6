//! `POST /api/o/revoke_token/` (RFC 7009): a client gives a token back.
//!
//! The order of checks is that of the token endpoint: form, client, parameters, token. Either kind
//! of a user's token ends the whole sign-in, so the other kind counts no more either. A text that
//! is no token of ours is answered like one that was revoked.

use poem_openapi::{ApiResponse, Object, OpenApi};
use schemas::{SessionId, UserId};

use super::{Principal, client_form::ClientForm, sessions, token_error::TokenError};
use crate::state::AppState;
use crate::view::Area;

/// The revocation endpoint.
pub(crate) struct RevokeApi(pub(crate) AppState);

#[derive(Object)]
#[oai(rename = "RevocationRequest")]
struct RevokeParameters {
    /// A refresh token or an access token.
    token: String,
    /// `refresh_token` or `access_token`; not needed.
    token_type_hint: Option<String>,
    /// Unless it is in HTTP Basic.
    client_id: Option<String>,
    /// Unless it is in HTTP Basic, or the client is a public one.
    client_secret: Option<String>,
}

#[derive(ApiResponse)]
enum Revoked {
    /// The token counts no more, or never did.
    #[oai(status = 200)]
    Done(#[oai(header = "Cache-Control")] String, #[oai(header = "Pragma")] String),
}

#[OpenApi(prefix_path = "/api/o", tag = "Area::OAuth")]
impl RevokeApi {
    /// End the sign-in of a token
    ///
    /// Its refresh tokens and access tokens count no more. A client's own access token (grant
    /// `client_credentials`) cannot be revoked.
    #[oai(path = "/revoke_token", method = "post", operation_id = "revoke_token")]
    async fn revoke(&self, request: ClientForm<RevokeParameters>) -> Result<Revoked, TokenError> {
        let (state, form) = (&self.0, request.form()?);
        let client = request.client(state).await?;
        let named = named(state, form.require("token")?).await?;
        if let Some((owner, session, issued_to)) = named {
            if issued_to != client.id {
                return Err(TokenError::InvalidGrant("the token was issued to another client"));
            }
            sessions::end(state, owner, session).await?;
        }
        Ok(Revoked::Done("no-store".to_owned(), "no-cache".to_owned()))
    }
}

/// The sign-in that a token belongs to, and the client that it was issued to.
async fn named(
    state: &AppState,
    token: &str,
) -> Result<Option<(UserId, SessionId, schemas::ClientId)>, TokenError> {
    if let Some((id, _)) = state.auth.refresh_tokens.read(token) {
        let session = state.store.sessions.get(id).await?;
        return Ok(session.map(|session| (session.owner, session.id, session.client)));
    }
    match state.auth.access_tokens.verify(token) {
        Some(Principal::User(caller)) => {
            let named = caller.session.zip(caller.client);
            Ok(named.map(|(session, client)| (caller.user, session, client)))
        }
        Some(Principal::Client { .. }) => Err(TokenError::UnsupportedTokenType),
        None => Ok(None),
    }
}
