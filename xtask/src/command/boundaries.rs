//! `cargo xtask boundaries`: whether every crate uses only what it may.

use std::process::ExitCode;

use clap::Args;
use xtask::boundaries;

use super::Outcome;

#[derive(Debug, Args)]
pub(crate) struct Arguments {}

pub(crate) fn run(_: &Arguments) -> Outcome {
    let crossed = boundaries::crossed()?;
    for one in &crossed {
        eprintln!("error: {one}");
    }
    Ok(if crossed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
