//! The HTTP side: connections, limits, which provider a request is for, and faults.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    alipay, control,
    fault::Act,
    http::{Reply, Request},
    ledger::Provider,
    page,
    sim::Sim,
    unionpay, wechat,
};

/// Connections of one listener at once.
const MOST_CONNECTIONS: usize = 4096;
/// Longest request body.
const MOST_BYTES: usize = 256 * 1024;
/// Longest wait for the head of a request, and for its body.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest that an answer is held back for a notification that comes first.
const EARLY: Duration = Duration::from_secs(4);
/// Longest that an answer is held back by a script.
const LATEST: u64 = 600_000;

/// The connection is cut without an answer.
#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cut by a fault script")
    }
}

impl std::error::Error for Cut {}

/// Serves `listener` until `stop`, then lets the connections finish what they are at.
pub(crate) async fn serve(
    listener: TcpListener,
    sim: Arc<Sim>,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    let slots = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // No file handle is free, for example; a moment later one may be.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (sim, stop) = (Arc::clone(&sim), stop.clone());
        tasks.spawn(async move {
            let service = service_fn(move |request| exchange(Arc::clone(&sim), request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .serve_connection(TokioIo::new(stream), service);
            tokio::pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => {}
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    let _ = timeout(Duration::from_secs(1), connection).await;
                }
            }
            drop(slot);
        });
    }
}

async fn exchange(
    sim: Arc<Sim>,
    request: hyper::Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Cut> {
    let (head, body) = request.into_parts();
    let body = match timeout(PATIENCE, Limited::new(body, MOST_BYTES).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) | Err(_) => {
            return Ok(render(Reply::empty(413).because("too long, or too slow")));
        }
    };
    let request = Request {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        headers: head.headers,
        body,
    };
    let reply = answer(&sim, &request).await?;
    Ok(render(reply))
}

fn render(mut reply: Reply) -> Response<Full<Bytes>> {
    if let Some(reason) = reply.reason.take() {
        // Header values are ASCII; the log has the words as they are.
        tracing::info!(status = reply.status, %reason, "the simulator refuses");
        let plain: String = reason
            .chars()
            .map(|c| if matches!(c, ' '..='~') { c } else { '?' })
            .take(1000)
            .collect();
        reply.headers.push(("x-sim-reason", plain));
    }
    let mut response = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    response
        .body(Full::new(Bytes::from(reply.body)))
        .unwrap_or_else(|_| Response::new(Full::new(Bytes::from_static(b"unprintable header"))))
}

#[derive(Debug, Clone, Copy)]
enum Site {
    Wechat,
    Alipay,
    UnionPay,
}

impl Site {
    const fn provider(self) -> Provider {
        match self {
            Self::Wechat => Provider::Wechat,
            Self::Alipay => Provider::Alipay,
            Self::UnionPay => Provider::UnionPay,
        }
    }
}

async fn answer(sim: &Arc<Sim>, request: &Request) -> Result<Reply, Cut> {
    let site = wechat::call(request)
        .map(|call| (Site::Wechat, call))
        .or_else(|| alipay::call(request).map(|call| (Site::Alipay, call)))
        .or_else(|| unionpay::call(request).map(|call| (Site::UnionPay, call)));
    let Some((site, call)) = site else {
        return Ok(other(sim, request).await);
    };
    let act = sim.faults.take(&call);
    match &act {
        Some(Act::DropBefore) => return Err(Cut),
        Some(Act::RotateKeys) => sim.rotate_keys(site.provider()),
        _ => {}
    }
    let reply = match site {
        Site::Wechat => wechat::answer(sim, request, &call, act.as_ref()),
        Site::Alipay => alipay::answer(sim, request, &call, act.as_ref()),
        Site::UnionPay => unionpay::answer(sim, request, &call, act.as_ref()),
    };
    match act {
        Some(Act::DropAfter) => return Err(Cut),
        Some(Act::Late { ms }) => tokio::time::sleep(Duration::from_millis(ms.min(LATEST))).await,
        Some(Act::Garbage) => return Ok(Reply::html(200, "<html><p>Bad gateway")),
        Some(Act::ErrorAfter) => {
            return Ok(match site {
                Site::Wechat => wechat::system_error(&call),
                Site::Alipay => alipay::system_error(sim, request),
                Site::UnionPay => unionpay::system_error(),
            });
        }
        Some(Act::PayEarly) => {
            if let Some(trade) = reply.trade {
                let _ = sim.pay(trade, false);
                let _ = timeout(EARLY, sim.outbox.calm(sim.clock())).await;
            }
        }
        _ => {}
    }
    Ok(reply)
}

/// Pages and the simulators' own interface.
async fn other(sim: &Arc<Sim>, request: &Request) -> Reply {
    match request.path.as_str() {
        "/" => Reply::html(200, page::index()),
        "/cgi-bin/mmpayweb-bin/checkmweb" => page::h5(sim, request),
        path if path.starts_with("/_sim") => control::answer(sim, request).await,
        _ => Reply::new(404, "text/html", "Invalid request.").because("no provider has this path"),
    }
}
