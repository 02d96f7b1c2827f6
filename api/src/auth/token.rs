//! `POST /api/o/token/` (RFC 6749).
//!
//! When several things are wrong, the first of this order is told:
//!
//! 1. the request's form: content type, encoding, repeated parameters → `invalid_request`;
//! 2. `grant_type` is missing → `invalid_request`;
//! 3. the client: credentials in two ways → `invalid_request`, otherwise → `invalid_client`;
//! 4. the grant is unknown → `unsupported_grant_type`;
//! 5. the client may not use it → `unauthorized_client`;
//! 6. the grant's own parameters (of a password: `device_id` first) → `invalid_request`; a public
//!    client must send `code_verifier` with a code;
//! 7. the scope → `invalid_scope`; of a refresh or a code this comes after the token or the code,
//!    before it is used up;
//! 8. the user's credentials, the code or the refresh token → `invalid_grant`. A code that was
//!    used before ends its session, whatever else comes with it.

use poem_openapi::{ApiResponse, Object, OpenApi, payload::Json};
use schemas::{
    ClientId, Scopes, SessionId, Timestamp,
    account::{ClientRecord, Grant, SessionRecord},
};

use super::{
    Caller, Principal, client_form::ClientForm, form::Form, grants, token_error::TokenError,
};
use crate::state::AppState;
use crate::view::Area;

/// The token endpoint.
pub(crate) struct TokenApi(pub(crate) AppState);

#[OpenApi(prefix_path = "/api/o", tag = "Area::OAuth")]
impl TokenApi {
    /// Sign in, or renew a sign-in
    ///
    /// The client's id and secret go in the body or in HTTP Basic. `device_id` is required for
    /// the grant `password`, and `code_verifier` of public clients for `authorization_code`. A code
    /// and a refresh token count once; each reply but that for `client_credentials` holds the next
    /// refresh token.
    #[oai(path = "/token", method = "post", operation_id = "token")]
    async fn token(&self, request: ClientForm<TokenParameters>) -> Result<TokenReply, TokenError> {
        let (state, form) = (&self.0, request.form()?);
        let grant_type = form.require("grant_type")?;
        let (client, context) = (request.client(state).await?, request.context());
        let grant = Grant::ALL
            .into_iter()
            .filter(|grant| *grant != Grant::Implicit)
            .find(|grant| grant.name() == grant_type)
            .ok_or(TokenError::UnsupportedGrantType)?;
        if !client.grants.contains(&grant) {
            return Err(TokenError::UnauthorizedClient);
        }
        let now = Timestamp::now();
        let granted = match grant {
            Grant::Password => grants::password(state, &client, form, context, now).await?,
            Grant::RefreshToken => {
                grants::refresh_token(state, &client, form, context, now).await?
            }
            Grant::AuthorizationCode => {
                grants::authorization_code(state, &client, form, context, now).await?
            }
            Grant::ClientCredentials => grants::client_credentials(&client, form)?,
            // It has no request here: its token comes with the answer to the consent.
            Grant::Implicit => return Err(TokenError::UnsupportedGrantType),
        };
        if let Principal::User(caller) = &granted.principal
            && client.secret_digest.is_none()
        {
            state.rates.proved(caller.user, &context.meter);
        }
        self.reply(&granted, now)
    }
}

impl TokenApi {
    fn reply(&self, granted: &Granted, now: Timestamp) -> Result<TokenReply, TokenError> {
        let auth = &self.0.auth;
        let refresh = |(session, generation)| auth.refresh_tokens.write(session, generation);
        let body = TokenBody {
            access_token: auth.access_tokens.issue(&granted.principal, now)?,
            token_type: "Bearer".to_owned(),
            expires_in: auth.access_tokens.life().as_secs(),
            scope: granted.scopes().to_string(),
            refresh_token: granted.refresh.map(refresh),
        };
        Ok(TokenReply::Issued(Json(body), "no-store".to_owned(), "no-cache".to_owned()))
    }
}

/// What a grant came to.
pub(super) struct Granted {
    /// Whom the access token speaks for; what it may do is no more than its session allows.
    principal: Principal,
    /// What the refresh token names, if there is one.
    refresh: Option<(SessionId, u32)>,
}

impl Granted {
    /// A user's sign-in, as it is stored now; with the refresh token that counts if it `refreshes`.
    pub(super) fn to_user(session: SessionRecord, scopes: Scopes, refreshes: bool) -> Self {
        let refresh = refreshes.then_some((session.id, session.generation));
        let caller = Caller {
            user: session.owner,
            client: Some(session.client),
            scopes,
            session: Some(session.id),
            key: None,
        };
        Self { principal: Principal::User(caller), refresh }
    }

    /// A client for itself.
    pub(super) fn to_client(client: ClientId, scopes: Scopes) -> Self {
        Self { principal: Principal::Client { client, scopes }, refresh: None }
    }

    fn scopes(&self) -> &Scopes {
        match &self.principal {
            Principal::User(caller) => &caller.scopes,
            Principal::Client { scopes, .. } => scopes,
        }
    }
}

/// The scopes to grant: those that `form` asks for, or all of `allowed` when it names none or
/// says `all`.
///
/// # Errors
///
/// `invalid_scope` for an unknown name and for more than is allowed.
pub(super) fn scopes(form: &Form, allowed: &Scopes) -> Result<Scopes, TokenError> {
    let Some(wanted) = form.get("scope") else { return Ok(allowed.clone()) };
    if wanted.split_ascii_whitespace().any(|name| name == "all") {
        return Ok(allowed.clone());
    }
    let wanted: Scopes = wanted.parse().map_err(|_| TokenError::InvalidScope)?;
    if !wanted.is_empty() && allowed.covers(&wanted) {
        Ok(wanted)
    } else {
        Err(TokenError::InvalidScope)
    }
}

/// What `client` may still do of what the session was granted.
pub(super) fn still_granted(session: &SessionRecord, client: &ClientRecord) -> Scopes {
    session.scopes.iter().filter(|scope| client.scopes.allows(*scope)).collect()
}

/// The parameters, for the OpenAPI document.
#[derive(Object)]
#[oai(rename = "TokenRequest")]
struct TokenParameters {
    /// `authorization_code`, `password`, `refresh_token` or `client_credentials`.
    grant_type: String,
    /// Unless it is in HTTP Basic.
    client_id: Option<String>,
    /// Unless it is in HTTP Basic, or the client is a public one.
    client_secret: Option<String>,
    /// For `password`; for phone accounts `+{calling code}-{number}`.
    username: Option<String>,
    /// For `password`.
    password: Option<String>,
    /// For `password`: names the device, such as `web:{fingerprint}`.
    device_id: Option<String>,
    /// For `refresh_token`.
    refresh_token: Option<String>,
    /// For `authorization_code`.
    code: Option<String>,
    /// For `authorization_code`: the same text as in the authorization request.
    redirect_uri: Option<String>,
    /// For `authorization_code`, if the authorization request had a `code_challenge` (RFC 7636).
    code_verifier: Option<String>,
    /// Names parted by spaces, or `all`; left out: everything that the client may ask for, or that
    /// the code or refresh token grants.
    scope: Option<String>,
}

/// A sign-in.
#[derive(Object)]
#[oai(rename = "Token")]
struct TokenBody {
    /// A JWT, for `Authorization: Bearer`.
    access_token: String,
    /// `Bearer`.
    token_type: String,
    /// Seconds that the access token counts.
    expires_in: u64,
    /// What was granted: names parted by spaces.
    scope: String,
    /// Counts once, for the next access token.
    #[oai(skip_serializing_if_is_none)]
    refresh_token: Option<String>,
}

#[derive(ApiResponse)]
enum TokenReply {
    /// Signed in.
    #[oai(status = 200)]
    Issued(
        Json<TokenBody>,
        #[oai(header = "Cache-Control")] String,
        #[oai(header = "Pragma")] String,
    ),
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use schemas::Scope;

    use super::*;

    #[test]
    fn scopes_are_what_is_asked_for_and_allowed() {
        let both: Scopes = [Scope::UserProfile, Scope::UserImage].into_iter().collect();
        let one: Scopes = [Scope::UserImage].into_iter().collect();
        let cases = [
            ("left out", "", &one, Ok(one.clone())),
            ("all", "scope=all", &one, Ok(one.clone())),
            ("fewer", "scope=user_image", &both, Ok(one.clone())),
            ("equal", "scope=user_profile+user_image", &both, Ok(both.clone())),
            ("more", "scope=user_profile", &one, Err(TokenError::InvalidScope)),
            ("unknown", "scope=user_image+root", &both, Err(TokenError::InvalidScope)),
            ("blank", "scope=+", &both, Err(TokenError::InvalidScope)),
        ];
        for (name, form, allowed, expected) in cases {
            let form = Form::parse(form.as_bytes()).unwrap();
            assert_eq!(scopes(&form, allowed), expected, "{name}");
        }
    }
}
