//! `GET` and `POST /api/o/authorize/`, for a consent page that a deployment has elsewhere.

use poem::{Body, Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ApiResponse, ExtractParamOptions, Object, OpenApi,
    payload::Json, registry::Registry,
};
use schemas::Scopes;

use super::{
    consent::{Consent, DEVICE, Given},
    error::AuthorizeError,
    parts::Parts,
    request::{self, Refusal, Wanted},
};
use crate::{
    auth::{Bearer, Caller, authenticate, records, sessions},
    error::ApiError,
    state::{AppState, RequestContext},
    view::Area,
};

/// The calls of a consent page.
pub(crate) struct AuthorizeApi(pub(crate) AppState);

#[OpenApi(prefix_path = "/api/o", tag = "Area::OAuth")]
impl AuthorizeApi {
    /// What a consent page shows
    ///
    /// Query parameters: `client_id`, `response_type` (`code` or `token`), `redirect_uri`, and if
    /// wanted `state`, `scope`, `code_challenge` and `code_challenge_method` (S256). The request
    /// carries the access token of a user who signed in with the password.
    #[oai(path = "/authorize", method = "get", operation_id = "show_authorization")]
    async fn show(
        &self,
        Approver(caller): Approver,
        request: &Request,
    ) -> Result<Json<Shown>, AuthorizeError> {
        let query = request.uri().query().unwrap_or_default();
        let wanted = self.wanted(&Parts::of_form(query.as_bytes())?).await?;
        let offered = wanted.offered(&caller.scopes)?;
        Ok(Json(Shown::of(wanted, &offered)))
    }

    /// Answer for the user
    ///
    /// A `multipart/form-data` or `application/x-www-form-urlencoded` body: `client_id`,
    /// `redirect_uri`, `response_type`, `state`, `code_challenge` and `code_challenge_method` as
    /// above; `n_scopes` and `ad_scopes`, one part for each scope that is granted, and at least one;
    /// `allow` (`true` or `false`); `device_id`.
    #[oai(path = "/authorize", method = "post", operation_id = "answer_authorization")]
    async fn answer(
        &self,
        Approver(caller): Approver,
        request: &Request,
        body: Body,
    ) -> Result<Answer, AuthorizeError> {
        let parts = Parts::of_body(request, body).await?;
        let wanted = self.wanted(&parts).await?;
        let context = request.data::<RequestContext>();
        let context = context.ok_or_else(|| ApiError::internal("a request without its context"))?;
        match parts.require("allow")? {
            "true" => {}
            "false" => {
                let client = &wanted.client.id;
                records::consent_refused(&self.0, context, caller.user, client).await;
                let redirect_uri = Some(wanted.back.refused("access_denied"));
                return Ok(Answer::of(AnswerBody { redirect_uri, ..AnswerBody::default() }));
            }
            _ => return Err(AuthorizeError::invalid("allow must be true or false")),
        }
        // The answer does not say again what was asked for, so only what it names was surely shown.
        let most = wanted.client.scopes.intersection(&caller.scopes);
        let scopes = request::chosen(&parts, &["n_scopes", "ad_scopes"], &most)?;
        if scopes.is_empty() {
            return Err(AuthorizeError::InvalidScope);
        }
        let consent = Consent {
            context,
            owner: caller.user,
            scopes,
            device_id: parts.one("device_id")?.unwrap_or(DEVICE),
        };
        let given = consent.give(&self.0, &wanted).await?;
        Ok(Answer::of(AnswerBody::of(given)))
    }
}

impl AuthorizeApi {
    async fn wanted(&self, parts: &Parts) -> Result<Wanted, AuthorizeError> {
        Wanted::check(&self.0.store, parts).await.map_err(|Refusal { error, .. }| error)
    }
}

/// A user who may allow clients something: one who signed in with the password.
struct Approver(Caller);

impl<'a> ApiExtractor<'a> for Approver {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        Bearer::register(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        Bearer::security_schemes()
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let state = request
            .data::<AppState>()
            .ok_or_else(|| ApiError::internal("a request without its state"))?;
        Ok(Self(approver(state, request).await?))
    }
}

async fn approver(state: &AppState, request: &Request) -> Result<Caller, AuthorizeError> {
    const REFUSED: AuthorizeError =
        AuthorizeError::Forbidden("only a user who signed in with the password may allow this");

    let caller = authenticate(request)?;
    if sessions::began_with_password(&state.store, &caller).await? {
        Ok(caller)
    } else {
        Err(REFUSED)
    }
}

/// What a consent page shows. Scopes are pairs of name and label.
#[derive(Object)]
#[oai(rename = "Authorization")]
struct Shown {
    /// What the application is called.
    name: String,
    /// As in the request.
    client_id: String,
    /// As in the request.
    redirect_uri: String,
    /// As in the request.
    response_type: String,
    /// As in the request; null when it had none.
    state: Option<String>,
    /// Basic scopes, which are granted together.
    n_scopes: Vec<Vec<String>>,
    /// Advanced scopes, each of which the user may leave out.
    ad_scopes: Vec<Vec<String>>,
}

impl Shown {
    fn of(wanted: Wanted, offered: &Scopes) -> Self {
        Self {
            name: wanted.client.name,
            client_id: wanted.client.id.to_string(),
            redirect_uri: wanted.back.redirect_uri,
            response_type: wanted.response_type.name().to_owned(),
            state: wanted.back.state,
            n_scopes: labelled(offered, true),
            ad_scopes: labelled(offered, false),
        }
    }
}

/// The basic or the other ones of `scopes`, each with its label.
pub(crate) fn labelled(scopes: &Scopes, basic: bool) -> Vec<Vec<String>> {
    let some = scopes.iter().filter(|scope| scope.is_basic() == basic);
    some.map(|scope| vec![scope.name().to_owned(), scope.label().to_owned()]).collect()
}

/// Where the browser goes, or an access token.
#[derive(Object, Default)]
#[oai(rename = "AuthorizationAnswer", skip_serializing_if_is_none)]
struct AnswerBody {
    /// The client's address with `code`, or with `error` when the user refused.
    redirect_uri: Option<String>,
    /// For `response_type=token`.
    access_token: Option<String>,
    /// `Bearer`.
    token_type: Option<String>,
    /// Seconds that the access token counts.
    expires_in: Option<u64>,
    /// What was granted: names parted by spaces.
    scope: Option<String>,
}

impl AnswerBody {
    fn of(given: Given) -> Self {
        match given {
            Given::Code { redirect_uri } => {
                Self { redirect_uri: Some(redirect_uri), ..Self::default() }
            }
            Given::Token { access_token, expires_in, scopes } => Self {
                redirect_uri: None,
                access_token: Some(access_token),
                token_type: Some("Bearer".to_owned()),
                expires_in: Some(expires_in),
                scope: Some(scopes.to_string()),
            },
        }
    }
}

#[derive(ApiResponse)]
enum Answer {
    /// Allowed, or refused by the user.
    #[oai(status = 200)]
    Given(Json<AnswerBody>, #[oai(header = "Cache-Control")] String),
}

impl Answer {
    fn of(body: AnswerBody) -> Self {
        Self::Given(Json(body), "no-store".to_owned())
    }
}
