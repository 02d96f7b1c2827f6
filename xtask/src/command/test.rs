//! `cargo xtask test`: builds, starts the servers, runs every test, stops the servers.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use tokio::process::Command;
use xtask::{
    services::{Progress, RabbitMqVersion, ServiceError, browser, process, shared::Services},
    workspace,
};

use super::{
    Interrupts, Outcome,
    child::{self, Ended},
};

/// Marks every process of a run, so that none outlives it.
const RUN: &str = "FEAT_TEST_RUN";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Major version of RabbitMQ, 3 or 4; without it what this machine has
    #[arg(long, value_name = "MAJOR")]
    rabbitmq: Option<RabbitMqVersion>,
    /// Run the seeded tests for much longer
    #[arg(long)]
    long: bool,
    /// Handed on to the test runner: names of tests, or its options
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "FILTER")]
    filter: Vec<String>,
}

pub(crate) async fn run(arguments: Arguments) -> Outcome {
    let mut interrupts = Interrupts::listen()?;
    let folder = workspace::target().join("test-run").join(std::process::id().to_string());
    fs::create_dir_all(&folder)?;
    let run = Run { arguments, features: features().await?, folder };
    let outcome = run.all(&mut interrupts).await;
    process::kill_marked(RUN, &run.folder);
    let _ = fs::remove_dir_all(&run.folder);
    outcome
}

struct Run {
    arguments: Arguments,
    /// Flags that switch on what the end-to-end tests need in the program that they start.
    features: &'static [&'static str],
    folder: PathBuf,
}

impl Run {
    async fn all(&self, interrupts: &mut Interrupts) -> Outcome {
        if self.needs_program() {
            let built = child::run(self.build(), interrupts).await?;
            if !built.is_success() {
                return Ok(built.exit_code());
            }
            fs::copy(workspace::target().join("debug/feat"), self.program())?;
        }
        let chromedriver = self.chromedriver()?;
        let version = self.arguments.rabbitmq.unwrap_or_default();
        let servers = self.folder.join("services");
        let progress = Progress::shown();
        let services = tokio::select! {
            services = Services::start(&servers, version, &progress) => services?,
            signal = interrupts.next() => return Ok(Ended::Interrupted(signal).exit_code()),
        };
        let ended = self.test(&services, chromedriver.as_deref(), interrupts).await;
        services.stop()?;
        ended
    }

    /// Everything at once, so that nothing is compiled while servers and tests run.
    fn build(&self) -> Command {
        let mut build = cargo(&["build", "--workspace", "--bins", "--tests"]);
        build.args(self.features);
        build
    }

    /// The built program, where no later build of it with other features replaces it.
    fn program(&self) -> PathBuf {
        self.folder.join("feat")
    }

    /// Whether the caller chose packages. Then they are built alone.
    fn names_packages(&self) -> bool {
        let option = |part: &String| part.starts_with("-p") || part.starts_with("--package");
        self.arguments.filter.iter().any(option)
    }

    /// Whether the end-to-end tests may run, which start the program.
    fn needs_program(&self) -> bool {
        let names_tests = |part: &String| part.ends_with("tests");
        !self.names_packages() || self.arguments.filter.iter().any(names_tests)
    }

    /// The driver of the browser, which only the end-to-end tests use.
    fn chromedriver(&self) -> Result<Option<PathBuf>, ServiceError> {
        let wanted = self.needs_program();
        wanted.then(|| browser::chromedriver(&Progress::shown())).transpose()
    }

    async fn test(
        &self,
        services: &Services,
        chromedriver: Option<&Path>,
        interrupts: &mut Interrupts,
    ) -> Outcome {
        let mut ended = ExitCode::SUCCESS;
        for mut command in self.test_commands() {
            command.envs(&services.description().environment);
            command.env("FEAT_TEST_BIN", self.program()).env(RUN, &self.folder);
            if let Some(program) = chromedriver {
                command.env(browser::CHROMEDRIVER, program);
            }
            if self.arguments.long {
                command.env("FEAT_TEST_LONG", "1");
            }
            let outcome = child::run(command, interrupts).await?;
            ended = outcome.exit_code();
            if !outcome.is_success() {
                break;
            }
        }
        Ok(ended)
    }

    /// The last one has the last word.
    fn test_commands(&self) -> Vec<Command> {
        let filter = &self.arguments.filter;
        let with_all = |mut command: Command| {
            if !self.names_packages() {
                command.arg("--workspace").args(self.features);
            }
            command.args(filter);
            command
        };
        if !has_subcommand("nextest") {
            let mut test = with_all(cargo(&["test", "--no-fail-fast"]));
            if !filter.iter().any(|part| part == "--") {
                // What tests counted, and their seeds, are part of the result.
                test.args(["--", "--show-output"]);
            }
            return vec![test];
        }
        let all = with_all(cargo(&["nextest", "run", "--no-fail-fast"]));
        if filter.is_empty() {
            vec![with_all(cargo(&["test", "--doc", "--quiet"])), all]
        } else {
            vec![all]
        }
    }
}

/// The program's fault points, as soon as it has any.
async fn features() -> Result<&'static [&'static str], Box<dyn std::error::Error>> {
    let output = cargo(&["metadata", "--no-deps", "--format-version", "1"]).output().await?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let mut packages = metadata["packages"].as_array().into_iter().flatten();
    let has_points = packages.any(|package| {
        package["name"] == "cli" && package["features"].get("fault-points").is_some()
    });
    Ok(if has_points { &["--features", "cli/fault-points,tests/fault-points"] } else { &[] })
}

/// Cargo, in the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(workspace::root());
    // Set for this program by `cargo run`; to a build they would say that it has changed.
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_")) {
            command.env_remove(name);
        }
    }
    command.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_MANIFEST_PATH");
    command
}

/// Whether `cargo NAME` is installed.
pub(crate) fn has_subcommand(name: &str) -> bool {
    let program = format!("cargo-{name}");
    let path = env::var_os("PATH").unwrap_or_default();
    let home = env::home_dir().map(|home| home.join(".cargo/bin"));
    env::split_paths(&path).chain(home).any(|folder| folder.join(&program).is_file())
}
