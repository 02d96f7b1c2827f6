//! `cargo xtask ci`: everything that is checked without running the program.

use std::process::ExitCode;

use clap::Args;
use tokio::process::Command;
use xtask::workspace;

use super::{
    Interrupts, Outcome, child,
    test::{cargo, has_subcommand},
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Go on after a check that failed, and name all that did
    #[arg(long)]
    keep_going: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Outcome {
    let mut interrupts = Interrupts::listen()?;
    let mut failed = Vec::new();
    for (name, command) in checks().await? {
        let Some(command) = command else {
            eprintln!("── {name}: not installed, left out");
            continue;
        };
        eprintln!("── {name}");
        let ended = child::run(command, &mut interrupts).await?;
        if ended.is_success() {
            continue;
        }
        if !arguments.keep_going || ended.is_interrupted() {
            eprintln!("── {name}: failed");
            return Ok(ended.exit_code());
        }
        failed.push(name);
    }
    if failed.is_empty() {
        eprintln!("── all checks passed");
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("── failed: {}", failed.join(", "));
    Ok(ExitCode::FAILURE)
}

/// `cargo xtask fmt`: writes what the first check asks for.
pub(crate) async fn format() -> Outcome {
    let mut interrupts = Interrupts::listen()?;
    Ok(child::run(rustfmt().await?, &mut interrupts).await?.exit_code())
}

/// The checks, the quick ones first; without a command when the tool is not installed.
async fn checks() -> Result<Vec<(&'static str, Option<Command>)>, Box<dyn std::error::Error>> {
    let clippy = ["clippy", "--workspace", "--all-targets", "--all-features", "--quiet"];
    let mut clippy = cargo(&clippy);
    clippy.args(["--", "-D", "warnings"]);
    let mut doc = cargo(&["doc", "--workspace", "--no-deps", "--quiet"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    let deny = || cargo(&["deny", "--all-features", "check", "bans", "licenses", "sources"]);
    let mut formatting = rustfmt().await?;
    formatting.arg("--check");
    Ok(vec![
        ("formatting (cargo xtask fmt)", Some(formatting)),
        ("clippy", Some(clippy)),
        ("documentation", Some(doc)),
        ("written schemas", Some(cargo(&["xtask", "schemas", "--check"]))),
        ("crate boundaries", Some(cargo(&["xtask", "boundaries"]))),
        ("dependencies (cargo-deny)", has_subcommand("deny").then(deny)),
        (
            "unused dependencies (cargo-machete)",
            has_subcommand("machete").then(|| cargo(&["machete"])),
        ),
    ])
}

/// Over every file that git knows: `cargo fmt` does not see modules that a macro declares.
async fn rustfmt() -> Result<Command, Box<dyn std::error::Error>> {
    let mut list = Command::new("git");
    list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.rs"]);
    let output = list.current_dir(workspace::root()).output().await?;
    let names = String::from_utf8(output.stdout)?;
    let names = names.split('\0').filter(|name| workspace::root().join(name).is_file());
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.args(["--edition", "2024"]).args(names).current_dir(workspace::root());
    Ok(rustfmt)
}
