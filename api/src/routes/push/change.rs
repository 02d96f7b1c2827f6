//! What the owner does with a campaign. Each change is one guarded save; the jobs that are made
//! besides only save the workers some time.

use std::time::Duration;

use schemas::{
    ErrorCode, JobRecord, PushId, Timestamp, UserId,
    audit::Actor,
    job::NewJob,
    kinds::{PushFanOut, PushWake, push_wake::Wake},
    push::{PushCampaign, PushOrder, PushWish},
};
use serde_json::json;
use store::{Insert, Save};
use tracing::Instrument;

use crate::{
    auth::Caller,
    error::ApiError,
    intake,
    routes::job::cancel,
    state::{AppState, RequestContext},
};

/// Saves that are tried when others change the campaign at the same time.
const TRIES: usize = 50;

/// The campaign `id`, if it is `owner`'s. One whose acceptance was cut off between its two writes is
/// completed here.
///
/// # Errors
///
/// 404 for what is not the caller's.
pub(super) async fn own(
    state: &AppState,
    owner: UserId,
    id: PushId,
) -> Result<PushCampaign, ApiError> {
    if let Some(campaign) = state.store.pushes.get_owned(owner, id).await? {
        return Ok(campaign);
    }
    let job = state.store.jobs.get_owned(owner, id.job()).await?;
    let job = job.filter(|job| job.kind == <PushFanOut as schemas::Job>::KIND);
    of_job(state, &job.ok_or_else(ApiError::not_found)?).await
}

/// The campaign of this job, made now unless it is there.
pub(super) async fn of_job(state: &AppState, job: &JobRecord) -> Result<PushCampaign, ApiError> {
    let id = PushId::of_job(job.id);
    let order: PushOrder =
        serde_json::from_value(job.payload.clone()).map_err(ApiError::internal)?;
    let campaign = PushCampaign::of(&order, id, job.owner, job.created_at);
    match state.store.pushes.insert(&campaign).await? {
        Insert::Stored => Ok(campaign),
        Insert::Taken => {
            let found = state.store.pushes.get_owned(job.owner, id).await?;
            found.ok_or_else(|| ApiError::internal("a campaign has vanished"))
        }
    }
}

/// Does with the caller's campaign what the caller wants, writes it down and lets the workers know.
/// Repeating it changes nothing.
///
/// # Errors
///
/// 404 for what is not the caller's; 409 when it is over; 503: the same call again is safe.
pub(super) async fn steer(
    state: &AppState,
    context: &RequestContext,
    caller: &Caller,
    id: PushId,
    wish: PushWish,
) -> Result<PushCampaign, ApiError> {
    let (state, context, caller) = (state.clone(), context.clone(), caller.clone());
    let work = async move {
        let (campaign, changed) = save(&state, caller.user, id, wish).await?;
        if changed {
            let mut entry = context.entry(wish.action(), &Actor::User(caller.user)).subject(id);
            entry.client = caller.client;
            state.audit.note(&entry.detail(&campaign.app)).await;
        }
        if wish == PushWish::Cancel {
            stop_fan_out(&state, &campaign).await?;
        }
        if wish != PushWish::Pause {
            wake(&state, &campaign).await?;
        }
        Ok(campaign)
    };
    // A client that hangs up now must not leave its wish untold.
    tokio::spawn(work.in_current_span()).await.map_err(ApiError::internal)?
}

/// Saves the wish. Says whether the campaign was not as wanted already.
async fn save(
    state: &AppState,
    owner: UserId,
    id: PushId,
    wish: PushWish,
) -> Result<(PushCampaign, bool), ApiError> {
    for _ in 0..TRIES {
        let campaign = own(state, owner, id).await?;
        let next = wish.of(campaign.clone(), "owner", Timestamp::now()).map_err(|_| {
            let text = format!("A campaign that is {} cannot be changed.", campaign.state.name());
            let error = ApiError::of(ErrorCode::Conflict, text);
            error.with_data(json!({ "status": campaign.state.name() }))
        })?;
        let Some(next) = next else { return Ok((campaign, false)) };
        if state.store.pushes.save(&next).await? == Save::Stored {
            return Ok((next, true));
        }
    }
    Err(ApiError::unavailable(Duration::from_secs(1)))
}

/// Lets the shards that wait look at the campaign again.
///
/// # Errors
///
/// 503: the same call again is safe, and without it they look by themselves.
async fn wake(state: &AppState, campaign: &PushCampaign) -> Result<(), ApiError> {
    let wake = Wake { campaign: campaign.id, owner: campaign.owner };
    let mut job = NewJob::of::<PushWake>(UserId::FEAT, &wake).map_err(ApiError::internal)?;
    job.unique_key =
        Some(format!("{}:{}:{}", <PushWake as schemas::Job>::KIND, campaign.id, campaign.version));
    if let intake::Accepted::New(job) = intake::record(state, job).await? {
        intake::announce(state, &job).await;
    }
    Ok(())
}

/// Lets the fan-out of a cancelled campaign end now, also one that waits for its time.
///
/// # Errors
///
/// 503: the same call again is safe.
async fn stop_fan_out(state: &AppState, campaign: &PushCampaign) -> Result<(), ApiError> {
    match cancel::request(state, campaign.owner, campaign.id.job(), false, None).await {
        Ok(_) => Ok(()),
        // It has ended, or is forgotten: the shards see the campaign themselves.
        Err(error) if matches!(error.code(), ErrorCode::Conflict | ErrorCode::NotFound) => Ok(()),
        Err(error) => Err(error),
    }
}
