//! Reading, listing and stopping jobs.

use std::time::{Duration, Instant};

use reqwest::Method;
use schemas::{Event, JobError, JobState, Timestamp, Verdict, message};
use serde_json::{Value, json};

use crate::rig::{App, error, job_path};

fn done() -> Verdict {
    Verdict::Done(json!({ "image": 41, "files_removed": 1 }))
}

#[tokio::test]
async fn an_entity_tag_spares_the_caller_what_it_knows() {
    let app = App::start().await;
    let job = app.deletion(&app.ada).await;
    let ask = |tag: &str| {
        app.request(Method::GET, &job_path(&job), &app.ada).header("if-none-match", tag).send()
    };

    let first = app.get(&job_path(&job), &app.ada).await;
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(tag, "\"1\"");
    let known = ask(&tag).await.unwrap();
    assert_eq!(known.status(), 304);
    assert_eq!(known.headers()["etag"], tag);
    assert_eq!(known.bytes().await.unwrap().len(), 0);
    app.settle(job.clone(), done()).await;
    let changed = ask(&tag).await.unwrap();
    assert_eq!(changed.status(), 200);
    assert_ne!(changed.headers()["etag"], tag);
}

#[tokio::test]
async fn a_read_may_wait_for_the_end() {
    let app = App::start().await;
    let job = app.deletion(&app.ada).await;
    let ask = app.request(Method::GET, &job_path(&job), &app.ada).header("prefer", "wait=10");
    let call = tokio::spawn(ask.send());
    let failed = Verdict::Error(JobError::Rejected("gone"));
    let start = Instant::now();
    app.settle(job, failed).await;
    let reply = call.await.unwrap().unwrap();

    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(reply.status(), 200, "reading about a failure succeeds");
    assert_eq!(reply.headers()["preference-applied"], "wait=10");
    let body: Value = reply.json().await.unwrap();
    assert_eq!(body["data"]["status"], "failed");
    assert_eq!(body["data"]["error"], json!({ "code": "gone" }));
}

#[tokio::test]
async fn an_end_whose_news_got_lost_is_noticed_within_seconds() {
    let app = App::start().await;
    let job = app.deletion(&app.ada).await;
    let ask = app.request(Method::GET, &job_path(&job), &app.ada).header("prefer", "wait=15");
    let call = tokio::spawn(ask.send());
    let spec = schemas::JobSpec::of::<schemas::kinds::ImageDelete>();
    let settled = job.settle(&spec, done(), "worker-1", Timestamp::now(), 0.5).unwrap();
    let start = Instant::now();
    assert_eq!(app.store.jobs.save(&settled).await.unwrap(), store::Save::Stored);
    let body: Value = call.await.unwrap().unwrap().json().await.unwrap();

    assert_eq!(body["data"]["status"], "succeeded");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_shutdown_ends_the_waiting_and_not_the_job() {
    let app = App::start().await;
    let job = app.deletion(&app.ada).await;
    let ask = app.request(Method::GET, &job_path(&job), &app.ada).header("prefer", "wait=15");
    let call = tokio::spawn(ask.send());
    let start = Instant::now();
    // A second request on another connection shows that the first one was taken.
    app.read(&job_path(&job), &app.ada).await;
    app.shutdown.cancel();
    // A request that had not been taken yet finds nobody; one that was gets its reply.
    if let Ok(reply) = call.await.unwrap() {
        let body: Value = reply.json().await.unwrap();
        assert_eq!(body["data"]["status"], "queued");
    }
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_list_is_read_page_by_page_and_shows_ones_own_jobs_only() {
    let app = App::start().await;
    let mut jobs = vec![];
    for _ in 0..5 {
        jobs.push(app.deletion(&app.ada).await);
    }
    app.deletion(&app.bob).await;
    jobs.reverse();

    let (mut seen, mut cursor) = (vec![], String::new());
    for page in 0..3 {
        let body = app.read(&format!("/api/job/?page_size=2{cursor}"), &app.ada).await;
        let ids = body["data"].as_array().unwrap().iter();
        seen.extend(ids.map(|job| job["id"].as_str().unwrap().to_owned()));
        match body["cursor"]["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => assert_eq!(page, 2),
        }
    }
    assert_eq!(seen, jobs.iter().map(|job| job.id.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_list_is_filtered() {
    let app = App::start().await;
    let (first, second) = (app.deletion(&app.ada).await, app.deletion(&app.ada).await);
    app.settle(first.clone(), done()).await;
    let both = [second.id.to_string(), first.id.to_string()];
    let (first, late) = (&both[1..], second.created_at);
    let early = Timestamp::from_micros(late.as_micros() - 3_600_000_000);
    let cases = [
        ("all", String::new(), &both[..]),
        ("kind", "kind=image.delete".to_owned(), &both[..]),
        ("other kind", "kind=job.expiry".to_owned(), &[]),
        ("state", "status=succeeded".to_owned(), first),
        ("states", "status=succeeded,queued".to_owned(), &both[..]),
        ("from", format!("created_from={late}"), &both[..1]),
        ("before", format!("created_before={late}"), first),
        ("between", format!("created_from={early}&created_before={late}"), first),
    ];
    for (name, query, expected) in cases {
        let body = app.read(&format!("/api/job/?{query}"), &app.ada).await;
        let ids = body["data"].as_array().unwrap().iter();
        let ids: Vec<_> = ids.map(|job| job["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(ids, expected, "{name}");
    }
}

#[tokio::test]
async fn what_a_list_cannot_mean_is_refused_by_name() {
    let app = App::start().await;
    let cases = [
        ("kind", "kind=nonsense"),
        ("status", "status=queued,gone"),
        ("created_from", "created_from=yesterday"),
        ("created_before", "created_before=1"),
        ("cursor", "cursor=%00"),
        ("cursor", "cursor=AAAA"),
        ("page_size", "page_size=0"),
        ("page_size", "page_size=many"),
    ];
    for (field, query) in cases {
        let reply = app.get(&format!("/api/job/?{query}"), &app.ada).await;
        let body = error(query, reply, 400, "VALIDATION_EXCEPTION").await;
        assert!(body["data"][field].is_array(), "{query}: {body}");
    }
}

#[tokio::test]
async fn cancelling_is_a_wish_that_workers_hear_of() {
    let app = App::start().await;
    let job = app.deletion(&app.ada).await;
    let mut messages = app.messages();
    messages.next().await.ack().await;
    let mut events = app.broker.events();
    let cancel = format!("{}cancel/", job_path(&job));
    let reply = app.request(Method::POST, &cancel, &app.ada).send().await.unwrap();

    assert_eq!(reply.status(), 202);
    assert_eq!(reply.headers()["location"], job_path(&job).as_str());
    let body: Value = reply.json().await.unwrap();
    assert_eq!(body["data"]["status"], "queued");
    assert_eq!(body["data"]["cancel_requested"], true);
    assert_eq!(events.recv().await.unwrap(), Event::CancelRequested { id: job.id });
    let message = messages.next().await;
    let message::Subject::Job(sent) = message::decode(&message.body).unwrap().subject else {
        panic!()
    };
    assert!(sent.cancel_requested_at.is_some());
    message.ack().await;
}

#[tokio::test]
async fn asking_again_to_cancel_changes_nothing() {
    let app = App::start().await;
    let job = app.deletion(&app.ada).await;
    let cancel = format!("{}cancel/", job_path(&job));
    let ask = || app.request(Method::POST, &cancel, &app.ada).send();
    assert_eq!(ask().await.unwrap().status(), 202);
    let waiting = app.settle(job.clone(), Verdict::Error(JobError::again("slow disk"))).await;
    assert_eq!(waiting.state, JobState::Waiting);
    for _ in 0..10 {
        let reply = ask().await.unwrap();
        assert_eq!(reply.status(), 202);
        let body: Value = reply.json().await.unwrap();
        assert_eq!(body["data"]["cancel_requested"], true);
    }

    assert_eq!(app.store.jobs.get(job.id).await.unwrap().unwrap(), waiting);
}

#[tokio::test]
async fn who_waits_for_a_cancellation_learns_how_the_job_ended() {
    let app = App::start().await;
    let cancelled = Verdict::Error(JobError::Cancelled);
    for (name, verdict, status) in [("stopped", cancelled, 200), ("too late", done(), 409)] {
        let job = app.deletion(&app.ada).await;
        let mut events = app.broker.events();
        let path = format!("{}cancel/", job_path(&job));
        let call = app.request(Method::POST, &path, &app.ada).header("prefer", "wait=10").send();
        let call = tokio::spawn(call);
        assert_eq!(events.recv().await.unwrap(), Event::CancelRequested { id: job.id }, "{name}");
        app.settle(job, verdict).await;
        let reply = call.await.unwrap().unwrap();
        if status == 409 {
            error(name, reply, 409, "CONFLICT").await;
        } else {
            assert_eq!(reply.status(), status, "{name}");
            let body: Value = reply.json().await.unwrap();
            assert_eq!(body["data"]["status"], "cancelled", "{name}");
        }
    }
}

#[tokio::test]
async fn what_has_ended_or_is_unknown_cannot_be_cancelled() {
    let app = App::start().await;
    let unknown = JobError::Unknown { ask: "the provider".to_owned(), again: None };
    let cases = [
        ("succeeded", done(), JobState::Succeeded),
        ("failed", Verdict::Error(JobError::Rejected("no")), JobState::Failed),
        ("unknown", Verdict::Error(unknown), JobState::Unknown),
    ];
    for (name, verdict, state) in cases {
        let job = app.deletion(&app.ada).await;
        let settled = app.settle(job, verdict).await;
        assert_eq!(settled.state, state);
        let path = format!("{}cancel/", job_path(&settled));
        let reply = app.request(Method::POST, &path, &app.ada).send().await.unwrap();
        let body = error(name, reply, 409, "CONFLICT").await;
        assert_eq!(body["data"]["job"]["status"], name);
    }
}
