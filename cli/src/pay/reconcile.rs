//! `feat pay reconcile`: has a day's bills matched by the workers, waits, and prints the reports.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use schemas::{
    BookDay, Channel, JobId, JobRecord, JobState, Timestamp, UserId,
    audit::Action,
    job::NewJob,
    kinds::{
        PayBillRound,
        pay_bill_round::{BillRound, BillRoundReport, StartedMatch},
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
    refuse_unfinished(args, Timestamp::now())?;
    if args.stored {
        return print(opened, args, form).await;
    }
    let job = start(opened, args).await?;
    if args.wait.is_zero() || !opened.worked_on {
        return told(form, &job);
    }
    follow(opened, &job, args.wait).await?;
    print(opened, args, form).await
}

/// Refuses a day that is not over: its bill cannot be there for hours.
fn refuse_unfinished(args: &Reconcile, now: Timestamp) -> Result<(), Failure> {
    let latest = BookDay::of(args.provider.unwrap_or(Channel::Alipay), now).before();
    if args.date <= latest {
        return Ok(());
    }
    let text = format!(
        "--date {}: that day is not over in Beijing; the first that can be matched is {latest}, \
         and the days before it",
        args.date
    );
    Err(Failure::Misuse(text))
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

/// Says that the workers go on by themselves. That is no success: nothing is matched yet.
fn told(form: Form, job: &JobRecord) -> Result<(), Failure> {
    match form {
        Form::Json => output::json(&json!({ "job": job.id }))?,
        Form::Table => output::line(format!(
            "job {} matches the bills when a worker runs; --stored then shows the result",
            job.id
        ))?,
    }
    Err(Failure::Told)
}

/// Waits until every merchant's bill is matched.
async fn follow(opened: &Opened, job: &JobRecord, wait: Duration) -> Result<(), Failure> {
    let until = Instant::now() + wait;
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    bar.set_message("waiting for a worker");
    let round = ended(opened, &[(job.id, "the list of merchants".to_owned())], until, &bar).await;
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
    let named = |one: &StartedMatch| (one.job, format!("{} {}", one.of.channel, one.of.merchant));
    let jobs: Vec<_> = report.started.iter().map(named).collect();
    ended(opened, &jobs, until, bar).await?;
    Ok(())
}

/// The jobs, when all of them have succeeded; each comes with a name for people.
///
/// # Errors
///
/// One of them did not, or not in time.
async fn ended(
    opened: &Opened,
    named: &[(JobId, String)],
    until: Instant,
    bar: &ProgressBar,
) -> Result<Vec<JobRecord>, Failure> {
    loop {
        let mut jobs = Vec::new();
        for (id, _) in named {
            let job = opened.store.jobs.get(*id).await?;
            jobs.push(job.ok_or_else(|| Failure::setup(format!("job {id} is gone"), "Try again"))?);
        }
        let open = named.iter().zip(&jobs).filter(|(_, job)| job.state != JobState::Succeeded);
        let open: Vec<_> = open.map(|((_, name), job)| (name, job)).collect();
        if open.is_empty() {
            return Ok(jobs);
        }
        if let Some((name, job)) = open.iter().find(|(_, job)| job.state.is_settled()) {
            let text = standing(name, job);
            return Err(Failure::setup(text, format!("`feat jobs show {}` tells more", job.id)));
        }
        let waits = open.iter().map(|(name, job)| standing(name, job)).collect::<Vec<_>>();
        bar.set_message(format!("waiting for {}", waits.join("; ")));
        bar.tick();
        if Instant::now() >= until {
            let text = format!("not matched in time: {}", waits.join("; "));
            return Err(Failure::setup(text, "The workers go on; --stored shows what they find"));
        }
        sleep(LOOK).await;
    }
}

/// How the job about `name` stands, with the last thing that is known of why.
fn standing(name: &str, job: &JobRecord) -> String {
    let last = job.calls.last().and_then(|call| call.exchange["ended"].as_str());
    let why = match (last, &job.error) {
        (Some(ended), _) if ended != "answered" => ended.to_owned(),
        (_, Some(error)) => error.message.clone(),
        (Some(_), None) => "the bill is not there yet".to_owned(),
        (None, None) => job.history.last().map(|change| change.why.clone()).unwrap_or_default(),
    };
    let again = job.wake_at.filter(|_| !job.state.is_settled());
    let again = again.map(|at| format!(", again at {}", output::seconds(at))).unwrap_or_default();
    format!("{name} (job {}, {}: {why}{again})", job.id, job.state)
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
    let missing = missing(&opened.accounts, args.provider, &reports);
    if !missing.is_empty() {
        let text = format!("not matched: {} of {}", missing.join(", "), args.date);
        return Err(Failure::setup(text, "Leave out --stored to match it"));
    }
    if reports.iter().all(MatchReport::is_clean) { Ok(()) } else { Err(Failure::Differs) }
}

/// The configured merchants that no report is about.
fn missing(
    accounts: &[(Channel, Option<String>)],
    provider: Option<Channel>,
    reports: &[MatchReport],
) -> Vec<String> {
    let wanted = accounts.iter().filter(|(channel, _)| provider.is_none_or(|one| one == *channel));
    let missing = wanted.filter(|(channel, merchant)| {
        let is_it = |report: &MatchReport| {
            report.channel == *channel
                && merchant.as_ref().is_none_or(|one| *one == report.merchant)
        };
        !reports.iter().any(is_it)
    });
    let name = |(channel, merchant): &(Channel, Option<String>)| match merchant {
        Some(merchant) => format!("{channel} {merchant}"),
        None => channel.to_string(),
    };
    missing.map(name).collect()
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

#[cfg(test)]
mod tests {
    #![expect(clippy::expect_used, reason = "a panic is how a test fails")]

    use clap::Parser;
    use schemas::job::CallNote;

    use super::*;
    use crate::args::{Cli, Command, Pay};

    fn asked(words: &[&str]) -> Reconcile {
        let words = [&["feat", "pay", "reconcile"], words].concat();
        match Cli::parse_from(words).command {
            Some(Command::Pay(Pay::Reconcile(args))) => args,
            other => unreachable!("{other:?}"),
        }
    }

    fn report(channel: Channel, merchant: &str) -> MatchReport {
        let day = "2026-11-22";
        let id = format!("{channel}:{merchant}:{day}");
        let sums = json!({ "count": 0, "fen": 0 });
        serde_json::from_value(json!({
            "id": id, "version": 1, "channel": channel, "merchant": merchant, "day": day,
            "run": JobId::generate(), "made_at": Timestamp::now(), "payments": sums,
            "refunds": sums, "others": 0, "matched": 0, "pages": 0,
            "differences":
                { "missing_here": 0, "missing_there": 0, "amount": 0, "state": 0, "fee": 0 },
        }))
        .expect("a report")
    }

    #[test]
    fn only_a_day_that_is_over_can_be_matched() {
        // 00:30 of the 23rd in Beijing, and 23:30.
        let night: Timestamp = "2026-11-22T16:30:00Z".parse().expect("a time");
        let evening = night + Duration::from_hours(23);
        let cases = [
            ("yesterday", "2026-11-22", None, night, true),
            ("today", "2026-11-23", None, night, false),
            ("today, late", "2026-11-23", None, evening, false),
            ("UnionPay's day ends at 23:00", "2026-11-23", Some("unionpay"), evening, true),
            ("the future", "2027-01-01", None, evening, false),
        ];
        for (name, day, provider, now, fits) in cases {
            let mut words = vec!["--date", day];
            words.extend(provider.iter().flat_map(|one| ["--provider", *one]));
            let refused = refuse_unfinished(&asked(&words), now);
            assert_eq!(refused.is_ok(), fits, "{name}");
            if let Err(failure) = refused {
                assert!(failure.to_string().contains("2026-11-22"), "{name}: {failure}");
            }
        }
    }

    #[test]
    fn merchants_without_a_report_are_named() {
        let (wechat, alipay) = (Channel::WeChatPay, Channel::Alipay);
        let named = |channel, name: &str| (channel, Some(name.to_owned()));
        let accounts = [named(wechat, "19"), named(alipay, "2088"), named(alipay, "2089")];
        let reports = [report(wechat, "19"), report(alipay, "2089")];

        assert_eq!(missing(&accounts, None, &reports), ["alipay 2088"]);
        assert!(missing(&accounts, Some(wechat), &reports).is_empty());
        let any = [(wechat, None), (Channel::UnionPay, None)];
        assert_eq!(missing(&any, None, &reports), ["unionpay"], "any merchant will do");
    }

    #[test]
    fn who_waits_hears_for_whom_and_why() {
        let round = BillRound { day: None, channel: None };
        let new = NewJob::of::<PayBillRound>(UserId::FEAT, &round).expect("a job");
        let mut job = JobRecord::accept(new, "test", Timestamp::now());
        let exchange = json!({ "ended": "unreachable" });
        job.calls.push(CallNote { at: Timestamp::now(), to: "alipay shop".to_owned(), exchange });
        let told = standing("alipay 2088", &job);

        assert!(told.contains("alipay 2088") && told.contains("unreachable"), "{told}");
        assert!(told.contains(&job.id.to_string()), "{told}");
    }
}
