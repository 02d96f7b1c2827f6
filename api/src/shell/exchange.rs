//! Whose bytes a connection sends: those of our replies, or some that hyper makes by itself when
//! it cannot read a request.
//!
//! hyper answers one request after the other, and flushes a reply before it reads on. So what it
//! writes between two calls, after everything was flushed, is none of our replies, whatever the
//! bytes look like.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
};

use hyper::body::{Body, Frame, SizeHint};

/// Nothing of ours is left to be sent.
const QUIET: u8 = 0;
/// A call is under way, or its reply's body is not yet complete.
const ANSWERING: u8 = 1;
/// A reply was handed over and may not be sent yet.
const SENDING: u8 = 2;

/// How far the latest exchange of a connection is. Shared by its service and its socket.
#[derive(Debug, Clone, Default)]
pub(super) struct Exchange(Arc<AtomicU8>);

impl Exchange {
    /// A call begins.
    pub(super) fn begin(&self) {
        self.0.store(ANSWERING, Ordering::Release);
    }

    /// Follows the body of the reply to its end.
    pub(super) fn follow<B>(&self, reply: hyper::Response<B>) -> hyper::Response<Followed<B>> {
        reply.map(|body| Followed { body, exchange: self.clone() })
    }

    /// All that was handed over so far is sent.
    pub(super) fn flushed(&self) {
        self.advance(SENDING, QUIET);
    }

    /// Whether what is written now is none of our replies.
    pub(super) fn is_quiet(&self) -> bool {
        self.0.load(Ordering::Acquire) == QUIET
    }

    fn advance(&self, from: u8, to: u8) {
        // In another state than `from` there is nothing to advance.
        let _ = self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
    }
}

/// A body whose end is noticed.
pub(super) struct Followed<B> {
    body: B,
    exchange: Exchange,
}

impl<B> Drop for Followed<B> {
    fn drop(&mut self) {
        self.exchange.advance(ANSWERING, SENDING);
    }
}

impl<B: Body + Unpin> Body for Followed<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
