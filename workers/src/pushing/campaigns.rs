//! The record of a campaign: read, made, changed and ended.

use schemas::{
    Event, JobError, PushId, Timestamp, UserId,
    push::{PushCampaign, PushCounts, PushOrder, Tally},
    webhook::{CampaignCounts, CampaignFinished, WebhookEvent},
};
use store::{Insert, Save};

use crate::{
    handler::{Context, store_again},
    webhooks,
};

/// Saves that are tried when others change the campaign at the same time.
const TRIES: usize = 50;

/// Records that are forgotten by one statement.
const BATCH: usize = 200;

/// The campaign that the job of `ctx` fans out; made now if its acceptance was cut off.
pub(super) async fn ensure(ctx: &Context, order: &PushOrder) -> Result<PushCampaign, JobError> {
    let id = PushId::of_job(ctx.job);
    if let Some(campaign) = read(ctx, ctx.owner, id).await? {
        return Ok(campaign);
    }
    let campaign = PushCampaign::of(order, id, ctx.owner, ctx.job.made_at());
    match ctx.store.pushes.insert(&campaign).await.map_err(store_again)? {
        Insert::Stored => Ok(campaign),
        Insert::Taken => must(read(ctx, ctx.owner, id).await?),
    }
}

/// The campaign, unless it was forgotten.
pub(super) async fn read(
    ctx: &Context,
    owner: UserId,
    id: PushId,
) -> Result<Option<PushCampaign>, JobError> {
    ctx.store.pushes.get_owned(owner, id).await.map_err(store_again)
}

fn must(found: Option<PushCampaign>) -> Result<PushCampaign, JobError> {
    found.ok_or_else(|| JobError::again("the campaign is not there"))
}

/// Saves what `step` makes of the campaign, and answers with it as it is then. `step` says `None`
/// when there is nothing to change.
pub(super) async fn change(
    ctx: &Context,
    owner: UserId,
    id: PushId,
    step: impl Fn(PushCampaign) -> Option<PushCampaign>,
) -> Result<PushCampaign, JobError> {
    for _ in 0..TRIES {
        let campaign = must(read(ctx, owner, id).await?)?;
        let Some(next) = step(campaign.clone()) else { return Ok(campaign) };
        if ctx.store.pushes.save(&next).await.map_err(store_again)? == Save::Stored {
            return Ok(next);
        }
    }
    Err(JobError::again("others change the campaign all the time"))
}

/// Cancels the campaign whose fan-out was cancelled. Says whether nothing of it was begun.
pub(crate) async fn call_off(ctx: &Context, order: &PushOrder) -> Result<bool, JobError> {
    let campaign = ensure(ctx, order).await?;
    let now = Timestamp::now();
    let cancelled = change(ctx, campaign.owner, campaign.id, |campaign| {
        campaign.cancel(&ctx.worker, now).unwrap_or(None)
    })
    .await?;
    if cancelled.started_at.is_some() {
        return Ok(false);
    }
    let settled = settle(ctx, &cancelled, Tally::default()).await?;
    tell_back_ends(ctx, &settled).await?;
    Ok(true)
}

/// Ends the campaign if every shard is done: from then on its record has the sums, and its devices
/// are forgotten. Whoever sees the last open shard or the last step of the fan-out calls this, and
/// again after a crash; the sums are saved once. What was given up ends the campaign, too, but then
/// nothing is forgotten: with each shard that goes on after all the sums are corrected.
pub(crate) async fn finish_if_done(
    ctx: &Context,
    owner: UserId,
    id: PushId,
) -> Result<(), JobError> {
    let Some(mut campaign) = read(ctx, owner, id).await? else { return Ok(()) };
    if campaign.settled_at.is_none() || campaign.may_go_on() {
        let Some(shards) = campaign.shards else { return Ok(()) };
        let pushes = &ctx.store.pushes;
        let open = pushes.open_shards(owner, id, None, 1).await.map_err(store_again)?;
        if !open.is_empty() {
            return Ok(());
        }
        let tally = pushes.tally(owner, id).await.map_err(store_again)?;
        if tally.shards < shards {
            // Another worker has ended it meanwhile and forgets the shards.
            return Ok(());
        }
        campaign = settle(ctx, &campaign, tally).await?;
    }
    tell_back_ends(ctx, &campaign).await?;
    if campaign.settled_at.is_none() || campaign.may_go_on() {
        return Ok(());
    }
    forget(ctx, owner, id).await
}

async fn settle(
    ctx: &Context,
    campaign: &PushCampaign,
    tally: Tally,
) -> Result<PushCampaign, JobError> {
    let (now, shards) = (Timestamp::now(), campaign.shards);
    let settled = change(ctx, campaign.owner, campaign.id, |campaign| {
        // Its fan-out may go on since the sums were made.
        let same = campaign.shards == shards;
        if same { campaign.settle(tally.clone(), &ctx.worker, now) } else { None }
    })
    .await?;
    tracing::info!(campaign = %campaign.id, counts = ?tally.counts, "a push campaign has ended");
    ctx.broker.send_event(Event::CampaignEnded { id: campaign.id });
    Ok(settled)
}

/// Lets the back ends know that the campaign has ended; a repetition changes nothing.
async fn tell_back_ends(ctx: &Context, campaign: &PushCampaign) -> Result<(), JobError> {
    let (Some(finished_at), Some(totals)) = (campaign.settled_at, campaign.totals) else {
        return Ok(());
    };
    let PushCounts { targeted, accepted, invalid, throttled, expired, cancelled, unknown, .. } =
        totals;
    let event = WebhookEvent::CampaignFinished(CampaignFinished {
        id: campaign.id.to_string(),
        status: campaign.state.name().to_owned(),
        created_at: campaign.created_at,
        finished_at,
        counts: CampaignCounts {
            targeted,
            accepted,
            invalid,
            throttled,
            expired,
            cancelled,
            unknown,
        },
    });
    webhooks::announce(ctx, &campaign.id.to_string(), &event).await
}

async fn forget(ctx: &Context, owner: UserId, id: PushId) -> Result<(), JobError> {
    while ctx.store.pushes.forget(owner, id, BATCH).await.map_err(store_again)? > 0 {}
    Ok(())
}
