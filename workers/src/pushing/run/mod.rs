//! One run of one shard: mark some targets, send them, take in the answers, save, go on.
//!
//! Each save holds the answers since the last one and the marks of the targets that leave next, so
//! a few saves carry hundreds of pushes. While it is under way the devices and the campaign are
//! read anew: what the pushes rest on is never older than their marks.

mod answers;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use providers::apns::Message;
use schemas::{
    DeviceToken, Job, JobError, Timestamp,
    kinds::{PushSend, push_shard::ShardName},
    push::{PushCampaign, PushCounts, PushShard, PushState, PushTargets},
    push_token::{PushTokenRecord, Verdict},
};
use store::{Save, StoreError};
use tokio::{task::JoinSet, time::timeout};

use super::{
    campaigns::{change, finish_if_done},
    flight::{Flight, fly},
    stops::Gate,
};
use crate::{
    fault,
    handler::{Context, store_again},
    patience::{NoAnswer, patiently},
};

/// Most pushes of one shard under way.
const WINDOW: usize = 120;

/// Longest wait for further answers before those that have come are saved.
const FLUSH_AFTER: Duration = Duration::from_millis(200);

/// Longest run; then the job makes way for others and goes on.
const SLICE: Duration = Duration::from_mins(1);

/// One run.
#[expect(clippy::struct_excessive_bools, reason = "each is something of its own")]
struct Run<'c> {
    ctx: &'c Context,
    campaign: PushCampaign,
    targets: PushTargets,
    messages: Vec<Option<Arc<Message>>>,
    shard: PushShard,
    flying: JoinSet<Flight>,
    /// What Apple said about tokens, and nobody has told their records yet.
    verdicts: Vec<(PushTokenRecord, Verdict)>,
    /// The record in the store is behind.
    dirty: bool,
    /// The shard's own job is cancelled.
    cancelled: bool,
    /// Nothing new is sent, for this reason.
    failed: Option<JobError>,
    /// Its next push finds out whether the app may push again.
    probing: bool,
    /// A push got through although something was in the way before.
    through: bool,
    /// Why none may leave, and when to ask again.
    closed: Option<(String, Timestamp)>,
    begun: Instant,
}

/// Works on a shard until every target has its fate, or until it has to wait; `cancel` ends it.
pub(crate) async fn run_shard(
    ctx: &Context,
    name: &ShardName,
    cancel: bool,
) -> Result<PushCounts, JobError> {
    let (owner, id, pushes) = (name.owner, name.campaign, &ctx.store.pushes);
    let (campaign, shard, targets) = tokio::try_join!(
        pushes.get_owned(owner, id),
        pushes.shard(owner, id, name.seq),
        pushes.targets(owner, id, name.seq),
    )
    .map_err(store_again)?;
    // Of a campaign that has ended nothing is left.
    let Some(mut shard) = shard else { return Ok(PushCounts::default()) };
    if !shard.is_done() {
        let (Some(campaign), Some(targets)) = (campaign, targets) else {
            return Err(JobError::again("the shard has no devices"));
        };
        shard = Run::new(ctx, campaign, targets, shard, cancel).work().await?;
        count(&shard);
    }
    finish_if_done(ctx, owner, id).await?;
    Ok(shard.counts())
}

/// Counts what became of a shard's targets.
fn count(shard: &PushShard) {
    let counts = shard.counts();
    let fates = [
        ("accepted", counts.accepted),
        ("invalid", counts.invalid),
        ("expired", counts.expired),
        ("cancelled", counts.cancelled),
        ("unknown", counts.unknown),
    ];
    for (fate, count) in fates {
        metrics::counter!("feat_push_targets_total", "fate" => fate).increment(count);
    }
}

impl<'c> Run<'c> {
    fn new(
        ctx: &'c Context,
        campaign: PushCampaign,
        targets: PushTargets,
        mut shard: PushShard,
        cancelled: bool,
    ) -> Self {
        let read = |stored| Message::stored(&targets.app, stored).ok().map(Arc::new);
        Self {
            ctx,
            campaign,
            messages: targets.messages.iter().map(read).collect(),
            targets,
            flying: JoinSet::new(),
            verdicts: Vec::new(),
            dirty: shard.take_up(),
            shard,
            cancelled,
            failed: None,
            probing: false,
            through: false,
            closed: None,
            begun: Instant::now(),
        }
    }

    /// Goes on until nothing more can be sent now.
    async fn work(mut self) -> Result<PushShard, JobError> {
        self.doubt();
        loop {
            let picked = self.pick();
            let picked = self.keep_pace(picked).await;
            self.save_and_send(picked).await?;
            if self.flying.is_empty() {
                break;
            }
            self.hear().await;
        }
        // A send that ended without an answer is one whose answer was lost.
        self.doubt();
        self.save_and_send(Vec::new()).await?;
        self.tell_campaign().await?;
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.shard.is_done() {
            return Ok(self.shard);
        }
        Err(JobError::Throttled { until: self.next_look() })
    }

    /// What is marked as in flight and does not fly may have arrived.
    fn doubt(&mut self) {
        let targets = &self.targets;
        let repeat = |index| targets.message_of(index).is_some_and(|message| message.repeat);
        self.dirty |= self.shard.take_over(repeat);
    }

    /// The targets that leave next; what is late or cancelled is closed here.
    fn pick(&mut self) -> Vec<usize> {
        let now = Timestamp::now();
        if self.cancelled || self.ctx.is_cancelled() || self.campaign.state == PushState::Cancelled
        {
            self.dirty |= self.shard.cancel();
        } else if self.campaign.expires_at <= now {
            self.dirty |= self.shard.expire();
        }
        if !self.may_send() {
            return Vec::new();
        }
        let free = WINDOW.saturating_sub(self.flying.len());
        let due = self.shard.due(free, now);
        if due.is_empty() || self.campaign.places(due.len(), now) == 0 {
            return Vec::new();
        }
        match self.ctx.push.stops.gate(&self.targets.app, now) {
            Gate::Open => due,
            Gate::Probe => {
                self.probing = true;
                due.into_iter().take(1).collect()
            }
            Gate::Closed { reason, until } => {
                self.closed = Some((reason, until));
                Vec::new()
            }
        }
    }

    fn may_send(&self) -> bool {
        self.campaign.state.sends()
            && self.failed.is_none()
            && !self.ctx.is_stopping()
            && self.begun.elapsed() < SLICE
    }

    /// Those of `picked` that the campaign's rate lets leave now. Their places are taken then.
    async fn keep_pace(&mut self, mut picked: Vec<usize>) -> Vec<usize> {
        let now = Timestamp::now();
        if self.campaign.rate.is_none() || self.campaign.places(picked.len(), now) == 0 {
            picked.truncate(self.campaign.places(picked.len(), now));
            return picked;
        }
        let (wanted, fresh) = (picked.len(), self.shard.fresh(&picked));
        let (owner, id) = (self.campaign.owner, self.campaign.id);
        let taken = AtomicUsize::new(0);
        let changed = change(self.ctx, owner, id, |campaign| {
            let (count, next) = campaign.take_places(wanted, fresh, now).unzip();
            taken.store(count.unwrap_or(0), Ordering::Relaxed);
            next
        });
        match changed.await {
            Ok(campaign) => self.campaign = campaign,
            Err(error) => {
                self.failed = Some(error);
                return Vec::new();
            }
        }
        picked.truncate(taken.into_inner());
        picked
    }

    /// Marks `picked` and saves what has changed; then they leave, unless what was read meanwhile
    /// speaks against it.
    async fn save_and_send(&mut self, picked: Vec<usize>) -> Result<(), JobError> {
        if picked.is_empty() && !self.dirty && self.verdicts.is_empty() {
            return Ok(());
        }
        for index in &picked {
            self.shard.depart(*index);
        }
        self.dirty |= !picked.is_empty();
        if self.dirty {
            self.shard.turn();
        }
        let tokens: Vec<DeviceToken> =
            picked.iter().map(|&index| self.targets.targets[index].token.clone()).collect();
        let store = &self.ctx.store;
        let (owner, id) = (self.campaign.owner, self.campaign.id);
        let verdicts = std::mem::take(&mut self.verdicts);
        let (saved, devices, campaign, ()) = tokio::join!(
            persist(self.ctx, self.dirty.then_some(&self.shard)),
            store.push_tokens.get_many(&self.targets.app, &tokens),
            store.pushes.get_owned(owner, id),
            judge(self.ctx, verdicts),
        );
        saved?;
        if std::mem::take(&mut self.dirty) {
            self.ctx.gets_on();
        }
        fault::point("push.marked", PushSend::KIND).await;
        self.depart(picked, devices, campaign);
        Ok(())
    }

    fn depart(
        &mut self,
        picked: Vec<usize>,
        devices: Result<Vec<Option<PushTokenRecord>>, StoreError>,
        campaign: Result<Option<PushCampaign>, StoreError>,
    ) {
        let devices = match (devices, campaign) {
            (Ok(devices), Ok(Some(campaign))) => {
                self.campaign = campaign;
                devices
            }
            (Ok(_), Ok(None)) => return self.keep_back(&picked, JobError::again("no campaign")),
            (Err(error), _) | (_, Err(error)) => {
                return self.keep_back(&picked, store_again(error));
            }
        };
        if !self.campaign.state.sends() {
            return self.hold(&picked);
        }
        for (index, device) in picked.into_iter().zip(devices) {
            self.send(index, device);
        }
    }

    /// What was marked does not leave after all.
    fn hold(&mut self, picked: &[usize]) {
        for index in picked {
            self.shard.stay(*index);
        }
        self.dirty |= !picked.is_empty();
    }

    fn keep_back(&mut self, picked: &[usize], why: JobError) {
        self.hold(picked);
        self.failed = Some(why);
    }

    /// Sends target `index`, if its device is still that of the user who was meant.
    fn send(&mut self, index: usize, device: Option<PushTokenRecord>) {
        let target = &self.targets.targets[index];
        let message = self.messages.get(usize::from(target.message)).cloned().flatten();
        let refusal = match (&device, &message) {
            (None, _) => Some("NotRegistered"),
            (Some(device), _) if device.owner != target.user => Some("ChangedHands"),
            (Some(device), _) if !device.is_addressable(Timestamp::now()) => Some("NotReachable"),
            (_, None) => Some("MessageUnreadable"),
            _ => None,
        };
        if let Some(reason) = refusal {
            self.dirty = true;
            return self.shard.refused(index, reason);
        }
        let (Some(device), Some(message)) = (device, message) else { return };
        let Some(apns) = &self.ctx.push.apns else {
            self.dirty = true;
            self.shard.stay(index);
            return self.stop("NotConfigured", self.ctx.push.probe_after);
        };
        let id = self.targets.apns_id(index);
        self.flying.spawn(fly(apns.clone(), index, id, device, message));
    }

    /// Takes in answers until it is worth to send more, or to save what has come.
    async fn hear(&mut self) {
        let now = Timestamp::now();
        let due = self.shard.due(WINDOW, now).len();
        let more = self.may_send() && self.campaign.places(due, now) > 0;
        // At least one answer, else this would turn round and round.
        let enough = self.flying.len().saturating_sub(1).min(WINDOW / 2);
        let low = if more { enough } else { 0 };
        let _elapsed = timeout(FLUSH_AFTER, self.hear_until(low)).await;
    }

    async fn hear_until(&mut self, low: usize) {
        while self.flying.len() > low {
            match self.flying.join_next().await {
                Some(Ok(flight)) => self.take_in(flight),
                // What it was about stays marked, and is doubted in the end.
                Some(Err(error)) => tracing::error!(%error, "a push ended without an answer"),
                None => return,
            }
        }
    }
}

/// Saves the shard, for as long as this run lives.
async fn persist(ctx: &Context, shard: Option<&PushShard>) -> Result<(), JobError> {
    let Some(shard) = shard else { return Ok(()) };
    let pushes = &ctx.store.pushes;
    let save = || async {
        if pushes.save_shard(shard).await? == Save::Stored {
            return Ok(true);
        }
        // Perhaps by this very save, whose answer was lost.
        let stored = pushes.shard(shard.owner, shard.campaign, shard.seq).await?;
        Ok::<_, StoreError>(stored.as_ref() == Some(shard))
    };
    match patiently(&ctx.cut_off, save).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(JobError::again("another run has the shard")),
        Err(NoAnswer::Unreadable(error)) => Err(store_again(error)),
        Err(NoAnswer::Stopped) => Err(JobError::again("the process stops")),
    }
}

/// Brings what Apple said to the records of the tokens. What cannot be saved now is said again by
/// Apple at the next push.
async fn judge(ctx: &Context, verdicts: Vec<(PushTokenRecord, Verdict)>) {
    if verdicts.is_empty() {
        return;
    }
    for outcome in ctx.store.push_tokens.judge(verdicts, Timestamp::now()).await {
        if let Err(error) = outcome {
            tracing::warn!(?error, "what Apple said about a token was not saved");
        }
    }
}
