//! `feat apns`: how device tokens stand, and what a person decides about them.
//!
//! A decision is a guarded save and an entry in the audit record.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use schemas::{
    ApnsEnvironment, BundleId, Timestamp, UserId,
    audit::Action,
    push_token::{CohortRecord, PushTokenReason, PushTokenRecord, PushTokenState, cohort},
};
use serde::Serialize;
use store::{Insert, Judged, Save, Store};

use crate::{
    args::{self, Doctor, Release, Undo},
    audit::Operator,
    failure::Failure,
    output::{self, Form},
    place,
};

/// Times that a record is read again because somebody else saved it first.
const TRIES: usize = 8;

/// Records read in one go.
const PAGE: usize = 500;

/// Saves under way at a time; the store gathers them into batches.
const AT_ONCE: usize = 64;

/// Records are counted up to here.
const COUNTED: usize = 10_000_000;

/// Does what was asked of devices.
///
/// # Errors
///
/// [`Failure`]; what was taken back until then stays so.
pub(crate) async fn run(command: args::Apns) -> Result<(), Failure> {
    let at = match &command {
        args::Apns::Doctor(args) => &args.place.inner,
        args::Apns::Undo(args) => &args.place.inner,
        args::Apns::Release(args) => &args.place.inner,
    };
    let opened = place::open(at).await?;
    let outcome = match &command {
        args::Apns::Doctor(args) => doctor(&opened.store, args).await,
        args::Apns::Undo(args) => undo(&opened.store, args).await,
        args::Apns::Release(args) => release(&opened.store, args).await,
    };
    opened.close().await;
    outcome
}

/// How one cohort stands.
#[derive(Debug, Serialize)]
struct Standing {
    app: BundleId,
    environment: ApnsEnvironment,
    active: u64,
    suspect: u64,
    quarantined: u64,
    removed: u64,
    /// Devices that say this environment although Apple knows them in the other one.
    wrong_environment: u64,
    /// Devices that nobody has registered for a while.
    stale: u64,
    /// Why they were put aside, of the first 500.
    reasons: BTreeMap<String, u64>,
    /// Devices that wait behind the brake.
    held: u64,
    held_since: Option<Timestamp>,
    released_until: Option<Timestamp>,
}

async fn doctor(store: &Store, args: &Doctor) -> Result<(), Failure> {
    let apps = match &args.app {
        Some(app) => vec![app.clone()],
        None => store.push_tokens.apps().await?,
    };
    let stale_before = Timestamp::now() - args.stale;
    let mut all = Vec::new();
    for app in apps {
        for environment in ApnsEnvironment::ALL {
            all.extend(standing(store, &app, environment, stale_before).await?);
        }
    }
    match Form::chosen(args.place.json) {
        Form::Json => all.iter().try_for_each(output::json)?,
        Form::Table => {
            output::line(rows(&all))?;
            for advice in all.iter().flat_map(advice) {
                output::line(advice)?;
            }
        }
    }
    Ok(())
}

/// `None` when the app was never seen in that environment.
async fn standing(
    store: &Store,
    app: &BundleId,
    environment: ApnsEnvironment,
    stale_before: Timestamp,
) -> Result<Option<Standing>, Failure> {
    let tokens = &store.push_tokens;
    let count = |state| tokens.count(app, environment, state, COUNTED);
    let aside = PushTokenState::Quarantined;
    let known = store.push_cohorts.get(app, environment).await?;
    let some = tokens.in_state(app, environment, aside, None, Timestamp::now(), PAGE).await?;
    let mut reasons = BTreeMap::new();
    for device in &some {
        *reasons.entry(word(device.why())).or_default() += 1;
    }
    let standing = Standing {
        app: app.clone(),
        environment,
        active: count(PushTokenState::Active).await?,
        suspect: count(PushTokenState::Suspect).await?,
        quarantined: count(aside).await?,
        removed: count(PushTokenState::Removed).await?,
        wrong_environment: tokens.count_corrected(app, environment, COUNTED).await?,
        stale: tokens.count_quiet(app, environment, stale_before, COUNTED).await?,
        reasons,
        held: known.as_ref().map_or(0, |known| known.held),
        held_since: known.as_ref().and_then(|known| known.held_since),
        released_until: known.and_then(|known| known.released_until),
    };
    let devices = standing.active + standing.suspect + standing.quarantined + standing.removed;
    Ok((devices + standing.wrong_environment > 0).then_some(standing))
}

fn word(why: Option<PushTokenReason>) -> String {
    let value = serde_json::to_value(why).unwrap_or_default();
    value.as_str().unwrap_or("unknown").to_owned()
}

fn rows(all: &[Standing]) -> comfy_table::Table {
    let mut rows = output::table([
        "app",
        "environment",
        "active",
        "suspect",
        "put aside",
        "removed",
        "wrong",
        "stale",
        "held",
    ]);
    for one in all {
        rows.add_row([
            one.app.to_string(),
            one.environment.to_string(),
            one.active.to_string(),
            one.suspect.to_string(),
            one.quarantined.to_string(),
            one.removed.to_string(),
            one.wrong_environment.to_string(),
            one.stale.to_string(),
            one.held.to_string(),
        ]);
    }
    rows
}

/// What a person may want to do about it.
fn advice(one: &Standing) -> Vec<String> {
    let (app, environment) = (&one.app, one.environment);
    let mut lines = Vec::new();
    if one.wrong_environment > 0 {
        let count = output::counted(one.wrong_environment, "device");
        let other = environment.other();
        lines.push(format!(
            "{app}: {count} register for {environment} but belong to {other}; pushes go there, \
             mend the build"
        ));
    }
    if one.quarantined > 0 {
        let reasons: Vec<_> =
            one.reasons.iter().map(|(why, count)| format!("{why} {count}")).collect();
        lines.push(format!(
            "{app} {environment}: {} put aside ({}); `feat apns undo` takes them back",
            output::counted(one.quarantined, "device"),
            reasons.join(", ")
        ));
    }
    if let Some(since) = one.held_since {
        lines.push(format!(
            "{app} {environment}: the brake holds {} since {since}; `feat apns release` lets them go",
            output::counted(one.held, "device")
        ));
    }
    lines
}

async fn undo(store: &Store, args: &Undo) -> Result<(), Failure> {
    let environments = match args.environment {
        Some(environment) => vec![environment],
        None => ApnsEnvironment::ALL.to_vec(),
    };
    let mut restored = 0;
    match &args.token {
        Some(token) => {
            let device = store.push_tokens.get(&args.app, token).await?;
            let wanted = |device: &PushTokenRecord| environments.contains(&device.environment);
            let found: Vec<_> = device.into_iter().filter(wanted).collect();
            restored += take_back(store, args, found).await?;
        }
        None => {
            for environment in environments {
                restored += undo_all(store, args, environment).await?;
            }
        }
    }
    if !args.dry_run && restored > 0 {
        let operator = Operator::named(&args.operator);
        let detail = output::counted(restored, "device");
        let entry = operator.entry(Action::DevicesRestored).about(UserId::FEAT);
        operator.record(store, &entry.subject(&args.app).detail(detail)).await?;
    }
    match Form::chosen(args.place.json) {
        Form::Json => output::json(&serde_json::json!({
            "app": args.app, "restored": restored, "dry_run": args.dry_run,
        }))?,
        Form::Table => {
            let what = if args.dry_run { "would be taken back" } else { "taken back" };
            output::line(format!("{} {what}", output::counted(restored, "device")))?;
        }
    }
    Ok(())
}

async fn undo_all(
    store: &Store,
    args: &Undo,
    environment: ApnsEnvironment,
) -> Result<u64, Failure> {
    let (tokens, app) = (&store.push_tokens, &args.app);
    let (aside, now) = (PushTokenState::Quarantined, Timestamp::now());
    let since = args.since.map(|when| when.0);
    if args.dry_run {
        return Ok(tokens.count_since(app, environment, aside, since, now, COUNTED).await?);
    }
    let mut restored = 0;
    loop {
        // What is taken back leaves the list.
        let found = tokens.in_state(app, environment, aside, since, now, PAGE).await?;
        let is_last = found.len() < PAGE;
        let changed = take_back(store, args, found).await?;
        restored += changed;
        if is_last || changed == 0 {
            return Ok(restored);
        }
    }
}

async fn take_back(
    store: &Store,
    args: &Undo,
    devices: Vec<PushTokenRecord>,
) -> Result<u64, Failure> {
    if args.dry_run {
        let aside = |device: &&PushTokenRecord| device.state == PushTokenState::Quarantined;
        return Ok(devices.iter().filter(aside).count() as u64);
    }
    let restore = |device| async move {
        let step = |device: PushTokenRecord| device.restored(Timestamp::now());
        Ok::<_, Failure>(store.push_tokens.change(device, step).await? != Judged::Kept)
    };
    let all = stream::iter(devices).map(restore).buffer_unordered(AT_ONCE);
    all.try_fold(0, |sum, changed| async move { Ok(sum + u64::from(changed)) }).await
}

async fn release(store: &Store, args: &Release) -> Result<(), Failure> {
    let operator = Operator::named(&args.operator);
    let until = Timestamp::now() + args.span;
    for _ in 0..TRIES {
        let known = store.push_cohorts.get(&args.app, args.environment).await?;
        let is_new = known.is_none();
        let known = known.unwrap_or_else(|| CohortRecord::new(args.app.clone(), args.environment));
        let mut next = known.release(&operator.to_string(), until);
        let saved = if is_new {
            next.version = 1;
            store.push_cohorts.insert(&next).await? == Insert::Stored
        } else {
            store.push_cohorts.save(&next).await? == Save::Stored
        };
        if saved {
            let entry = operator.entry(Action::CohortReleased).about(UserId::FEAT);
            let entry = entry.subject(cohort(&args.app, args.environment));
            operator.record(store, &entry.detail(format!("until {until}"))).await?;
            match Form::chosen(args.place.json) {
                Form::Json => output::json(&next)?,
                Form::Table => output::line(format!("the brake is off until {until}"))?,
            }
            return Ok(());
        }
    }
    Err(Failure::setup("the cohort changes all the time", "Try again"))
}
