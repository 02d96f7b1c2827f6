//! Programs that a command runs and that end with it.

use std::{
    os::unix::process::ExitStatusExt,
    process::{ExitCode, ExitStatus},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    process::Command,
    time::{sleep, timeout},
};

use super::Interrupts;

/// How long a program may take to end after it was told to.
const GRACE: Duration = Duration::from_secs(20);

/// How a program ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ended {
    /// By itself.
    ByItself(ExitStatus),
    /// Because somebody stopped the command by this signal.
    Interrupted(Signal),
}

impl Ended {
    /// Whether it did what it was asked to.
    pub(crate) fn is_success(self) -> bool {
        matches!(self, Self::ByItself(status) if status.success())
    }

    /// Whether somebody stopped the command.
    pub(crate) fn is_interrupted(self) -> bool {
        matches!(self, Self::Interrupted(_))
    }

    /// The exit code that a shell would show for it.
    pub(crate) fn exit_code(self) -> ExitCode {
        let code = match self {
            Self::ByItself(status) => {
                status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
            }
            Self::Interrupted(signal) => 128 + signal.as_raw(),
        };
        ExitCode::from(u8::try_from(code).unwrap_or(1))
    }
}

/// Runs `command` to its end in a process group of its own. A signal that stops this process is
/// handed on to the whole group, which has [`GRACE`] to end.
pub(crate) async fn run(
    mut command: Command,
    interrupts: &mut Interrupts,
) -> Result<Ended, String> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let mut child = command
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("cannot start {name}: {error}"))?;
    let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let signal = tokio::select! {
        status = child.wait() => {
            return status.map(Ended::ByItself).map_err(|error| format!("{name}: {error}"));
        }
        signal = interrupts.next() => signal,
    };
    // The group may be gone already.
    let send = |signal| group.map(|group| kill_process_group(group, signal));
    send(signal);
    tokio::select! {
        _ = timeout(GRACE, child.wait()) => {}
        // Whoever presses Ctrl-C again means it.
        _ = async { sleep(Duration::from_secs(1)).await; interrupts.next().await } => {}
    }
    send(Signal::KILL);
    let _ = child.wait().await;
    Ok(Ended::Interrupted(signal))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    async fn exit_code(script: &str) -> String {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let mut interrupts = Interrupts::listen().unwrap();
        format!("{:?}", run(command, &mut interrupts).await.unwrap().exit_code())
    }

    #[tokio::test]
    async fn a_program_ends_with_the_code_that_a_shell_would_show() {
        let cases =
            [("success", "exit 0", 0), ("failure", "exit 7", 7), ("killed", "kill $$", 143)];
        for (name, script, code) in cases {
            assert_eq!(exit_code(script).await, format!("{:?}", ExitCode::from(code)), "{name}");
        }
    }
}
