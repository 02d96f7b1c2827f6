//! `feat push`: send pushes, look at campaigns and steer them.

mod send;

use std::collections::BTreeMap;

use schemas::{
    Job, JobRecord, JobState, PushId, Timestamp, UserId,
    audit::Action,
    job::NewJob,
    kinds::{PushWake, push_wake::Wake},
    push::{PushCampaign, PushCounts, PushWish},
};
use serde_json::{Value, json};
use store::{Insert, Save};

use crate::{
    accounts::find_user,
    args::{self, ChangePush, ListPushes, OnePush},
    audit::Operator,
    failure::Failure,
    output::{self, Form},
    place::{self, Opened},
};

/// Times that a record is read again because somebody else saved it first.
const TRIES: usize = 20;

/// Does what was asked of pushes.
///
/// # Errors
///
/// [`Failure`]; a change that was not saved was not made.
pub(crate) async fn run(command: args::Push) -> Result<(), Failure> {
    let at = match &command {
        args::Push::Send(args) => &args.place.inner,
        args::Push::Show(args) => &args.place.inner,
        args::Push::List(args) => &args.place.inner,
        args::Push::Pause(args) | args::Push::Resume(args) | args::Push::Cancel(args) => {
            &args.place.inner
        }
    };
    let opened = place::open(at).await?;
    let outcome = match &command {
        args::Push::Send(args) => send::run(&opened, args).await,
        args::Push::Show(args) => show(&opened, args).await,
        args::Push::List(args) => list(&opened, args).await,
        args::Push::Pause(args) => change(&opened, args, PushWish::Pause).await,
        args::Push::Resume(args) => change(&opened, args, PushWish::Resume).await,
        args::Push::Cancel(args) => change(&opened, args, PushWish::Cancel).await,
    };
    opened.close().await;
    outcome
}

async fn show(opened: &Opened, args: &OnePush) -> Result<(), Failure> {
    let campaign = read(opened, args.id).await?;
    tell(opened, &campaign, Form::chosen(args.place.json)).await
}

async fn list(opened: &Opened, args: &ListPushes) -> Result<(), Failure> {
    let owner = match &args.owner {
        Some(user) => Some(find_user(&opened.store, user).await?.id),
        None => None,
    };
    let campaigns = opened.store.pushes.list(owner, None, args.limit).await?;
    if Form::chosen(args.place.json) == Form::Json {
        return Ok(campaigns.iter().try_for_each(output::json)?);
    }
    let mut rows = output::table(["campaign", "app", "name", "state", "targeted", "accepted"]);
    for campaign in &campaigns {
        let count = |of: fn(&PushCounts) -> u64| {
            campaign.totals.as_ref().map(|totals| of(totals).to_string()).unwrap_or_default()
        };
        rows.add_row([
            campaign.id.to_string(),
            campaign.app.to_string(),
            campaign.name.clone().unwrap_or_default(),
            campaign.state.name().to_owned(),
            count(|totals| totals.targeted),
            count(|totals| totals.accepted),
        ]);
    }
    Ok(output::line(rows)?)
}

async fn change(opened: &Opened, args: &ChangePush, wish: PushWish) -> Result<(), Failure> {
    let operator = operator(args.operator.as_deref())?;
    let by = operator.to_string();
    let (campaign, changed) = save(opened, args.id, &by, wish).await?;
    if changed {
        record(opened, &operator, wish.action(), &campaign).await?;
    }
    if wish == PushWish::Cancel {
        stop_fan_out(opened, &campaign, &by).await?;
    }
    wake(opened, &campaign, &by).await?;
    tell(opened, &campaign, Form::chosen(args.place.json)).await
}

async fn read(opened: &Opened, id: PushId) -> Result<PushCampaign, Failure> {
    let found = opened.store.pushes.get(id).await?;
    found.ok_or_else(|| {
        Failure::setup(format!("there is no campaign {id}"), "`feat push list` shows them")
    })
}

/// Saves the wish. Says whether the campaign was not as wanted already.
async fn save(
    opened: &Opened,
    id: PushId,
    by: &str,
    wish: PushWish,
) -> Result<(PushCampaign, bool), Failure> {
    for _ in 0..TRIES {
        let campaign = read(opened, id).await?;
        let state = campaign.state.name();
        let next = wish.of(campaign.clone(), by, Timestamp::now()).map_err(|_| {
            Failure::setup(format!("it is {state}"), "`feat push show` tells what became of it")
        })?;
        let Some(next) = next else { return Ok((campaign, false)) };
        if opened.store.pushes.save(&next).await? == Save::Stored {
            return Ok((next, true));
        }
    }
    Err(Failure::setup("others change the campaign all the time", "Try again"))
}

/// Writes down what was decided about a campaign.
async fn record(
    opened: &Opened,
    operator: &Operator,
    action: Action,
    campaign: &PushCampaign,
) -> Result<(), Failure> {
    let entry = operator.entry(action).about(campaign.owner).subject(campaign.id);
    operator.record(&opened.store, &entry.detail(&campaign.app)).await
}

/// Lets the shards that wait look at the campaign again.
async fn wake(opened: &Opened, campaign: &PushCampaign, by: &str) -> Result<(), Failure> {
    let wake = Wake { campaign: campaign.id, owner: campaign.owner };
    let report = |error| Failure::setup(error, "Report this");
    let mut new = NewJob::of::<PushWake>(UserId::FEAT, &wake).map_err(report)?;
    new.unique_key = Some(format!("{}:{}:{}", PushWake::KIND, campaign.id, campaign.version));
    let job = JobRecord::accept(new, by, Timestamp::now());
    if opened.store.jobs.insert(&job).await? == Insert::Stored {
        publish(opened, &job).await;
    }
    Ok(())
}

/// Lets the fan-out end now, also one that waits for its time.
async fn stop_fan_out(opened: &Opened, campaign: &PushCampaign, by: &str) -> Result<(), Failure> {
    for _ in 0..TRIES {
        let Some(job) = opened.store.jobs.get(campaign.id.job()).await? else { return Ok(()) };
        let Ok(next) = job.clone().request_cancel(by, Timestamp::now()) else { return Ok(()) };
        if next == job {
            return Ok(());
        }
        if opened.store.jobs.save(&next).await? == Save::Stored {
            if next.state == JobState::Queued {
                publish(opened, &next).await;
            }
            return Ok(());
        }
    }
    Err(Failure::setup("others change the job all the time", "Try again"))
}

/// Spares the workers the wait for their sweep. Best effort: they look by themselves.
async fn publish(opened: &Opened, job: &JobRecord) {
    opened.broker_ready().await;
    if let Some(broker) = &opened.broker
        && let Err(error) = broker.publish(job).await
    {
        tracing::debug!(job_id = %job.id, %error, "the workers will find it by themselves");
    }
}

fn operator(named: Option<&str>) -> Result<Operator, Failure> {
    let named = named.map(str::to_owned).or_else(|| std::env::var("USER").ok());
    let name = named.filter(|name| !name.trim().is_empty()).ok_or_else(|| {
        Failure::Misuse("say who decides, with --as NAME: it stays in the record".to_owned())
    })?;
    Ok(Operator::of(Some(&name)))
}

/// The campaign with its counters as they are.
async fn tell(opened: &Opened, campaign: &PushCampaign, form: Form) -> Result<(), Failure> {
    let (counts, reasons, repeated) = if let Some(totals) = campaign.totals {
        (totals, campaign.reasons.clone(), campaign.repeated)
    } else {
        let tally = opened.store.pushes.tally(campaign.owner, campaign.id).await?;
        (tally.counts, tally.reasons, tally.repeated)
    };
    if form == Form::Json {
        let mut value = json!(campaign);
        value["counts"] = json!(counts);
        value["reasons"] = json!(reasons);
        value["repeated"] = json!(repeated);
        return Ok(output::json(&value)?);
    }
    let mut rows = output::table(["field", "value"]);
    rows.add_row(["campaign", &campaign.id.to_string()]);
    rows.add_row(["app", &campaign.app.to_string()]);
    rows.add_row(["name", campaign.name.as_deref().unwrap_or_default()]);
    rows.add_row(["state", campaign.state.name()]);
    rows.add_row(["starts", &campaign.start_at.to_string()]);
    rows.add_row(["expires", &campaign.expires_at.to_string()]);
    if let Some(block) = &campaign.blocked {
        rows.add_row(["blocked", &format!("{} since {}", block.reason, block.since)]);
    }
    if campaign.may_go_on() {
        rows.add_row(["given up", &given_up(campaign)]);
    }
    if let Value::Object(counts) = json!(counts) {
        for (name, count) in counts {
            rows.add_row([name, count.to_string()]);
        }
    }
    rows.add_row(["repeated", &repeated.to_string()]);
    for (reason, count) in BTreeMap::from_iter(reasons) {
        rows.add_row([format!("refused: {reason}"), count.to_string()]);
    }
    Ok(output::line(rows)?)
}

/// What nobody works on, and how to have it go on.
fn given_up(campaign: &PushCampaign) -> String {
    if campaign.cut_short {
        return format!("the search for devices; `feat jobs retry {}` goes on", campaign.id);
    }
    let shards = output::counted(campaign.lost.into(), "shard");
    format!("{shards}; `feat jobs retry --state dead --kind push.shard` goes on")
}
