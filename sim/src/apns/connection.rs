//! One connection: takes pushes, checks them, and does what the rules say.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use h2::{
    Reason, RecvStream,
    server::{Builder, SendResponse},
};
use http::{Request, Response, StatusCode, header::RETRY_AFTER, request::Parts};
use schemas::{ApnsEnvironment, Timestamp};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Notify,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Act, Delivery, Disruption, Refusal,
    provider_token::{self, Bound},
    request::{self, Asked},
    state::{CertificateOf, State},
    wire::{Control, Wire},
};

/// More than any payload that is accepted.
const MAX_BODY: usize = 64 * 1024;

/// An open connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) number: u64,
    environment: ApnsEnvironment,
    certificate: Option<CertificateOf>,
    wire: Arc<Control>,
    end: CancellationToken,
    goodbye: Notify,
    lane: Mutex<Lane>,
    bound: Mutex<Bound>,
}

/// What happened to the streams of a connection.
#[derive(Debug, Default)]
struct Lane {
    open: usize,
    /// Highest stream whose push was decided.
    decided: u32,
    /// Streams above this one are not looked at any more.
    gone: Option<u32>,
    accepted: bool,
}

impl Link {
    fn lane(&self) -> MutexGuard<'_, Lane> {
        self.lane.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the whole connection.
    pub(super) fn disrupt(&self, disruption: &Disruption) {
        match disruption {
            Disruption::Cut => self.end.cancel(),
            Disruption::GoAway => self.goodbye.notify_one(),
            Disruption::GoAwayAbrupt { reason } => {
                let mut lane = self.lane();
                let last = lane.decided;
                lane.gone = Some(last);
                drop(lane);
                self.wire.go_away(last, reason);
            }
            Disruption::Stall => self.wire.stall(),
            Disruption::Streams { limit } => self.wire.set_streams(*limit),
        }
    }

    /// Takes a stream, unless it is one too many.
    fn admit(&self, state: &State) -> bool {
        let mut lane = self.lane();
        let enforced = usize::try_from(self.wire.enforced()).unwrap_or(usize::MAX);
        let admitted = lane.open < enforced;
        lane.open += usize::from(admitted);
        state.ledger().streams(lane.open, !admitted);
        admitted
    }

    /// Whether the push on `stream` may still be decided.
    fn decide(&self, stream: u32) -> bool {
        let mut lane = self.lane();
        if lane.gone.is_some_and(|last| stream > last) {
            return false;
        }
        lane.decided = lane.decided.max(stream);
        true
    }

    /// After the first accepted push the peer gets its full number of streams.
    fn accepted(&self, state: &State) {
        let mut lane = self.lane();
        if !lane.accepted {
            lane.accepted = true;
            drop(lane);
            self.wire.set_streams(state.settings.streams);
        }
    }

    fn check(&self, state: &State, parts: &Parts, asked: &Asked) -> Result<(), Refusal> {
        let Some(own) = &self.certificate else {
            let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
            let shown = request::text(&parts.headers, "authorization");
            return provider_token::check(state, &mut bound, self.environment, shown, &asked.app);
        };
        if own.environment != self.environment {
            return Err(Refusal::of("BadCertificateEnvironment"));
        }
        if own.app != asked.app {
            return Err(Refusal::of("TopicDisallowed"));
        }
        if ["location", "liveactivity"].contains(&asked.push_type) {
            return Err(Refusal::of("MissingProviderToken"));
        }
        Ok(())
    }
}

/// Serves one connection to its end.
pub(super) async fn serve<S>(
    socket: S,
    state: &Arc<State>,
    environment: ApnsEnvironment,
    certificate: Option<CertificateOf>,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let wire = Control::new(state.settings.first_streams);
    let link = Arc::new(Link {
        number: state.ledger().connected(),
        environment,
        certificate,
        wire: Arc::clone(&wire),
        end: CancellationToken::new(),
        goodbye: Notify::new(),
        lane: Mutex::default(),
        bound: Mutex::default(),
    });
    state.add_link(&link);
    tokio::select! {
        () = take_pushes(Wire::new(socket, wire), state, &link) => {}
        () = link.end.cancelled() => {}
    }
    state.remove_link(&link);
}

async fn take_pushes<S>(wire: Wire<S>, state: &Arc<State>, link: &Arc<Link>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let Ok(mut connection) = Builder::new().handshake::<_, Bytes>(wire).await else { return };
    // Ends with the connection: what was not decided by then never is.
    let mut pushes = JoinSet::new();
    loop {
        tokio::select! {
            taken = connection.accept() => {
                let Some(Ok((request, mut respond))) = taken else { return };
                if link.admit(state) {
                    pushes.spawn(push(Arc::clone(state), Arc::clone(link), request, respond));
                } else {
                    respond.send_reset(Reason::REFUSED_STREAM);
                }
            }
            () = link.goodbye.notified() => connection.graceful_shutdown(),
            Some(_) = pushes.join_next(), if !pushes.is_empty() => {}
        }
    }
}

/// One push on its stream.
struct Taken {
    state: Arc<State>,
    link: Arc<Link>,
    respond: SendResponse<Bytes>,
    id: Uuid,
    /// Set when nothing is wrong with it.
    good: Option<(Asked, Bytes)>,
}

async fn push(
    state: Arc<State>,
    link: Arc<Link>,
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
) {
    let stream = respond.stream_id().as_u32();
    let (parts, body) = request.into_parts();
    let body = read(body).await;
    let judged = judge(&state, &link, &parts, body);
    let (delay, act) = match &judged {
        Ok((asked, _)) => state.script().act(&asked.device, &asked.topic, link.environment),
        Err(refusal) => (Duration::ZERO, Some(Act::Answer(refusal.clone()))),
    };
    let delay = delay + state.latency();
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    if link.decide(stream) {
        let (id, good) = (request::id(&parts.headers), judged.ok());
        Taken { state, link, respond, id, good }.perform(act).await;
    }
}

impl Taken {
    /// Does what the rules say; without one the device gets the push.
    async fn perform(mut self, act: Option<Act>) {
        match act {
            None | Some(Act::Delay { .. }) => self.accept(),
            Some(Act::Answer(refusal)) => self.refuse(&refusal),
            Some(Act::GoAway) => {
                self.link.disrupt(&Disruption::GoAway);
                self.accept();
            }
            Some(Act::Streams { limit }) => {
                self.link.disrupt(&Disruption::Streams { limit });
                self.accept();
            }
            Some(Act::RefuseStream) => self.reset(false, Reason::REFUSED_STREAM),
            Some(Act::ResetStream { accepted }) => self.reset(accepted, Reason::INTERNAL_ERROR),
            Some(Act::Silence { accepted }) => {
                self.deliver(accepted);
                // Until the peer gives it up.
                let _ = poll_fn(|cx| self.respond.poll_reset(cx)).await;
                self.link.lane().open -= 1;
            }
            Some(Act::Cut { accepted }) => {
                self.deliver(accepted);
                self.link.disrupt(&Disruption::Cut);
            }
            Some(Act::GoAwayAbrupt { reason }) => {
                self.link.disrupt(&Disruption::GoAwayAbrupt { reason });
            }
            Some(Act::Stall) => self.link.disrupt(&Disruption::Stall),
        }
    }

    fn deliver(&self, accepted: bool) {
        let Some((asked, body)) = self.good.as_ref().filter(|_| accepted) else { return };
        self.state.ledger().deliver(Delivery {
            at: Timestamp::now(),
            id: asked.id,
            device: Arc::clone(&asked.device),
            topic: Arc::clone(&asked.topic),
            environment: self.link.environment,
            connection: self.link.number,
            collapse_id: asked.collapse_id.clone(),
            priority: asked.priority,
            payload: self.state.settings.keep_payloads.then(|| body.clone()),
        });
    }

    fn reset(&mut self, accepted: bool, reason: Reason) {
        self.deliver(accepted);
        self.link.lane().open -= 1;
        self.respond.send_reset(reason);
    }

    fn accept(&mut self) {
        self.deliver(true);
        self.link.accepted(&self.state);
        self.answer("200 -", StatusCode::OK, None, String::new());
    }

    fn refuse(&mut self, refusal: &Refusal) {
        let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::IM_A_TEAPOT);
        self.answer(&refusal.to_string(), status, refusal.retry_after, refusal.body());
    }

    fn answer(&mut self, name: &str, status: StatusCode, wait: Option<u64>, body: String) {
        self.state.ledger().answered(name);
        // Before the answer leaves: once the peer has it, it may open another stream.
        self.link.lane().open -= 1;
        let mut response = Response::builder().status(status);
        response = response.header("apns-id", self.id.hyphenated().to_string());
        if self.link.environment == ApnsEnvironment::Sandbox {
            let unique = Uuid::now_v7().hyphenated().to_string();
            response = response.header("apns-unique-id", unique);
        }
        if let Some(seconds) = wait {
            response = response.header(RETRY_AFTER, seconds);
        }
        // The peer may have given the stream up; then there is nobody to answer.
        if let Ok(response) = response.body(())
            && let Ok(mut sending) = self.respond.send_response(response, body.is_empty())
            && !body.is_empty()
        {
            let _ = sending.send_data(body.into(), true);
        }
    }
}

/// Whether the push is as it should be.
fn judge(
    state: &State,
    link: &Link,
    parts: &Parts,
    body: Option<Bytes>,
) -> Result<(Asked, Bytes), Refusal> {
    let asked = request::read(parts)?;
    link.check(state, parts, &asked)?;
    let body = body.ok_or_else(|| Refusal::of("PayloadTooLarge"))?;
    request::check_payload(&asked, &body)?;
    state.check_device(&asked.device, &asked.app, link.environment)?;
    Ok((asked, body))
}

/// The whole body; `None` when it is far too large or broke off.
async fn read(mut body: RecvStream) -> Option<Bytes> {
    let mut bytes = BytesMut::new();
    while let Some(part) = body.data().await {
        let part = part.ok()?;
        body.flow_control().release_capacity(part.len()).ok()?;
        if bytes.len() + part.len() > MAX_BODY {
            return None;
        }
        bytes.extend_from_slice(&part);
    }
    Some(bytes.freeze())
}
