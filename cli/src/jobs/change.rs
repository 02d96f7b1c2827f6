//! `feat jobs retry` and `feat jobs cancel`: guarded saves, one record each.
//!
//! A job that a worker changes at the same moment is read again and judged anew, so an operator
//! never overwrites what happened meanwhile.

use std::io::{self, BufRead, IsTerminal, Write};

use futures::{StreamExt, stream};
use schemas::{
    Event, Job, JobId, JobRecord, JobState, Timestamp, UserId,
    audit::Action,
    job::IllegalTransition,
    kinds::{self, PayClose, PayQuery, PayRefundQuery},
};
use store::Save;

use super::{
    progress::{Outcome, Progress, Tally},
    select::{self, Pages},
};
use crate::{
    args::ChangeJobs,
    audit::Operator,
    failure::Failure,
    output::{self, Form},
    place::Opened,
};

/// Saves under way at a time; the store gathers them into batches.
const AT_ONCE: usize = 64;

/// Times that a record is read again because somebody else saved it first.
const TRIES: usize = 5;

/// What to do with the jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// Give them a new set of attempts.
    Retry,
    /// Ask them to stop.
    Cancel,
}

impl Verb {
    /// States that the change is possible in.
    const fn states(self) -> &'static [JobState] {
        use JobState::{Dead, Failed, Queued, Running, Scheduled, Waiting};
        match self {
            Self::Retry => &[Failed, Dead],
            Self::Cancel => &[Scheduled, Queued, Running, Waiting],
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Cancel => "cancel",
        }
    }

    pub(super) const fn past(self) -> &'static str {
        match self {
            Self::Retry => "given new attempts",
            Self::Cancel => "asked to stop",
        }
    }

    pub(super) const fn conditional(self) -> &'static str {
        match self {
            Self::Retry => "would be given new attempts",
            Self::Cancel => "would be asked to stop",
        }
    }

    /// Whether a filter alone reaches the jobs that Feat started for itself. Nobody who cancels many
    /// jobs means those, and a bill may hang on them.
    fn spares_own(self, args: &ChangeJobs) -> bool {
        self == Self::Cancel && args.filter.kind.is_empty()
    }

    const fn impossible(self) -> &'static str {
        match self {
            Self::Retry => "cannot be retried; failed and dead ones can",
            Self::Cancel => "cannot be cancelled; those that have not ended can",
        }
    }

    fn apply(
        self,
        job: JobRecord,
        operator: &str,
        now: Timestamp,
    ) -> Result<JobRecord, &'static str> {
        let illegal = |_: IllegalTransition| self.refusal();
        match self {
            Self::Retry => {
                let spec = kinds::spec(&job.kind).ok_or("its kind is unknown to this version")?;
                job.retry(spec, operator, now).map_err(illegal)
            }
            Self::Cancel if ends_a_bill(&job) => Err(BILL_HANGS_ON_IT),
            Self::Cancel if job.cancel_requested_at.is_some() => Err("asked to stop before"),
            Self::Cancel => job.request_cancel(operator, now).map_err(illegal),
        }
    }

    const fn refusal(self) -> &'static str {
        match self {
            Self::Retry => "neither failed nor dead",
            Self::Cancel => "has ended or its outcome is unknown",
        }
    }
}

/// Why a job that brings a bill to its end is not cancelled.
const BILL_HANGS_ON_IT: &str =
    "Feat's own, and a bill hangs on it; close or settle the bill instead";

/// Whether nothing else would find out, or bring about, how a bill or a refund ends.
fn ends_a_bill(job: &JobRecord) -> bool {
    let kinds = [PayClose::KIND, PayQuery::KIND, PayRefundQuery::KIND];
    job.owner == UserId::FEAT && kinds.contains(&job.kind.as_str())
}

/// Refuses a command that would touch everything without saying so, or nothing at all.
///
/// # Errors
///
/// [`Failure::Misuse`].
pub(super) fn refuse_unclear(args: &ChangeJobs, verb: Verb) -> Result<(), Failure> {
    let filter = &args.filter;
    let filtered = !filter.kind.is_empty()
        || !filter.state.is_empty()
        || filter.error.is_some()
        || filter.since.is_some()
        || filter.until.is_some()
        || filter.user.is_some();
    if args.ids.is_empty() && !filtered && !args.all {
        let text = "say which jobs: their ids, a filter such as --state dead, or --all";
        return Err(Failure::Misuse(text.to_owned()));
    }
    match filter.state.iter().find(|state| !verb.states().contains(state)) {
        Some(state) => Err(Failure::Misuse(format!("a job that is {state} {}", verb.impossible()))),
        None => Ok(()),
    }
}

/// Changes the jobs that `args` name or match.
///
/// # Errors
///
/// [`Failure`]; what was changed until then stays changed and is in the summary.
pub(super) async fn run(opened: &Opened, args: &ChangeJobs, verb: Verb) -> Result<(), Failure> {
    let form = Form::chosen(args.place.json);
    let planned = plan(opened, args, verb).await?;
    let total = planned.total();
    if !args.dry_run {
        if total > 1 && !args.yes {
            confirm(verb, &planned)?;
        }
        opened.broker_ready().await;
    }
    let mut progress = Progress::new(verb, form, total, args.dry_run);
    let operator = Operator::of(args.operator.as_deref());
    let change = Change { opened, verb, operator: &operator, dry_run: args.dry_run };
    let outcome = if args.ids.is_empty() {
        change.matching(args, &mut progress).await
    } else {
        change.named(&args.ids, &mut progress).await
    };
    let skipped = progress.finish(args.dry_run)?;
    outcome?;
    // Who names a job wants to know whether it was changed.
    if skipped > 0 && !args.ids.is_empty() {
        let count = output::counted(skipped, "job");
        return Err(Failure::Setup(format!("{count} of those named: not changed")));
    }
    Ok(())
}

/// Counts what the command is about, in bounded memory.
async fn plan(opened: &Opened, args: &ChangeJobs, verb: Verb) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    if !args.ids.is_empty() {
        for id in &args.ids {
            opened.store.jobs.get(*id).await?.iter().for_each(|job| tally.add(job));
        }
        return Ok(tally);
    }
    let mut pages = pages(opened, args, verb).await?;
    while let Some(page) = pages.next().await? {
        for job in &page {
            tally.add(job);
        }
    }
    Ok(tally)
}

async fn pages(opened: &Opened, args: &ChangeJobs, verb: Verb) -> Result<Pages, Failure> {
    let filter = select::filter(&opened.store, &args.filter, verb.states()).await?;
    let pages = Pages::new(opened.store.clone(), filter, args.limit.unwrap_or(u64::MAX));
    Ok(if verb.spares_own(args) { pages.without_own() } else { pages })
}

/// Asks the person at the terminal; without one only `--yes` may speak for them.
fn confirm(verb: Verb, planned: &Tally) -> Result<(), Failure> {
    let count = output::counted(planned.total(), "job");
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let text = format!(
            "this is about {count} and nobody is here to confirm it; look with --dry-run, then \
             say --yes"
        );
        return Err(Failure::Misuse(text));
    }
    eprint!("{}\n{} {count}? [y/N] ", planned.table(), verb.name());
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::Setup("nothing was changed".to_owned()))
}

/// One kind of change by one person.
struct Change<'a> {
    opened: &'a Opened,
    verb: Verb,
    operator: &'a Operator,
    dry_run: bool,
}

impl Change<'_> {
    async fn named(&self, ids: &[JobId], progress: &mut Progress) -> Result<(), Failure> {
        for id in ids {
            match self.opened.store.jobs.get(*id).await? {
                Some(job) => self.page(vec![job], progress).await?,
                None => progress.note(*id, None, Outcome::Skipped("no such job"))?,
            }
        }
        Ok(())
    }

    async fn matching(&self, args: &ChangeJobs, progress: &mut Progress) -> Result<(), Failure> {
        let mut pages = pages(self.opened, args, self.verb).await?;
        while let Some(page) = pages.next().await? {
            self.page(page, progress).await?;
        }
        progress.skip("Feat's own; name their ids or their --kind", pages.left_out());
        Ok(())
    }

    /// Changes the jobs of one page together. All of them come to their end, also when one fails.
    async fn page(&self, page: Vec<JobRecord>, progress: &mut Progress) -> Result<(), Failure> {
        let one = async |job: JobRecord| {
            let outcome = self.one(job.clone()).await;
            (job, outcome)
        };
        let mut changes = stream::iter(page).map(one).buffer_unordered(AT_ONCE);
        let mut failed = None;
        while let Some((job, outcome)) = changes.next().await {
            match outcome {
                Ok(outcome) => progress.note(job.id, Some(&job), outcome)?,
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn one(&self, mut job: JobRecord) -> Result<Outcome, Failure> {
        for _ in 0..TRIES {
            let id = job.id;
            let name = self.operator.to_string();
            let changed = match self.verb.apply(job, &name, Timestamp::now()) {
                Ok(changed) => changed,
                Err(reason) => return Ok(Outcome::Skipped(reason)),
            };
            if self.dry_run {
                return Ok(Outcome::WouldChange);
            }
            if self.opened.store.jobs.save(&changed).await? == Save::Stored {
                self.tell(&changed).await;
                self.write_down(&changed).await?;
                return Ok(Outcome::Changed);
            }
            match self.opened.store.jobs.get(id).await? {
                Some(latest) => job = latest,
                None => return Ok(Outcome::Skipped("gone meanwhile")),
            }
        }
        Ok(Outcome::Skipped("changed by others all the time"))
    }

    async fn write_down(&self, job: &JobRecord) -> Result<(), Failure> {
        let action = match self.verb {
            Verb::Retry => Action::JobRetried,
            Verb::Cancel => Action::JobCancelled,
        };
        let entry = self.operator.entry(action).about(job.owner).subject(job.id).detail(&job.kind);
        self.operator.record(&self.opened.store, &entry).await
    }

    /// Spares the workers the wait for their next look at the store. Best effort: they look.
    async fn tell(&self, job: &JobRecord) {
        let Some(broker) = &self.opened.broker else { return };
        let (id, state) = (job.id, job.state);
        broker.send_event(Event::changed(job));
        if self.verb == Verb::Cancel {
            broker.send_event(Event::CancelRequested { id });
            if state == JobState::Queued
                && let Err(error) = broker.publish(job).await
            {
                tracing::debug!(job_id = %id, %error, "the workers will find it by themselves");
            }
        }
    }
}
