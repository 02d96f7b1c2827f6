//! `cargo xtask services up | down | status`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use xtask::services::{
    Progress, RabbitMqVersion,
    shared::{Description, Services},
};

use super::{Interrupts, Outcome, child::Ended};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start RabbitMQ, MongoDB and an S3-compatible server in the background; print their addresses
    Up {
        /// Major version of RabbitMQ, 3 or 4; without it what this machine has
        #[arg(long, value_name = "MAJOR")]
        rabbitmq: Option<RabbitMqVersion>,
        /// Print the addresses and how each server was started as JSON
        #[arg(long)]
        json: bool,
    },
    /// Stop them, remove their data, leave no process behind
    Down,
    /// Say whether they run, and where; the exit code is 1 when they do not
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(crate) async fn run(arguments: Arguments) -> Outcome {
    match arguments.action {
        Action::Up { rabbitmq, json } => up(rabbitmq.unwrap_or_default(), json).await,
        Action::Down => down(),
        Action::Status { json } => status(json),
    }
}

async fn up(version: RabbitMqVersion, json: bool) -> Outcome {
    if let Some(running) = Description::read() {
        let same = version == RabbitMqVersion::Any
            || running.rabbitmq_version.as_deref() == version.number();
        if same && running.is_alive() {
            print(&running, json)?;
            return Ok(ExitCode::SUCCESS);
        }
        running.stop()?;
    }
    let mut interrupts = Interrupts::listen()?;
    let progress = Progress::shown();
    let services = tokio::select! {
        services = Services::start_shared(version, &progress) => services?,
        signal = interrupts.next() => return Ok(Ended::Interrupted(signal).exit_code()),
    };
    print(&services.leave_running(), json)?;
    Ok(ExitCode::SUCCESS)
}

fn down() -> Outcome {
    match Description::read() {
        Some(running) => running.stop()?,
        None => eprintln!("nothing was running"),
    }
    Ok(ExitCode::SUCCESS)
}

fn status(json: bool) -> Outcome {
    let Some(running) = Description::read() else {
        eprintln!("nothing is running; `cargo xtask services up` starts the servers");
        return Ok(ExitCode::FAILURE);
    };
    print(&running, json)?;
    if running.is_alive() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("not all of them live; `cargo xtask services up` starts them anew");
    Ok(ExitCode::FAILURE)
}

/// On standard output: lines for `eval "$(cargo xtask services up)"`, or JSON.
fn print(services: &Description, json: bool) -> Result<(), serde_json::Error> {
    if json {
        println!("{}", serde_json::to_string_pretty(services)?);
        return Ok(());
    }
    for (name, value) in &services.environment {
        println!("export {name}='{value}'");
    }
    Ok(())
}
