//! What a client asks of a user, once every part of it is known to be right.

use schemas::{
    Scope, Scopes,
    account::{ClientRecord, Grant},
};
use store::Store;

use super::{error::AuthorizeError, parts::Parts};
use crate::auth::code;

/// Longest `state`, in bytes.
const MAX_STATE: usize = 1_024;

/// A request for consent that a user may answer.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) client: ClientRecord,
    pub(super) back: Back,
    pub(super) response_type: ResponseType,
    /// What the client asks for, within what it may ask for.
    pub(super) scopes: Scopes,
    /// What SHA-256 of the client's verifier must be.
    pub(super) challenge: Option<String>,
}

/// The way back to the client: one of its own addresses, as the request named it.
#[derive(Debug, Clone)]
pub(super) struct Back {
    pub(super) redirect_uri: String,
    pub(super) state: Option<String>,
}

/// What the client wants to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResponseType {
    /// A code.
    Code,
    /// An access token at once.
    Token,
}

/// Why a request cannot be put to a user.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) error: AuthorizeError,
    /// Where the client may be told; absent while its address is not known to be its own.
    pub(super) back: Option<Back>,
}

impl ResponseType {
    /// Value of `response_type`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Token => "token",
        }
    }

    const fn grant(self) -> Grant {
        match self {
            Self::Code => Grant::AuthorizationCode,
            Self::Token => Grant::Implicit,
        }
    }
}

impl Wanted {
    /// Checks a request, in the order that the module above writes down.
    pub(super) async fn check(store: &Store, parts: &Parts) -> Result<Self, Refusal> {
        let (client, back) =
            known(store, parts).await.map_err(|error| Refusal { error, back: None })?;
        match details(&client, parts) {
            Ok((response_type, scopes, challenge)) => {
                Ok(Self { client, back, response_type, scopes, challenge })
            }
            Err(error) => Err(Refusal { error, back: Some(back) }),
        }
    }

    /// What can be granted by somebody who holds `held`.
    pub(super) fn offered(&self, held: &Scopes) -> Result<Scopes, AuthorizeError> {
        let offered = self.scopes.intersection(held);
        if offered.is_empty() { Err(AuthorizeError::InvalidScope) } else { Ok(offered) }
    }
}

/// The client, and the way back to it. A disabled client is as unknown.
async fn known(store: &Store, parts: &Parts) -> Result<(ClientRecord, Back), AuthorizeError> {
    let id = parts.require("client_id")?;
    let id = id.parse().map_err(|_| AuthorizeError::UnknownClient)?;
    let client = store.clients.get(&id).await?.filter(|client| client.disabled_at.is_none());
    let client = client.ok_or(AuthorizeError::UnknownClient)?;
    let redirect_uri = parts.require("redirect_uri")?;
    if !client.redirect_uris.iter().any(|registered| registered.allows(redirect_uri)) {
        return Err(AuthorizeError::invalid("redirect_uri is not registered for this client"));
    }
    let state = parts.one("state")?;
    if state.is_some_and(|state| state.len() > MAX_STATE) {
        return Err(AuthorizeError::invalid("state is too long"));
    }
    let back = Back { redirect_uri: redirect_uri.to_owned(), state: state.map(str::to_owned) };
    Ok((client, back))
}

fn details(
    client: &ClientRecord,
    parts: &Parts,
) -> Result<(ResponseType, Scopes, Option<String>), AuthorizeError> {
    let name = parts.require("response_type")?;
    let response_type = [ResponseType::Code, ResponseType::Token]
        .into_iter()
        .find(|known| known.name() == name)
        .ok_or(AuthorizeError::UnsupportedResponseType)?;
    if !client.grants.contains(&response_type.grant()) {
        return Err(AuthorizeError::UnauthorizedClient);
    }
    let challenge = match response_type {
        ResponseType::Code => challenge(client, parts)?,
        ResponseType::Token => None,
    };
    Ok((response_type, scopes(client, parts)?, challenge))
}

/// The proof key of a request for a code.
fn challenge(client: &ClientRecord, parts: &Parts) -> Result<Option<String>, AuthorizeError> {
    let method = parts.one("code_challenge_method")?;
    let Some(challenge) = parts.one("code_challenge")? else {
        return match method {
            None if client.secret_digest.is_some() => Ok(None),
            _ => Err(AuthorizeError::invalid("code_challenge is required")),
        };
    };
    if method != Some("S256") {
        return Err(AuthorizeError::invalid("code_challenge_method must be S256"));
    }
    if !code::is_challenge(challenge) {
        return Err(AuthorizeError::invalid("code_challenge is not valid"));
    }
    Ok(Some(challenge.to_owned()))
}

/// What the client asks for: its default scopes when it names none, everything it may ask for when
/// it says `all`.
fn scopes(client: &ClientRecord, parts: &Parts) -> Result<Scopes, AuthorizeError> {
    let Some(text) = parts.one("scope")? else { return Ok(client.scopes.default_part()) };
    if text.split_ascii_whitespace().any(|name| name == "all") {
        return Ok(client.scopes.clone());
    }
    let wanted: Scopes = text.parse().map_err(|_| AuthorizeError::InvalidScope)?;
    if wanted.is_empty() || !client.scopes.covers(&wanted) {
        return Err(AuthorizeError::InvalidScope);
    }
    Ok(wanted)
}

/// The scopes that an answer names under any of `names`, each within `offered`. An answer that names
/// none chooses none.
///
/// # Errors
///
/// `invalid_scope` for an unknown one and for more than is offered.
pub(super) fn chosen(
    parts: &Parts,
    names: &[&str],
    offered: &Scopes,
) -> Result<Scopes, AuthorizeError> {
    let texts = names.iter().flat_map(|name| parts.all(name));
    let parsed = texts.map(str::parse::<Scope>);
    let chosen: Scopes =
        parsed.collect::<Result<_, _>>().map_err(|_| AuthorizeError::InvalidScope)?;
    if offered.covers(&chosen) { Ok(chosen) } else { Err(AuthorizeError::InvalidScope) }
}
