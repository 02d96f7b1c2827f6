//! `/api/job/`: the jobs of the caller.

pub(super) mod cancel;
mod events;
mod list;

use std::{sync::Arc, time::Duration};

use poem::{Request, web::Data};
use poem_openapi::{
    ApiResponse, OpenApi,
    param::{Header, Path, Query},
    payload::{EventStream, Json},
};
use schemas::{
    Job as _, JobId, JobRecord, JobState, PushId, UserId,
    audit::{Actor, AuditRecord},
    kinds::{self, PushFanOut},
    push::PushWish,
};
use tokio::sync::Semaphore;

use self::events::Follower;
use super::{conditional::Etag, path_id::JobPathId};
use crate::{
    auth::{Bearer, Caller},
    error::ApiError,
    intake::Patience,
    places::Places,
    state::{AppState, RequestContext},
    view::{Area, Job, Moment, Resource, Stretch},
    watch::Watcher,
};

/// When a caller comes back to a process that has no room for another stream.
const FULL_PAUSE: Duration = Duration::from_secs(5);

/// Streams that one user may have at a time.
const STREAMS_OF_ONE: usize = 32;

/// The calls about jobs.
pub(crate) struct JobApi {
    state: AppState,
    streams: Arc<Semaphore>,
    users: Places<UserId>,
}

impl JobApi {
    /// The calls, on top of `state`.
    pub(crate) fn new(state: AppState) -> Self {
        let streams = Arc::new(Semaphore::new(state.settings.limits.event_streams));
        Self { state, streams, users: Places::new(STREAMS_OF_ONE) }
    }
}

#[derive(ApiResponse)]
#[expect(clippy::large_enum_variant, reason = "made once and written out at once")]
enum JobReply {
    /// The job.
    #[oai(status = 200)]
    Job(
        Json<Resource<Job>>,
        /// Changes with every change of the job.
        #[oai(header = "ETag")]
        String,
        /// Browsers keep the reply, and ask whether it still counts.
        #[oai(header = "Cache-Control")]
        String,
        /// The wait that was honoured.
        #[oai(header = "Preference-Applied")]
        Option<String>,
    ),
    /// The job is as the caller knows it.
    #[oai(status = 304)]
    Unchanged(#[oai(header = "ETag")] String, #[oai(header = "Preference-Applied")] Option<String>),
}

#[derive(ApiResponse)]
enum CancelReply {
    /// The job was cancelled; under `Prefer: wait`.
    #[oai(status = 200)]
    Cancelled(Json<Resource<Job>>, #[oai(header = "Preference-Applied")] Option<String>),
    /// The wish is recorded.
    #[oai(status = 202)]
    Asked(
        Json<Resource<Job>>,
        #[oai(header = "Location")] String,
        #[oai(header = "Retry-After")] u32,
        #[oai(header = "Preference-Applied")] Option<String>,
    ),
}

#[derive(ApiResponse)]
enum EventsReply {
    /// The changes, each with `event: status`, its version as `id`, and the job as `data`.
    #[oai(status = 200)]
    Events(EventStream<futures::stream::BoxStream<'static, Job>>),
    /// The job has ended and the caller has seen its last change.
    #[oai(status = 204)]
    Over,
}

#[OpenApi(prefix_path = "/api/job", tag = "Area::Jobs")]
impl JobApi {
    /// List one's jobs
    ///
    /// Newest first, of the kinds that the token's scopes may start. Settled jobs are kept for a
    /// while.
    #[oai(path = "/", method = "get", operation_id = "list_jobs")]
    #[expect(clippy::too_many_arguments, reason = "one for each query parameter")]
    async fn list(
        &self,
        Bearer(caller): Bearer,
        /// Kinds parted by commas.
        kind: Query<Option<String>>,
        /// States parted by commas.
        status: Query<Option<String>>,
        /// Only jobs accepted at this moment or later.
        created_from: Query<Option<Moment>>,
        /// Only jobs accepted before this moment.
        created_before: Query<Option<Moment>>,
        /// `cursor.next` of the reply before.
        cursor: Query<Option<String>>,
        /// Jobs of one reply, at most 100.
        page_size: Query<Option<i64>>,
    ) -> Result<Json<Stretch<Job>>, ApiError> {
        let query = list::Query {
            kind: kind.0,
            status: status.0,
            created_from: created_from.0,
            created_before: created_before.0,
            cursor: cursor.0,
            page_size: page_size.0,
        };
        Ok(Json(list::list(&self.state, &caller, query).await?))
    }

    /// Read a job
    ///
    /// Needs the scope of the call that started it, as following and stopping it does.
    #[oai(path = "/:id", method = "get", operation_id = "get_job")]
    async fn get(
        &self,
        Bearer(caller): Bearer,
        id: Path<JobPathId>,
        /// `wait=N` holds the request for up to N seconds until the job has ended (RFC 7240).
        #[oai(name = "Prefer")]
        _prefer: Header<Option<String>>,
        /// `ETag` of an earlier reply.
        #[oai(name = "If-None-Match")]
        _if_none_match: Header<Option<String>>,
        request: &Request,
    ) -> Result<JobReply, ApiError> {
        let patience = self.patience(request);
        let id = id.0.get()?;
        let watcher =
            if patience.wait.is_zero() { None } else { self.state.watch.of(caller.user, id) };
        let job = self.own(&caller, id).await?;
        let (job, applied) = self.ended(job, watcher, patience).await?;
        let etag = Etag::new(job.version);
        let tag = etag.as_str().to_owned();
        if etag.is_known(request.headers()) {
            return Ok(JobReply::Unchanged(tag, applied));
        }
        Ok(JobReply::Job(resource(&job), tag, "private, no-cache".to_owned(), applied))
    }

    /// Follow a job
    ///
    /// Server-Sent Events: first the job as it is, then each change, until it has ended. With
    /// `Last-Event-ID` instead what changed since then; `result`, `error` and `retry_at` are told
    /// of the latest change only.
    #[oai(path = "/:id/events", method = "get", operation_id = "follow_job")]
    async fn events(
        &self,
        Bearer(caller): Bearer,
        id: Path<JobPathId>,
        /// `id` of the last event that the caller has seen.
        #[oai(name = "Last-Event-ID")]
        last: Header<Option<String>>,
    ) -> Result<EventsReply, ApiError> {
        let id = id.0.get()?;
        let greedy = || ApiError::rate_limited(FULL_PAUSE);
        let full = || ApiError::unavailable(FULL_PAUSE);
        let place = self.users.take(caller.user).ok_or_else(greedy)?;
        let slot = self.streams.clone().try_acquire_owned().map_err(|_| full())?;
        let watcher = self.state.watch.of(caller.user, id).ok_or_else(full)?;
        let job = self.own(&caller, id).await?;
        // A text that is no version says nothing about what was seen.
        let last = last.0.and_then(|last| last.trim().parse().ok());
        if job.state.is_settled() && last.is_some_and(|last: u64| last >= job.version) {
            return Ok(EventsReply::Over);
        }
        let follower = Follower::new(self.state.clone(), caller, watcher, job, last, (place, slot));
        let stream = EventStream::new(Box::pin(follower.stream()) as _);
        let stream = stream.to_event(|job| events::event(&job)).keep_alive(events::KEEP_ALIVE);
        Ok(EventsReply::Events(stream))
    }

    /// Ask a job to stop
    ///
    /// What was done already is not undone: the job may still end with success.
    #[oai(path = "/:id/cancel", method = "post", operation_id = "cancel_job")]
    async fn cancel(
        &self,
        Bearer(caller): Bearer,
        id: Path<JobPathId>,
        /// `wait=N` holds the request for up to N seconds until the job has ended (RFC 7240).
        #[oai(name = "Prefer")]
        _prefer: Header<Option<String>>,
        Data(context): Data<&RequestContext>,
        request: &Request,
    ) -> Result<CancelReply, ApiError> {
        let patience = self.patience(request);
        let id = id.0.get()?;
        let wait = !patience.wait.is_zero();
        let asked = self.own(&caller, id).await?;
        let entry = entry(context, &caller, &asked);
        let (job, watcher) = cancel::request(&self.state, caller.user, id, wait, entry).await?;
        let (job, applied) = self.ended(job, watcher, patience).await?;
        match job.state {
            JobState::Cancelled => Ok(CancelReply::Cancelled(resource(&job), applied)),
            ended if ended.is_settled() => Err(cancel::conflict(&job)),
            _ => Ok(CancelReply::Asked(resource(&job), Job::path(id), 1, applied)),
        }
    }
}

impl JobApi {
    /// No default: who asks about a job has not asked for its work to be done meanwhile.
    fn patience(&self, request: &Request) -> Patience {
        Patience::read(request.headers(), Duration::ZERO, self.state.settings.max_wait)
    }

    /// `job` after the caller's patience, and what the reply says about it. Without a watcher
    /// nobody waits.
    async fn ended(
        &self,
        job: JobRecord,
        watcher: Option<Watcher>,
        patience: Patience,
    ) -> Result<(JobRecord, Option<String>), ApiError> {
        let applied = patience.honoured(watcher.is_some() || job.state.is_settled()).applied();
        match watcher {
            Some(watcher) => {
                Ok((watcher.ended(&self.state.store, job, patience.wait).await?, applied))
            }
            None => Ok((job, applied)),
        }
    }

    /// The caller's job `id`, if what they were granted reaches its kind.
    async fn own(&self, caller: &Caller, id: JobId) -> Result<JobRecord, ApiError> {
        let job = self.state.store.jobs.get_owned(caller.user, id).await?;
        let seen = |job: &JobRecord| kinds::spec(&job.kind).is_some_and(|kind| caller.sees(kind));
        job.filter(seen).ok_or_else(ApiError::not_found)
    }
}

/// To cancel the fan-out of a campaign is to cancel the campaign, which is written down.
fn entry(context: &RequestContext, caller: &Caller, job: &JobRecord) -> Option<AuditRecord> {
    if job.kind != PushFanOut::KIND {
        return None;
    }
    let actor = Actor::User(caller.user);
    let entry = context.entry(PushWish::Cancel.action(), &actor).subject(PushId::of_job(job.id));
    Some(AuditRecord { client: caller.client.clone(), ..entry })
}

fn resource(job: &JobRecord) -> Json<Resource<Job>> {
    Json(Resource { data: Job::of(job) })
}
