//! Runs the real binary, each test with a folder of its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]
#![allow(dead_code, clippy::allow_attributes, reason = "each test file uses a part of it")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// Longest wait for anything that should happen at once.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The command, without the settings of whoever runs the tests.
pub(crate) fn feat(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_feat"));
    let inherited = std::env::vars_os().map(|(name, _)| name);
    for name in inherited.filter(|name| name.to_string_lossy().starts_with("FEAT_")) {
        command.env_remove(name);
    }
    command.args(words).stdin(Stdio::null()).env("USER", "ada");
    command
}

/// Runs it to its end.
pub(crate) fn run(words: &[&str]) -> Output {
    feat(words).output().unwrap()
}

/// Its standard output as text, when it succeeded.
pub(crate) fn answer(words: &[&str]) -> String {
    let output = run(words);
    assert!(output.status.success(), "{words:?}: {}", error_of(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Its standard output as one JSON value a line.
pub(crate) fn json(words: &[&str]) -> Vec<serde_json::Value> {
    answer(words).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What it said on standard error.
pub(crate) fn error_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Checks that a command was refused with one clear line and exit code 1.
pub(crate) fn assert_refused(output: &Output, words: &[&str]) {
    let error = error_of(output);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert_eq!(error.lines().count(), 1, "not one line: {error}");
    assert!(error.starts_with("feat: "), "{error}");
    for word in words {
        assert!(error.contains(word), "{word:?} is not in {error}");
    }
}

/// A running `feat dev`; killed when dropped.
pub(crate) struct Dev {
    child: Child,
    /// Where it listens.
    pub(crate) url: String,
    /// What it printed until it was ready.
    pub(crate) printed: String,
}

impl Dev {
    /// Starts it on a free port and waits until it says that it is ready.
    pub(crate) fn start(folder: &Path) -> Self {
        let mut child = feat(&["dev", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        let deadline = Instant::now() + PATIENCE;
        let mut printed = String::new();
        // The last line that is printed reads the events of the job.
        while !printed.contains("/events/") {
            let left = deadline.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(line) => printed = printed + &line + "\n",
                Err(error) => panic!("{error} after {printed}; {:?}", child.try_wait()),
            }
        }
        let url = printed.split_whitespace().find(|word| word.starts_with("http://")).unwrap();
        Self { url: url.to_owned(), child, printed }
    }

    /// Sends Ctrl-C and waits for the end.
    pub(crate) fn interrupt(mut self) -> ExitStatus {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::INT).unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            thread::yield_now();
        }
    }

    /// `host:port`.
    pub(crate) fn authority(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// Sends one request and gives status and body.
    pub(crate) fn post_form(&self, path: &str, form: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.authority()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}",
            self.authority(),
            form.len()
        )
        .unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let status = reply.split(' ').nth(1).unwrap().parse().unwrap();
        let body = reply.split_once("\r\n\r\n").unwrap().1.to_owned();
        (status, body)
    }

    /// Signs the demo user in; gives the status.
    pub(crate) fn sign_in(&self) -> u16 {
        let form = "grant_type=password&client_id=demo&client_secret=demo-secret&\
                    username=%2B86-13800000001&password=demo-password&device_id=test";
        self.post_form("/api/o/token/", form).0
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
