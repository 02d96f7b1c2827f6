//! Runs the real binary, each test with a folder of its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]
#![allow(dead_code, clippy::allow_attributes, reason = "each test file uses a part of it")]

pub(crate) mod bills;

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
        Self::start_with(folder, &[])
    }

    /// As [`Self::start`], with more words on the command line.
    pub(crate) fn start_with(folder: &Path, words: &[&str]) -> Self {
        let mut child = feat(&["dev", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder)
            .args(words)
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
        // The last line that is printed asks what simulated devices got.
        while !printed.contains("/deliveries") {
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

    /// Sends one request and gives status and body. `head` is more lines of the head, each with
    /// its line end.
    pub(crate) fn send(&self, method: &str, path: &str, head: &str, body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(self.authority()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (authority, length) = (self.authority(), body.len());
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\
             Content-Length: {length}\r\n{head}\r\n"
        )
        .unwrap();
        stream.write_all(body).unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        let reply = String::from_utf8_lossy(&reply);
        let status = reply.split(' ').nth(1).unwrap().parse().unwrap();
        let body = reply.split_once("\r\n\r\n").unwrap().1;
        (status, body.to_owned())
    }

    /// The demo user's reply from the token endpoint.
    pub(crate) fn token_reply(&self) -> (u16, String) {
        let form = "grant_type=password&client_id=demo&client_secret=demo-secret&\
                    username=%2B86-13800000001&password=demo-password&device_id=test";
        let head = "Content-Type: application/x-www-form-urlencoded\r\n";
        self.send("POST", "/api/o/token/", head, form.as_bytes())
    }

    /// Signs the demo user in; gives the status.
    pub(crate) fn sign_in(&self) -> u16 {
        self.token_reply().0
    }
}

/// The JSON object in a body, whatever frames it.
pub(crate) fn object(body: &str) -> serde_json::Value {
    let (start, end) = (body.find('{').unwrap(), body.rfind('}').unwrap());
    serde_json::from_str(&body[start..=end]).unwrap()
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
