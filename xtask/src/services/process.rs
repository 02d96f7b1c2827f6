//! Processes that can be found and ended by whoever knows their folder.
//!
//! Every process of a server carries the server's folder in its environment, which its own
//! children inherit. So the processes of a server are found without files of process ids, which
//! lie after a crash, and without process groups, which some children leave.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// The environment variable that marks the processes of a server.
pub(super) const MARK: &str = "FEAT_TEST_SERVICE_FOLDER";

/// The living processes of the server in `folder`, in no special order.
#[must_use]
pub fn of(folder: &Path) -> Vec<Pid> {
    marked(MARK, folder)
}

/// The living processes whose environment has `folder` in `variable`.
fn marked(variable: &str, folder: &Path) -> Vec<Pid> {
    let mark = format!("{variable}={}", folder.display());
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| {
            // Empty for a process that has ended and only waits for its parent to notice.
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
        })
        .filter_map(Pid::from_raw)
        .collect()
}

/// Asks process `pid` to end and waits; then ends by force what is left of `folder`'s processes.
pub(super) fn stop(folder: &Path, pid: Pid, within: Duration) {
    if of(folder).contains(&pid) {
        // It may have ended in between.
        let _ = kill_process(pid, Signal::TERM);
        let deadline = Instant::now() + within;
        while of(folder).contains(&pid) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    kill(folder);
}

/// Ends every process of `folder` by force and waits until they are gone.
pub(super) fn kill(folder: &Path) {
    kill_marked(MARK, folder);
}

/// A command that does the same as [`kill`] without this program.
///
/// Children that a server was just starting are found in the next round.
pub(super) fn kill_command(folder: &Path) -> Vec<String> {
    // Processes that vanish meanwhile are errors to `grep`: its exit code says nothing.
    let rounds = r#"
        while found=$(grep -lszxF -e "$0" /proc/[0-9]*/environ); [ -n "$found" ]; do
            for file in $found; do pid=${file#/proc/}; kill -KILL "${pid%/environ}"; done
            sleep 0.05
        done"#;
    let mark = format!("{MARK}={}", folder.display());
    vec!["sh".to_owned(), "-c".to_owned(), rounds.to_owned(), mark]
}

/// Ends by force every process whose environment has `folder` in `variable`, and waits until they
/// are gone.
pub fn kill_marked(variable: &str, folder: &Path) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let left = marked(variable, folder);
        if left.is_empty() || Instant::now() > deadline {
            return;
        }
        for pid in left {
            let _ = kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
