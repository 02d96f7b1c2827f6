//! Grant `refresh_token` (RFC 6749 6): a session goes on, with the next refresh token.
//!
//! A token counts once. Used again within the grace it is taken for a request whose reply was
//! lost, and answered with the token that counts; used later it is taken for stolen, and the
//! session ends for both holders.

use schemas::{
    SessionId, Timestamp,
    account::{ClientRecord, Refresh, SessionRecord},
};
use store::Save;

use crate::{
    auth::{
        form::Form,
        records, sessions, silence,
        token::{Granted, scopes, still_granted},
        token_error::TokenError,
    },
    state::{AppState, RequestContext},
};

const REFUSED: TokenError =
    TokenError::InvalidGrant("the refresh token is wrong, expired, used or revoked");

/// Times that a session may change under our hands before we give up for now.
const MAX_RACES: usize = 5;

/// Moves the session of the refresh token in `form` on to its next generation.
pub(in crate::auth) async fn refresh_token(
    state: &AppState,
    client: &ClientRecord,
    form: &Form,
    context: &RequestContext,
    now: Timestamp,
) -> Result<Granted, TokenError> {
    let token = form.require("refresh_token")?;
    let (id, generation) = state.auth.refresh_tokens.read(token).ok_or(REFUSED)?;
    for _ in 0..MAX_RACES {
        let session = session(state, client, id).await?;
        let scopes = scopes(form, &still_granted(&session, client))?;
        match session.refresh(generation, state.settings.refresh_grace, now) {
            Refresh::Rotated(session) => {
                if let Save::Stored = state.store.sessions.save(&session).await? {
                    return Ok(Granted::to_user(session, scopes, true));
                }
            }
            Refresh::Repeated(session) => return Ok(Granted::to_user(session, scopes, true)),
            Refresh::Reused(session) => {
                tracing::warn!(session = %session.id, "a refresh token was used twice: session ended");
                silence::session(state, &session).await?;
                if let Save::Stored = state.store.sessions.save(&session).await? {
                    sessions::tell(state, session.id);
                    silence::session(state, &session).await?;
                    records::stolen(state, context, &session).await;
                    return Err(REFUSED);
                }
            }
            Refresh::Ended => return Err(REFUSED),
        }
    }
    Err(TokenError::Unavailable(std::time::Duration::from_secs(1)))
}

/// The session, if it is this client's and its user may still sign in.
async fn session(
    state: &AppState,
    client: &ClientRecord,
    id: SessionId,
) -> Result<SessionRecord, TokenError> {
    let session = state.store.sessions.get(id).await?.ok_or(REFUSED)?;
    if session.client != client.id {
        return Err(REFUSED);
    }
    let user = state.store.users.get(session.owner).await?.ok_or(REFUSED)?;
    if user.disabled_at.is_some() { Err(REFUSED) } else { Ok(session) }
}
