//! A socket whose peer must go on taking what is sent to it, and which sends only replies of ours.

use std::{
    future::Future as _,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use poem::http::StatusCode;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use super::exchange::Exchange;

/// Fails a write that stands still for too long, and keeps back what hyper answers by itself;
/// otherwise the socket itself.
pub(super) struct Socket {
    inner: TcpStream,
    longest: Duration,
    /// Runs while the peer takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    /// `None` once hyper is done with the socket.
    exchange: Option<Exchange>,
    kept_back: Option<StatusCode>,
}

impl Socket {
    /// Gives up on the peer when it takes nothing for `longest`. Sends what belongs to `exchange`.
    pub(super) const fn new(inner: TcpStream, longest: Duration, exchange: Exchange) -> Self {
        Self { inner, longest, stalled: None, exchange: Some(exchange), kept_back: None }
    }

    /// From now on everything is sent.
    pub(super) fn open(mut self) -> Self {
        self.exchange = None;
        self
    }

    /// Status of the reply that hyper made by itself, if it did.
    pub(super) const fn kept_back(&self) -> Option<StatusCode> {
        self.kept_back
    }

    /// Takes `bytes` as written without sending them, when they are none of our replies.
    fn keep_back(&mut self, bytes: &[u8]) -> bool {
        let is_foreign = self.exchange.as_ref().is_some_and(Exchange::is_quiet);
        if is_foreign && self.kept_back.is_none() {
            // `HTTP/1.1 400 …`; hyper writes nothing else by itself.
            let status = bytes.get(9..12).and_then(|status| StatusCode::from_bytes(status).ok());
            self.kept_back = status.or(Some(StatusCode::BAD_REQUEST));
        }
        is_foreign
    }

    fn judge(
        &mut self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let longest = self.longest;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(longest)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.keep_back(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.judge(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first: &[u8] = match bytes.first() {
            Some(first) => first,
            None => &[],
        };
        if self.keep_back(first) {
            return Poll::Ready(Ok(bytes.iter().map(|part| part.len()).sum()));
        }
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bytes);
        self.judge(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        if let Some(exchange) = &self.exchange {
            exchange.flushed();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
