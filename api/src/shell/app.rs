//! From a request to its reply: the bounds around the routes. It always answers, and always in
//! the one shape.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::FutureExt as _;
use poem::{Endpoint, Request, Response, http::HeaderMap};
use tokio::{sync::Semaphore, time::timeout};
use tracing::Instrument as _;

use super::{
    body::{self, Bounds},
    context,
    cors::Cors,
    envelope, finish, site, slash,
};
use crate::{
    error::ApiError,
    settings::{Network, Settings, TraceLink},
};

/// When to come back if too many requests are under way.
const SHED: Duration = Duration::from_secs(1);

/// The routes `E` with everything around them that a connection does not do.
pub(super) struct App<E> {
    routes: E,
    trace_link: TraceLink,
    proxies: Vec<Network>,
    cors: Cors,
    bodies: Bounds,
    /// Places of requests that are answered as fast as it goes, and of those that wait for a job.
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    request_time: Duration,
    default_wait: Duration,
    max_wait: Duration,
}

impl<E: Endpoint<Output = Response>> App<E> {
    pub(super) fn new(settings: &Settings, routes: E) -> Self {
        let limits = &settings.limits;
        Self {
            routes,
            trace_link: settings.trace_link,
            proxies: settings.trusted_proxies.clone(),
            cors: Cors::new(settings),
            bodies: Bounds::new(settings),
            running: Arc::new(Semaphore::new(limits.requests)),
            waiting: Arc::new(Semaphore::new(limits.waiting_requests)),
            request_time: limits.request_time,
            default_wait: settings.default_wait,
            max_wait: settings.max_wait,
        }
    }

    /// Answers one request.
    pub(super) async fn answer(&self, mut request: Request) -> Response {
        let started = Instant::now();
        let method = request.method().clone();
        let is_api = slash::is_api(request.uri().path());
        let (span, context) = context::of(&request, self.trace_link, &self.proxies);
        let request_id = context.request_id.clone();
        request.set_data(context);
        let work = async {
            let ruling = self.cors.judge(&request);
            let early = Cors::preflight(&request, &ruling);
            let mut reply = match early.or_else(|| slash::redirect(&request)) {
                Some(reply) => reply,
                None => self.admit(request).await,
            };
            finish::reply(&mut reply, &request_id, is_api);
            self.cors.finish(reply.headers_mut(), ruling);
            context::record(&method, &reply, started);
            reply
        };
        work.instrument(span).await
    }

    /// Finds a place for the request once its body begins to be there; a body that was cut decides
    /// the reply.
    async fn admit(&self, mut request: Request) -> Response {
        let verdict = match body::guard(&mut request, &self.bodies).await {
            Ok(verdict) => verdict,
            Err(refusal) => return refusal.to_response(),
        };
        let reply = self.place(request).await;
        match verdict {
            Some(verdict) => verdict.correct(reply),
            None => reply,
        }
    }

    /// Asking how the process is needs no place.
    async fn place(&self, request: Request) -> Response {
        if site::is_about_the_process(request.uri().path()) {
            return self.bounded(request, self.request_time).await;
        }
        let waits = waits(request.headers());
        let places = if waits { &self.waiting } else { &self.running };
        let Ok(_place) = places.try_acquire() else {
            return ApiError::unavailable(SHED).to_response();
        };
        let wait = if waits { self.max_wait } else { self.default_wait };
        let longest = self.request_time + wait + self.bodies.time(&request);
        self.bounded(request, longest).await
    }

    /// Answers within `longest`.
    async fn bounded(&self, request: Request, longest: Duration) -> Response {
        timeout(longest, self.caught(request)).await.unwrap_or_else(|_| {
            tracing::warn!(?longest, "a request took too long and was given up");
            ApiError::unavailable(SHED).to_response()
        })
    }

    /// Answers even when the routes panic, or fail in a shape that is not ours.
    async fn caught(&self, request: Request) -> Response {
        let work = AssertUnwindSafe(self.routes.call(request)).catch_unwind();
        match work.await {
            Ok(Ok(reply)) => envelope::of_reply(reply),
            Ok(Err(error)) => envelope::of_error(error),
            // The panic's text and place are in the log already, by the panic hook.
            Err(_) => ApiError::internal("a handler panicked").to_response(),
        }
    }
}

/// Whether the caller prefers to wait for the work that it starts.
fn waits(headers: &HeaderMap) -> bool {
    headers
        .get_all("prefer")
        .iter()
        .any(|value| value.as_bytes().windows(4).any(|window| window.eq_ignore_ascii_case(b"wait")))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use poem::{endpoint::make, http::StatusCode};
    use serde_json::{Value, json};

    use super::*;
    use crate::auth::TokenKey;

    fn settings() -> Settings {
        Settings::new("http://feat.test", TokenKey::generate())
    }

    async fn body(reply: Response) -> Value {
        reply.into_body().into_json().await.unwrap()
    }

    fn get(path: &str) -> Request {
        Request::builder().uri_str(path).header("x-request-id", "r-1").finish()
    }

    #[tokio::test]
    async fn a_panic_is_an_error_of_ours_with_a_request_id() {
        async fn broken(_: Request) -> poem::Result<Response> {
            panic!("secret")
        }
        let app = App::new(&settings(), make(broken));
        let reply = app.answer(get("/api/x/")).await;

        assert_eq!(reply.status(), 500);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("x-request-id"), Some("r-1"));
        let expected =
            json!({ "code": "SERVER_ERROR", "message": "Internal error.", "data": null });
        assert_eq!(body(reply).await, expected);
    }

    #[tokio::test]
    async fn an_error_in_another_shape_tells_nothing_of_itself() {
        async fn failing(_: Request) -> poem::Result<Response> {
            Err(poem::Error::from_string("secret", StatusCode::INTERNAL_SERVER_ERROR))
        }
        let app = App::new(&settings(), make(failing));
        let reply = app.answer(get("/api/x/")).await;

        assert_eq!(reply.status(), 500);
        assert_eq!(body(reply).await["message"], "Internal error.");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_takes_too_long_is_given_up_unless_it_waits() {
        async fn slow(_: Request) -> poem::Result<Response> {
            tokio::time::sleep(Duration::from_secs(90)).await;
            Ok(Response::default())
        }
        let app = App::new(&settings(), make(slow));
        let mut waiting = get("/api/x/");
        waiting.headers_mut().insert("prefer", "wait=50".parse().unwrap());

        let reply = app.answer(get("/api/x/")).await;
        assert_eq!((reply.status().as_u16(), reply.header("retry-after")), (503, Some("1")));
        assert_eq!(app.answer(waiting).await.status(), 200);
    }

    #[tokio::test]
    async fn too_many_requests_at_a_time_are_sent_away() {
        async fn stuck(_: Request) -> poem::Result<Response> {
            futures::future::pending().await
        }
        let mut settings = settings();
        settings.limits.requests = 1;
        let app = App::new(&settings, make(stuck));
        let mut first = Box::pin(app.answer(get("/api/x/")));
        assert!((&mut first).now_or_never().is_none());

        let second = app.answer(get("/api/x/")).await;
        assert_eq!((second.status().as_u16(), second.header("retry-after")), (503, Some("1")));
        assert!(Box::pin(app.answer(get("/livez"))).now_or_never().is_none(), "not sent away");
        drop(first);
        assert!(Box::pin(app.answer(get("/api/x/"))).now_or_never().is_none(), "a place is free");
    }
}
