//! `/api/user/user-apns-device-token/`: the devices of users that get Apple's pushes.

mod form;
mod remove;

use poem::{Body, Request, web::Data};
use poem_openapi::{
    OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};
use schemas::{
    DeviceToken, PushTokenId,
    job::{Idempotency, NewJob},
    kinds::{
        PushTokenRegister,
        push_token_register::{RegistrationReceipt, TokenRegistration},
    },
    push_token::{MAX_DEVICES, PushTokenRecord},
};

use self::remove::Removing;
use super::{json_body::JsonBody, path_id::DeviceTokenPath, user_image::idempotency};
use crate::{
    auth::{Bearer, Caller},
    error::ApiError,
    intake::{self, MadeReply, Patience, WorkReply},
    state::{AppState, RequestContext},
    view::{Area, List, Pagination, PushDevice},
};

/// Devices of a page, unless the caller names another number.
const PAGE_SIZE: u64 = 20;

/// Most devices of one reply; a user has fewer.
const MAX_PAGE_SIZE: u64 = 100;

/// The calls about devices that get pushes.
pub(crate) struct ApnsTokenApi {
    state: AppState,
}

impl ApnsTokenApi {
    /// The calls, on top of `state`.
    pub(crate) const fn new(state: AppState) -> Self {
        Self { state }
    }
}

#[OpenApi(prefix_path = "/api/user/user-apns-device-token", tag = "Area::Push")]
impl ApnsTokenApi {
    /// List one's devices
    ///
    /// Newest first. With `page` or `page_size` the reply has `pagination`.
    #[oai(path = "/", method = "get", operation_id = "list_device_tokens")]
    async fn list(
        &self,
        Bearer(caller): Bearer,
        /// Number of the page, from 1.
        page: Query<Option<i64>>,
        /// Devices of a page, at most 100.
        page_size: Query<Option<i64>>,
    ) -> Result<Json<List<PushDevice>>, ApiError> {
        let devices = own(&self.state, &caller).await?;
        let wanted = wanted(page.0, page_size.0)?;
        let Some((page, size)) = wanted else {
            return Ok(Json(List { data: views(devices), pagination: None }));
        };
        let pagination = Pagination::of(page, size, devices.len() as u64);
        let pagination = pagination.ok_or_else(ApiError::not_found)?;
        let (skip, take) = ((page - 1) * size, size);
        let part = devices
            .into_iter()
            .skip(usize::try_from(skip).unwrap_or(usize::MAX))
            .take(usize::try_from(take).unwrap_or(usize::MAX));
        Ok(Json(List { data: views(part), pagination: Some(pagination) }))
    }

    /// Register a device, or renew it
    ///
    /// Apps do this at each launch, because a token can change at any time. A token that was
    /// another user's is the caller's alone from then on.
    #[oai(path = "/", method = "post", operation_id = "register_device_token")]
    async fn register(
        &self,
        Bearer(caller): Bearer,
        body: JsonBody<form::Registration>,
        /// `wait=N` holds the request for up to N seconds until the work is done (RFC 7240).
        #[oai(name = "Prefer")]
        _prefer: Header<Option<String>>,
        /// The caller's own name for this request: 1 to 255 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        _key: Header<Option<String>>,
        Data(context): Data<&RequestContext>,
        request: &Request,
    ) -> Result<MadeReply<PushDevice>, ApiError> {
        let default_app = self.state.settings.default_push_app.as_ref();
        let wish = form::registration(&body, &caller, default_app)?;
        let path = request.original_uri().path();
        let idempotency = intake::idempotency(request, path, body.raw())?;
        let job = job(&caller, &wish, idempotency, context)?;
        let started = intake::start(&self.state, job, self.patience(request)).await?;
        MadeReply::of(&started.job, started.patience, started.replayed, async |output| {
            let receipt: RegistrationReceipt =
                serde_json::from_value(output).map_err(ApiError::internal)?;
            let device = shown(&self.state, &caller, receipt.id).await?;
            Ok((PushDevice::of(device), receipt.created))
        })
        .await
    }

    /// Remove a device that the body names
    ///
    /// It gets no pushes from the moment of the reply on.
    #[oai(path = "/", method = "delete", operation_id = "delete_named_device_token")]
    async fn delete_named(
        &self,
        Bearer(caller): Bearer,
        body: JsonBody<form::Removal>,
        /// `wait=N` holds the request for up to N seconds until the work is done (RFC 7240).
        #[oai(name = "Prefer")]
        _prefer: Header<Option<String>>,
        /// The caller's own name for this request: 1 to 255 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        _key: Header<Option<String>>,
        Data(context): Data<&RequestContext>,
        request: &Request,
    ) -> Result<WorkReply, ApiError> {
        let token =
            form::token(&body).map_err(|text| ApiError::invalid(form::DEVICE_TOKEN, text))?;
        let app = body.get(form::BUNDLE_ID).map(|_| form::app(&body, None)).transpose();
        let app = app.map_err(|text| ApiError::invalid(form::BUNDLE_ID, text))?;
        let path = request.original_uri().path();
        let idempotency = intake::idempotency(request, path, body.raw())?;
        let (context, patience) = (context.clone(), self.patience(request));
        Removing { caller, token, app, idempotency, context, patience }.run(&self.state).await
    }

    /// Remove a device
    ///
    /// It gets no pushes from the moment of the reply on.
    #[oai(path = "/:device_token", method = "delete", operation_id = "delete_device_token")]
    #[expect(clippy::too_many_arguments, reason = "one for each part of the request")]
    async fn delete(
        &self,
        Bearer(caller): Bearer,
        device_token: Path<DeviceTokenPath>,
        /// `wait=N` holds the request for up to N seconds until the work is done (RFC 7240).
        #[oai(name = "Prefer")]
        _prefer: Header<Option<String>>,
        /// The caller's own name for this request: 1 to 255 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        _key: Header<Option<String>>,
        Data(context): Data<&RequestContext>,
        request: &Request,
        body: Body,
    ) -> Result<WorkReply, ApiError> {
        let token: DeviceToken = device_token.0.get()?;
        let path = request.original_uri().path();
        let idempotency = idempotency(request, path, body).await?;
        let (context, patience) = (context.clone(), self.patience(request));
        Removing { caller, token, app: None, idempotency, context, patience }.run(&self.state).await
    }
}

impl ApnsTokenApi {
    fn patience(&self, request: &Request) -> Patience {
        let settings = &self.state.settings;
        Patience::read(request.headers(), settings.default_wait, settings.max_wait)
    }
}

fn job(
    caller: &Caller,
    wish: &TokenRegistration,
    idempotency: Option<Idempotency>,
    context: &RequestContext,
) -> Result<NewJob, ApiError> {
    let mut job = NewJob::of::<PushTokenRegister>(caller.user, wish).map_err(ApiError::internal)?;
    job.idempotency = idempotency;
    job.request_id = Some(context.request_id.clone());
    job.trace_parent.clone_from(&context.trace_parent);
    Ok(job)
}

/// The devices of `caller` that are not removed, newest first.
async fn own(state: &AppState, caller: &Caller) -> Result<Vec<PushTokenRecord>, ApiError> {
    // A few may be on their way out.
    Ok(state.store.push_tokens.list(caller.user, None, MAX_DEVICES * 2).await?)
}

/// The device `id` as it is now, if it is still `caller`'s.
async fn shown(
    state: &AppState,
    caller: &Caller,
    id: PushTokenId,
) -> Result<PushTokenRecord, ApiError> {
    let found = state.store.push_tokens.by_numbers(&[id]).await?;
    let mine = found.into_iter().find(|device| device.owner == caller.user);
    mine.ok_or_else(ApiError::not_found)
}

fn views(devices: impl IntoIterator<Item = PushTokenRecord>) -> Vec<PushDevice> {
    devices.into_iter().map(PushDevice::of).collect()
}

/// Number and size of the page that is asked for, if any is.
fn wanted(page: Option<i64>, size: Option<i64>) -> Result<Option<(u64, u64)>, ApiError> {
    if page.is_none() && size.is_none() {
        return Ok(None);
    }
    let page = u64::try_from(page.unwrap_or(1)).ok().filter(|page| *page > 0);
    let page = page.ok_or_else(ApiError::not_found)?;
    let size = match size.map(u64::try_from) {
        None => PAGE_SIZE,
        Some(Ok(size @ 1..)) => size.min(MAX_PAGE_SIZE),
        Some(_) => return Err(ApiError::invalid("page_size", "Send a positive number.")),
    };
    Ok(Some((page, size)))
}
