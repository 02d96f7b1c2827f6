//! `feat pay reconcile`: has a day's bills matched by the workers, waits, and prints the reports.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use schemas::{
    JobId, JobRecord, JobState, Timestamp, UserId,
    audit::Action,
    job::NewJob,
    kinds::{
        PayBillRound,
        pay_bill_round::{BillRound, BillRoundReport},
    },
    matching::{Difference, DifferenceClass, MatchReport, Side},
};
use serde_json::json;
use store::Insert;
use tokio::time::{Instant, sleep};

use super::publish;
use crate::{
    args::Reconcile,
    audit::Operator,
    failure::Failure,
    output::{self, Form},
    place::Opened,
};

/// Pause between two looks at the jobs.
const LOOK: Duration = Duration::from_millis(200);

/// Most merchants of one day.
const MERCHANTS: usize = 1_000;

/// Does what was asked.
///
/// # Errors
///
/// [`Failure::Differs`] when all went well and the books differ.
pub(super) async fn run(opened: &Opened, args: &Reconcile) -> Result<(), Failure> {
    let form = Form::chosen(args.place.json);
    if args.stored {
        return print(opened, args, form).await;
    }
    let job = start(opened, args).await?;
    // Without a broker the workers are in `feat dev`, which cannot run beside this command.
    if args.wait.is_zero() || opened.broker.is_none() {
        return told(form, &job);
    }
    follow(opened, &job, args.wait).await?;
    print(opened, args, form).await
}

async fn start(opened: &Opened, args: &Reconcile) -> Result<JobRecord, Failure> {
    let round = BillRound { day: Some(args.date), channel: args.provider };
    let new = NewJob::of::<PayBillRound>(UserId::FEAT, &round)
        .map_err(|error| Failure::setup(error, "Report this"))?;
    let operator = Operator::named(&args.operator);
    let job = JobRecord::accept(new, &operator.to_string(), Timestamp::now());
    if opened.store.jobs.insert(&job).await? == Insert::Taken {
        return Err(Failure::setup("the job was not stored", "Try again"));
    }
    publish(opened, &job).await;
    let provider = args.provider.map_or("all providers", |channel| channel.name());
    let entry = operator.entry(Action::BillsMatched).subject(job.id);
    let entry = entry.detail(format!("{} of {provider}", args.date));
    operator.record(&opened.store, &entry).await?;
    Ok(job)
}

/// Says that the workers go on by themselves.
fn told(form: Form, job: &JobRecord) -> Result<(), Failure> {
    match form {
        Form::Json => output::json(&json!({ "job": job.id }))?,
        Form::Table => output::line(format!(
            "job {} matches the bills when a worker runs; --stored then shows the result",
            job.id
        ))?,
    }
    Ok(())
}

/// Waits until every merchant's bill is matched.
async fn follow(opened: &Opened, job: &JobRecord, wait: Duration) -> Result<(), Failure> {
    let until = Instant::now() + wait;
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    bar.set_message("waiting for a worker");
    let round = ended(opened, vec![job.id], until, &bar, "rounds").await;
    let matched = match round {
        Ok(round) => match_of(opened, &round, until, &bar).await,
        Err(failure) => Err(failure),
    };
    bar.finish_and_clear();
    matched
}

async fn match_of(
    opened: &Opened,
    round: &[JobRecord],
    until: Instant,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let output = round.first().and_then(|job| job.output.clone()).unwrap_or_default();
    let report: BillRoundReport = serde_json::from_value(output)
        .map_err(|error| Failure::setup(error, "Use the version of the workers"))?;
    if report.started.is_empty() {
        let advice = "Add accounts under payments in the settings of the workers";
        return Err(Failure::setup("no such merchant is configured", advice));
    }
    let jobs = report.started.iter().map(|one| one.job).collect();
    ended(opened, jobs, until, bar, "bills").await?;
    Ok(())
}

/// The jobs, when all of them have succeeded.
///
/// # Errors
///
/// One of them did not, or not in time.
async fn ended(
    opened: &Opened,
    ids: Vec<JobId>,
    until: Instant,
    bar: &ProgressBar,
    what: &str,
) -> Result<Vec<JobRecord>, Failure> {
    loop {
        let mut jobs = Vec::new();
        for id in &ids {
            let job = opened.store.jobs.get(*id).await?;
            jobs.push(job.ok_or_else(|| Failure::setup(format!("job {id} is gone"), "Try again"))?);
        }
        let done = jobs.iter().filter(|job| job.state == JobState::Succeeded).count();
        bar.set_message(format!("{done} of {} {what} done", ids.len()));
        bar.tick();
        if done == ids.len() {
            return Ok(jobs);
        }
        let failed =
            jobs.iter().find(|job| job.state.is_settled() && job.state != JobState::Succeeded);
        if let Some(job) = failed {
            let why = job.error.as_ref().map_or("without a reason", |error| error.code.as_str());
            let text = format!("job {} is {}: {why}", job.id, job.state);
            return Err(Failure::setup(text, "`feat jobs show` tells more"));
        }
        if Instant::now() >= until {
            let open = jobs.iter().filter(|job| !job.state.is_settled());
            let open: Vec<_> = open.map(|job| format!("{} ({})", job.id, job.state)).collect();
            let text = format!("not matched in time: job {}", open.join(", "));
            return Err(Failure::setup(text, "The workers go on; --stored shows what they find"));
        }
        sleep(LOOK).await;
    }
}

/// Prints what is stored about the day.
async fn print(opened: &Opened, args: &Reconcile, form: Form) -> Result<(), Failure> {
    let reports = opened.store.matches.of_day(args.date, MERCHANTS).await?;
    let wanted = |report: &MatchReport| args.provider.is_none_or(|one| one == report.channel);
    let reports: Vec<_> = reports.into_iter().filter(wanted).collect();
    if reports.is_empty() {
        return Err(Failure::setup("that day is not matched", "Leave out --stored to match it"));
    }
    match form {
        Form::Table => output::line(summary(&reports))?,
        Form::Json => {
            reports.iter().try_for_each(|one| output::json(&json!({ "report": one })))?;
        }
    }
    for report in &reports {
        differences(opened, report, form).await?;
    }
    if reports.iter().all(MatchReport::is_clean) { Ok(()) } else { Err(Failure::Differs) }
}

async fn differences(opened: &Opened, report: &MatchReport, form: Form) -> Result<(), Failure> {
    for number in 0..report.pages {
        let Some(page) = opened.store.matches.page(report, number).await? else {
            return Err(Failure::setup("a later run replaces the report just now", "Try again"));
        };
        match form {
            Form::Table => output::line(rows(&page.rows))?,
            Form::Json => {
                let line = |row| json!({ "of": report.id, "difference": row });
                page.rows.iter().try_for_each(|row| output::json(&line(row)))?;
            }
        }
    }
    Ok(())
}

fn summary(reports: &[MatchReport]) -> comfy_table::Table {
    let mut rows =
        output::table(["provider", "merchant", "payments", "refunds", "matched", "differences"]);
    for report in reports {
        let classes = DifferenceClass::ALL.into_iter().filter_map(|class| {
            let count = report.differences.of(class);
            (count > 0).then(|| format!("{count} {class}"))
        });
        let classes: Vec<_> = classes.collect();
        rows.add_row([
            report.channel.to_string(),
            report.merchant.clone(),
            format!("{} ({})", report.payments.count, yuan(report.payments.fen)),
            format!("{} ({})", report.refunds.count, yuan(report.refunds.fen)),
            report.matched.to_string(),
            if classes.is_empty() { "none".to_owned() } else { classes.join(", ") },
        ]);
    }
    rows
}

fn rows(differences: &[Difference]) -> comfy_table::Table {
    let mut rows =
        output::table(["difference", "of", "number", "bill", "here", "there", "heard from"]);
    for row in differences {
        let heard = row.heard.and_then(|heard| serde_json::to_value(heard).ok());
        rows.add_row([
            row.class.to_string(),
            row.movement.name().to_owned(),
            row.key.clone(),
            row.sn.as_ref().map(ToString::to_string).unwrap_or_default(),
            side(row.ours.as_ref()),
            side(row.theirs.as_ref()),
            heard.as_ref().and_then(|heard| heard.as_str()).unwrap_or_default().to_owned(),
        ]);
    }
    rows
}

/// Sum, state and, where it matters, fee.
fn side(side: Option<&Side>) -> String {
    let Some(side) = side else { return "—".to_owned() };
    let fee = side.fee_thousandths.map(|fee| format!(", fee {}", thousandths(fee)));
    format!("{} {}{}", yuan(side.fen), side.state, fee.unwrap_or_default())
}

/// Fen as yuan.
fn yuan(fen: i64) -> String {
    let sign = if fen < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", fen.abs() / 100, fen.abs() % 100)
}

/// Thousandths of a fen as yuan.
fn thousandths(fee: i64) -> String {
    let sign = if fee < 0 { "-" } else { "" };
    format!("{sign}{}.{:05}", fee.abs() / 100_000, fee.abs() % 100_000)
}
