//! The words of `feat push`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use schemas::{BundleId, PushId};

use super::{Output, Place};

/// What can be done with pushes.
#[derive(Debug, Subcommand)]
pub(crate) enum Push {
    /// Send a push, to a few or to everybody; prints the campaign
    #[command(after_help = "\
Examples:
  feat push send --app com.example.notes --user ada --alert 'The plumber is here'
  feat push send --app com.example.notes --all --title News --alert 'Version 2 is out' --rate 500
  feat push send --file request.json        # the body of POST /api/push/")]
    Send(Box<SendPush>),
    /// Print a campaign and what became of its devices
    Show(OnePush),
    /// List campaigns, newest first
    List(ListPushes),
    /// Send nothing further for now
    Pause(ChangePush),
    /// Go on with a paused campaign
    Resume(ChangePush),
    /// End a campaign: what is not sent yet is not sent
    Cancel(ChangePush),
}

/// What to send, to whom.
#[derive(Debug, Clone, Args)]
pub(crate) struct SendPush {
    /// The whole request as JSON; - reads standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["app", "alert"])]
    pub(crate) file: Option<PathBuf>,
    /// Bundle id of the app
    #[arg(long, value_name = "BUNDLE_ID", required_unless_present = "file")]
    pub(crate) app: Option<BundleId>,
    /// Username or id of a user who gets it; may be repeated
    #[arg(long = "user", value_name = "USER")]
    pub(crate) users: Vec<String>,
    /// A device token that gets it; may be repeated
    #[arg(long = "token", value_name = "HEX")]
    pub(crate) tokens: Vec<String>,
    /// Every device of the app gets it
    #[arg(long)]
    pub(crate) all: bool,
    /// Devices with such a language and region; zh means zh-Hans and zh-CN, too
    #[arg(long, value_name = "NAME")]
    pub(crate) locale: Option<String>,
    /// Devices with this version of the app
    #[arg(long, value_name = "VERSION")]
    pub(crate) app_version: Option<String>,
    /// Only devices of this environment: sandbox or production
    #[arg(long)]
    pub(crate) environment: Option<String>,
    /// The text
    #[arg(long, value_name = "TEXT", required_unless_present = "file")]
    pub(crate) alert: Option<String>,
    /// The title above it
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,
    /// Number on the app's icon; 0 removes it
    #[arg(long, value_name = "N")]
    pub(crate) badge: Option<u32>,
    /// A sound of the app, or default
    #[arg(long, value_name = "NAME")]
    pub(crate) sound: Option<String>,
    /// A later push with the same one takes its place
    #[arg(long, value_name = "ID")]
    pub(crate) collapse_id: Option<String>,
    /// When to send it, such as 2026-02-03T04:05:06Z
    #[arg(long, value_name = "TIME")]
    pub(crate) send_at: Option<String>,
    /// What is not sent by then is dropped
    #[arg(long, value_name = "TIME")]
    pub(crate) expires_at: Option<String>,
    /// Most pushes in a second
    #[arg(long, value_name = "N")]
    pub(crate) rate: Option<u32>,
    /// A name for the campaign
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Username or id of the user who shall see it as theirs; nobody when it is not given
    #[arg(long, value_name = "USER")]
    pub(crate) owner: Option<String>,
    /// Name of the operator in its history; $USER when it is not given
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) operator: Option<String>,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
}

/// Which campaign to show.
#[derive(Debug, Clone, Args)]
pub(crate) struct OnePush {
    /// The campaign
    pub(crate) id: PushId,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
}

/// Which campaign to change.
#[derive(Debug, Clone, Args)]
pub(crate) struct ChangePush {
    /// The campaign
    pub(crate) id: PushId,
    /// Name of the operator in its history; $USER when it is not given
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) operator: Option<String>,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
}

/// Which campaigns to list.
#[derive(Debug, Clone, Args)]
pub(crate) struct ListPushes {
    /// Only those of this user, by username or id
    #[arg(long, value_name = "USER")]
    pub(crate) owner: Option<String>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
}
