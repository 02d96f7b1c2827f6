//! Devices that a fan-out may meet twice.
//!
//! A segment is read list by list: one for each environment and language. A device that is moved
//! from one list to another while that goes on, because its environment was corrected or its
//! language changed, may have its shard already when its new list is read.

use std::{collections::HashSet, time::Duration};

use schemas::{
    DeviceToken, JobError,
    push::{PushCampaign, PushTarget},
    push_token::PushTokenRecord,
};

use crate::handler::{Context, store_again};

/// How far the clocks of two workers may be apart. Not more than that: after a campaign that has
/// corrected a whole fleet, the next one would look for every device.
const CLOCKS: Duration = Duration::from_secs(10);

/// Those of `devices` that have no place in the campaign yet: neither in one of its first `shards`
/// shards nor among `targets`.
///
/// Costs nothing unless one of them was moved since the campaign began; then all its shards are
/// read, one after the other.
pub(super) async fn without_those_reached(
    ctx: &Context,
    campaign: &PushCampaign,
    shards: u32,
    targets: &[PushTarget],
    devices: Vec<PushTokenRecord>,
) -> Result<Vec<PushTokenRecord>, JobError> {
    let begun = campaign.started_at.unwrap_or(campaign.created_at) - CLOCKS;
    let moved = |device: &&PushTokenRecord| device.moved_at.is_some_and(|at| at >= begun);
    let moved: HashSet<DeviceToken> =
        devices.iter().filter(moved).map(|device| device.token.clone()).collect();
    if moved.is_empty() {
        return Ok(devices);
    }
    let mut reached = HashSet::new();
    let mut note = |targets: &[PushTarget]| {
        let again = targets.iter().filter(|target| moved.contains(&target.token));
        reached.extend(again.map(|target| target.token.clone()));
    };
    note(targets);
    for seq in 0..shards {
        let earlier = ctx.store.pushes.targets(campaign.owner, campaign.id, seq).await;
        note(&earlier.map_err(store_again)?.map_or(Vec::new(), |shard| shard.targets));
    }
    Ok(devices.into_iter().filter(|device| !reached.contains(&device.token)).collect())
}
