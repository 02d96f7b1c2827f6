//! `feat apns`: the devices that get Apple's pushes, and what a person decides about them.

use std::time::Duration;

use clap::{Args, Subcommand};
use schemas::{ApnsEnvironment, BundleId, DeviceToken};

use super::{Operator, Output, Place};
use crate::{config::duration, when::When};

/// What can be done with devices.
#[derive(Debug, Subcommand)]
pub(crate) enum Apns {
    /// Say how the device tokens of each app stand: wrong environment, put aside, stale, held
    #[command(after_help = "\
Examples:
  feat apns doctor
  feat apns doctor --app com.example.notes --json")]
    Doctor(Doctor),
    /// Take device tokens back that were put aside; the next push tells whether that was right
    #[command(after_help = "\
Examples:
  feat apns undo --app com.example.notes --environment production --since 2h --dry-run
  feat apns undo --app com.example.notes --token 0123…ef")]
    Undo(Undo),
    /// Let the devices of an app go that the brake holds
    #[command(after_help = "\
Example:
  feat apns release --app com.example.notes --environment production --for 2h")]
    Release(Release),
}

/// What to look at.
#[derive(Debug, Clone, Args)]
pub(crate) struct Doctor {
    /// Only this app
    #[arg(long, value_name = "BUNDLE-ID")]
    pub(crate) app: Option<BundleId>,
    /// A token counts as stale after this long without a registration
    #[arg(long, value_name = "SPAN", default_value = "30d", value_parser = duration::parse)]
    pub(crate) stale: Duration,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
}

/// What to take back.
#[derive(Debug, Clone, Args)]
pub(crate) struct Undo {
    /// The app
    #[arg(long, value_name = "BUNDLE-ID")]
    pub(crate) app: BundleId,
    /// Only in this environment: sandbox or production
    #[arg(long, value_name = "ENVIRONMENT", value_parser = environment)]
    pub(crate) environment: Option<ApnsEnvironment>,
    /// Only this token
    #[arg(long, value_name = "HEX")]
    pub(crate) token: Option<DeviceToken>,
    /// Only what was put aside since: a span such as 2h, or a time
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<When>,
    /// Only say what would be taken back
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
    #[command(flatten)]
    pub(crate) operator: Operator,
}

/// What to let go.
#[derive(Debug, Clone, Args)]
pub(crate) struct Release {
    /// The app
    #[arg(long, value_name = "BUNDLE-ID")]
    pub(crate) app: BundleId,
    /// The environment: sandbox or production
    #[arg(long, value_name = "ENVIRONMENT", value_parser = environment)]
    pub(crate) environment: ApnsEnvironment,
    /// How long the brake stays off
    #[arg(long = "for", value_name = "SPAN", default_value = "1h", value_parser = duration::parse)]
    pub(crate) span: Duration,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
    #[command(flatten)]
    pub(crate) operator: Operator,
}

fn environment(name: &str) -> Result<ApnsEnvironment, String> {
    let known = ApnsEnvironment::ALL.into_iter().find(|known| known.name() == name);
    known.ok_or_else(|| "expected sandbox or production".to_owned())
}
