//! `cargo xtask`: the commands for people who work on Feat.

mod bench;
mod command;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Commands for people who work on Feat.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start, stop or show the servers that the tests use
    Services(command::services::Arguments),
    /// Run every test of the workspace, with the servers that they need
    Test(command::test::Arguments),
    /// Measure how much Feat does, beside what the machine can do, in a release build
    Bench(bench::Arguments),
    /// Write what travels to schemas/: OpenAPI, AsyncAPI, JSON Schema
    Schemas(command::schemas::Arguments),
    /// Check that every crate uses only what deny.toml lets it
    Boundaries(command::boundaries::Arguments),
    /// Format every Rust file, also those that only a macro declares
    Fmt,
    /// Check formatting, lints, documentation, written schemas and dependencies
    Ci(command::ci::Arguments),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Command::Services(arguments) => command::services::run(arguments).await,
        Command::Test(arguments) => command::test::run(arguments).await,
        Command::Bench(arguments) => bench::run(arguments).await,
        Command::Schemas(arguments) => command::schemas::run(arguments).await,
        Command::Boundaries(arguments) => command::boundaries::run(&arguments),
        Command::Fmt => command::ci::format().await,
        Command::Ci(arguments) => command::ci::run(arguments).await,
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}
