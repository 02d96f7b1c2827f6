//! `feat webhook`: what the back ends of apps were told.

use clap::{Args, Subcommand};
use schemas::{JobId, JobState};

use super::{Operator, Output, Place};
use crate::when::When;

/// What can be done with deliveries.
#[derive(Debug, Subcommand)]
pub(crate) enum Webhook {
    /// List deliveries, newest first
    #[command(after_help = "\
Examples:
  feat webhook list --state dead --since 1d
  feat webhook list --json | jq .message")]
    List(ListWebhooks),
    /// Send a delivery that has ended once more, under the same message id
    #[command(after_help = "\
Example:
  feat webhook resend 0198c5a1-2f3e-7abc-8def-0123456789ab")]
    Resend(Resend),
}

/// Which deliveries to list.
#[derive(Debug, Clone, Args)]
pub(crate) struct ListWebhooks {
    /// Only this state; may be repeated
    #[arg(long, value_name = "STATE")]
    pub(crate) state: Vec<JobState>,
    /// Only since: a span such as 2h, or a time
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<When>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: u64,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
}

/// What to send again.
#[derive(Debug, Clone, Args)]
pub(crate) struct Resend {
    /// The jobs of the deliveries
    #[arg(required = true)]
    pub(crate) ids: Vec<JobId>,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
    #[command(flatten)]
    pub(crate) operator: Operator,
}
