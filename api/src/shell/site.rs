//! What is where: health and documents, the files of pictures, the notices of payment providers,
//! and the operations.

use bytes::Bytes;
use poem::{
    Endpoint, PathPattern, Request, Response, Result, Route,
    endpoint::BoxEndpoint,
    http::{HeaderValue, Method, StatusCode, header},
};

use super::{
    credentials,
    document::{self, Addresses, DOCS_PATH, OPENAPI_PATH},
    envelope, gate, health, slash,
};
use crate::{
    auth::{
        AUTHORIZE_PATH, AuthorizeApi, AuthorizePage, DiscoveryApi, IntrospectApi, METADATA_PATH,
        RevokeApi, TokenApi, metadata,
    },
    routes::{
        AccountApi, ApnsTokenApi, BindingApi, CardApi, JobApi, Media, Notify, PayApi, PushApi,
        UserImageApi, WalletApi, unbuilt,
    },
    state::AppState,
};

const READ_ONLY: HeaderValue = HeaderValue::from_static("GET, HEAD");
const FORMS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST");

/// Where a provider's page sends the browser when the payer is done, by GET or POST.
const RETURN_PATH: &str = "/api/pay/return/";

/// What stands there. Being sent there proves nothing, so it promises nothing.
const RETURN_PAGE: &[u8] = b"<!doctype html><meta charset=utf-8><title>Payment</title>\
    <p>You can close this page. The app shows whether the payment has arrived.";

/// Whether the path asks about the process itself. Such requests are answered under any load.
pub(super) fn is_about_the_process(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz" | "/metrics")
}

/// Every route.
pub(super) struct Site {
    state: AppState,
    operations: BoxEndpoint<'static>,
    media: Route,
    notify: Notify,
    addresses: Addresses,
    authorize: AuthorizePage,
    openapi: Bytes,
    docs: Bytes,
    metadata: Bytes,
    store: health::Latest,
}

impl Site {
    pub(super) fn new(state: &AppState) -> Self {
        let oauth = (
            TokenApi(state.clone()),
            AuthorizeApi(state.clone()),
            RevokeApi(state.clone()),
            IntrospectApi(state.clone()),
            DiscoveryApi(state.clone()),
        );
        let operations = (
            oauth,
            AccountApi(state.clone()),
            UserImageApi::new(state.clone()),
            (ApnsTokenApi::new(state.clone()), PushApi::new(state.clone())),
            (
                PayApi::new(state.clone()),
                CardApi(state.clone()),
                WalletApi(state.clone()),
                BindingApi(state.clone()),
            ),
            JobApi::new(state.clone()),
        );
        let media = Route::new().at("/media/:uid/UserImage/:file", Media::new(state.clone()));
        Self {
            state: state.clone(),
            operations: document::endpoint(operations),
            media,
            notify: Notify::new(state.clone()),
            addresses: Addresses::of_operations(),
            openapi: document::openapi().to_string().into(),
            authorize: AuthorizePage(state.clone()),
            docs: document::docs_page().into(),
            metadata: metadata(&state.settings.public_url).to_string().into(),
            store: health::Latest::default(),
        }
    }

    /// The pages and documents that are the same for everybody.
    async fn page(&self, path: &str) -> Option<Response> {
        let reply = match path {
            "/livez" => health::live(),
            "/readyz" => health::ready(&self.state, &self.store).await,
            "/metrics" => health::metrics(&self.state),
            OPENAPI_PATH => document("application/json", &self.openapi),
            METADATA_PATH => document("application/json", &self.metadata),
            DOCS_PATH => document("text/html; charset=utf-8", &self.docs),
            _ => return None,
        };
        Some(reply)
    }
}

impl Endpoint for Site {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let path = request.uri().path().to_owned();
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        if is_page(&path) {
            if !is_read {
                return Ok(not_allowed(READ_ONLY));
            }
            if !is_about_the_process(&path)
                && let Some(refusal) = gate::admit_to_page(&self.state, &request)
            {
                return Ok(refusal);
            }
            if let Some(mut reply) = self.page(&path).await {
                reply.set_data(PathPattern(path.into()));
                return Ok(reply);
            }
        }
        if path == AUTHORIZE_PATH {
            if let Some(refusal) = gate::admit_to_page(&self.state, &request) {
                return Ok(refusal);
            }
            let mut reply = match *request.method() {
                Method::GET | Method::HEAD | Method::POST => self.authorize.answer(request).await,
                _ => not_allowed(FORMS),
            };
            reply.set_data(PathPattern(path.into()));
            return Ok(reply);
        }
        if !slash::is_api(&path) {
            return self.media(request).await;
        }
        if let Some(refusal) = credentials::refuse_several(&request) {
            return Ok(refusal);
        }
        if let Some(mut reply) = self.notify.answer(&mut request).await {
            reply.set_data(PathPattern(Notify::PATTERN.into()));
            return Ok(reply);
        }
        if path == RETURN_PATH {
            return Ok(document("text/html; charset=utf-8", &Bytes::from_static(RETURN_PAGE)));
        }
        if let Some(reply) = unbuilt(&path) {
            return Ok(reply);
        }
        request.set_data(self.state.clone());
        let pass = gate::admit(&self.state, &mut request).await;
        let reply = match pass.refusal() {
            Some(refusal) => refusal,
            None => self.operation(request, &path).await,
        };
        Ok(pass.settle(reply))
    }
}

impl Site {
    async fn media(&self, request: Request) -> Result<Response> {
        if let Some(refusal) = gate::admit_to_file(&self.state, &request) {
            return Ok(refusal);
        }
        match self.media.call(request).await {
            Err(error) if error.status() == StatusCode::METHOD_NOT_ALLOWED => {
                Ok(not_allowed(READ_ONLY))
            }
            other => other,
        }
    }

    async fn operation(&self, request: Request, path: &str) -> Response {
        let mut reply = self.operations.call(request).await.unwrap_or_else(envelope::of_error);
        if reply.status() == StatusCode::METHOD_NOT_ALLOWED
            && let Some(methods) = self.addresses.methods(path)
        {
            return not_allowed(methods.clone());
        }
        let routed = reply.data::<PathPattern>();
        if let Some(name) = routed.and_then(|pattern| self.addresses.documented(&pattern.0)) {
            reply.set_data(PathPattern(name));
        }
        reply
    }
}

fn is_page(path: &str) -> bool {
    is_about_the_process(path) || matches!(path, OPENAPI_PATH | DOCS_PATH | METADATA_PATH)
}

fn document(content_type: &str, text: &Bytes) -> Response {
    Response::builder()
        .content_type(content_type)
        .header(header::CACHE_CONTROL, "no-cache")
        .body(text.clone())
}

fn not_allowed(methods: HeaderValue) -> Response {
    let error: poem::Error = poem::error::MethodNotAllowedError.into();
    let mut reply = envelope::of_error(error);
    reply.headers_mut().insert(header::ALLOW, methods);
    reply
}
