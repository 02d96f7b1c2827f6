//! How a server is started: a native command, or a container.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde::{Deserialize, Serialize};

use super::{ServiceError, process};

/// How a server is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Launch {
    /// A program of this machine.
    Native(NativeCommand),
    /// A container of the Docker engine, by its name and the arguments of `docker run`.
    Container {
        /// Name of the container.
        name: String,
        /// What follows `docker run --detach --name NAME`.
        arguments: Vec<String>,
    },
}

/// A command of this machine, with all that it depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NativeCommand {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// What is added to the starter's environment.
    pub environment: BTreeMap<String, String>,
}

impl NativeCommand {
    /// Starts it in a process group of its own, so that Ctrl-C reaches only the starter. What it
    /// writes is added to `console.log` in `folder`.
    pub(super) fn spawn(&self, folder: &Path) -> Result<Child, ServiceError> {
        let log = console(folder);
        let open = || OpenOptions::new().create(true).append(true).open(&log);
        let output = open().map_err(ServiceError::at(&log))?;
        let errors = open().map_err(ServiceError::at(&log))?;
        let mut command = Command::new(&self.command[0]);
        // Settings of a server that the caller runs for itself must not reach this one.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("RABBITMQ_")) {
                command.env_remove(name);
            }
        }
        command
            .args(&self.command[1..])
            .envs(&self.environment)
            .env(process::MARK, folder)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0);
        command.spawn().map_err(ServiceError::at(&self.command[0]))
    }
}

/// The file with what the server in `folder` wrote to its console.
pub(super) fn console(folder: &Path) -> PathBuf {
    folder.join("console.log")
}

/// The last lines of a log.
pub(super) fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
