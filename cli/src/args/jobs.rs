//! What can be asked of jobs.

use clap::{Args, Subcommand};
use schemas::{JobId, JobState};

use super::{Output, Place};
use crate::when::When;

/// What can be done with jobs.
#[derive(Debug, Subcommand)]
pub(crate) enum Jobs {
    /// List jobs, newest first
    #[command(after_help = "\
Examples:
  feat jobs list --state dead --state failed
  feat jobs list --kind image.delete --since 2h --all --json | jq .id")]
    List(ListJobs),
    /// Print the whole record of one job with its history
    Show(ShowJob),
    /// Give jobs that ended as failed or dead a new set of attempts
    #[command(after_help = "\
Examples:
  feat jobs retry 0198c5a1-2f3e-7abc-8def-0123456789ab
  feat jobs retry --kind image.delete --error attempt_failed --since 2h --dry-run")]
    Retry(ChangeJobs),
    /// Ask jobs that have not ended to stop; a worker ends them
    #[command(after_help = "\
Examples:
  feat jobs cancel 0198c5a1-2f3e-7abc-8def-0123456789ab
  feat jobs cancel --user +86-13800000001 --state waiting --yes")]
    Cancel(ChangeJobs),
}

/// Which jobs.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Filter {
    /// Only this kind; may be repeated
    #[arg(long, value_name = "KIND", value_parser = known_kind)]
    pub(crate) kind: Vec<String>,
    /// Only this state; may be repeated
    #[arg(long, value_name = "STATE")]
    pub(crate) state: Vec<JobState>,
    /// Only with this error code, such as `attempt_failed`
    #[arg(long, value_name = "CODE")]
    pub(crate) error: Option<String>,
    /// Only accepted since: a span such as 2h or 3d, or a time such as 2026-02-03T04:05:06Z
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<When>,
    /// Only accepted before: a span or a time as above
    #[arg(long, value_name = "WHEN")]
    pub(crate) until: Option<When>,
    /// Only of this user: username or id
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
}

/// Which jobs to list.
#[derive(Debug, Clone, Args)]
pub(crate) struct ListJobs {
    #[command(flatten)]
    pub(crate) place: Output<Place>,
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 50, conflicts_with = "all")]
    pub(crate) limit: u64,
    /// All of them
    #[arg(long)]
    pub(crate) all: bool,
}

/// Which job to show.
#[derive(Debug, Clone, Args)]
pub(crate) struct ShowJob {
    /// The job
    pub(crate) id: JobId,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
}

/// Which jobs to change, and how carefully.
#[derive(Debug, Clone, Args)]
pub(crate) struct ChangeJobs {
    /// The jobs; without any, all that the filters match
    #[arg(conflicts_with_all = ["kind", "state", "error", "since", "until", "user", "limit", "all"])]
    pub(crate) ids: Vec<JobId>,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// At most this many
    #[arg(long, value_name = "N", conflicts_with = "all")]
    pub(crate) limit: Option<u64>,
    /// All that can be changed, when no filter is given
    #[arg(long)]
    pub(crate) all: bool,
    /// Only say what would be touched
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask before more than one job is changed
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Name of the operator in the jobs' history; $USER when it is not given
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) operator: Option<String>,
}

/// Kinds of other builds may lie in the store, but a misspelt filter that matches nothing misleads.
fn known_kind(kind: &str) -> Result<String, String> {
    if schemas::kinds::spec(kind).is_some() {
        return Ok(kind.to_owned());
    }
    let kinds: Vec<_> = schemas::kinds::SPECS.iter().map(|spec| spec.kind).collect();
    Err(format!("no such kind; there are {}", kinds.join(", ")))
}
