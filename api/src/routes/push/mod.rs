//! `/api/push/`: campaigns of pushes, as their sender sees them.
//!
//! What is wrong with a request is said at once, by field. What is right is one job, whose id is
//! also that of the campaign; workers do the rest.

mod change;
mod message;
mod read;
mod view;
mod wait;

use poem::{Body, Request, web::Data};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
    types::Any,
};
use schemas::{
    PushId,
    job::NewJob,
    kinds::PushFanOut,
    push::{PushCampaign, PushWish},
};
use serde_json::Value;
use tracing::Instrument;

pub use self::read::{read_order, resolve};
pub(crate) use self::view::Push;
use self::wait::Waiting;
use super::{json_body::JsonBody, path_id::PushPathId};
use crate::{
    auth::Bearer,
    error::ApiError,
    intake::{self, Accepted, IdempotencyKey, Patience},
    state::{AppState, RequestContext},
    view::{Area, Cursor, Resource, Stretch},
};

/// Most bytes of a request for a campaign: a thousand messages of the largest size.
pub(crate) const MAX_PUSH_BODY: usize = 5 << 20;

/// Where campaigns are made; its bodies may be larger than others.
pub(crate) const PUSH_PATH: &str = "/api/push/";

/// Campaigns of one reply, unless the caller names another number, and at most.
const PAGE_SIZE: usize = 20;
const MAX_PAGE_SIZE: usize = 100;

/// The calls about pushes.
pub(crate) struct PushApi {
    state: AppState,
}

impl PushApi {
    /// The calls, on top of `state`.
    pub(crate) const fn new(state: AppState) -> Self {
        Self { state }
    }
}

/// A campaign to be made: either `message` and `to`, or `messages`.
#[derive(Object)]
struct NewPush {
    /// Bundle id of the app.
    app: String,
    /// `sandbox` or `production`: only devices of that environment; tokens are taken as they are.
    environment: Option<String>,
    /// One message for everybody.
    message: Option<NewMessage>,
    /// Who gets it.
    to: Option<To>,
    /// Up to 1,000 messages, each with its own `to` of users and tokens.
    messages: Option<Vec<NewMessage>>,
    /// The caller's own name for the campaign, at most 100 characters.
    name: Option<String>,
    /// When to send it; at once unless it is given.
    send_at: Option<String>,
    /// What is not sent by then is dropped; 24 hours after the start unless it is given, at most
    /// 30 days.
    expires_at: Option<String>,
    /// Most pushes in a second, over any few seconds: two seconds' worth may leave at once. Nothing is
    /// made up for after an outage.
    rate: Option<u32>,
}

/// Who gets a message: users and tokens by name, or with one message for everybody a part of the
/// app's devices.
#[derive(Object)]
struct To {
    /// `uid` of users: every device of the app that they are signed in on.
    users: Option<Vec<i64>>,
    /// Device tokens that were registered.
    tokens: Option<Vec<String>>,
    /// `true` for every device of the app.
    all: Option<bool>,
    /// Devices with such a language and region (RFC 4647, basic filtering): `zh` means `zh-Hans` and
    /// `zh-CN`, too. Upper and lower case are the same.
    locale: Option<String>,
    /// Devices with this version of the app.
    app_version: Option<String>,
}

/// What is said, by Apple's names; or any payload as it is.
#[derive(Object)]
struct NewMessage {
    /// Who gets it; only within `messages`.
    to: Option<To>,
    /// `alert`, `badge`, `sound`, `thread-id`, `category`, `content-available`, `mutable-content`,
    /// `target-content-id`, `interruption-level`, `relevance-score`, `filter-criteria`,
    /// `content-changed`.
    aps: Option<Any<Value>>,
    /// A Live Activity: `timestamp`, `event`, `content-state`, `stale-date`, `dismissal-date`,
    /// `attributes-type`, `attributes`, `input-push-token`, `input-push-channel`.
    activity: Option<Any<Value>>,
    /// What only the app reads, beside `aps`.
    custom: Option<Any<Value>>,
    /// The whole payload, in place of `aps`, `activity` and `custom`.
    payload: Option<Any<Value>>,
    /// Apple's `apns-push-type`; follows from the content unless it is given.
    push_type: Option<String>,
    /// 1, 5 or 10.
    priority: Option<u32>,
    /// Until when Apple keeps trying: a time, or `once` for one attempt.
    expiration: Option<String>,
    /// A later push with the same one takes the place of an earlier; 1 to 64 bytes.
    collapse_id: Option<String>,
    /// Only for the push type `mdm`.
    topic: Option<String>,
    /// Whether it is sent once more when Apple's answer was lost, so that it may arrive twice.
    /// Unless given only with a collapse id and in the background, where nobody sees that.
    repeat: Option<bool>,
}

#[derive(ApiResponse)]
enum Made {
    /// The campaign has ended; under `Prefer: wait`.
    #[oai(status = 200)]
    Ended(
        Json<Resource<Push>>,
        /// The wait that was honoured.
        #[oai(header = "Preference-Applied")]
        Option<String>,
        /// `true` when an earlier call with the same `Idempotency-Key` made it.
        #[oai(header = "Idempotency-Replayed")]
        Option<String>,
    ),
    /// The campaign is recorded and will be sent.
    #[oai(status = 202)]
    Accepted(
        Json<Resource<Push>>,
        /// The campaign.
        #[oai(header = "Location")]
        String,
        /// Seconds after which it is worth asking for it.
        #[oai(header = "Retry-After")]
        u32,
        /// The wait that was honoured.
        #[oai(header = "Preference-Applied")]
        Option<String>,
        /// `true` when an earlier call with the same `Idempotency-Key` made it.
        #[oai(header = "Idempotency-Replayed")]
        Option<String>,
    ),
}

#[derive(ApiResponse)]
enum Shown {
    /// The campaign.
    #[oai(status = 200)]
    Campaign(
        Json<Resource<Push>>,
        /// The wait that was honoured.
        #[oai(header = "Preference-Applied")]
        Option<String>,
    ),
}

#[OpenApi(prefix_path = "/api/push", tag = "Area::Push")]
impl PushApi {
    /// Send pushes
    ///
    /// One message for everybody, or up to 1,000 with addressees of their own.
    #[oai(path = "/", method = "post", operation_id = "create_push")]
    async fn create(
        &self,
        Bearer(caller): Bearer,
        body: JsonBody<NewPush, MAX_PUSH_BODY>,
        /// `wait=N` holds the request for up to N seconds until the campaign has ended (RFC 7240).
        #[oai(name = "Prefer")]
        _prefer: Header<Option<String>>,
        /// The caller's own name for this request: 1 to 255 visible ASCII characters.
        #[oai(name = "Idempotency-Key")]
        _key: Header<Option<String>>,
        Data(context): Data<&RequestContext>,
        request: &Request,
    ) -> Result<Made, ApiError> {
        let key = IdempotencyKey::read(request.headers())?;
        let path = request.original_uri().path();
        let what = intake::Request { method: request.method(), path, body: body.raw() };
        let apps = self.state.settings.push_apps.as_slice();
        let mut order = read_order(body.fields(), Some(apps), schemas::Timestamp::now())?;
        resolve(&self.state.store, &mut order).await?;
        let mut job = NewJob::of::<PushFanOut>(caller.user, &order).map_err(ApiError::internal)?;
        job.run_at = (order.start_at > schemas::Timestamp::now()).then_some(order.start_at);
        job.idempotency = key.map(|key| key.used_for(what));
        job.request_id = Some(context.request_id.clone());
        job.trace_parent.clone_from(&context.trace_parent);
        let patience = Waiting::patience(&self.state, request);
        let (campaign, replayed, waiting) = accept(&self.state, job, patience).await?;
        let (campaign, applied) = waiting.end_of(&self.state, campaign).await?;
        let location = Push::path(campaign.id);
        let view = Json(Resource { data: view::of(&self.state, &campaign).await? });
        Ok(if campaign.settled_at.is_some() && !patience.wait.is_zero() {
            Made::Ended(view, applied, replayed)
        } else {
            Made::Accepted(view, location, 1, applied, replayed)
        })
    }

    /// List one's campaigns
    ///
    /// Newest first. Those that have ended are kept for a while.
    #[oai(path = "/", method = "get", operation_id = "list_pushes")]
    async fn list(
        &self,
        Bearer(caller): Bearer,
        /// `cursor.next` of the reply before.
        cursor: Query<Option<String>>,
        /// Campaigns of one reply, at most 100.
        page_size: Query<Option<i64>>,
    ) -> Result<Json<Stretch<Push>>, ApiError> {
        let after = match cursor.0.as_deref().map(str::parse::<PushId>) {
            None => None,
            Some(Ok(id)) => Some(id),
            Some(Err(_)) => return Err(ApiError::invalid("cursor", "Send a cursor of a reply.")),
        };
        let size = match page_size.0.map(usize::try_from) {
            None => PAGE_SIZE,
            Some(Ok(size @ 1..)) => size.min(MAX_PAGE_SIZE),
            Some(_) => return Err(ApiError::invalid("page_size", "Send a positive number.")),
        };
        // One more tells whether there is a next page.
        let mut found = self.state.store.pushes.list(Some(caller.user), after, size + 1).await?;
        let more = found.len() > size;
        found.truncate(size);
        let next = found.last().filter(|_| more).map(|last| last.id.to_string());
        let data = found.iter().map(|campaign| Push::of(campaign, None)).collect();
        Ok(Json(Stretch { data, cursor: Cursor { next } }))
    }

    /// Read a campaign and its counters
    #[oai(path = "/:id", method = "get", operation_id = "get_push")]
    async fn get(
        &self,
        Bearer(caller): Bearer,
        id: Path<PushPathId>,
        /// `wait=N` holds the request for up to N seconds until the campaign has ended (RFC 7240).
        #[oai(name = "Prefer")]
        _prefer: Header<Option<String>>,
        request: &Request,
    ) -> Result<Shown, ApiError> {
        let id = id.0.get()?;
        let waiting =
            Waiting::begin(&self.state, caller.user, id, Waiting::patience(&self.state, request));
        let campaign = change::own(&self.state, caller.user, id).await?;
        self.shown(campaign, waiting).await
    }

    /// Pause a campaign
    ///
    /// What is under way comes to its end; nothing further is sent.
    #[oai(path = "/:id/pause", method = "post", operation_id = "pause_push")]
    async fn pause(
        &self,
        Bearer(caller): Bearer,
        id: Path<PushPathId>,
        Data(context): Data<&RequestContext>,
        _body: Body,
    ) -> Result<Json<Resource<Push>>, ApiError> {
        let id = id.0.get()?;
        let campaign = change::steer(&self.state, context, &caller, id, PushWish::Pause).await?;
        Ok(Json(Resource { data: view::of(&self.state, &campaign).await? }))
    }

    /// Resume a paused campaign
    #[oai(path = "/:id/resume", method = "post", operation_id = "resume_push")]
    async fn resume(
        &self,
        Bearer(caller): Bearer,
        id: Path<PushPathId>,
        /// `wait=N` holds the request for up to N seconds until the campaign has ended (RFC 7240).
        #[oai(name = "Prefer")]
        _prefer: Header<Option<String>>,
        Data(context): Data<&RequestContext>,
        request: &Request,
        _body: Body,
    ) -> Result<Shown, ApiError> {
        let id = id.0.get()?;
        let waiting =
            Waiting::begin(&self.state, caller.user, id, Waiting::patience(&self.state, request));
        let campaign = change::steer(&self.state, context, &caller, id, PushWish::Resume).await?;
        self.shown(campaign, waiting).await
    }

    /// Cancel a campaign
    ///
    /// What is under way comes to its end; everything else is counted as cancelled.
    #[oai(path = "/:id/cancel", method = "post", operation_id = "cancel_push")]
    async fn cancel(
        &self,
        Bearer(caller): Bearer,
        id: Path<PushPathId>,
        /// `wait=N` holds the request for up to N seconds until the campaign has ended (RFC 7240).
        #[oai(name = "Prefer")]
        _prefer: Header<Option<String>>,
        Data(context): Data<&RequestContext>,
        request: &Request,
        _body: Body,
    ) -> Result<Shown, ApiError> {
        let id = id.0.get()?;
        let waiting =
            Waiting::begin(&self.state, caller.user, id, Waiting::patience(&self.state, request));
        let campaign = change::steer(&self.state, context, &caller, id, PushWish::Cancel).await?;
        self.shown(campaign, waiting).await
    }
}

impl PushApi {
    async fn shown(&self, campaign: PushCampaign, waiting: Waiting) -> Result<Shown, ApiError> {
        let (campaign, applied) = waiting.end_of(&self.state, campaign).await?;
        let view = view::of(&self.state, &campaign).await?;
        Ok(Shown::Campaign(Json(Resource { data: view }), applied))
    }
}

/// Records the job and its campaign, and announces the job. A client that hangs up now does not
/// leave them half recorded.
async fn accept(
    state: &AppState,
    job: NewJob,
    patience: Patience,
) -> Result<(PushCampaign, Option<String>, Waiting), ApiError> {
    intake::open(state)?;
    let state = state.clone();
    let work = async move {
        let accepted = intake::record(&state, job).await?;
        let waiting = Waiting::begin(
            &state,
            accepted.job().owner,
            PushId::of_job(accepted.job().id),
            patience,
        );
        let campaign = change::of_job(&state, accepted.job()).await?;
        if let Accepted::New(job) = &accepted
            && job.state == schemas::JobState::Queued
        {
            intake::announce(&state, job).await;
        }
        let replayed = matches!(accepted, Accepted::Replayed(_)).then(|| "true".to_owned());
        Ok::<_, ApiError>((campaign, replayed, waiting))
    };
    tokio::spawn(work.in_current_span()).await.map_err(ApiError::internal)?
}
