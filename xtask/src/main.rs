//! `cargo xtask`: the commands for people who work on Feat.

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
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Command::Services(arguments) => command::services::run(arguments).await,
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}
