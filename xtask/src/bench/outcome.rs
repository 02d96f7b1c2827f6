//! What became of the jobs of a measurement, by the store's own word.

use std::{path::Path, time::Duration};

use schemas::{JobRecord, JobState, Queue, Timestamp};

use super::{Fault, installation::Installation};

/// What the store says of the jobs.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Jobs that have succeeded.
    pub(super) succeeded: u64,
    /// From their first acceptance to their last end, by the records.
    pub(super) span: Duration,
}

impl Installation {
    /// What the store says; of an embedded one only when its process has ended.
    pub(super) fn outcome(&self, data: Option<&Path>) -> Result<Outcome, Fault> {
        self.outcome_of("image.delete", data)
    }

    /// The same of the jobs of another kind.
    pub(super) fn outcome_of(&self, kind: &str, data: Option<&Path>) -> Result<Outcome, Fault> {
        let jobs = self.jobs(kind, data)?;
        Ok(Outcome { succeeded: jobs.len() as u64, span: span(jobs.iter()) })
    }

    /// The same of those jobs of a kind that went through `queue` and came in turns, which began at
    /// these moments: without the time between one turn's last job and the next turn.
    pub(super) fn outcome_in_turns(
        &self,
        kind: &str,
        queue: Queue,
        turns: &[Timestamp],
    ) -> Result<Outcome, Fault> {
        let mut jobs = self.jobs(kind, None)?;
        jobs.retain(|job| job.queue == queue);
        let of = |turn: usize| {
            let within = |job: &&JobRecord| {
                turns[turn] <= job.created_at
                    && turns.get(turn + 1).is_none_or(|next| job.created_at < *next)
            };
            span(jobs.iter().filter(within))
        };
        let span = (0..turns.len()).map(of).sum();
        Ok(Outcome { succeeded: jobs.len() as u64, span })
    }

    /// The jobs of `kind` that succeeded.
    fn jobs(&self, kind: &str, data: Option<&Path>) -> Result<Vec<JobRecord>, Fault> {
        let mut arguments = vec!["jobs", "list", "--kind", kind, "--all", "--json"];
        let data = data.map(|data| data.display().to_string());
        arguments.extend(data.iter().flat_map(|data| ["--data", data]));
        let mut jobs = Vec::new();
        for line in self.run(&arguments, "")?.split(|byte| *byte == b'\n') {
            if line.is_empty() {
                continue;
            }
            let job: JobRecord = serde_json::from_slice(line)?;
            if job.state == JobState::Succeeded {
                jobs.push(job);
            }
        }
        Ok(jobs)
    }

    /// What the store of an ended `feat dev` says.
    pub(super) fn embedded_outcome(&self) -> Result<Outcome, Fault> {
        self.outcome(Some(&self.data()))
    }
}

/// From the first acceptance to the last end.
fn span<'a>(jobs: impl Iterator<Item = &'a JobRecord> + Clone) -> Duration {
    let first = jobs.clone().map(|job| job.created_at).min();
    let last = jobs.filter_map(|job| job.settled_at).max();
    first.zip(last).map(|(first, last)| last.since(first)).unwrap_or_default()
}
