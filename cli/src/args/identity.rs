//! What can be asked of accounts, clients, keys and the audit record.

use clap::{Args, Subcommand};
use schemas::{AuditId, ClientId, KeyId, audit::Action};

use super::{Output, Place};
use crate::{config::duration, when::When};

/// Who does it, for the audit record.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Operator {
    /// Name of the operator in the audit record; $USER when it is not given
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) operator_name: Option<String>,
}

/// What a new person is called and where.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Names {
    /// First name
    #[arg(long, value_name = "NAME")]
    pub(crate) firstname: Option<String>,
    /// Last name
    #[arg(long, value_name = "NAME")]
    pub(crate) lastname: Option<String>,
    /// Language and region, such as zh-CN
    #[arg(long, value_name = "LOCALE")]
    pub(crate) locale: Option<String>,
    /// Time zone, such as Asia/Shanghai
    #[arg(long, value_name = "ZONE")]
    pub(crate) timezone: Option<String>,
}

/// One user.
#[derive(Debug, Clone, Args)]
pub(crate) struct OneUser {
    /// Username or id
    pub(crate) user: String,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
    #[command(flatten)]
    pub(crate) operator: Operator,
}

/// Whose password to change.
#[derive(Debug, Clone, Args)]
pub(crate) struct ChangePassword {
    /// Username or id
    pub(crate) user: String,
    /// Read the password from standard input, up to its end
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// Leave the user signed in where they are
    #[arg(long)]
    pub(crate) keep_sessions: bool,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
    #[command(flatten)]
    pub(crate) operator: Operator,
}

/// Whom to sign out.
#[derive(Debug, Clone, Args)]
pub(crate) struct SignOut {
    /// Username or id
    pub(crate) user: String,
    /// Only say what would be ended
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
    #[command(flatten)]
    pub(crate) operator: Operator,
}

/// What can be done with the keys of one user.
#[derive(Debug, Subcommand)]
pub(crate) enum UserKey {
    /// Make a key for `Authorization: Token …`; prints it, once
    #[command(after_help = "\
Examples:
  feat user key add ada --name backup
  feat user key add ada --name import --scopes user_image --expires 90d
  feat user key add shop --name server --scopes pay_trade_order,pay_trade_manage")]
    Add(AddKey),
    /// List a user's keys, newest first
    List(OneUser),
    /// Revoke keys of a user
    Revoke(RevokeUserKeys),
}

/// The key to make.
#[derive(Debug, Clone, Args)]
pub(crate) struct AddKey {
    /// Username or id
    pub(crate) user: String,
    /// What it is for
    #[arg(long)]
    pub(crate) name: String,
    /// Scopes that it has, parted by commas, or all, which is those about the user's own things.
    /// By name only: `pay_trade_manage`, which makes bills and pays them back, and `push_send`
    #[arg(long, value_delimiter = ',', default_value = "all")]
    pub(crate) scopes: Vec<String>,
    /// How long it counts, such as 90d; until it is revoked when not given
    #[arg(long, value_name = "SPAN", value_parser = duration::parse)]
    pub(crate) expires: Option<std::time::Duration>,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
    #[command(flatten)]
    pub(crate) operator: Operator,
}

/// Which keys of a user to revoke.
#[derive(Debug, Clone, Args)]
pub(crate) struct RevokeUserKeys {
    /// Username or id
    pub(crate) user: String,
    /// The keys
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) ids: Vec<KeyId>,
    /// All of the user's keys
    #[arg(long)]
    pub(crate) all: bool,
    /// Only say what would be revoked
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
    #[command(flatten)]
    pub(crate) operator: Operator,
}

/// What can be done with keys, whosever they are.
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// List keys, newest first
    List(ListKeys),
    /// Revoke keys
    #[command(after_help = "\
Examples:
  feat key revoke 0198c5a1-2f3e-7abc-8def-0123456789ab
  feat key revoke --user ada --dry-run")]
    Revoke(RevokeKeys),
}

/// Which keys to list.
#[derive(Debug, Clone, Args)]
pub(crate) struct ListKeys {
    /// Only of this user: username or id
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
}

/// Which keys to revoke.
#[derive(Debug, Clone, Args)]
pub(crate) struct RevokeKeys {
    /// The keys
    #[arg(required_unless_present = "user", conflicts_with = "user")]
    pub(crate) ids: Vec<KeyId>,
    /// All keys of this user: username or id
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Only say what would be revoked
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
    #[command(flatten)]
    pub(crate) operator: Operator,
}

/// One client.
#[derive(Debug, Clone, Args)]
pub(crate) struct OneClient {
    /// Its `client_id`
    pub(crate) id: ClientId,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
    #[command(flatten)]
    pub(crate) operator: Operator,
}

/// What can be done with the audit record.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// List entries, newest first
    #[command(after_help = "\
Examples:
  feat audit list --action sign_in_refused --since 2h
  feat audit list --user ada --all --json | jq .detail")]
    List(ListAudit),
}

/// Which entries to list.
#[derive(Debug, Clone, Args)]
pub(crate) struct ListAudit {
    /// Only about this user: username or id
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Only this action, such as `sign_in_refused`; may be repeated
    #[arg(long, value_name = "ACTION", value_parser = known_action)]
    pub(crate) action: Vec<Action>,
    /// Only by this actor, such as "operator ada" or "client web"
    #[arg(long, value_name = "ACTOR")]
    pub(crate) actor: Option<String>,
    /// Only from this address
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) address: Option<String>,
    /// Only since: a span such as 2h or 3d, or a time such as 2026-02-03T04:05:06Z
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<When>,
    /// Only before: a span or a time as above
    #[arg(long, value_name = "WHEN")]
    pub(crate) until: Option<When>,
    /// Only older than this entry
    #[arg(long, value_name = "ID")]
    pub(crate) after: Option<AuditId>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 50, conflicts_with = "all")]
    pub(crate) limit: u64,
    /// All of them
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
}

fn known_action(name: &str) -> Result<Action, String> {
    name.parse().map_err(|_| {
        let known: Vec<_> = Action::ALL.iter().map(|action| action.name()).collect();
        format!("no such action; there are {}", known.join(", "))
    })
}
