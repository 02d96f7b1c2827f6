//! The reply to a head that could not be read, in the one shape.
//!
//! hyper reads heads, and answers a bad one by itself with a bare status, or, when it comes too
//! slowly, with nothing. [`Socket`] keeps those bare replies back, and this takes their place.

use std::time::{Duration, Instant};

use chrono::Utc;
use poem::{
    Response,
    http::{Method, StatusCode},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};
use uuid::Uuid;

use super::{context, envelope, finish, socket::Socket};

/// How long, and how much, is still read from a client that sends on, so that it gets to read the
/// reply before the connection closes.
const LINGER_TIME: Duration = Duration::from_secs(2);
const LINGER_BYTES: u64 = 1 << 20;

/// Ends a connection that hyper is done with. Whatever ended it early concerns its client alone,
/// and it has noticed; only a request that could not be read gets a reply. `begun`: a part of a
/// head came that was not answered. Never takes longer than a moment.
pub(super) async fn end(mut socket: Socket, ended: hyper::Result<()>, begun: bool) {
    match ended {
        Ok(()) => {
            // Every reply is sent; an error at closing changes nothing.
            let _ = socket.shutdown().await;
        }
        Err(error) => answer(socket, &error, begun).await,
    }
}

async fn answer(mut socket: Socket, error: &hyper::Error, begun: bool) {
    let Some(status) = status(&socket, error, begun) else { return };
    let started = Instant::now();
    let request_id = Uuid::now_v7().simple().to_string();
    let mut reply = envelope::of_reply(Response::builder().status(status).finish());
    finish::reply(&mut reply, &request_id, true);
    // No method was read; this one counts as `OTHER`.
    context::record(&Method::CONNECT, &reply, started);
    tracing::debug!(request_id, status = status.as_u16(), %error, "a request could not be read");

    let talk = async {
        socket.write_all(&written(reply).await).await?;
        socket.shutdown().await?;
        drain(&mut socket).await
    };
    // Who has gone away, or does not read, has no use for the rest.
    let _ = timeout(LINGER_TIME, talk).await;
}

/// `None` for what was no request: an idle connection, a client that went away, another protocol.
fn status(socket: &Socket, error: &hyper::Error, begun: bool) -> Option<StatusCode> {
    let too_slow = error.is_timeout() && begun;
    socket.kept_back().or(too_slow.then_some(StatusCode::REQUEST_TIMEOUT))
}

async fn drain(socket: &mut (impl AsyncRead + Unpin)) -> std::io::Result<()> {
    let mut rest = socket.take(LINGER_BYTES);
    tokio::io::copy(&mut rest, &mut tokio::io::sink()).await.map(drop)
}

/// The reply as HTTP/1.1 writes it; the connection closes after it.
async fn written(reply: Response) -> Vec<u8> {
    let status = reply.status();
    let reason = status.canonical_reason().unwrap_or("Refused");
    let mut text = format!("HTTP/1.1 {} {reason}\r\n", status.as_str()).into_bytes();
    for (name, value) in reply.headers() {
        text.extend(name.as_str().as_bytes());
        text.extend(b": ");
        text.extend(value.as_bytes());
        text.extend(b"\r\n");
    }
    // The body was made from a text a moment ago.
    let body = reply.into_body().into_bytes().await.unwrap_or_default();
    let (length, date) = (body.len(), Utc::now().format("%a, %d %b %Y %H:%M:%S GMT"));
    let rest = format!("connection: close\r\ncontent-length: {length}\r\ndate: {date}\r\n\r\n");
    text.extend(rest.into_bytes());
    text.extend(body);
    text
}
