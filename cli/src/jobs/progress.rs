//! What was done with each job, told while it happens and summed up at the end.

use std::{collections::BTreeMap, io};

use indicatif::{ProgressBar, ProgressStyle};
use schemas::{JobId, JobRecord, JobState};
use serde::Serialize;

use super::change::Verb;
use crate::output::{self, Form};

/// What became of one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "result", content = "reason")]
pub(super) enum Outcome {
    /// Its record was saved.
    Changed,
    /// It would have been, were this no dry run.
    WouldChange,
    /// It was left as it is, for this reason.
    Skipped(&'static str),
}

/// One line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    id: JobId,
    kind: Option<&'a str>,
    state: Option<JobState>,
    #[serde(flatten)]
    outcome: Outcome,
}

/// The last line of JSON.
#[derive(Serialize)]
struct Summary<'a> {
    verb: &'a str,
    dry_run: bool,
    changed: u64,
    skipped: u64,
    by: Vec<Group<'a>>,
}

/// How many of one sort there are.
#[derive(Serialize)]
pub(super) struct Group<'a> {
    kind: &'a str,
    state: JobState,
    count: u64,
}

/// Jobs counted by kind and state, a few numbers for any number of jobs.
#[derive(Default)]
pub(super) struct Tally(BTreeMap<(String, JobState), u64>);

impl Tally {
    pub(super) fn add(&mut self, job: &JobRecord) {
        *self.0.entry((job.kind.clone(), job.state)).or_default() += 1;
    }

    pub(super) fn total(&self) -> u64 {
        self.0.values().sum()
    }

    fn groups<'t>(&'t self) -> Vec<Group<'t>> {
        let group = |(sort, count): (&'t (String, JobState), &u64)| Group {
            kind: &sort.0,
            state: sort.1,
            count: *count,
        };
        self.0.iter().map(group).collect()
    }

    /// A table for people.
    pub(super) fn table(&self) -> comfy_table::Table {
        let mut rows = output::table(["kind", "state", "jobs"]);
        for group in self.groups() {
            rows.add_row([group.kind.to_owned(), group.state.to_string(), group.count.to_string()]);
        }
        rows
    }
}

/// Tells each outcome and counts them.
pub(super) struct Progress {
    verb: Verb,
    form: Form,
    bar: ProgressBar,
    touched: Tally,
    changed: u64,
    skipped: BTreeMap<&'static str, u64>,
}

impl Progress {
    /// For `total` jobs. The bar shows itself on a terminal only, and not beside a list of ids.
    pub(super) fn new(verb: Verb, form: Form, total: u64, dry_run: bool) -> Self {
        let bar =
            if dry_run || total < 2 { ProgressBar::hidden() } else { ProgressBar::new(total) };
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} jobs, {eta} left") {
            bar.set_style(style);
        }
        let (touched, skipped) = (Tally::default(), BTreeMap::new());
        Self { verb, form, bar, touched, changed: 0, skipped }
    }

    /// Notes what became of job `id`; `job` is its record from before, if there was one.
    pub(super) fn note(
        &mut self,
        id: JobId,
        job: Option<&JobRecord>,
        outcome: Outcome,
    ) -> io::Result<()> {
        self.bar.inc(1);
        match outcome {
            Outcome::Changed | Outcome::WouldChange => {
                self.changed += 1;
                if let Some(job) = job {
                    self.touched.add(job);
                }
            }
            Outcome::Skipped(reason) => *self.skipped.entry(reason).or_default() += 1,
        }
        match self.form {
            Form::Json => {
                let (kind, state) = (job.map(|job| job.kind.as_str()), job.map(|job| job.state));
                output::json(&Line { id, kind, state, outcome })
            }
            Form::Table if outcome == Outcome::WouldChange => output::line(id),
            Form::Table => Ok(()),
        }
    }

    /// Notes that `count` more were left as they are, for this reason.
    pub(super) fn skip(&mut self, reason: &'static str, count: u64) {
        if count > 0 {
            *self.skipped.entry(reason).or_default() += count;
        }
    }

    /// Tells the counts; gives how many were left as they are.
    pub(super) fn finish(self, dry_run: bool) -> io::Result<u64> {
        self.bar.finish_and_clear();
        let skipped: u64 = self.skipped.values().sum();
        if self.form == Form::Json {
            let (verb, by) = (self.verb.name(), self.touched.groups());
            let summary = Summary { verb, dry_run, changed: self.changed, skipped, by };
            output::json(&serde_json::json!({ "summary": summary }))?;
            return Ok(skipped);
        }
        if dry_run && self.changed > 0 {
            output::line(self.touched.table())?;
        }
        let done = if dry_run { self.verb.conditional() } else { self.verb.past() };
        let done = format!("{} {done}", output::counted(self.changed, "job"));
        let reasons = self.skipped.iter();
        let reasons = reasons.map(|(reason, count)| format!(", {count} skipped ({reason})"));
        output::line(done + &reasons.collect::<String>())?;
        Ok(skipped)
    }
}
