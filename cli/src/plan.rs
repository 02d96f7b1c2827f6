//! What a command line asks for, with its configuration read, before anything is started.

use crate::{
    accounts, apns,
    args::{
        Apns, Audit, Check, Cli, Client, Command, Configured, Dev, Health, Jobs, Key, Output, Pay,
        Push, User, Webhook,
    },
    audit, check,
    config::{ApiPart, Config, Problem, Process, WorkerPart},
    dev,
    failure::Failure,
    health, jobs,
    output::{self, Form},
    pay, place, push, serve,
    sim::{self, SimArgs},
    telemetry::{DEFAULT_LOG, QUIET_LOG},
    webhook,
};

/// One thing to do.
pub(crate) enum Plan {
    /// Run everything in this process.
    Dev(Dev),
    /// Run the API.
    Api(Box<(Process, ApiPart)>),
    /// Run a worker.
    Worker(Box<(Process, WorkerPart)>),
    /// Say whether all is well.
    Check(Check),
    /// Look at jobs or change them.
    Jobs(Jobs),
    /// Run or ask the simulators.
    Sim(SimArgs),
    /// Look at bills or decide about them.
    Pay(Box<Pay>),
    /// Send pushes or steer campaigns.
    Push(Push),
    /// Look at devices or decide about them.
    Apns(Apns),
    /// Look at what back ends were told.
    Webhook(Webhook),
    /// Manage people.
    User(User),
    /// Manage applications.
    Client(Client),
    /// Manage long-lived keys.
    Key(Key),
    /// Look at the audit record.
    Audit(Audit),
    /// Make a key.
    TokenKey,
    /// Show the configuration.
    Config(Output<Configured>),
    /// Ask a process how it is.
    Health(Health),
    /// Say which version this is.
    Version,
}

impl Plan {
    /// Reads what the command needs from the configuration.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the configuration.
    pub(crate) fn of(cli: Cli) -> Result<Self, Failure> {
        let load = |args: &Configured| Config::load(args.config.as_deref());
        Ok(match cli.command {
            None => Self::Dev(cli.dev),
            Some(Command::Dev(args)) => Self::Dev(args),
            Some(Command::Api(args)) => Self::Api(Box::new(load(&args)?.api()?)),
            Some(Command::Worker(args)) => Self::Worker(Box::new(load(&args)?.worker()?)),
            Some(Command::Check(args)) => Self::Check(args),
            Some(Command::Jobs(args)) => Self::Jobs(args),
            Some(Command::Sim(args)) => Self::Sim(args),
            Some(Command::Pay(args)) => Self::Pay(Box::new(args)),
            Some(Command::Push(args)) => Self::Push(args),
            Some(Command::Apns(args)) => Self::Apns(args),
            Some(Command::Webhook(args)) => Self::Webhook(args),
            Some(Command::User(args)) => Self::User(args),
            Some(Command::Client(args)) => Self::Client(args),
            Some(Command::Key(args)) => Self::Key(args),
            Some(Command::Audit(args)) => Self::Audit(args),
            Some(Command::TokenKey) => Self::TokenKey,
            Some(Command::Config(args)) => Self::Config(args),
            Some(Command::Health(args)) => Self::Health(args),
            Some(Command::Version) => Self::Version,
        })
    }

    /// What the process is called in traces, the filter of its log, and where its traces go.
    pub(crate) fn telemetry(&self) -> (&'static str, &str, Option<&str>) {
        match self {
            Self::Dev(args) => ("feat-dev", DEFAULT_LOG, args.otlp_endpoint.as_deref()),
            Self::Api(parts) => {
                let telemetry = &parts.0.telemetry;
                ("feat-api", &telemetry.log, telemetry.otlp_endpoint.as_deref())
            }
            Self::Worker(parts) => {
                let telemetry = &parts.0.telemetry;
                ("feat-worker", &telemetry.log, telemetry.otlp_endpoint.as_deref())
            }
            Self::Sim(_) => ("feat-sim", DEFAULT_LOG, None),
            Self::Check(_)
            | Self::Jobs(_)
            | Self::Pay(_)
            | Self::Push(_)
            | Self::Apns(_)
            | Self::Webhook(_)
            | Self::User(_)
            | Self::Client(_)
            | Self::Key(_)
            | Self::Audit(_)
            | Self::TokenKey
            | Self::Config(_)
            | Self::Health(_)
            | Self::Version => ("feat", QUIET_LOG, None),
        }
    }

    /// Does it.
    ///
    /// # Errors
    ///
    /// Why it was not done, and what to do.
    pub(crate) async fn carry_out(self, trace_link: api::TraceLink) -> Result<(), Failure> {
        match self {
            Self::Dev(args) => dev::run(&args, trace_link).await,
            Self::Api(parts) => serve::api(parts.0, parts.1, trace_link).await,
            Self::Worker(parts) => serve::worker(parts.0, parts.1).await,
            Self::Check(args) => check::run(&args).await,
            Self::Jobs(command) => jobs::run(command).await,
            Self::Sim(args) => sim::run(args).await,
            Self::Pay(command) => pay::run(*command).await,
            Self::Push(command) => push::run(command).await,
            Self::Apns(command) => apns::run(command).await,
            Self::Webhook(command) => webhook::run(command).await,
            Self::User(command) => Box::pin(accounts::user(command)).await,
            Self::Client(command) => Box::pin(accounts::client(command)).await,
            Self::Key(command) => accounts::key(command).await,
            Self::Audit(command) => audit::run(command).await,
            Self::TokenKey => token_key(),
            Self::Config(args) => show_configuration(&args),
            Self::Health(args) => health::run(&args).await,
            Self::Version => Ok(output::line(concat!("feat ", env!("CARGO_PKG_VERSION")))?),
        }
    }
}

fn token_key() -> Result<(), Failure> {
    use secrecy::ExposeSecret;
    let key = api::auth::TokenKey::generate();
    Ok(output::line(key.to_pem().expose_secret().trim_end())?)
}

fn show_configuration(args: &Output<Configured>) -> Result<(), Failure> {
    let config = Config::load(args.inner.config.as_deref())?;
    let (settings, mut problems) = config.effective();
    problems.0.extend(place::unusable(&config.parts()).into_iter().map(Problem::nowhere));
    for line in config.idle_variables() {
        eprintln!("feat: variable {line}");
    }
    if Form::chosen(args.json) == Form::Json {
        for (key, setting) in &settings {
            let (value, source) = (&setting.value, &setting.source);
            output::json(&serde_json::json!({ "key": key, "value": value, "source": source }))?;
        }
    } else {
        let mut rows = output::table(["setting", "value", "source"]);
        for (key, setting) in settings {
            rows.add_row([key, setting.value, setting.source]);
        }
        output::line(rows)?;
    }
    if problems.0.is_empty() { Ok(()) } else { Err(problems.into()) }
}
