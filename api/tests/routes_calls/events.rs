//! Following a job by Server-Sent Events.

use std::time::{Duration, Instant};

use reqwest::{Method, Response};
use schemas::{JobRecord, Timestamp, Verdict};
use serde_json::{Value, json};

use crate::rig::{App, PATIENCE, error, eventually, job_path};

/// Reads a stream event by event.
struct Stream {
    reply: Response,
    text: String,
}

impl Stream {
    async fn open(app: &App, job: &JobRecord, last: Option<&str>) -> Self {
        let mut call = app.request(Method::GET, &events_path(job), &app.ada);
        if let Some(last) = last {
            call = call.header("last-event-id", last);
        }
        let reply = call.send().await.unwrap();
        assert_eq!(reply.status(), 200);
        assert_eq!(reply.headers()["content-type"], "text/event-stream");
        Self { reply, text: String::new() }
    }

    /// Id and status of the next event, or `None` at the end.
    async fn next(&mut self) -> Option<(u64, String)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(read(&event));
            }
            let piece = tokio::time::timeout(PATIENCE, self.reply.chunk()).await.unwrap();
            self.text.push_str(std::str::from_utf8(&piece.unwrap()?).unwrap());
        }
    }

    async fn all(mut self) -> Vec<(u64, String)> {
        let mut events = vec![];
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

fn read(event: &str) -> (u64, String) {
    let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    assert_eq!(field("event: "), "status");
    let data: Value = serde_json::from_str(field("data: ")).unwrap();
    assert!(data["id"].is_string() && data.get("payload").is_none(), "{data}");
    (field("id: ").parse().unwrap(), data["status"].as_str().unwrap().to_owned())
}

fn events_path(job: &JobRecord) -> String {
    format!("{}events/", job_path(job))
}

fn event(version: u64, status: &str) -> (u64, String) {
    (version, status.to_owned())
}

fn done() -> Verdict {
    Verdict::Done(json!({}))
}

/// Lets a worker claim the job.
async fn claim(app: &App, job: JobRecord) -> JobRecord {
    let now = Timestamp::now();
    let running = job.claim("worker-1", now + Duration::from_secs(10), now).unwrap();
    app.save(&running).await;
    running
}

#[tokio::test]
async fn a_stream_shows_the_job_as_it_is_then_every_change_then_ends() {
    let app = App::start().await;
    let job = app.deletion(&app.ada).await;
    let mut stream = Stream::open(&app, &job, None).await;

    assert_eq!(stream.next().await, Some(event(1, "queued")));
    let start = Instant::now();
    let running = claim(&app, job).await;
    assert_eq!(stream.next().await, Some(event(2, "running")));
    app.settle(running, done()).await;
    assert_eq!(stream.next().await, Some(event(3, "succeeded")));
    assert_eq!(stream.next().await, None);
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn who_comes_back_gets_what_it_missed() {
    let app = App::start().await;
    let job = app.deletion(&app.ada).await;
    let running = claim(&app, job).await;
    let job = app.settle(running, done()).await;
    let (queued, running, succeeded) =
        (event(1, "queued"), event(2, "running"), event(3, "succeeded"));
    let cases = [
        ("nothing seen", None, vec![succeeded.clone()]),
        ("from the beginning", Some("0"), vec![queued, running.clone(), succeeded.clone()]),
        ("the first seen", Some("1"), vec![running, succeeded.clone()]),
        ("all but the end", Some("2"), vec![succeeded.clone()]),
        ("nonsense", Some("x"), vec![succeeded]),
    ];
    for (name, last, expected) in cases {
        assert_eq!(Stream::open(&app, &job, last).await.all().await, expected, "{name}");
    }
    let over = app.request(Method::GET, &events_path(&job), &app.ada).header("last-event-id", "3");
    assert_eq!(over.send().await.unwrap().status(), 204, "a browser then stops coming back");
}

#[tokio::test]
async fn a_renewed_lease_is_no_news() {
    let app = App::start().await;
    let job = app.deletion(&app.ada).await;
    let running = claim(&app, job).await;
    let mut stream = Stream::open(&app, &running, Some("1")).await;
    assert_eq!(stream.next().await, Some(event(2, "running")));
    let now = Timestamp::now();
    let renewed = running.renew("worker-1", now + Duration::from_secs(10), now).unwrap();
    app.save(&renewed).await;
    app.settle(renewed, done()).await;

    assert_eq!(stream.next().await, Some(event(4, "succeeded")));
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn a_shutdown_ends_streams() {
    let app = App::start().await;
    let job = app.deletion(&app.ada).await;
    let mut stream = Stream::open(&app, &job, None).await;
    assert_eq!(stream.next().await, Some(event(1, "queued")));
    let start = Instant::now();
    app.shutdown.cancel();

    assert_eq!(stream.next().await, None);
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn streams_are_bounded_and_a_closed_one_makes_room() {
    let app = App::start_with(|settings| settings.limits.event_streams = 1, 100).await;
    let job = app.deletion(&app.ada).await;
    let first = Stream::open(&app, &job, None).await;
    let second = app.get(&events_path(&job), &app.ada).await;
    assert!(second.headers().contains_key("retry-after"));
    error("second", second, 503, "SERVICE_UNAVAILABLE").await;

    drop(first);
    let path = events_path(&job);
    eventually("room", async || app.get(&path, &app.ada).await.status() == 200).await;
}

#[tokio::test]
async fn a_stream_tells_nothing_after_its_sign_in_has_ended() {
    let app = App::start().await;
    let job = app.deletion(&app.ada).await;
    let mut stream = Stream::open(&app, &job, None).await;
    assert_eq!(stream.next().await, Some(event(1, "queued")));
    let sign_out = app.request(Method::POST, "/api/user/sign-out/", &app.ada).send().await.unwrap();
    assert!(sign_out.status().is_success());
    claim(&app, job).await;

    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn one_user_leaves_streams_to_the_others() {
    let app = App::start().await;
    let (mine, theirs) = (app.deletion(&app.ada).await, app.deletion(&app.bob).await);
    let mut open = vec![];
    for _ in 0..32 {
        open.push(Stream::open(&app, &mine, None).await);
    }
    let more = app.get(&events_path(&mine), &app.ada).await;
    assert!(more.headers().contains_key("retry-after"));
    error("one more", more, 429, "RATE_LIMITED").await;

    assert_eq!(app.get(&events_path(&theirs), &app.bob).await.status(), 200);
    open.pop();
    let path = events_path(&mine);
    eventually("room", async || app.get(&path, &app.ada).await.status() == 200).await;
}
