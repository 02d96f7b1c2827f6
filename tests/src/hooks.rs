//! The back end of an app that is told of events, and a check of their signatures that shares
//! nothing with Feat: Python's own HMAC.

use std::{
    collections::{HashMap, VecDeque},
    io::Write,
    process::{Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Told {
    /// Its headers, their names in lower case.
    pub headers: HashMap<String, String>,
    /// Its body.
    pub body: String,
}

impl Told {
    /// The message's name.
    #[must_use]
    pub fn id(&self) -> &str {
        self.headers.get("webhook-id").map_or("", String::as_str)
    }

    /// The body, read.
    ///
    /// # Panics
    ///
    /// When it is no JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// Which of the request's signatures Python makes with `secret`: the number, from 0.
    ///
    /// # Panics
    ///
    /// When there is no Python 3.
    #[must_use]
    pub fn signed_by(&self, secret: &str) -> Option<usize> {
        const SIGN: &str = "import sys,hmac,hashlib,base64\n\
            key=base64.b64decode(sys.argv[1].split('_',1)[1])\n\
            print('v1,'+base64.b64encode(hmac.new(key,sys.stdin.buffer.read(),hashlib.sha256).digest()).decode())";
        let mut python = Command::new("python3")
            .args(["-c", SIGN, secret])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python 3");
        let signed = format!("{}.{}.{}", self.id(), self.headers["webhook-timestamp"], self.body);
        python.stdin.take().expect("a pipe").write_all(signed.as_bytes()).expect("a reader");
        let made = python.wait_with_output().expect("Python 3").stdout;
        let made = String::from_utf8(made).expect("text");
        self.headers["webhook-signature"].split(' ').position(|one| one == made.trim())
    }
}

/// A listening back end. It answers 200 unless a test wants something else.
pub struct BackEnd {
    /// Its address.
    pub url: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    told: Vec<Told>,
    answers: VecDeque<String>,
}

impl BackEnd {
    /// Listens on a free port of this machine until the test ends.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/events", listener.local_addr().expect("address"));
        let state = Arc::new(Mutex::new(State::default()));
        let kept = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(take(stream, Arc::clone(&kept)));
            }
        });
        Self { url, state }
    }

    /// The next request is answered with this status line and headers, such as
    /// `429 Busy\r\nretry-after: 1`; then come those that were wanted after it.
    pub fn answer_next(&self, head: &str) {
        lock(&self.state).answers.push_back(head.to_owned());
    }

    /// Every request so far.
    #[must_use]
    pub fn told(&self) -> Vec<Told> {
        lock(&self.state).told.clone()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads one request after the other; a client that goes away ends it.
async fn take(stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut line, mut headers) = (String::new(), HashMap::new());
        while line != "\r\n" {
            line.clear();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            if let Some((name, value)) = line.split_once(':') {
                headers.insert(name.to_lowercase(), value.trim().to_owned());
            }
        }
        let length = headers.get("content-length").and_then(|length| length.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        let head = {
            let mut state = lock(&state);
            state.told.push(Told { headers, body });
            state.answers.pop_front().unwrap_or_else(|| "200 OK".to_owned())
        };
        let reply = format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n");
        if stream.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}
