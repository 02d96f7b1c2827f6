//! The command line: what can be asked of `feat`, in words for the person who asks.

mod apns;
mod identity;
mod jobs;
mod pay;
mod push;
mod webhook;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use schemas::{ClientId, RedirectUri, account::Grant};

pub(crate) use self::apns::{Apns, Doctor, Release, Undo};
pub(crate) use self::identity::{
    AddKey, Audit, ChangePassword, Key, ListAudit, ListKeys, Names, OneClient, OneUser, Operator,
    RevokeKeys, RevokeUserKeys, SignOut, UserKey,
};
pub(crate) use self::jobs::{ChangeJobs, Filter, Jobs, ListJobs, ShowJob};
pub(crate) use self::pay::{DecideRefund, ListBills, Pay, Reconcile, SettleBill, ShowBill, Word};
pub(crate) use self::push::{ChangePush, ListPushes, OnePush, Push, SendPush};
pub(crate) use self::webhook::{ListWebhooks, Resend, Webhook};
use crate::{address, sim::SimArgs};

/// Feat: pictures, push and payments behind one API, with every accepted request kept.
#[derive(Debug, Parser)]
#[command(name = "feat", version, disable_help_subcommand = true)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
Examples:
  feat                              try Feat on this machine, nothing else needed
  feat dev --data ./data            the same, with the folder named
  feat check                        is everything configured, reachable and set up?
  feat jobs list --state dead       what needs a person's eye
  feat jobs retry --error attempt_failed --since 2h --dry-run")]
pub(crate) struct Cli {
    /// What to do; `dev` when nothing is said.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) dev: Dev,
}

/// What `feat` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything in one process on this machine: API, workers, store and queue
    #[command(after_help = "\
Examples:
  feat dev
  feat dev --data /srv/feat --listen 127.0.0.1:9000
  feat dev --no-demo --listen 0.0.0.0:8080 --public-url https://feat.example.com")]
    Dev(Dev),
    /// Run the HTTP API against MongoDB, RabbitMQ and a file store
    #[command(after_help = "Stops on SIGTERM or Ctrl-C; a second one ends it at once.")]
    Api(Configured),
    /// Run a worker against MongoDB, RabbitMQ and a file store
    #[command(after_help = "Stops on SIGTERM or Ctrl-C; a second one ends it at once.")]
    Worker(Configured),
    /// Say whether everything is configured, reachable and set up; exit code 1 when not
    Check(Check),
    /// Look at jobs and change them
    #[command(subcommand)]
    Jobs(Jobs),
    /// Run simulated payment providers and a simulated Apple push, or ask the ones that run
    #[command(after_help = "\
Examples:
  feat sim
  feat sim --json | jq -r .apns.key > key.p8
  feat sim fault wechat.v3.refund drop_after
  feat sim pay 20261124000001
  feat sim ledger --json")]
    Sim(SimArgs),
    /// Look at bills and decide what no provider tells
    #[command(subcommand)]
    Pay(Pay),
    /// Send pushes to the devices of an app, and steer campaigns
    #[command(subcommand)]
    Push(Push),
    /// Look at the devices that get Apple's pushes and decide about them
    #[command(subcommand)]
    Apns(Apns),
    /// Look at what the back ends of apps were told, and tell it again
    #[command(subcommand)]
    Webhook(Webhook),
    /// Manage the people who can sign in
    #[command(subcommand)]
    User(User),
    /// Manage the applications that sign people in
    #[command(subcommand)]
    Client(Client),
    /// Look at long-lived keys and revoke them; `feat user key add` makes one
    #[command(subcommand)]
    Key(Key),
    /// Look at who did what: sign-ins, refusals, keys, clients and what operators changed
    #[command(subcommand)]
    Audit(Audit),
    /// Print a new key for signing access tokens, for the setting `api.token_key`
    #[command(after_help = "Example:\n  (umask 077; feat token-key > token-key.pem)")]
    TokenKey,
    /// Print the configuration in force, where each value came from, and what is wrong with it
    Config(Output<Configured>),
    /// Ask a running process whether it is well; for container health checks
    #[command(after_help = "Example:\n  feat health --url http://127.0.0.1:8080/readyz")]
    Health(Health),
    /// Print the version
    Version,
}

/// How to run everything in one process.
#[derive(Debug, Clone, Args)]
pub(crate) struct Dev {
    /// Folder that keeps everything; made when it is not there
    #[arg(long, value_name = "DIR", env = "FEAT_DATA", default_value = "./data")]
    pub(crate) data: PathBuf,
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", env = "FEAT_LISTEN", default_value = "127.0.0.1:8080")]
    #[arg(value_parser = address::listen)]
    pub(crate) listen: SocketAddr,
    /// Address under which clients reach it, when that is not the one it listens on
    #[arg(long, value_name = "URL", value_parser = address::public_url)]
    pub(crate) public_url: Option<String>,
    /// Make no demo user and no demo client
    #[arg(long)]
    pub(crate) no_demo: bool,
    /// Listen beyond this machine although everybody knows the demo password
    #[arg(long)]
    pub(crate) allow_demo_on_network: bool,
    /// Address of the simulated payment providers, with a page on which a person pays; port 0
    /// takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) simulators: SocketAddr,
    /// Where traces go over OTLP/HTTP, such as `http://127.0.0.1:4318`
    #[arg(long, value_name = "URL", env = "FEAT_TELEMETRY__OTLP_ENDPOINT")]
    pub(crate) otlp_endpoint: Option<String>,
}

/// Where the configuration is.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Configured {
    /// Configuration file; ./feat.toml when it is there. FEAT_… variables win over it
    #[arg(long, value_name = "FILE", env = "FEAT_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

/// Where the records are: an embedded folder, or the configured MongoDB.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Place {
    /// Folder of `feat dev`, which must not be running; without it the configured MongoDB,
    /// else ./data
    #[arg(long, value_name = "DIR", env = "FEAT_DATA")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) configured: Configured,
}

/// Some arguments, and the form of the answer.
#[derive(Debug, Clone, Args)]
pub(crate) struct Output<A: Args> {
    #[command(flatten)]
    pub(crate) inner: A,
    /// Answer in JSON, one object a line; so it does by itself when nobody watches
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to check.
#[derive(Debug, Clone, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) place: Output<Place>,
    /// Whose settings must be complete
    #[arg(long, value_enum, default_value_t = Role::All)]
    pub(crate) role: Role,
}

/// A kind of process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// The API and the workers.
    All,
    /// The API.
    Api,
    /// The workers.
    Worker,
}

/// What to ask.
#[derive(Debug, Clone, Args)]
pub(crate) struct Health {
    /// Address that answers 200 when all is well; plain http
    #[arg(long, default_value = "http://127.0.0.1:8080/readyz")]
    pub(crate) url: String,
    /// Seconds to wait for the answer
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    pub(crate) timeout: u64,
}

/// What can be done with people.
#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Add a user; prints a password made for it unless one comes on standard input
    #[command(after_help = "\
Examples:
  feat user add +86-13800001111
  printf %s \"$PASSWORD\" | feat user add +86-13800001111 --password-stdin")]
    Add(AddUser),
    /// List the users
    List(Output<Place>),
    /// Print a user, where they are signed in, and their keys
    Show(OneUser),
    /// Let a user sign in no more, and end their sign-ins
    Disable(OneUser),
    /// Let a user sign in again
    Enable(OneUser),
    /// Give a user another password; prints it, once, unless it comes on standard input
    #[command(after_help = "\
Examples:
  feat user password ada
  printf %s \"$PASSWORD\" | feat user password ada --password-stdin")]
    Password(ChangePassword),
    /// End every sign-in of a user
    SignOut(SignOut),
    /// Manage a user's long-lived keys
    #[command(subcommand)]
    Key(UserKey),
}

/// The user to add.
#[derive(Debug, Clone, Args)]
pub(crate) struct AddUser {
    /// What the person types to sign in; for phones +{calling code}-{number}
    pub(crate) username: String,
    /// Read the password from standard input, up to its end
    #[arg(long)]
    pub(crate) password_stdin: bool,
    #[command(flatten)]
    pub(crate) names: Names,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
    #[command(flatten)]
    pub(crate) operator: Operator,
}

/// What can be done with applications.
#[derive(Debug, Subcommand)]
pub(crate) enum Client {
    /// Add a client; prints its secret, once
    #[command(after_help = "\
Examples:
  feat client add web --name 'Our web site'
  feat client add phone --public --scopes user_image
  feat client add shop --grants authorization_code,refresh_token \\
      --redirect-uri https://shop.example.com/oauth
  feat client add reports --grants client_credentials
  feat client add till --name 'Our back office' --scopes all,pay_trade_manage")]
    Add(AddClient),
    /// List the clients
    List(Output<Place>),
    /// Print a client
    Show(OneClient),
    /// Give a client other scopes, grants, addresses or another name; what is not named stays
    #[command(after_help = "\
What a client loses is gone with the next access token of each sign-in. Those that are out count
until they expire.

Examples:
  feat client change till --scopes all,pay_trade_manage
  feat client change shop --redirect-uri https://shop.example.com/oauth")]
    Change(ChangeClient),
    /// Give a client another secret; prints it, once, and the old one counts no more
    RotateSecret(OneClient),
    /// Let nobody sign in through a client any more; access tokens count until they expire
    Disable(OneClient),
    /// Let people sign in through a client again
    Enable(OneClient),
}

/// The client to add.
#[derive(Debug, Clone, Args)]
pub(crate) struct AddClient {
    /// Its `client_id`: letters, digits, '-', '_' and '.'
    pub(crate) id: ClientId,
    /// What a consent page calls it; the id when it is not given
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Scopes that it may ask for, parted by commas, or all, which is those about a user's own
    /// things. By name only: `pay_trade_manage`, which makes bills and pays them back and belongs to
    /// the merchant's own server, never to an app that payers sign in to; and `push_send`
    #[arg(long, value_delimiter = ',', default_value = "all")]
    pub(crate) scopes: Vec<String>,
    /// Grants that it may use, parted by commas
    #[arg(long, value_delimiter = ',', default_value = "password,refresh_token", value_parser = grant)]
    pub(crate) grants: Vec<Grant>,
    /// Where users may be sent back to with a code or a token; may be repeated. A request may add
    /// query parameters to it and change nothing else
    #[arg(long = "redirect-uri", value_name = "URL")]
    pub(crate) redirect_uris: Vec<RedirectUri>,
    /// It cannot keep a secret, so it gets none
    #[arg(long)]
    pub(crate) public: bool,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
    #[command(flatten)]
    pub(crate) operator: Operator,
}

/// What to change of a client.
#[derive(Debug, Clone, Args)]
#[command(group = clap::ArgGroup::new("changes").required(true).multiple(true)
    .args(["name", "scopes", "grants", "redirect_uris"]))]
pub(crate) struct ChangeClient {
    /// Its `client_id`
    pub(crate) id: ClientId,
    /// What a consent page calls it
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// All scopes that it may ask for from now on, as for `feat client add`
    #[arg(long, value_delimiter = ',')]
    pub(crate) scopes: Option<Vec<String>>,
    /// All grants that it may use from now on, parted by commas
    #[arg(long, value_delimiter = ',', value_parser = grant)]
    pub(crate) grants: Option<Vec<Grant>>,
    /// All addresses where users may be sent back to from now on; may be repeated
    #[arg(long = "redirect-uri", value_name = "URL")]
    pub(crate) redirect_uris: Option<Vec<RedirectUri>>,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
    #[command(flatten)]
    pub(crate) operator: Operator,
}

fn grant(name: &str) -> Result<Grant, String> {
    let expected = || format!("expected one of {}", Grant::ALL.map(Grant::name).join(", "));
    Grant::ALL.into_iter().find(|grant| grant.name() == name).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use clap::CommandFactory;
    use schemas::JobId;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_command_means_dev() {
        let cli = Cli::try_parse_from(["feat", "--data", "/tmp/x"]).unwrap();

        assert!(cli.command.is_none());
        assert_eq!(cli.dev.data, PathBuf::from("/tmp/x"));
    }

    #[test]
    fn what_is_accepted_and_what_is_refused() {
        let id = JobId::generate().to_string();
        let cases = [
            ("ids", vec!["jobs", "retry", id.as_str(), "--yes"], true),
            ("filters", vec!["jobs", "cancel", "--state", "waiting", "--since", "2h"], true),
            ("ids and filters", vec!["jobs", "retry", id.as_str(), "--state", "dead"], false),
            ("unknown state", vec!["jobs", "list", "--state", "asleep"], false),
            ("unknown kind", vec!["jobs", "list", "--kind", "image.paint"], false),
            ("limit and all", vec!["jobs", "list", "--limit", "5", "--all"], false),
            ("no job id", vec!["jobs", "show", "7"], false),
            ("no moment", vec!["jobs", "list", "--since", "yesterday"], false),
            ("simulators", vec!["sim", "--listen", "127.0.0.1:1"], true),
            ("a fault", vec!["sim", "fault", "alipay.*", "late", "ms=5"], true),
            ("a fault of what", vec!["sim", "fault", "alipay.*"], false),
            ("a push", vec!["push", "send", "--app", "com.a.b", "--all", "--alert", "x"], true),
            ("a push to no app", vec!["push", "send", "--all", "--alert", "x"], false),
            ("a push from a file", vec!["push", "send", "--file", "-"], true),
            ("no campaign", vec!["push", "show", "7"], false),
            ("bad client id", vec!["client", "add", "a b"], false),
            ("a key", vec!["user", "key", "add", "ada", "--name", "x", "--expires", "90d"], true),
            ("a key without a name", vec!["user", "key", "add", "ada"], false),
            ("no key", vec!["key", "revoke"], false),
            ("keys of a user", vec!["key", "revoke", "--user", "ada", "--dry-run"], true),
            ("keys and a user", vec!["key", "revoke", id.as_str(), "--user", "ada"], false),
            ("unknown action", vec!["audit", "list", "--action", "dance"], false),
            ("devices", vec!["apns", "undo", "--app", "com.example.a", "--since", "2h"], true),
            ("devices of no app", vec!["apns", "undo"], false),
            ("no environment", vec!["apns", "release", "--app", "com.example.a"], false),
            ("no delivery", vec!["webhook", "resend"], false),
            ("a delivery", vec!["webhook", "resend", id.as_str()], true),
            ("an action", vec!["audit", "list", "--action", "sign_in", "--since", "2h"], true),
            ("address", vec!["client", "add", "a", "--redirect-uri", "https://a.test/x"], true),
            ("bad address", vec!["client", "add", "a", "--redirect-uri", "javascript:x"], false),
            ("grant", vec!["client", "add", "a", "--grants", "client_credentials"], true),
            ("unknown grant", vec!["client", "add", "a", "--grants", "magic"], false),
            ("dev options before a command", vec!["--data", "x", "worker"], false),
            ("localhost", vec!["dev", "--listen", "localhost:8080"], true),
            ("a name to listen on", vec!["dev", "--listen", "example.com:8080"], false),
            (
                "a day",
                vec!["pay", "reconcile", "--date", "2026-11-22", "--provider", "alipay"],
                true,
            ),
            ("no day", vec!["pay", "reconcile", "--date", "yesterday"], false),
            ("no public address", vec!["dev", "--public-url", "nonsense"], false),
        ];
        for (name, words, accepted) in cases {
            let parsed = Cli::try_parse_from(std::iter::once("feat").chain(words));
            assert_eq!(parsed.is_ok(), accepted, "{name}: {:?}", parsed.err());
        }
    }
}
