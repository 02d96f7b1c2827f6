//! One HTTP/2 connection.
//!
//! A push enters only when the peer has a stream free for it, so it is either certainly not sent
//! or on the wire. A stream that the peer refuses, or that lies beyond the last one it names when
//! it goes away, was certainly not looked at (RFC 9113, 6.8 and 8.7); any other end leaves that
//! open.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use h2::{
    Ping, PingPong, Reason, RecvStream,
    client::{Builder, SendRequest},
};
use http::{HeaderMap, Request, header::RETRY_AFTER, response};
use schemas::ApnsEnvironment;
use serde::Deserialize;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::watched::{Heard, Watched};
use crate::apns::{
    Lost, Settings,
    drive::Trouble,
    gate::{Gate, Inside},
    outcome::Answer,
};

/// What a connection runs over.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// More than any answer of Apple's.
const MAX_ANSWER: usize = 4096;
/// What a silent connection is asked after.
const IDLE_PING: Duration = Duration::from_hours(1);
/// Streams before the peer has said how many it takes.
const UNTOLD: usize = 1;

/// One connection that many pushes share.
#[derive(Debug)]
pub(super) struct Connection {
    requests: SendRequest<Bytes>,
    shared: Arc<Shared>,
    answer_timeout: Duration,
    born: u64,
    environment: ApnsEnvironment,
}

#[derive(Debug)]
struct Shared {
    gate: Arc<Gate>,
    answered: AtomicBool,
    heard: Heard,
    end: CancellationToken,
}

impl Drop for Connection {
    /// Tells the keeper; what is under way has ended, because it holds the connection.
    fn drop(&mut self) {
        self.shared.gate.close();
    }
}

impl Connection {
    /// Greets the peer and waits for its greeting.
    ///
    /// # Errors
    ///
    /// Why there is no connection, for a log or a person.
    pub(super) async fn start(
        io: Box<dyn Io>,
        settings: &Settings,
        environment: ApnsEnvironment,
        born: u64,
    ) -> Result<Arc<Self>, String> {
        let heard = Heard::default();
        let io: Box<dyn Io> = Box::new(Watched::new(io, heard.clone()));
        let started = Builder::new()
            .initial_max_send_streams(UNTOLD)
            .enable_push(false)
            .handshake::<_, Bytes>(io)
            .await;
        let (requests, mut connection) = started.map_err(|error| error.to_string())?;
        let shared = Arc::new(Shared {
            gate: Arc::new(Gate::new(UNTOLD)),
            answered: AtomicBool::new(false),
            heard,
            end: CancellationToken::new(),
        });
        let pings = connection.ping_pong();
        tokio::spawn(drive(connection, Arc::clone(&shared), settings.in_flight));
        let mut pings = pings.ok_or("the connection cannot be asked whether it lives")?;
        ask(&mut pings).await.map_err(|error| error.to_string())?;
        tokio::spawn(keep(pings, Arc::downgrade(&shared), settings.ping_every));
        Ok(Arc::new(Self {
            requests,
            shared,
            answer_timeout: settings.answer_timeout,
            born,
            environment,
        }))
    }

    /// Whether it takes pushes.
    pub(super) fn is_open(&self) -> bool {
        !self.shared.gate.is_closed()
    }

    /// Room for one push, if there is some now.
    pub(super) fn try_enter(&self) -> Option<Inside> {
        self.shared.gate.try_enter()
    }

    /// Room for one push, waited for; `None` when the connection takes no more.
    pub(super) async fn enter(&self) -> Option<Inside> {
        self.shared.gate.enter().await.ok()
    }

    /// Number of the newest provider token when the connection was made. A later one may meet a
    /// connection that an earlier one has spoiled.
    pub(super) const fn born(&self) -> u64 {
        self.born
    }

    /// Whether the peer ever answered a push on it.
    pub(super) fn has_answered(&self) -> bool {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Takes no more pushes. It ends when the last one under way has its answer.
    pub(super) fn retire(&self) {
        self.shared.gate.close();
    }

    /// Sends one request and waits for its answer. The caller holds a place meanwhile.
    pub(super) async fn exchange(
        &self,
        request: Request<()>,
        body: Bytes,
    ) -> Result<Answer, Trouble> {
        let counted = Counted::new(self.environment);
        let answer = timeout(self.answer_timeout, self.ask(request, body)).await;
        drop(counted);
        let answer = answer.unwrap_or(Err(Trouble::Lost(Lost::TimedOut)));
        if answer.is_ok() {
            self.shared.answered.store(true, Ordering::Relaxed);
        }
        answer
    }

    async fn ask(&self, request: Request<()>, body: Bytes) -> Result<Answer, Trouble> {
        let Ok((response, mut sending)) = self.requests.clone().send_request(request, false) else {
            // The peer said goodbye, or the ids of streams are used up: nothing was sent.
            self.retire();
            return Err(Trouble::NotTaken);
        };
        if sending.send_data(body, true).is_err() {
            // The stream has ended already; why is said by the answer.
            tracing::trace!("a stream ended before its body was sent");
        }
        let (head, body) = response.await.map_err(|error| self.failed(&error))?.into_parts();
        let body = read(body).await.map_err(|error| self.failed(&error))?;
        Ok(answer(&head, &body))
    }

    /// What a failed stream means for its push. Unless the stream alone was reset, no further push
    /// may go to this connection, also while its task has not yet seen the end.
    fn failed(&self, error: &h2::Error) -> Trouble {
        if !error.is_reset() {
            self.retire();
        }
        trouble(error)
    }
}

/// One push under way, as the metrics count them; also when its caller goes away.
struct Counted(metrics::Gauge);

impl Counted {
    fn new(environment: ApnsEnvironment) -> Self {
        let gauge = metrics::gauge!("feat_apns_in_flight", "environment" => environment.name());
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// What a failed stream means for its push.
fn trouble(error: &h2::Error) -> Trouble {
    let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    // Streams up to the one that the peer names as its last go on; only later ones end so.
    let beyond = error.is_go_away();
    if error.is_remote() && (refused || beyond) {
        Trouble::NotTaken
    } else {
        Trouble::Lost(Lost::Closed)
    }
}

async fn read(mut body: RecvStream) -> Result<BytesMut, h2::Error> {
    let mut text = BytesMut::new();
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        if text.len() + part.len() <= MAX_ANSWER {
            text.extend_from_slice(&part);
        }
    }
    Ok(text)
}

fn answer(head: &response::Parts, body: &[u8]) -> Answer {
    /// Apple's words about a refusal.
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Refusal {
        reason: Option<String>,
        timestamp: Option<u64>,
    }
    let text = |headers: &HeaderMap, name: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let seconds = text(&head.headers, RETRY_AFTER.as_str()).and_then(|text| text.parse().ok());
    // A body that says nothing readable is as good as none: the status decides.
    let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
    Answer {
        status: head.status.as_u16(),
        reason: refusal.reason,
        timestamp: refusal.timestamp,
        retry_after: seconds.map(Duration::from_secs),
        unique_id: text(&head.headers, "apns-unique-id"),
    }
}

/// Moves frames until the connection ends, and passes the peer's limit on to the gate.
async fn drive(
    mut connection: h2::client::Connection<Box<dyn Io>, Bytes>,
    shared: Arc<Shared>,
    most: usize,
) {
    let mut limit = UNTOLD;
    let moving = poll_fn(|cx| {
        let moved = Pin::new(&mut connection).poll(cx);
        let now = connection.max_concurrent_send_streams().min(most);
        if now != limit {
            limit = now;
            shared.gate.set_limit(now);
        }
        moved.map(|_| ())
    });
    tokio::select! {
        () = moving => {}
        () = shared.end.cancelled() => {}
    }
    shared.gate.close();
}

/// Asks a busy connection again and again whether it lives, and ends one that does not say so.
async fn keep(mut pings: PingPong, shared: Weak<Shared>, every: Duration) {
    let mut asked = Instant::now();
    loop {
        tokio::time::sleep(every).await;
        let Some(shared) = shared.upgrade() else { return };
        let busy = shared.gate.inside() > 0;
        if !busy && shared.gate.is_closed() {
            return;
        }
        if !busy && asked.elapsed() < IDLE_PING {
            continue;
        }
        asked = Instant::now();
        if !lives(&mut pings, &shared.heard, every).await {
            shared.gate.close();
            shared.end.cancel();
            return;
        }
    }
}

/// Whether the peer says that it lives. As long as anything at all comes from it, the answer may
/// still be on its way.
async fn lives(pings: &mut PingPong, heard: &Heard, every: Duration) -> bool {
    let asking = ask(pings);
    tokio::pin!(asking);
    loop {
        let before = heard.count();
        match timeout(every, &mut asking).await {
            Ok(said) => return said.is_ok(),
            Err(_) if heard.count() == before => return false,
            Err(_) => {}
        }
    }
}

/// One ping and its pong. As frames come in order, the peer's settings are known after the first.
async fn ask(pings: &mut PingPong) -> Result<(), h2::Error> {
    pings.ping(Ping::opaque()).await.map(drop)
}
