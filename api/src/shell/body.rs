//! Bodies of requests: counted while they are read, and cut when they are too large or too slow.
//!
//! A request begins when its body, or the first of it, is there: until then it takes no place from
//! those that can be answered. How many bodies of one network may be on their way is bounded, so
//! that nobody takes all places by sending slowly.
//!
//! The fault is kept beside the stream, because what a parser makes of a stream that breaks off
//! is any kind of error; the reply is then corrected from what really happened.

use std::{
    io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures::{
    Stream, StreamExt as _,
    stream::{self, BoxStream},
};
use poem::{
    Body, Request, Response,
    http::{HeaderValue, header},
};
use tokio::{
    runtime::Handle,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    error::ApiError,
    places::{Place, Places},
    routes::{MAX_PUSH_BODY, NOTIFY_PATH, PUSH_PATH},
    settings::{Settings, caller_network},
    state::RequestContext,
};

/// How much of a refused body is still read, and how long, so that its sender gets to read the
/// reply before the connection closes.
const DRAIN_BYTES: usize = 16 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// How far ahead of its least rate a body may be: who sent much at once may not rest on it.
const MOST_AHEAD: Duration = Duration::from_mins(1);

/// Longest time of a provider's notice, which is short and must be answered within a second.
const NOTICE_TIME: Duration = Duration::from_secs(2);

/// How much of a body is awaited before its request begins.
const BEGINNING: usize = 16 << 10;

/// Bodies of one network that may be on their way, as a part of the requests under way.
const SHARE: usize = 8;

/// When to come back if too many are on their way.
const FULL_PAUSE: Duration = Duration::from_secs(1);

/// Bounds of bodies.
#[derive(Debug)]
pub(super) struct Bounds {
    plain: u64,
    multipart: u64,
    push: u64,
    pace: Pace,
    coming: Places<IpAddr>,
}

/// How slowly a body may come.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// Longest time between two pieces.
    idle: Duration,
    /// Longest time of any body, before the rate counts.
    grace: Duration,
    /// Least bytes per second.
    rate: u64,
}

impl Pace {
    const NOTICE: Self = Self { idle: NOTICE_TIME, grace: NOTICE_TIME, rate: u64::MAX };

    /// The time that so many bytes earn.
    fn earned(self, bytes: u64) -> Duration {
        Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / self.rate)
    }
}

impl Bounds {
    pub(super) fn new(settings: &Settings) -> Self {
        let limits = &settings.limits;
        Self {
            plain: limits.body_bytes,
            multipart: settings.pictures.max_bytes.saturating_add(limits.upload_overhead_bytes),
            push: limits.body_bytes.max(MAX_PUSH_BODY as u64),
            pace: Pace {
                idle: limits.body_idle,
                grace: limits.body_grace,
                rate: limits.body_rate.max(1),
            },
            coming: Places::new(limits.requests.div_ceil(SHARE)),
        }
    }

    /// Most bytes of this request's body. Only uploads are multipart, and every other operation
    /// refuses that content type before it reads anything.
    fn limit(&self, request: &Request) -> u64 {
        let is_multipart = request.content_type().is_some_and(|found| {
            found.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("multipart/"))
        });
        if is_multipart {
            self.multipart
        } else if request.uri().path() == PUSH_PATH {
            self.push
        } else {
            self.plain
        }
    }

    /// Longest time that a body of this request may take.
    pub(super) fn time(&self, request: &Request) -> Duration {
        if !has_body(request) {
            return Duration::ZERO;
        }
        let pace = self.pace(request);
        pace.grace + pace.earned(self.limit(request))
    }

    /// A place for a body on its way; `None` where nobody knows whence it comes.
    fn place(&self, request: &Request) -> Result<Option<Place<IpAddr>>, ApiError> {
        let address = request.data::<RequestContext>().and_then(|context| context.address);
        let Some(address) = address else { return Ok(None) };
        let place = self.coming.take(caller_network(address));
        place.map(Some).ok_or_else(|| ApiError::rate_limited(FULL_PAUSE))
    }

    fn pace(&self, request: &Request) -> Pace {
        if request.uri().path().starts_with(NOTIFY_PATH) { Pace::NOTICE } else { self.pace }
    }
}

/// What was wrong with a body, as far as it was read.
#[derive(Debug, Clone)]
pub(super) struct Verdict {
    fault: Arc<AtomicU8>,
    limit: u64,
}

const TOO_LARGE: u8 = 1;
const TOO_SLOW: u8 = 2;

impl Verdict {
    fn set(&self, fault: u8) -> io::Error {
        self.fault.store(fault, Ordering::Relaxed);
        io::Error::other("the body was cut")
    }

    /// Replaces the reply to a request whose body was cut, unless it succeeded without the rest.
    pub(super) fn correct(&self, reply: Response) -> Response {
        let fault = self.fault.load(Ordering::Relaxed);
        if reply.status().is_success() || fault == 0 {
            return reply;
        }
        let error =
            if fault == TOO_SLOW { ApiError::too_slow() } else { ApiError::too_large(self.limit) };
        closing(error).to_response()
    }
}

/// The connection cannot be used again: the rest of the body is still on its way.
fn closing(error: ApiError) -> ApiError {
    error.with_header(header::CONNECTION, HeaderValue::from_static("close"))
}

fn has_body(request: &Request) -> bool {
    let headers = request.headers();
    headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0")
}

/// Puts the request's body under its bounds, and waits until the first of it is there, unless the
/// client waits for leave to send. `None` for a request without a body.
///
/// # Errors
///
/// 413 at once when the announced length is too large, 429 when too many bodies of the caller's
/// network are on their way; the body is not looked at then.
pub(super) async fn guard(
    request: &mut Request,
    bounds: &Bounds,
) -> Result<Option<Verdict>, ApiError> {
    if !has_body(request) {
        return Ok(None);
    }
    let limit = bounds.limit(request);
    let announced = request.header("content-length").and_then(|text| text.parse::<u64>().ok());
    let is_asking = request.header("expect").is_some();
    let incoming = request.take_body().into_bytes_stream().boxed();
    let place = if announced.is_some_and(|length| length > limit) {
        Err(ApiError::too_large(limit))
    } else {
        bounds.place(request)
    };
    let place = match place {
        Ok(place) => place,
        Err(refusal) => {
            // A client that waits for leave to send is told before it does.
            if !is_asking {
                tokio::spawn(drain(incoming));
            }
            return Err(closing(refusal));
        }
    };
    let verdict = Verdict { fault: Arc::default(), limit };
    let metered = Metered::new(incoming, place, bounds.pace(request), verdict.clone());
    let body = if is_asking { metered.into_stream().boxed() } else { metered.begun().await };
    request.set_body(Body::from_bytes_stream(body));
    Ok(Some(verdict))
}

type Incoming = BoxStream<'static, io::Result<Bytes>>;

/// A body under its bounds. Dropped before its end it goes on reading for a while.
struct Metered {
    /// `None` at its end.
    incoming: Option<Incoming>,
    /// Held while it is on its way.
    seat: Option<Place<IpAddr>>,
    pace: Pace,
    /// When the next piece must have come.
    due: Instant,
    received: u64,
    verdict: Verdict,
}

impl Metered {
    fn new(incoming: Incoming, seat: Option<Place<IpAddr>>, pace: Pace, verdict: Verdict) -> Self {
        let due = Instant::now() + pace.grace;
        Self { incoming: Some(incoming), seat, pace, due, received: 0, verdict }
    }

    /// The body from its start, when the first of it has come.
    async fn begun(mut self) -> Incoming {
        let mut start = BytesMut::new();
        while start.len() < BEGINNING {
            match self.next().await {
                Some(Ok(piece)) => start.extend_from_slice(&piece),
                Some(Err(error)) => {
                    return stream::iter([Ok(start.freeze()), Err(error)]).boxed();
                }
                None => return stream::iter([Ok(start.freeze())]).boxed(),
            }
        }
        stream::iter([Ok(start.freeze())]).chain(self.into_stream()).boxed()
    }

    fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        stream::unfold(Some(self), |metered| async move {
            let mut metered = metered?;
            match metered.next().await? {
                Ok(piece) => Some((Ok(piece), Some(metered))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        let incoming = self.incoming.as_mut()?;
        let deadline = self.due.min(Instant::now() + self.pace.idle);
        let piece = match timeout_at(deadline, incoming.next()).await {
            Ok(Some(Ok(piece))) => piece,
            Ok(ended) => {
                (self.incoming, self.seat) = (None, None);
                return ended;
            }
            Err(_) => return Some(Err(self.verdict.set(TOO_SLOW))),
        };
        let bytes = piece.len() as u64;
        self.received = self.received.saturating_add(bytes);
        if self.received > self.verdict.limit {
            return Some(Err(self.verdict.set(TOO_LARGE)));
        }
        let earned = self.due + self.pace.earned(bytes);
        self.due = self.due.max(earned.min(Instant::now() + MOST_AHEAD));
        Some(Ok(piece))
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        // Outside of the runtime, which is then ending, nobody is left to read a reply.
        if let Some(incoming) = self.incoming.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(drain(incoming));
        }
    }
}

async fn drain(mut incoming: Incoming) {
    let read = async {
        let mut read = 0;
        while let Some(Ok(piece)) = incoming.next().await {
            read += piece.len();
            if read > DRAIN_BYTES {
                break;
            }
        }
    };
    // Whether the sender finished or the time is up, there is nothing more to do for it.
    let _ = timeout(DRAIN_TIME, read).await;
}

#[cfg(test)]
mod tests;
