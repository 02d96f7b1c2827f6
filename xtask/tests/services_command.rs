//! `cargo xtask services` as a person uses it: up, again, down; and what is left when it is killed.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use xtask::{services::process, workspace};

const VARIABLES: [&str; 5] = [
    "FEAT_TEST_AMQP_URL",
    "FEAT_TEST_RABBITMQ_MANAGEMENT_URL",
    "FEAT_TEST_MONGODB_URL",
    "FEAT_TEST_S3_ENDPOINT",
    "FEAT_TEST_SERVICES",
];

/// A folder that the command takes for `target`, with the programs that are already there.
fn target() -> TempDir {
    std::fs::create_dir_all(workspace::target().join("tools")).unwrap();
    let folder = tempfile::tempdir_in(workspace::target()).unwrap();
    symlink(workspace::target().join("tools"), folder.path().join("tools")).unwrap();
    folder
}

fn command(target: &Path, action: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("services").args(action).env("CARGO_TARGET_DIR", target);
    // Addresses that are given would be used instead.
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    command
}

fn run(target: &Path, action: &[&str]) -> Output {
    command(target, action).output().unwrap()
}

fn servers(target: &Path) -> usize {
    let folder = |name: &str| target.join("services").join(name);
    ["rabbitmq", "mongodb", "s3"].map(|name| process::of(&folder(name)).len()).iter().sum()
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn servers_stay_until_they_are_taken_down() {
    let target = target();
    let first = run(target.path(), &["up"]);
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let lines = String::from_utf8(first.stdout.clone()).unwrap();
    for variable in VARIABLES {
        assert!(lines.contains(&format!("export {variable}='")), "{variable}: {lines}");
    }

    assert_eq!(run(target.path(), &["up"]).stdout, first.stdout, "those that run are used again");
    assert!(run(target.path(), &["status"]).status.success());

    assert!(run(target.path(), &["down"]).status.success());
    assert_eq!(servers(target.path()), 0);
    assert!(!run(target.path(), &["status"]).status.success());
    assert!(run(target.path(), &["down"]).status.success(), "nothing to do is no failure");
}

#[test]
fn a_killed_starter_leaves_no_server_behind() {
    let target = target();
    let mut starter = command(target.path(), &["up"]).spawn().unwrap();
    // Without a pause: the worst moment is the one right after a server's start.
    while servers(target.path()) == 0 {
        assert!(starter.try_wait().unwrap().is_none(), "it starts a server");
    }
    starter.kill().unwrap();
    starter.wait().unwrap();
    wait_until("its servers are gone", || servers(target.path()) == 0);
}
