//! Servers in containers, for a machine where a Docker engine answers.

use std::{process::Command, sync::OnceLock, time::Duration};

use super::{ServiceError, install};

/// Whether a Docker engine answers; asked once.
pub(super) fn answers() -> bool {
    static ANSWERS: OnceLock<bool> = OnceLock::new();
    *ANSWERS.get_or_init(|| {
        let mut ask = Command::new("docker");
        ask.args(["version", "--format", "{{.Server.Version}}"]);
        install::run_within(&mut ask, Duration::from_secs(10)).is_ok()
    })
}

/// Makes and starts the container, or starts it again when it is there.
pub(super) fn start(name: &str, arguments: &[String]) -> Result<(), ServiceError> {
    if install::run(docker(&["start", name])).is_ok() {
        return Ok(());
    }
    let mut make = docker(&["run", "--detach", "--name", name]);
    make.args(arguments);
    install::run(make).map(drop)
}

/// Whether the container runs.
pub(super) fn is_running(name: &str) -> bool {
    let state = install::run(docker(&["inspect", "--format", "{{.State.Running}}", name]));
    state.is_ok_and(|state| state.trim() == "true")
}

/// Asks the container's server to end.
pub(super) fn stop(name: &str) {
    let _ = install::run(docker(&["stop", "--time", "30", name]));
}

/// Ends the container by force; its data stays.
pub(super) fn kill(name: &str) {
    let _ = install::run(docker(&["kill", name]));
}

/// Removes the container with its data.
pub(super) fn remove(name: &str) {
    let _ = install::run(docker(&["rm", "--force", "--volumes", name]));
}

fn docker(arguments: &[&str]) -> Command {
    let mut command = Command::new("docker");
    command.args(arguments);
    command
}
