//! Connections: accepted within bounds, read with time limits, ended in order.
//!
//! HTTP/1.1 only. poem's own server has no limit on slow heads, spins when accepting fails and
//! leaves small replies waiting for `TCP_NODELAY`, so connections are driven here.

use std::{
    convert::Infallible,
    future::poll_fn,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use futures::FutureExt as _;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use poem::{
    Addr, Endpoint, Request, Response,
    http::{HeaderValue, header, uri::Scheme},
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{app::App, exchange::Exchange, socket::Socket, unread};
use crate::{
    places::{Place, Places},
    settings::{Limits, Network, Settings, caller_network},
};

/// How long to wait after accepting failed, as it does when file handles run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Largest head of a request, in bytes; a larger one is answered 431.
const MAX_HEAD: usize = 16 << 10;

/// How long connections stay open after the signal to stop. Replies say `Connection: close`
/// meanwhile, so a client in the midst of its calls moves on by itself; one that finds its
/// connection closed under a request cannot know whether the request was worked on.
const LINGER: Duration = Duration::from_secs(1);

/// Connections of one network, as a part of all, and the least that such a part is.
const SHARE: usize = 4;
const LEAST_SHARE: usize = 64;

/// Serves connections until `shutdown`, and finishes them within `deadline` after it.
pub(super) async fn run<E>(
    listener: TcpListener,
    app: Arc<App<E>>,
    settings: &Settings,
    shutdown: CancellationToken,
    deadline: Duration,
) where
    E: Endpoint<Output = Response> + 'static,
{
    let limits = &settings.limits;
    let places = Arc::new(Semaphore::new(limits.connections));
    let peers = Peers::new(limits, &settings.trusted_proxies);
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();
    let start = |(socket, peer): (TcpStream, SocketAddr), place| {
        let Ok(of_peer) = peers.take(peer.ip()) else {
            tracing::debug!(%peer, "too many connections of one network");
            return;
        };
        let place = Seat { _of_peer: of_peer, _of_all: place };
        let terms = Terms {
            head_time: limits.head_time,
            stall_time: limits.stall_time,
            shutdown: shutdown.clone(),
            cut: cut.clone(),
        };
        connections.spawn(connection(socket, peer, Arc::clone(&app), terms, place));
    };
    loop {
        let Some(Ok(place)) =
            shutdown.run_until_cancelled(Arc::clone(&places).acquire_owned()).await
        else {
            break;
        };
        match shutdown.run_until_cancelled(listener.accept()).await {
            None => break,
            Some(Ok(accepted)) => start(accepted, place),
            Some(Err(error)) => {
                tracing::warn!(%error, "cannot accept connections");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Whoever connected before the end is still served: closing the listener would reset them.
    while let Ok(place) = Arc::clone(&places).try_acquire_owned()
        && let Some(Ok(accepted)) = listener.accept().now_or_never()
    {
        start(accepted, place);
    }
    drop(listener);
    connections.close();
    if timeout(deadline, connections.wait()).await.is_err() {
        tracing::warn!(open = connections.len(), "connections are cut at the deadline");
        cut.cancel();
        connections.wait().await;
    }
}

/// How many connections of each network are open. Trusted proxies carry everybody's.
struct Peers {
    proxies: Vec<Network>,
    places: Places<IpAddr>,
}

/// The network has all connections that it may have.
struct Full;

impl Peers {
    fn new(limits: &Limits, proxies: &[Network]) -> Self {
        let share = (limits.connections / SHARE).max(LEAST_SHARE);
        Self { proxies: proxies.to_vec(), places: Places::new(share) }
    }

    fn take(&self, peer: IpAddr) -> Result<Option<Place<IpAddr>>, Full> {
        if self.proxies.iter().any(|proxy| proxy.contains(peer)) {
            return Ok(None);
        }
        self.places.take(caller_network(peer)).map(Some).ok_or(Full)
    }
}

/// The places of an open connection. That of the peer is given back first, so that who takes the
/// other one finds it free.
struct Seat {
    _of_peer: Option<Place<IpAddr>>,
    _of_all: OwnedSemaphorePermit,
}

/// What a connection has to keep to.
struct Terms {
    /// Longest time until a head is there.
    head_time: Duration,
    /// Longest time that its peer takes nothing.
    stall_time: Duration,
    /// Ends it after the request that is under way.
    shutdown: CancellationToken,
    /// Ends it now.
    cut: CancellationToken,
}

async fn connection<E>(
    socket: TcpStream,
    peer: SocketAddr,
    app: Arc<App<E>>,
    terms: Terms,
    _seat: Seat,
) where
    E: Endpoint<Output = Response> + 'static,
{
    // Small replies must not wait for the client's acknowledgement; a socket that refuses the
    // option is merely slower.
    let _ = socket.set_nodelay(true);
    let local = socket.local_addr().map_or_else(
        |_| LocalAddr(Addr::custom("unknown", "")),
        |address| LocalAddr(Addr::SocketAddr(address)),
    );
    let remote = RemoteAddr(Addr::SocketAddr(peer));
    let exchange = Exchange::default();
    let socket = Socket::new(socket, terms.stall_time, exchange.clone());
    let stopping = terms.shutdown.clone();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        exchange.begin();
        let (app, stopping, exchange) = (Arc::clone(&app), stopping.clone(), exchange.clone());
        let request: Request = (request, local.clone(), remote.clone(), Scheme::HTTP).into();
        Box::pin(async move {
            let mut reply = app.answer(request).await;
            if stopping.is_cancelled() {
                reply.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<hyper::Response<_>, Infallible>(exchange.follow(reply.into()))
        })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(terms.head_time)
        .max_header_size(MAX_HEAD)
        .serve_connection(TokioIo::new(socket), service);
    let conversation = async {
        tokio::select! {
            ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => return ended,
            () = terms.shutdown.cancelled() => {}
        }
        tokio::select! {
            ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => return ended,
            () = sleep(LINGER) => {}
        }
        Pin::new(&mut connection).graceful_shutdown();
        poll_fn(|cx| connection.poll_without_shutdown(cx)).await
    };
    let Some(ended) = terms.cut.run_until_cancelled(conversation).await else { return };
    let parts = connection.into_parts();
    let begun = !parts.read_buf.is_empty();
    let socket = parts.io.into_inner().open();
    terms.cut.run_until_cancelled(unread::end(socket, ended, begun)).await;
}
