//! A request of a client: a form, and the client's credentials in it or in the header. What is
//! wrong with it is told by the endpoint, in the shape of OAuth2's errors.

use std::marker::PhantomData;

use poem::{
    Request, RequestBody,
    http::{HeaderValue, header},
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    payload::{Form as FormPayload, Payload},
    registry::{MetaMediaType, MetaRequest, Registry},
    types::{ParseFromJSON, Type},
};
use schemas::account::ClientRecord;

use super::{client, form::Form, records, token_error::TokenError};
use crate::{
    error::ApiError,
    state::{AppState, RequestContext},
};

/// Largest body, in bytes.
const MAX_BODY: usize = 16 << 10;

/// The form as it came; `T` describes it in the OpenAPI document.
pub(super) struct ClientForm<T> {
    form: Result<Form, TokenError>,
    authorization: Option<HeaderValue>,
    context: RequestContext,
    parameters: PhantomData<fn() -> T>,
}

impl<T> ClientForm<T> {
    /// The parameters.
    ///
    /// # Errors
    ///
    /// `invalid_request` when the body is no such form.
    pub(super) fn form(&self) -> Result<&Form, TokenError> {
        self.form.as_ref().map_err(Clone::clone)
    }

    /// What names the request.
    pub(super) const fn context(&self) -> &RequestContext {
        &self.context
    }

    /// The client that sent the request. One with a secret has proved so, and is counted in place of
    /// its address; anybody can name a public one, so its request stays with the address. A refusal
    /// is counted, and that of a client that we know goes to the audit record.
    ///
    /// # Errors
    ///
    /// As [`client::claimed`]; `invalid_client` for a disabled client and a wrong secret; and when
    /// the client has asked too often.
    pub(super) async fn client(&self, state: &AppState) -> Result<ClientRecord, TokenError> {
        let (form, header) = (self.form()?, self.authorization.as_ref());
        let claim = client::claimed(&state.store, header, form).await;
        if let Err(TokenError::InvalidClient(_)) = &claim {
            records::stranger_refused();
        }
        let client = match claim?.proved() {
            Ok(client) => client,
            Err(named) => {
                records::client_refused(state, &self.context, &named).await;
                return Err(client::WRONG);
            }
        };
        if client.secret_digest.is_some() {
            state.rates.client(&client.id, &self.context.meter)?;
            self.context.meter.vouch();
        }
        Ok(client)
    }
}

impl<'a, T: Type + ParseFromJSON> ApiExtractor<'a> for ClientForm<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest {
            description: None,
            content: vec![MetaMediaType {
                content_type: FormPayload::<T>::CONTENT_TYPE,
                schema: T::schema_ref(),
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
            Some(found) if FormPayload::<T>::check_content_type(found) => {
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
        Ok(Self { form, authorization, context, parameters: PhantomData })
    }
}
