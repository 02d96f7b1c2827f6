//! The command line: what can be asked of `feat`, in words for the person who asks.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use schemas::{BillSn, ClientId, JobId, JobState, account::Grant};

use crate::when::When;

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
    /// Look at bills and decide what no provider tells
    #[command(subcommand)]
    Pay(Pay),
    /// Manage the people who can sign in
    #[command(subcommand)]
    User(User),
    /// Manage the applications that sign people in
    #[command(subcommand)]
    Client(Client),
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
    pub(crate) listen: SocketAddr,
    /// Address under which clients reach it, when that is not the one it listens on
    #[arg(long, value_name = "URL")]
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

/// What can be done with bills.
#[derive(Debug, Subcommand)]
pub(crate) enum Pay {
    /// Print the whole record of one bill: attempts, payments, refunds, evidence
    Show(ShowBill),
    /// List bills with a refund that waits for approval
    Held(Output<Place>),
    /// Send a refund that was held
    #[command(after_help = "\
Example:
  feat pay approve 202402030405061234567890123 --refund 1 --evidence 'paid twice, ticket 7'")]
    Approve(DecideRefund),
    /// Decide against a refund that was held
    Drop(DecideRefund),
    /// Say with evidence what became of an attempt or a refund that no provider tells of
    #[command(after_help = "\
Examples:
  feat pay settle SN --attempt 1 --not-paid --evidence 'closed in the merchant portal'
  feat pay settle SN --attempt 1 --paid --transaction 4200…  --amount 1250 --evidence 'bill of 3 Feb'
  feat pay settle SN --refund 2 --succeeded --evidence 'letter of the bank'")]
    Settle(SettleBill),
}

/// Which bill to show.
#[derive(Debug, Clone, Args)]
pub(crate) struct ShowBill {
    /// Its number
    pub(crate) sn: BillSn,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
}

/// Which held refund to decide on, and why.
#[derive(Debug, Clone, Args)]
pub(crate) struct DecideRefund {
    /// Number of the bill
    pub(crate) sn: BillSn,
    /// Number of the refund in its bill
    #[arg(long, value_name = "N")]
    pub(crate) refund: u32,
    #[command(flatten)]
    pub(crate) word: Word,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
}

/// The word of an operator; it stays in the bill's record.
#[derive(Debug, Clone, Args)]
pub(crate) struct Word {
    /// What the decision rests on
    #[arg(long, value_name = "TEXT")]
    pub(crate) evidence: String,
    /// Name of the operator in the bill's record; $USER when it is not given
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) operator: Option<String>,
}

/// What became of what.
#[derive(Debug, Clone, Args)]
#[command(group = clap::ArgGroup::new("subject").required(true).args(["attempt", "refund"]))]
#[command(group = clap::ArgGroup::new("fate").required(true).args(["paid", "not_paid", "succeeded", "failed"]))]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line, one of which is set")]
pub(crate) struct SettleBill {
    /// Number of the bill
    pub(crate) sn: BillSn,
    /// Number of the attempt
    #[arg(long, value_name = "N")]
    pub(crate) attempt: Option<u32>,
    /// Number of the refund
    #[arg(long, value_name = "N")]
    pub(crate) refund: Option<u32>,
    /// The attempt was paid
    #[arg(long, requires_all = ["attempt", "transaction", "amount"])]
    pub(crate) paid: bool,
    /// The provider's number of the payment
    #[arg(long, value_name = "ID", requires = "paid")]
    pub(crate) transaction: Option<String>,
    /// What was paid, in fen
    #[arg(long, value_name = "FEN", requires = "paid")]
    pub(crate) amount: Option<i64>,
    /// The attempt was not paid and cannot be any more
    #[arg(long, requires = "attempt")]
    pub(crate) not_paid: bool,
    /// The refund reached the payer
    #[arg(long, requires = "refund")]
    pub(crate) succeeded: bool,
    /// The refund did not reach the payer and never will
    #[arg(long, requires = "refund")]
    pub(crate) failed: bool,
    #[command(flatten)]
    pub(crate) word: Word,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
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
    pub(crate) place: Output<Place>,
}

/// What can be done with applications.
#[derive(Debug, Subcommand)]
pub(crate) enum Client {
    /// Add a client; prints its secret, once
    #[command(after_help = "\
Examples:
  feat client add web --name 'Our web site'
  feat client add phone --public --scopes user_image")]
    Add(AddClient),
    /// List the clients
    List(Output<Place>),
}

/// The client to add.
#[derive(Debug, Clone, Args)]
pub(crate) struct AddClient {
    /// Its `client_id`: letters, digits, '-', '_' and '.'
    pub(crate) id: ClientId,
    /// What a consent page calls it; the id when it is not given
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Scopes that it may ask for, parted by commas, or all
    #[arg(long, value_delimiter = ',', default_value = "all")]
    pub(crate) scopes: Vec<String>,
    /// Grants that it may use, parted by commas
    #[arg(long, value_delimiter = ',', default_value = "password,refresh_token", value_parser = grant)]
    pub(crate) grants: Vec<Grant>,
    /// It cannot keep a secret, so it gets none
    #[arg(long)]
    pub(crate) public: bool,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
}

fn grant(name: &str) -> Result<Grant, String> {
    let known = [Grant::Password, Grant::RefreshToken];
    let expected = || "expected password or refresh_token".to_owned();
    known.into_iter().find(|grant| grant.name() == name).ok_or_else(expected)
}

/// Kinds of other builds may lie in the store, but a misspelt filter that matches nothing misleads.
fn known_kind(kind: &str) -> Result<String, String> {
    if schemas::kinds::spec(kind).is_some() {
        return Ok(kind.to_owned());
    }
    let kinds: Vec<_> = schemas::kinds::SPECS.iter().map(|spec| spec.kind).collect();
    Err(format!("no such kind; there are {}", kinds.join(", ")))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use clap::CommandFactory;

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
            ("bad client id", vec!["client", "add", "a b"], false),
            ("dev options before a command", vec!["--data", "x", "worker"], false),
        ];
        for (name, words, accepted) in cases {
            let parsed = Cli::try_parse_from(std::iter::once("feat").chain(words));
            assert_eq!(parsed.is_ok(), accepted, "{name}: {:?}", parsed.err());
        }
    }
}
