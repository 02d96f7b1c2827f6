//! One server: started, stopped, killed, started again, and gone with its starter.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use super::{ServiceError, docker, launch, launch::Launch, process};

/// How long a server may take to answer after its start.
pub(super) const START: Duration = Duration::from_mins(2);
/// How long a server may take to end when it is asked to.
const STOP: Duration = Duration::from_secs(30);

/// What another process needs to know to stop a server or to start it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// For messages, such as `RabbitMQ`.
    pub name: String,
    /// Its folder: data, logs, configuration.
    pub folder: PathBuf,
    /// How it is started.
    pub launch: Launch,
    /// Its first process; 0 for a container.
    pub pid: i32,
}

impl Plan {
    /// Whether its process or container lives.
    pub(super) fn is_alive(&self) -> bool {
        match &self.launch {
            Launch::Native(_) => {
                Pid::from_raw(self.pid).is_some_and(|pid| process::of(&self.folder).contains(&pid))
            }
            Launch::Container { name, .. } => docker::is_running(name),
        }
    }

    /// Asks it to end, waits, and ends by force what is left.
    fn stop(&self) {
        match &self.launch {
            Launch::Native(_) => match Pid::from_raw(self.pid) {
                Some(pid) => process::stop(&self.folder, pid, STOP),
                None => process::kill(&self.folder),
            },
            Launch::Container { name, .. } => docker::stop(name),
        }
    }

    /// Ends it by force, with all its processes or its container. Its folder stays.
    pub(super) fn remove(&self) {
        match &self.launch {
            Launch::Native(_) => process::kill(&self.folder),
            Launch::Container { name, .. } => docker::remove(name),
        }
    }
}

/// A server of this process. Dropped, it ends.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) plan: Plan,
    child: Option<Child>,
    watchdog: Option<Child>,
    left_running: bool,
}

impl Server {
    /// Describes a server; nothing is started yet. Its folder is made when missing.
    pub(super) fn new(name: &str, folder: &Path, launch: Launch) -> Result<Self, ServiceError> {
        fs::create_dir_all(folder).map_err(ServiceError::at(folder))?;
        let plan = Plan { name: name.to_owned(), folder: folder.to_path_buf(), launch, pid: 0 };
        Ok(Self { plan, child: None, watchdog: None, left_running: false })
    }

    /// Starts it. Whether it answers is for the caller to find out.
    pub(super) fn start(&mut self) -> Result<(), ServiceError> {
        match &self.plan.launch {
            Launch::Native(command) => {
                end(self.watchdog.take());
                // Before the server: a starter killed in between would leave one that nobody ends.
                self.watchdog = watchdog(&process::kill_command(&self.plan.folder));
                let child = command.spawn(&self.plan.folder)?;
                self.plan.pid = child.id().cast_signed();
                self.child = Some(child);
                Ok(())
            }
            Launch::Container { name, arguments } => {
                docker::start(name, arguments)?;
                self.watchdog =
                    watchdog(&["docker", "rm", "--force", "--volumes", name].map(str::to_owned));
                Ok(())
            }
        }
    }

    /// Asks it to end, as an operator would, and waits until it has.
    pub(super) fn stop(&mut self) {
        // A process that has ended stays in the table until its parent asks for it.
        let reaper = self.child.take().map(|mut child| std::thread::spawn(move || child.wait()));
        self.plan.stop();
        if let Some(reaper) = reaper {
            let _ = reaper.join();
        }
        end(self.watchdog.take());
    }

    /// Ends it as a power cut would: nothing is flushed, nobody is told.
    pub(super) fn kill(&mut self) {
        match &self.plan.launch {
            Launch::Native(_) => process::kill(&self.plan.folder),
            Launch::Container { name, .. } => docker::kill(name),
        }
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
        end(self.watchdog.take());
    }

    /// Whether it has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        match &mut self.child {
            Some(child) => !matches!(child.try_wait(), Ok(None)),
            None => !self.plan.is_alive(),
        }
    }

    /// Gives it up: it stays when this process ends.
    pub(super) fn leave_running(&mut self) {
        self.left_running = true;
        end(self.watchdog.take());
    }

    /// The error for a server that does not answer.
    pub(super) fn not_ready(&self, server: &'static str, reason: String) -> ServiceError {
        let log = launch::console(&self.plan.folder);
        let tail = launch::tail(&log);
        ServiceError::NotReady {
            server,
            within: START,
            reason,
            log: log.display().to_string(),
            tail,
        }
    }

    /// Waits until `is_ready` says so, at most [`START`].
    pub(super) async fn wait_until<F>(
        &mut self,
        server: &'static str,
        is_ready: impl Fn() -> F,
    ) -> Result<(), ServiceError>
    where
        F: Future<Output = Result<(), String>>,
    {
        let deadline = Instant::now() + START;
        loop {
            let Err(reason) = is_ready().await else { return Ok(()) };
            if self.has_ended() {
                return Err(self.not_ready(server, "it has ended".to_owned()));
            }
            if Instant::now() > deadline {
                return Err(self.not_ready(server, reason));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.left_running {
            return;
        }
        self.kill();
        if let Launch::Container { name, .. } = &self.plan.launch {
            docker::remove(name);
        }
    }
}

/// A shell that does `action` when this process is gone, however it went.
///
/// Its end of the pipe says so. A child that is being started holds the other end until it runs
/// its program, so the action finds every child by what is in its environment.
fn watchdog(action: &[String]) -> Option<Child> {
    use std::os::unix::process::CommandExt;

    Command::new("sh")
        .args(["-c", r#"read -r end && exit; "$@""#, "watchdog"])
        .args(action)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .ok()
}

/// Tells a watchdog that there is nothing to do any more.
fn end(watchdog: Option<Child>) {
    use std::io::Write;

    let Some(mut watchdog) = watchdog else { return };
    if let Some(mut pipe) = watchdog.stdin.take() {
        let _ = pipe.write_all(b"end\n");
    }
    let _ = watchdog.wait();
}
