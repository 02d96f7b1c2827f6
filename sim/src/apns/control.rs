//! Steering over HTTP, for tests in other processes and by hand.
//!
//! | Request | |
//! | --- | --- |
//! | `GET /authority.pem` | the certificate to believe |
//! | `GET /stats` | numbers |
//! | `GET /deliveries`, `DELETE /deliveries` | what arrived; forget it |
//! | `POST /rules`, `DELETE /rules` | add a [`Rule`]; forget all |
//! | `POST /disruptions` | a [`Disruption`] of every connection |
//! | `PUT /devices/{token}`, `DELETE /devices/{token}` | register a [`Device`]; end it by a [`Gone`] |
//! | `POST /keys` | make a signing key; answers with the `.p8` text |
//! | `PUT /latency` | `{"ms": 40}` |

use std::{convert::Infallible, future::poll_fn, pin::Pin, sync::Arc};

use bytes::{Bytes, BytesMut};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Incoming},
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use schemas::ApnsEnvironment;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Device, Disruption, Gone, Rule, authority, provider_token::PublicKey, state::State};

const MAX_BODY: usize = 64 * 1024;

type Reply = Response<String>;

/// A signing key that is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    key_id: String,
    team_id: String,
    #[serde(default)]
    apps: Vec<String>,
    environments: Vec<ApnsEnvironment>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Latency {
    ms: u64,
}

/// Serves until `stop`.
pub(super) async fn serve(listener: TcpListener, state: Arc<State>, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let Ok((stream, _)) = accepted else {
            tokio::task::yield_now().await;
            continue;
        };
        let (state, stop) = (Arc::clone(&state), stop.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let state = Arc::clone(&state);
                async move { Ok::<_, Infallible>(reply(&state, request).await) }
            });
            let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                _ = serving => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

async fn reply(state: &State, request: Request<Incoming>) -> Reply {
    let (parts, body) = request.into_parts();
    let Some(body) = read(body).await else {
        return say(StatusCode::PAYLOAD_TOO_LARGE, "too large");
    };
    let path = parts.uri.path();
    let token = path.strip_prefix("/devices/").unwrap_or_default();
    match (&parts.method, path) {
        (&Method::GET, "/authority.pem") => say(StatusCode::OK, state.authority.pem()),
        (&Method::GET, "/stats") => json(&state.stats()),
        (&Method::GET, "/deliveries") => json(&state.ledger().deliveries()),
        (&Method::DELETE, "/deliveries") => {
            state.ledger().forget();
            done()
        }
        (&Method::POST, "/rules") => with(&body, |rule: Rule| state.script().add(rule)),
        (&Method::DELETE, "/rules") => {
            state.script().clear();
            done()
        }
        (&Method::POST, "/disruptions") => {
            with(&body, |disruption: Disruption| state.disrupt(&disruption))
        }
        (&Method::PUT, "/latency") => with(&body, |latency: Latency| {
            state.set_latency(std::time::Duration::from_millis(latency.ms));
        }),
        (&Method::POST, "/keys") => make_key(state, &body),
        (&Method::PUT, _) if !token.is_empty() => {
            with(&body, |device: Device| state.register(token, device))
        }
        (&Method::DELETE, _) if !token.is_empty() => {
            with(&body, |gone: Gone| state.unregister(token, gone))
        }
        _ => say(StatusCode::NOT_FOUND, "no such thing"),
    }
}

fn make_key(state: &State, body: &[u8]) -> Reply {
    let new: NewKey = match serde_json::from_slice(body) {
        Ok(new) => new,
        Err(error) => return say(StatusCode::BAD_REQUEST, error.to_string()),
    };
    match authority::signing_key() {
        Ok((pem, bytes)) => {
            let NewKey { key_id, team_id, apps, environments } = new;
            state.add_key(&key_id, PublicKey { bytes, team_id, apps, environments });
            say(StatusCode::OK, pem)
        }
        Err(error) => say(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

fn with<T: DeserializeOwned>(body: &[u8], act: impl FnOnce(T)) -> Reply {
    match serde_json::from_slice(body) {
        Ok(asked) => {
            act(asked);
            done()
        }
        Err(error) => say(StatusCode::BAD_REQUEST, error.to_string()),
    }
}

fn done() -> Reply {
    say(StatusCode::NO_CONTENT, "")
}

fn json(value: &impl serde::Serialize) -> Reply {
    match serde_json::to_string(value) {
        Ok(text) => {
            let mut reply = say(StatusCode::OK, text);
            let kind = HeaderValue::from_static("application/json");
            reply.headers_mut().insert(CONTENT_TYPE, kind);
            reply
        }
        Err(error) => say(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

fn say(status: StatusCode, text: impl Into<String>) -> Reply {
    let mut reply = Response::new(text.into());
    *reply.status_mut() = status;
    reply
}

/// The whole body; `None` when it is too large or breaks off.
async fn read(mut body: Incoming) -> Option<Bytes> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(part) = frame.ok()?.into_data() else { continue };
        if bytes.len() + part.len() > MAX_BODY {
            return None;
        }
        bytes.extend_from_slice(&part);
    }
    Some(bytes.freeze())
}
