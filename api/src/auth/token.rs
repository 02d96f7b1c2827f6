//! `POST /api/o/token/` (RFC 6749).
//!
//! When several things are wrong, the first of this order is told:
//!
//! 1. the request's form: content type, encoding, repeated parameters → `invalid_request`;
//! 2. `grant_type` is missing → `invalid_request`;
//! 3. the client: credentials in two ways → `invalid_request`, otherwise → `invalid_client`;
//! 4. the grant is unknown → `unsupported_grant_type`;
//! 5. the client may not use it → `unauthorized_client`;
//! 6. the grant's own parameters (of a password: `device_id` first) → `invalid_request`;
//! 7. the scope → `invalid_scope`; of a refresh this comes after the token, before it is used up;
//! 8. the user's credentials or the refresh token → `invalid_grant`.

use poem::{
    Request, RequestBody,
    http::{HeaderValue, header},
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions, Object, OpenApi,
    payload::{Form as FormPayload, Json, Payload as _},
    registry::{MetaMediaType, MetaRequest, Registry},
};
use schemas::{
    Scopes, Timestamp,
    account::{ClientRecord, Grant, SessionRecord},
};

use super::{Caller, client, form::Form, grants, records, token_error::TokenError};
use crate::{
    error::ApiError,
    state::{AppState, RequestContext},
};

/// Largest body of a token request, in bytes.
const MAX_BODY: usize = 16 << 10;

/// The token endpoint.
pub(crate) struct TokenApi(pub(crate) AppState);

#[OpenApi(prefix_path = "/api/o")]
impl TokenApi {
    /// Sign in, or renew a sign-in
    ///
    /// The client's id and secret go in the body or in HTTP Basic. `device_id` is required for
    /// the grant `password`. A refresh token counts once; each reply holds the next one.
    #[oai(path = "/token", method = "post", operation_id = "token")]
    async fn token(&self, request: TokenRequest) -> Result<TokenReply, TokenError> {
        let TokenRequest { form, authorization, context } = request;
        let form = form?;
        let grant_type = form.require("grant_type")?;
        let client = client::authenticate(&self.0.store, authorization.as_ref(), &form).await;
        let client = records::client(&self.0, &context, &form, client).await?;
        self.0.rates.client(&client.id, &context.meter)?;
        let grant = [Grant::Password, Grant::RefreshToken]
            .into_iter()
            .find(|grant| grant.name() == grant_type)
            .ok_or(TokenError::UnsupportedGrantType)?;
        if !client.grants.contains(&grant) {
            return Err(TokenError::UnauthorizedClient);
        }
        let now = Timestamp::now();
        let granted = match grant {
            Grant::Password => grants::password(&self.0, &client, &form, &context, now).await?,
            Grant::RefreshToken => {
                grants::refresh_token(&self.0, &client, &form, &context, now).await?
            }
        };
        self.reply(granted, now)
    }
}

impl TokenApi {
    fn reply(&self, granted: Granted, now: Timestamp) -> Result<TokenReply, TokenError> {
        let Granted { session, scopes } = granted;
        let scope = scopes.to_string();
        let caller = Caller {
            user: session.owner,
            client: Some(session.client),
            scopes,
            session: Some(session.id),
            key: None,
        };
        let auth = &self.0.auth;
        let body = TokenBody {
            access_token: auth.access_tokens.issue(&caller, now)?,
            token_type: "Bearer".to_owned(),
            expires_in: auth.access_tokens.life().as_secs(),
            scope,
            refresh_token: auth.refresh_tokens.write(session.id, session.generation),
        };
        Ok(TokenReply::Issued(Json(body), "no-store".to_owned(), "no-cache".to_owned()))
    }
}

/// What a grant came to: the session as it is stored now, and what the access token may do, which
/// is no more than the session allows.
pub(super) struct Granted {
    pub(super) session: SessionRecord,
    pub(super) scopes: Scopes,
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
    /// `password` or `refresh_token`.
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
    /// Names parted by spaces; left out: everything that the client may ask for.
    scope: Option<String>,
}

/// A token request as it came; what is wrong with its form is told by the endpoint, in the shape
/// of OAuth2's errors.
struct TokenRequest {
    form: Result<Form, TokenError>,
    authorization: Option<HeaderValue>,
    context: RequestContext,
}

impl<'a> ApiExtractor<'a> for TokenRequest {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        FormPayload::<TokenParameters>::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest {
            description: None,
            content: vec![MetaMediaType {
                content_type: FormPayload::<TokenParameters>::CONTENT_TYPE,
                schema: FormPayload::<TokenParameters>::schema_ref(),
            }],
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let form = match request.content_type() {
            Some(found) if FormPayload::<TokenParameters>::check_content_type(found) => {
                match body.take()?.into_bytes_limit(MAX_BODY).await {
                    Ok(body) => Form::parse(&body),
                    Err(_) => Err(TokenError::invalid_request("the body could not be read")),
                }
            }
            _ => Err(TokenError::invalid_request(
                "the content type must be application/x-www-form-urlencoded",
            )),
        };
        let authorization = request.headers().get(header::AUTHORIZATION).cloned();
        let context = request.data::<RequestContext>().cloned();
        let context = context.ok_or_else(|| ApiError::internal("a request without its context"))?;
        Ok(Self { form, authorization, context })
    }
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
    refresh_token: String,
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
        let both = Scopes::all();
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
