//! From a campaign to its shards.
//!
//! A shard's devices are stored first and decide where the next one begins; so a fan-out that was
//! cut off goes on behind the last shard that is there, whatever was registered meanwhile.

use std::{
    collections::{BTreeMap, HashSet},
    time::{Duration, Instant},
};

use schemas::{
    ApnsEnvironment, BundleId, Job, JobError, JobRecord, Timestamp, UserId,
    job::NewJob,
    kinds::{PushFanOut, PushSend, push_fan_out::FanOutReport, push_shard::ShardName},
    push::{
        Addressee, Audience, Cursor, PushAddress, PushCampaign, PushOrder, PushShard, PushState,
        PushTarget, PushTargets, Segment, shard_size,
    },
    push_token::PushTokenRecord,
};
use store::{Insert, PushTokenFilter};

use super::{
    campaigns::{change, ensure, finish_if_done, read},
    moved::without_those_reached,
};
use crate::{
    fault,
    handler::{Context, store_again},
};

/// Longest run; then the job makes way for others and goes on. Short, so that a fan-out of many
/// minutes is not taken for one that kills its workers when they are killed for other reasons.
const SLICE: Duration = Duration::from_secs(1);

/// Shards between two looks whether the campaign is still wanted.
const LOOK_EVERY: u32 = 8;

/// Addressees whose devices are looked up together; the store asks for no more users at once.
const ADDRESSEES: usize = 100;

/// A shard that may be sent so soon is published at once.
const SOON: Duration = Duration::from_secs(1);

/// How far the fan-out is.
struct Progress {
    seq: u32,
    first: u64,
    next: Option<Cursor>,
}

impl Progress {
    fn behind(targets: &PushTargets) -> Self {
        let count = u64::try_from(targets.targets.len()).unwrap_or(u64::MAX);
        Self {
            seq: targets.seq + 1,
            first: targets.first.saturating_add(count),
            next: targets.next.clone(),
        }
    }
}

/// Stores and publishes every shard of the campaign.
pub(crate) async fn fan_out(ctx: &Context, order: &PushOrder) -> Result<FanOutReport, JobError> {
    let begun = Instant::now();
    let campaign = ensure(ctx, order).await?;
    let (owner, id) = (campaign.owner, campaign.id);
    if campaign.settled_at.is_some() && !campaign.cut_short {
        finish_if_done(ctx, owner, id).await?;
        return Ok(FanOutReport {
            shards: campaign.shards.unwrap_or(0),
            targeted: campaign.totals.map_or(0, |totals| totals.targeted),
        });
    }
    let now = Timestamp::now();
    if campaign.cut_short {
        change(ctx, owner, id, |campaign| campaign.reopen(&ctx.worker, now)).await?;
    }
    let mut campaign = change(ctx, owner, id, |campaign| campaign.start(&ctx.worker, now)).await?;
    let mut at = match ctx.store.pushes.last_targets(owner, id).await.map_err(store_again)? {
        None => Progress { seq: 0, first: 0, next: Some(order.begin()) },
        Some(last) => {
            place(ctx, &campaign, &last).await?;
            Progress::behind(&last)
        }
    };
    let begun_at = at.seq;
    while let Some(cursor) = at.next.take() {
        if ctx.is_cancelled() && campaign.state != PushState::Cancelled {
            return Err(JobError::Cancelled);
        }
        // Only a stored shard is progress that the next run begins behind.
        let advanced = at.seq > begun_at && begun.elapsed() > SLICE;
        if advanced || ctx.is_stopping() {
            return Err(JobError::Throttled { until: Timestamp::now() });
        }
        if at.seq % LOOK_EVERY == 0 {
            campaign = read(ctx, owner, id).await?.unwrap_or(campaign);
        }
        if campaign.state == PushState::Cancelled {
            break;
        }
        at = advance(ctx, order, &campaign, at, &cursor).await?;
        ctx.gets_on();
    }
    let now = Timestamp::now();
    change(ctx, owner, id, |campaign| campaign.fanned_out(at.seq, &ctx.worker, now)).await?;
    finish_if_done(ctx, owner, id).await?;
    Ok(FanOutReport { shards: at.seq, targeted: at.first })
}

/// Makes the shard that begins at `cursor`; none when nobody is there.
async fn advance(
    ctx: &Context,
    order: &PushOrder,
    campaign: &PushCampaign,
    at: Progress,
    cursor: &Cursor,
) -> Result<Progress, JobError> {
    let (targets, messages, next) = page(ctx, order, campaign, at.seq, cursor).await?;
    if targets.is_empty() {
        return Ok(Progress { next, ..at });
    }
    let messages = messages.iter().filter_map(|&place| order.messages.get(place).cloned());
    let targets = PushTargets {
        id: PushTargets::id_of(campaign.id, at.seq),
        owner: campaign.owner,
        version: 1,
        campaign: campaign.id,
        seq: at.seq,
        app: campaign.app.clone(),
        first: at.first,
        next,
        messages: messages.collect(),
        targets,
    };
    let targets = match ctx.store.pushes.insert_targets(&targets).await.map_err(store_again)? {
        Insert::Stored => targets,
        // By this job, before it was cut off.
        Insert::Taken => {
            let earlier = ctx.store.pushes.targets(campaign.owner, campaign.id, at.seq).await;
            earlier.map_err(store_again)?.ok_or_else(|| JobError::again("a shard has vanished"))?
        }
    };
    fault::point("push.after_targets", PushFanOut::KIND).await;
    place(ctx, campaign, &targets).await?;
    Ok(Progress::behind(&targets))
}

/// Sees to it that the shard has its record and its job.
pub(super) async fn place(
    ctx: &Context,
    campaign: &PushCampaign,
    targets: &PushTargets,
) -> Result<(), JobError> {
    // Taken means that an earlier run did it.
    let _ = ctx.store.pushes.insert_shard(&PushShard::new(targets)).await.map_err(store_again)?;
    let name = ShardName { campaign: targets.campaign, owner: targets.owner, seq: targets.seq };
    let unwritable = |error| JobError::again(format!("a shard has no JSON form: {error}"));
    let mut new = NewJob::of::<PushSend>(UserId::FEAT, &name).map_err(unwritable)?;
    new.unique_key = Some(name.unique_key());
    let now = Timestamp::now();
    new.run_at = campaign.due_at(targets.first, now).filter(|due| *due > now + SOON);
    let at_once = new.run_at.is_none();
    let job = JobRecord::accept(new, &ctx.worker, now);
    let stored = ctx.store.jobs.insert(&job).await.map_err(store_again)?;
    if stored == Insert::Stored
        && at_once
        && let Err(error) = ctx.broker.publish(&job).await
    {
        tracing::warn!(job_id = %job.id, %error, "a shard was not published; the sweep will do it");
    }
    Ok(())
}

/// The devices of one shard, the places of their messages in the order, and where the next shard
/// begins.
type Page = (Vec<PushTarget>, Vec<usize>, Option<Cursor>);

async fn page(
    ctx: &Context,
    order: &PushOrder,
    campaign: &PushCampaign,
    seq: u32,
    cursor: &Cursor,
) -> Result<Page, JobError> {
    match (&order.audience, cursor) {
        (Audience::Segment(segment), Cursor::Segment { .. }) => {
            of_segment(ctx, (order, campaign), segment, seq, cursor).await
        }
        (Audience::Listed(all), Cursor::Listed(from)) => {
            of_list(ctx, order, all, *from, shard_size(seq)).await
        }
        _ => Err(JobError::Rejected("cursor_unreadable")),
    }
}

/// Devices of the segment behind `cursor` for shard `seq`, as many as it should have if there are so
/// many.
async fn of_segment(
    ctx: &Context,
    (order, campaign): (&PushOrder, &PushCampaign),
    segment: &Segment,
    seq: u32,
    cursor: &Cursor,
) -> Result<Page, JobError> {
    let size = shard_size(seq);
    let mut targets = Vec::new();
    let mut at = Some(cursor.clone());
    while targets.len() < size
        && let Some(Cursor::Segment { environment, locale, after }) = at
    {
        let locale = match (&segment.locale, locale) {
            (Some(range), None) => {
                let first = language(ctx, order, environment, range, None).await?;
                if first.is_none() {
                    at = next_environment(order, environment);
                    continue;
                }
                first
            }
            (_, known) => known,
        };
        let filter = PushTokenFilter {
            app: order.app.clone(),
            environment,
            locale: locale.clone(),
            app_version: segment.app_version.clone(),
        };
        let wanted = size - targets.len();
        let devices = ctx.store.push_tokens.segment(&filter, after, wanted).await;
        let devices = devices.map_err(store_again)?;
        at = match devices.last() {
            Some(last) if devices.len() >= wanted => {
                Some(Cursor::Segment { environment, locale, after: Some(last.number) })
            }
            _ => behind(ctx, order, segment, environment, locale).await?,
        };
        let devices = without_those_reached(ctx, campaign, seq, &targets, devices).await?;
        targets.extend(devices.into_iter().map(|device| PushTarget {
            token: device.token,
            user: device.owner,
            message: 0,
        }));
    }
    Ok((targets, vec![0], at))
}

/// The first language behind `after` of those that `range` means and that devices have.
async fn language(
    ctx: &Context,
    order: &PushOrder,
    environment: ApnsEnvironment,
    range: &str,
    after: Option<&str>,
) -> Result<Option<String>, JobError> {
    let tokens = &ctx.store.push_tokens;
    tokens.next_locale(&order.app, environment, range, after).await.map_err(store_again)
}

/// Where to read when all devices of a language, or of all, are read.
async fn behind(
    ctx: &Context,
    order: &PushOrder,
    segment: &Segment,
    environment: ApnsEnvironment,
    locale: Option<String>,
) -> Result<Option<Cursor>, JobError> {
    if let (Some(range), Some(read)) = (&segment.locale, locale) {
        let next = language(ctx, order, environment, range, Some(&read)).await?;
        if let Some(locale) = next {
            return Ok(Some(Cursor::Segment { environment, locale: Some(locale), after: None }));
        }
    }
    Ok(next_environment(order, environment))
}

fn next_environment(order: &PushOrder, read: ApnsEnvironment) -> Option<Cursor> {
    let other = order.environment_after(read);
    other.map(|environment| Cursor::Segment { environment, locale: None, after: None })
}

async fn of_list(
    ctx: &Context,
    order: &PushOrder,
    all: &[Addressee],
    from: u32,
    size: usize,
) -> Result<Page, JobError> {
    let begin = usize::try_from(from).unwrap_or(usize::MAX).min(all.len());
    let end = (begin + size.min(ADDRESSEES)).min(all.len());
    let some = &all[begin..end];
    let next = (end < all.len()).then(|| Cursor::Listed(u32::try_from(end).unwrap_or(u32::MAX)));
    let devices = devices_of(ctx, &order.app, some).await?;
    let mut places: Vec<usize> = Vec::new();
    let mut seen = HashSet::new();
    let mut targets = Vec::new();
    for one in some {
        let place = usize::from(one.message);
        let message = places.iter().position(|known| *known == place).unwrap_or_else(|| {
            places.push(place);
            places.len() - 1
        });
        let message = u16::try_from(message).unwrap_or(u16::MAX);
        let wanted = |device: &&PushTokenRecord| {
            order.environment.is_none_or(|wanted| wanted == device.environment)
        };
        let named: Vec<_> = match &one.to {
            PushAddress::Token(address) => vec![(address.token.clone(), address.user)],
            PushAddress::User(user) => {
                let own = devices.get(user).into_iter().flatten().filter(wanted);
                own.map(|device| (device.token.clone(), device.owner)).collect()
            }
        };
        for (token, user) in named {
            if seen.insert((message, token.clone())) {
                targets.push(PushTarget { token, user, message });
            }
        }
    }
    Ok((targets, places, next))
}

/// The devices of the users among `some`.
async fn devices_of(
    ctx: &Context,
    app: &BundleId,
    some: &[Addressee],
) -> Result<BTreeMap<UserId, Vec<PushTokenRecord>>, JobError> {
    let users: Vec<_> = some
        .iter()
        .filter_map(|one| match one.to {
            PushAddress::User(user) => Some(user),
            PushAddress::Token(_) => None,
        })
        .collect();
    let found = ctx.store.push_tokens.of_users(app, &users).await.map_err(store_again)?;
    let mut devices: BTreeMap<UserId, Vec<PushTokenRecord>> = BTreeMap::new();
    for device in found {
        devices.entry(device.owner).or_default().push(device);
    }
    for own in devices.values_mut() {
        own.sort_by_key(|device| device.number);
    }
    Ok(devices)
}
