//! Grant `authorization_code` (RFC 6749 4.1, RFC 7636): a client fetches what a user allowed.
//!
//! A code counts once. Its session has its name before it exists, so whoever presents the code
//! again ends that session, whether the first one is done or still on its way: the first one
//! stores the session and then looks whether the code was reused; the second one marks the code
//! as reused and then ends the session.

use std::time::Duration;

use schemas::{
    Scopes, Timestamp,
    account::{ClientRecord, Grant, SessionRecord},
    code::{CodeRecord, Redeem},
};
use store::{Insert, Save};

use crate::{
    auth::{
        code,
        form::Form,
        records, sessions,
        token::{Granted, scopes},
        token_error::TokenError,
    },
    state::{AppState, RequestContext},
};

const REFUSED: TokenError = TokenError::InvalidGrant(
    "the code is wrong, expired or used, or was made for another client, address or verifier",
);

/// Times that a code may change under our hands before we give up for now.
const MAX_RACES: usize = 5;

/// What a client sends with the code to show that it is its own.
struct Proof<'a> {
    redirect_uri: &'a str,
    verifier: Option<&'a str>,
}

/// Starts the session that a user allowed, with the code in `form`.
pub(in crate::auth) async fn authorization_code(
    state: &AppState,
    client: &ClientRecord,
    form: &Form,
    context: &RequestContext,
    now: Timestamp,
) -> Result<Granted, TokenError> {
    let digest = code::digest_of(form.require("code")?);
    let proof = Proof::of(client, form)?;
    for _ in 0..MAX_RACES {
        let code = state.store.codes.get(&digest).await?;
        let code = code.filter(|code| code.client == client.id).ok_or(REFUSED)?;
        match code.clone().redeem(now) {
            Redeem::Redeemed(used) => {
                proof.check(&code)?;
                let scopes = scopes(form, &code.scopes.intersection(&client.scopes))?;
                may_sign_in(state, &code).await?;
                if let Save::Stored = state.store.codes.save(&used).await? {
                    return start(state, client, used, scopes, context, now).await;
                }
            }
            Redeem::Reused(reused) => {
                // Marked once is enough: many who try at a time need not race, and whoever goes on
                // trying fills neither the log nor the audit record.
                let marked = code.reused_at.is_some();
                if marked || state.store.codes.save(&reused).await? == Save::Stored {
                    sessions::end(state, reused.owner, reused.session).await?;
                    if !marked {
                        tracing::warn!(session = %reused.session, "a code was used twice: session ended");
                        records::code_reused(state, context, &reused).await;
                    }
                    return Err(REFUSED);
                }
            }
            Redeem::Expired => return Err(REFUSED),
        }
    }
    Err(TokenError::Unavailable(Duration::from_secs(1)))
}

impl<'a> Proof<'a> {
    fn of(client: &ClientRecord, form: &'a Form) -> Result<Self, TokenError> {
        let redirect_uri = form.require("redirect_uri")?;
        let verifier = form.get("code_verifier");
        if verifier.is_some_and(|verifier| !code::is_verifier(verifier)) {
            return Err(TokenError::invalid_request("code_verifier is not valid"));
        }
        if client.secret_digest.is_none() {
            form.require("code_verifier")?;
        }
        Ok(Self { redirect_uri, verifier })
    }

    /// Passes if the code was made for exactly this address and for the holder of this verifier.
    /// A verifier for a code without a challenge is refused too: somebody has cut the challenge
    /// out of the request on its way.
    fn check(&self, code: &CodeRecord) -> Result<(), TokenError> {
        let same = self.redirect_uri == code.redirect_uri;
        let proved = match (&code.challenge, self.verifier) {
            (Some(challenge), Some(verifier)) => code::proves(challenge, verifier),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if same && proved { Ok(()) } else { Err(REFUSED) }
    }
}

async fn may_sign_in(state: &AppState, code: &CodeRecord) -> Result<(), TokenError> {
    let user = state.store.users.get(code.owner).await?;
    if user.is_some_and(|user| user.disabled_at.is_none()) { Ok(()) } else { Err(REFUSED) }
}

/// Stores the session of a code that was just used, unless somebody used the code again.
async fn start(
    state: &AppState,
    client: &ClientRecord,
    code: CodeRecord,
    scopes: Scopes,
    context: &RequestContext,
    now: Timestamp,
) -> Result<Granted, TokenError> {
    let session = SessionRecord {
        id: code.session,
        version: 1,
        owner: code.owner,
        client: client.id.clone(),
        grant: Grant::AuthorizationCode,
        device_id: code.device_id,
        device: None,
        scopes: code.scopes,
        generation: 1,
        rotated_at: now,
        created_at: now,
        expires_at: now + state.settings.session_life,
        revoked_at: None,
    };
    if let Insert::Taken = state.store.sessions.insert(&session).await? {
        return Err(TokenError::Server("a new session's id was taken".to_owned()));
    }
    let latest = state.store.codes.get(&code.id).await?;
    if latest.is_none_or(|code| code.reused_at.is_some()) {
        sessions::end(state, session.owner, session.id).await?;
        return Err(REFUSED);
    }
    records::signed_in(state, context, &session).await?;
    let refreshes = client.grants.contains(&Grant::RefreshToken);
    Ok(Granted::to_user(session, scopes, refreshes))
}
