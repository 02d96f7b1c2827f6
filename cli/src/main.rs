//! The command `feat`: parse, build, hand over.

mod accounts;
mod address;
mod apns;
mod args;
mod audit;
mod check;
mod config;
mod dev;
mod failure;
mod health;
mod jobs;
mod output;
mod pay;
mod place;
mod plan;
mod probes;
mod push;
mod serve;
mod signals;
mod sim;
mod telemetry;
mod webhook;
mod when;

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use tokio::runtime;

use args::Cli;
use failure::Failure;
use plan::Plan;
use telemetry::Telemetry;

/// How long blocking work that nobody waits for may hold up the end of the process.
const LAST_CALLS: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    // Two providers may be compiled in, and then rustls cannot choose by itself. An error means
    // that one is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();

    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ExitCode::from(failure.report()),
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let plan = Plan::of(cli)?;
    let (name, filter, otlp_endpoint) = plan.telemetry();
    let telemetry = Telemetry::start(name, filter, otlp_endpoint)?;

    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(plan.carry_out(telemetry.trace_link()));
    runtime.shutdown_timeout(LAST_CALLS);
    telemetry.flush();
    outcome
}
