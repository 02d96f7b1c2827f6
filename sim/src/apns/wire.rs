//! The bytes between a connection's HTTP/2 library and its socket.
//!
//! A library for servers keeps a connection in good order; a simulator has to disturb it. This
//! sits below the library and works on whole frames: it says how many streams the peer gets, puts
//! frames of its own between the library's, holds everything back, or ends the connection after
//! what was written last.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

const PREFACE: usize = 24;
const FRAME_HEAD: usize = 9;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const MAX_CONCURRENT_STREAMS: u16 = 3;
/// Bytes that wait for the socket before the library has to.
const MAX_WAITING: usize = 256 * 1024;
/// How long a peer may take to end its side after ours.
const LINGER: Duration = Duration::from_secs(2);

/// Disturbs one connection from outside.
#[derive(Debug)]
pub(super) struct Control {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Streams that the peer is told of in the greeting.
    first_streams: u32,
    /// Streams that the peer must keep to: it may not have heard of a lower limit yet.
    enforced: u32,
    /// Limits that the peer has not confirmed yet.
    unconfirmed: VecDeque<u32>,
    inject: VecDeque<Bytes>,
    stalled: bool,
    close: bool,
    waker: Option<Waker>,
}

impl Control {
    pub(super) fn new(first_streams: u32) -> Arc<Self> {
        let inner = Inner {
            first_streams,
            enforced: first_streams,
            unconfirmed: VecDeque::new(),
            inject: VecDeque::new(),
            stalled: false,
            close: false,
            waker: None,
        };
        Arc::new(Self { inner: Mutex::new(inner) })
    }

    /// Tells the peer another number of streams.
    pub(super) fn set_streams(&self, limit: u32) {
        let mut inner = self.inner();
        inner.enforced = inner.enforced.max(limit);
        inner.unconfirmed.push_back(limit);
        inner.inject.push_back(settings(limit));
        wake(inner);
    }

    /// Streams that the peer must keep to now.
    pub(super) fn enforced(&self) -> u32 {
        self.inner().enforced
    }

    /// Says goodbye with `reason`, naming `last` as the last stream that was looked at, and ends
    /// the connection.
    pub(super) fn go_away(&self, last: u32, reason: &str) {
        let mut inner = self.inner();
        inner.inject.push_back(go_away(last, reason));
        inner.close = true;
        wake(inner);
    }

    /// Moves nothing any more.
    pub(super) fn stall(&self) {
        self.inner().stalled = true;
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wake(mut inner: MutexGuard<'_, Inner>) {
    let waker = inner.waker.take();
    drop(inner);
    if let Some(waker) = waker {
        waker.wake();
    }
}

fn settings(limit: u32) -> Bytes {
    let mut frame = BytesMut::with_capacity(FRAME_HEAD + 6);
    head(&mut frame, 6, SETTINGS);
    frame.put_u16(MAX_CONCURRENT_STREAMS);
    frame.put_u32(limit);
    frame.freeze()
}

fn go_away(last: u32, reason: &str) -> Bytes {
    let debug = serde_json::json!({ "reason": reason }).to_string();
    let mut frame = BytesMut::with_capacity(FRAME_HEAD + 8 + debug.len());
    head(&mut frame, 8 + debug.len(), GOAWAY);
    frame.put_u32(last);
    frame.put_u32(0);
    frame.put_slice(debug.as_bytes());
    frame.freeze()
}

/// Head of a frame of the whole connection.
fn head(frame: &mut BytesMut, length: usize, kind: u8) {
    frame.put_uint(length as u64, 3);
    frame.put_u8(kind);
    frame.put_u8(0);
    frame.put_u32(0);
}

/// Length of the frame at the start of `bytes`, when its head is there.
fn frame_length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.get(..3)?;
    let body = head.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    Some(FRAME_HEAD + body)
}

/// A connection that can be disturbed.
pub(super) struct Wire<S> {
    socket: S,
    control: Arc<Control>,
    /// From the library, until a frame is whole.
    staging: BytesMut,
    /// Whole frames for the socket.
    out: BytesMut,
    greeted: bool,
    /// From the socket, until a frame is whole.
    raw: BytesMut,
    /// For the library.
    ready: BytesMut,
    preface_left: usize,
    confirmed: bool,
    ended: bool,
    /// After our last byte: until when the peer may end its side.
    lingers: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(socket: S, control: Arc<Control>) -> Self {
        Self {
            socket,
            control,
            staging: BytesMut::new(),
            out: BytesMut::new(),
            greeted: false,
            raw: BytesMut::new(),
            ready: BytesMut::new(),
            preface_left: PREFACE,
            confirmed: false,
            ended: false,
            lingers: None,
        }
    }

    /// Moves whole frames from the library to the socket's side, with ours between them.
    fn frame(&mut self) {
        let mut inner = self.control.inner();
        while let Some(length) = frame_length(&self.staging).filter(|l| *l <= self.staging.len()) {
            let mut frame = self.staging.split_to(length);
            if !self.greeted && frame[3] == SETTINGS && frame[4] & ACK == 0 {
                self.greeted = true;
                let grown = u64::try_from(length - FRAME_HEAD + 6).unwrap_or_default();
                let mut bytes = BytesMut::new();
                bytes.put_uint(grown, 3);
                bytes.put_slice(&frame[3..]);
                bytes.put_u16(MAX_CONCURRENT_STREAMS);
                bytes.put_u32(inner.first_streams);
                frame = bytes;
            }
            self.out.put_slice(&frame);
        }
        if self.greeted {
            while let Some(frame) = inner.inject.pop_front() {
                self.out.put_slice(&frame);
            }
        }
    }

    /// Writes what waits for the socket.
    fn pump(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.frame();
        while !self.out.is_empty() {
            let written = ready!(Pin::new(&mut self.socket).poll_write(cx, &self.out))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.advance(written);
        }
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    /// Passes whole frames on to the library, except confirmations of settings that it did not
    /// make.
    fn unframe(&mut self) {
        let preface = self.preface_left.min(self.raw.len());
        self.ready.put_slice(&self.raw.split_to(preface));
        self.preface_left -= preface;
        while let Some(length) = frame_length(&self.raw).filter(|l| *l <= self.raw.len()) {
            let frame = self.raw.split_to(length);
            if frame[3] == SETTINGS && frame[4] & ACK != 0 {
                if self.confirmed {
                    let mut inner = self.control.inner();
                    if let Some(limit) = inner.unconfirmed.pop_front() {
                        inner.enforced = inner.unconfirmed.iter().copied().fold(limit, u32::max);
                    }
                    continue;
                }
                self.confirmed = true;
            }
            self.ready.put_slice(&frame);
        }
    }

    /// Reads on until the peer has ended its side, for a while: a socket that is closed with bytes
    /// unread resets the connection, and the peer may lose what it was just told.
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let until = self.lingers.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        if until.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut space = [0; 16 * 1024];
        loop {
            let mut space = ReadBuf::new(&mut space);
            let read = ready!(Pin::new(&mut self.socket).poll_read(cx, &mut space));
            if read.is_err() || space.filled().is_empty() {
                return Poll::Ready(());
            }
        }
    }

    /// Whether nothing moves, or the connection ends now.
    fn disturbed(&self, cx: &Context<'_>) -> (bool, bool) {
        let mut inner = self.control.inner();
        inner.waker = Some(cx.waker().clone());
        (inner.stalled, inner.close)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let (stalled, close) = this.disturbed(cx);
        if stalled {
            return Poll::Pending;
        }
        let pumped = this.pump(cx)?;
        if close {
            ready!(pumped);
            return Pin::new(&mut this.socket).poll_shutdown(cx);
        }
        loop {
            if !this.ready.is_empty() {
                let length = this.ready.len().min(into.remaining());
                into.put_slice(&this.ready.split_to(length));
                return Poll::Ready(Ok(()));
            }
            if this.ended {
                return Poll::Ready(Ok(()));
            }
            let mut space = [0; 16 * 1024];
            let mut space = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut this.socket).poll_read(cx, &mut space))?;
            this.ended = space.filled().is_empty();
            this.raw.put_slice(space.filled());
            this.unframe();
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if this.disturbed(cx).0 {
            return Poll::Pending;
        }
        if this.out.len() > MAX_WAITING {
            ready!(this.pump(cx))?;
        }
        this.staging.put_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.disturbed(cx).0 {
            return Poll::Pending;
        }
        self.pump(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.disturbed(cx).0 {
            return Poll::Pending;
        }
        if self.lingers.is_none() {
            ready!(self.pump(cx))?;
            ready!(Pin::new(&mut self.socket).poll_shutdown(cx))?;
        }
        ready!(self.linger(cx));
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    #[tokio::test]
    async fn a_connection_that_ends_in_order_is_not_reset() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        let mut wire = Wire::new(socket, Control::new(1));
        // Nobody reads what the peer says at the same moment.
        peer.write_all(b"one more thing").await.unwrap();
        wire.socket.readable().await.unwrap();
        let ending = tokio::spawn(async move { wire.shutdown().await });

        let mut rest = Vec::new();
        assert_eq!(peer.read_to_end(&mut rest).await.unwrap(), 0, "an end, and no reset");
        peer.write_all(b"and another").await.unwrap();
        drop(peer);
        ending.await.unwrap().unwrap();
    }
}
