//! `cargo xtask schemas`: the files in `schemas/` that say what travels.

use std::{fs, path::PathBuf, process::ExitCode, str};

use clap::Args;
use schemas::export;
use xtask::workspace;

use super::{
    Interrupts, Outcome,
    child::{self, Ended},
    test::cargo,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Write nothing; fail with the names of the files that are behind the code
    #[arg(long)]
    check: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Outcome {
    let mut interrupts = Interrupts::listen()?;
    let mut documents = export::documents();
    let openapi = openapi(&mut interrupts).await?;
    let made = openapi.as_ref().map_or_else(|ended| ended.exit_code(), |_| ExitCode::SUCCESS);
    documents.extend(openapi.map(|document| ("openapi.json".to_owned(), document)));
    let behind: Vec<_> = documents
        .into_iter()
        .map(|(name, text)| (workspace::root().join("schemas").join(name), text))
        .filter(|(path, text)| fs::read_to_string(path).ok().as_ref() != Some(text))
        .collect();
    let outcome = if arguments.check { report(&behind) } else { write(&behind)? };
    if made != ExitCode::SUCCESS {
        eprintln!("openapi.json could not be made");
        return Ok(made);
    }
    Ok(outcome)
}

/// The document of the HTTP API. A program of its own makes it, so that these commands do not
/// have to wait for the API to compile, or fail when it does not.
async fn openapi(
    interrupts: &mut Interrupts,
) -> Result<Result<String, Ended>, Box<dyn std::error::Error>> {
    let file = tempfile::NamedTempFile::new()?;
    let mut command = cargo(&["run", "--quiet", "--package", "xtask", "--example", "openapi"]);
    command.arg(file.path());
    let ended = child::run(command, interrupts).await?;
    if !ended.is_success() {
        return Ok(Err(ended));
    }
    Ok(Ok(export::text(serde_json::from_str(str::from_utf8(&fs::read(file.path())?)?)?)))
}

fn report(behind: &[(PathBuf, String)]) -> ExitCode {
    for (path, _) in behind {
        eprintln!("{} is behind the code", path.display());
    }
    if behind.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("run `cargo xtask schemas` and commit what it writes");
    ExitCode::FAILURE
}

fn write(behind: &[(PathBuf, String)]) -> std::io::Result<ExitCode> {
    for (path, text) in behind {
        fs::create_dir_all(path.parent().unwrap_or(path))?;
        fs::write(path, text)?;
        println!("wrote {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}
