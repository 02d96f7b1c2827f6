//! The public form of a campaign.

use std::collections::BTreeMap;

use poem_openapi::{Enum, Object};
use schemas::{
    PushId, Timestamp,
    push::{PushCampaign, PushCounts, PushState, Tally},
};

use crate::{
    error::ApiError,
    state::AppState,
    view::{Job, Moment},
};

/// One campaign: what was sent, and what became of it.
#[derive(Debug, Clone, Object)]
pub(crate) struct Push {
    /// Its name; the job that looks its devices up has the same.
    id: String,
    /// Bundle id of the app.
    app: String,
    /// The caller's own name for it.
    name: Option<String>,
    /// Where it is in its life.
    status: PushStatus,
    /// When it was accepted.
    created_at: Moment,
    /// Nothing is sent before.
    send_at: Moment,
    /// When its first devices were looked up.
    started_at: Option<Moment>,
    /// What is not sent by then is dropped.
    expires_at: Moment,
    /// When nothing was left to do.
    ended_at: Option<Moment>,
    /// Most pushes in a second.
    rate: Option<u32>,
    /// Whether all its devices are known; until then `counts` grow. Also `false` when the search
    /// for them was given up.
    complete: bool,
    /// Why nothing is sent although it should be.
    blocked: Option<Blocked>,
    /// What became of its devices; absent in lists while it is not ended.
    counts: Option<Counts>,
    /// Why devices were refused, and how many: Apple's words, `ChangedHands`, `NotRegistered` and
    /// `NotReachable`.
    reasons: Option<BTreeMap<String, u32>>,
    /// Times that a push was sent once more although Apple may have taken it before.
    repeated: Option<u64>,
    /// Where to go from here.
    links: Links,
}

/// Where a campaign is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum PushStatus {
    /// It waits for its time.
    Scheduled,
    /// It is being sent.
    Active,
    /// Nothing is sent until it is resumed.
    Paused,
    /// Nothing more is sent.
    Cancelled,
    /// Ended: every device has its fate.
    Finished,
}

/// What is in the way.
#[derive(Debug, Clone, Object)]
pub(crate) struct Blocked {
    /// Apple's word, or `NotConfigured` and `NoCredentialForApp`.
    reason: String,
    /// Since when.
    since: Moment,
}

/// `targeted` is always the sum of all the others.
#[derive(Debug, Clone, Object)]
pub(crate) struct Counts {
    /// Devices that were found.
    targeted: u64,
    /// Apple took the push.
    accepted: u64,
    /// Refused for good.
    invalid: u64,
    /// Slowed down by Apple; tried again.
    throttled: u64,
    /// Not taken until the campaign expired.
    expired: u64,
    /// Not sent, because it was cancelled.
    cancelled: u64,
    /// Sent, and no answer was recorded: it may have arrived. Also what was left to do of a part
    /// whose work was given up.
    unknown: u64,
    /// Not sent yet, or under way.
    pending: u64,
}

/// Where to go from a campaign.
#[derive(Debug, Clone, Object)]
pub(crate) struct Links {
    /// The campaign itself.
    #[oai(rename = "self")]
    this: String,
    /// The job that looks its devices up.
    job: String,
    /// Where to pause it; null when that is not possible.
    pause: Option<String>,
    /// Where to resume it; null when that is not possible.
    resume: Option<String>,
    /// Where to cancel it; null when that is not possible.
    cancel: Option<String>,
}

/// The campaign with its counters as they are.
///
/// # Errors
///
/// 503 when the store does not answer.
pub(super) async fn of(state: &AppState, campaign: &PushCampaign) -> Result<Push, ApiError> {
    if campaign.totals.is_some() {
        return Ok(Push::of(campaign, None));
    }
    let (owner, id) = (campaign.owner, campaign.id);
    let tally = state.store.pushes.tally(owner, id).await?;
    // It may have ended since it was read, and then its shards are being forgotten.
    let again = state.store.pushes.get_owned(owner, id).await?;
    match again.filter(|again| again.totals.is_some()) {
        Some(ended) => Ok(Push::of(&ended, None)),
        None => Ok(Push::of(campaign, Some(&tally))),
    }
}

impl Push {
    /// Path of campaign `id`.
    pub(crate) fn path(id: PushId) -> String {
        format!("/api/push/{id}/")
    }

    /// The view of `campaign`; `tally` has the sums of one that is not ended.
    pub(crate) fn of(campaign: &PushCampaign, tally: Option<&Tally>) -> Self {
        let counts = campaign.totals.or(tally.map(|tally| tally.counts));
        let ended = campaign.totals.map(|_| (&campaign.reasons, campaign.repeated));
        let told = ended.or(tally.map(|tally| (&tally.reasons, tally.repeated)));
        Self {
            id: campaign.id.to_string(),
            app: campaign.app.to_string(),
            name: campaign.name.clone(),
            status: PushStatus::of(campaign, Timestamp::now()),
            created_at: Moment(campaign.created_at),
            send_at: Moment(campaign.start_at),
            started_at: campaign.started_at.map(Moment),
            expires_at: Moment(campaign.expires_at),
            ended_at: campaign.settled_at.map(Moment),
            rate: campaign.rate,
            complete: campaign.shards.is_some() && !campaign.cut_short,
            blocked: campaign
                .blocked
                .as_ref()
                .map(|block| Blocked { reason: block.reason.clone(), since: Moment(block.since) }),
            counts: counts.map(Counts::of),
            reasons: told.map(|(reasons, _)| reasons.clone()),
            repeated: told.map(|(_, repeated)| repeated),
            links: Links::of(campaign),
        }
    }
}

impl PushStatus {
    fn of(campaign: &PushCampaign, now: Timestamp) -> Self {
        match campaign.state {
            PushState::Active if campaign.start_at > now => Self::Scheduled,
            PushState::Active => Self::Active,
            PushState::Paused => Self::Paused,
            PushState::Cancelled => Self::Cancelled,
            PushState::Finished => Self::Finished,
        }
    }
}

impl Counts {
    const fn of(counts: PushCounts) -> Self {
        let PushCounts {
            targeted,
            accepted,
            invalid,
            throttled,
            expired,
            cancelled,
            unknown,
            pending,
        } = counts;
        Self { targeted, accepted, invalid, throttled, expired, cancelled, unknown, pending }
    }
}

impl Links {
    fn of(campaign: &PushCampaign) -> Self {
        let this = Push::path(campaign.id);
        let (active, paused) =
            (campaign.state == PushState::Active, campaign.state == PushState::Paused);
        Self {
            job: Job::path(campaign.id.job()),
            pause: active.then(|| format!("{this}pause/")),
            resume: paused.then(|| format!("{this}resume/")),
            cancel: (active || paused).then(|| format!("{this}cancel/")),
            this,
        }
    }
}
