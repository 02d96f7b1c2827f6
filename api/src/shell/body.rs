//! Bodies of requests: counted while they are read, and cut when they are too large or too slow.
//!
//! The fault is kept beside the stream, because what a parser makes of a stream that breaks off
//! is any kind of error; the reply is then corrected from what really happened.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{
    StreamExt as _,
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
    routes::{MAX_PUSH_BODY, PUSH_PATH},
    settings::Settings,
};

/// How much of a refused body is still read, and how long, so that its sender gets to read the
/// reply before the connection closes.
const DRAIN_BYTES: usize = 16 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// Bounds of bodies.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    plain: u64,
    multipart: u64,
    push: u64,
    idle: Duration,
    grace: Duration,
    rate: u64,
}

impl Bounds {
    pub(super) fn new(settings: &Settings) -> Self {
        let limits = &settings.limits;
        Self {
            plain: limits.body_bytes,
            multipart: settings.pictures.max_bytes.saturating_add(limits.upload_overhead_bytes),
            push: limits.body_bytes.max(MAX_PUSH_BODY as u64),
            idle: limits.body_idle,
            grace: limits.body_grace,
            rate: limits.body_rate.max(1),
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
        if has_body(request) { self.due(self.limit(request)) } else { Duration::ZERO }
    }

    /// When so many bytes must have come at the latest, from the start.
    fn due(&self, bytes: u64) -> Duration {
        self.grace + Duration::from_secs(bytes / self.rate)
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

/// Puts the request's body under its bounds. `None` for a request without one.
///
/// # Errors
///
/// 413 at once when the announced length is too large; the body is not looked at then.
pub(super) fn guard(request: &mut Request, bounds: &Bounds) -> Result<Option<Verdict>, ApiError> {
    if !has_body(request) {
        return Ok(None);
    }
    let limit = bounds.limit(request);
    let announced = request.header("content-length").and_then(|text| text.parse::<u64>().ok());
    let incoming = request.take_body().into_bytes_stream().boxed();
    if announced.is_some_and(|length| length > limit) {
        // A client that waits for leave to send is told before it does.
        if request.header("expect").is_none() {
            tokio::spawn(drain(incoming));
        }
        return Err(closing(ApiError::too_large(limit)));
    }
    let verdict = Verdict { fault: Arc::default(), limit };
    let bounds = bounds.clone();
    let start = Instant::now();
    let incoming = Some(incoming);
    let metered = Metered { incoming, bounds, start, received: 0, verdict: verdict.clone() };
    request.set_body(Body::from_bytes_stream(metered.into_stream()));
    Ok(Some(verdict))
}

/// A body under its bounds. Dropped before its end it goes on reading for a while.
struct Metered {
    /// `None` at its end.
    incoming: Option<BoxStream<'static, io::Result<Bytes>>>,
    bounds: Bounds,
    start: Instant,
    received: u64,
    verdict: Verdict,
}

impl Metered {
    fn into_stream(self) -> impl futures::Stream<Item = io::Result<Bytes>> + Send + 'static {
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
        let due = self.start + self.bounds.due(self.received);
        let deadline = due.min(Instant::now() + self.bounds.idle);
        let piece = match timeout_at(deadline, incoming.next()).await {
            Ok(Some(Ok(piece))) => piece,
            Ok(ended) => {
                self.incoming = None;
                return ended;
            }
            Err(_) => return Some(Err(self.verdict.set(TOO_SLOW))),
        };
        self.received = self.received.saturating_add(piece.len() as u64);
        if self.received > self.verdict.limit {
            return Some(Err(self.verdict.set(TOO_LARGE)));
        }
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

async fn drain(mut incoming: BoxStream<'static, io::Result<Bytes>>) {
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
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;
    use crate::auth::TokenKey;

    fn bounds() -> Bounds {
        let mut settings = Settings::new("http://feat.test", TokenKey::generate());
        settings.limits.body_bytes = 100;
        settings.limits.body_rate = 10;
        settings.limits.body_idle = Duration::from_secs(5);
        settings.limits.body_grace = Duration::from_secs(20);
        Bounds::new(&settings)
    }

    /// A body of pieces of ten bytes, `every` so often.
    fn request(pieces: usize, every: Duration) -> Request {
        let pieces = stream::iter(0..pieces).then(move |_| async move {
            tokio::time::sleep(every).await;
            Ok::<_, io::Error>(Bytes::from_static(b"0123456789"))
        });
        let body = Body::from_bytes_stream(pieces);
        Request::builder().header("transfer-encoding", "chunked").body(body)
    }

    async fn outcome(mut request: Request) -> (Result<usize, ()>, u16) {
        let verdict = guard(&mut request, &bounds()).unwrap().unwrap();
        let read = request.take_body().into_vec().await.map(|body| body.len()).map_err(|_| ());
        let reply = Response::builder().status(poem::http::StatusCode::BAD_REQUEST).finish();
        (read, verdict.correct(reply).status().as_u16())
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_are_cut_when_they_are_too_large_or_too_slow() {
        let cases = [
            ("at the limit", 10, Duration::ZERO, Ok(100), 400),
            ("one piece more", 11, Duration::ZERO, Err(()), 413),
            ("steady", 10, Duration::from_secs(2), Ok(100), 400),
            ("a long pause", 2, Duration::from_secs(6), Err(()), 408),
            ("a trickle", 10, Duration::from_millis(4_900), Err(()), 408),
        ];
        for (name, pieces, every, read, status) in cases {
            assert_eq!(outcome(request(pieces, every)).await, (read, status), "{name}");
        }
    }

    #[tokio::test]
    async fn an_announced_length_is_refused_at_once() {
        let mut request = Request::builder()
            .header("content-length", "101")
            .body(Body::from_string(String::new()));

        assert_eq!(
            guard(&mut request, &bounds()).unwrap_err().code(),
            schemas::ErrorCode::TooLarge
        );
    }

    #[tokio::test]
    async fn a_request_without_a_body_is_left_alone() {
        assert!(guard(&mut Request::default(), &bounds()).unwrap().is_none());
    }
}
