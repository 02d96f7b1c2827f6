//! Deleting pictures: accepted, hidden at once, done once.

use std::time::{Duration, Instant};

use reqwest::{Method, Response};
use schemas::{JobError, JobRecord, JobState, Timestamp, Verdict, image::ImageRecord, message};
use serde_json::{Value, json};
use store::{JobFilter, Save};

use crate::rig::{App, error, eventually, image_path, job_path, media_path};

fn done() -> Verdict {
    Verdict::Done(json!({ "image": 41, "files_removed": 1 }))
}

#[tokio::test]
async fn a_deletion_is_accepted_published_and_hides_the_picture_at_once() {
    let app = App::start().await;
    let image = app.picture(&app.ada).await;
    let mut messages = app.messages();
    let reply = app.delete(&image, &app.ada).header("x-request-id", "r-41").send().await.unwrap();

    assert_eq!(reply.status(), 202);
    assert_eq!(reply.headers()["retry-after"], "1");
    let location = reply.headers()["location"].to_str().unwrap().to_owned();
    let body: Value = reply.json().await.unwrap();
    let id = body["data"]["id"].as_str().unwrap();
    let shown: Value = serde_json::from_str(&body.to_string().replace(id, "[id]")).unwrap();
    insta::assert_json_snapshot!(shown, {
        ".data.created_at" => "[time]",
        ".data.updated_at" => "[time]",
    });
    assert_eq!(location, body["data"]["links"]["self"]);

    let delivery = messages.next().await;
    let message::Subject::Job(job) = message::decode(&delivery.body).unwrap().subject else {
        panic!()
    };
    assert_eq!(body["data"]["id"], job.id.to_string());
    assert_eq!(job.request_id.as_deref(), Some("r-41"));
    delivery.ack().await;

    error("to others", app.get(&image_path(image.id), &app.bob).await, 404, "NOT_FOUND").await;
    let file = app.anonymous(Method::GET, &media_path(&image)).send().await.unwrap();
    error("its file", file, 404, "NOT_FOUND").await;
    let list = format!("/api/user/user-image/?uid={}", app.ada.id);
    assert_eq!(app.read(&list, &app.ada).await["data"], json!([]));
    let own = app.read(&image_path(image.id), &app.ada).await;
    assert!(own["data"]["delete_time"].is_string());
}

#[tokio::test]
async fn deleting_again_gives_the_same_job() {
    let app = App::start().await;
    let image = app.picture(&app.ada).await;
    let first = app.job_of(app.delete(&image, &app.ada).send().await.unwrap()).await;
    let again = app.delete(&image, &app.ada).send().await.unwrap();

    assert_eq!(again.status(), 202);
    assert!(!again.headers().contains_key("idempotency-replayed"));
    assert_eq!(app.job_of(again).await.id, first.id);

    app.settle(first.clone(), done()).await;
    let waiting = app.delete(&image, &app.ada).header("prefer", "wait=5").send().await.unwrap();
    assert_eq!(waiting.status(), 204);
}

#[tokio::test]
async fn many_deletions_at_once_are_one_job() {
    let app = App::start().await;
    // Several, since who is quicker than whom in the middle of it differs from one to the next.
    for done in 1..=20 {
        let image = app.picture(&app.ada).await;
        let key = format!("picture-{done}");
        let calls = (0..16).map(|n| {
            let call = app.delete(&image, &app.ada);
            if n % 4 > 0 { call.header("idempotency-key", &key) } else { call }.send()
        });
        let mut ids = vec![];
        for reply in futures::future::join_all(calls).await {
            let reply = reply.unwrap();
            assert_eq!(reply.status(), 202);
            ids.push(app.job_of(reply).await.id);
        }
        ids.dedup();

        assert_eq!(ids.len(), 1);
        let filter = JobFilter { owner: Some(app.ada.id), ..JobFilter::default() };
        assert_eq!(app.store.jobs.count(&filter, 100).await.unwrap(), done);
    }
}

#[tokio::test]
async fn an_idempotency_key_stands_for_one_request() {
    let app = App::start().await;
    let (image, other) = (app.picture(&app.ada).await, app.picture(&app.ada).await);
    let theirs = app.picture(&app.bob).await;
    let send = |image, user| app.delete(image, user).header("idempotency-key", "k-1").send();

    let first = send(&image, &app.ada).await.unwrap();
    assert!(!first.headers().contains_key("idempotency-replayed"));
    let first = app.job_of(first).await;
    let again = send(&image, &app.ada).await.unwrap();
    assert_eq!(again.status(), 202);
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    assert_eq!(app.job_of(again).await.id, first.id);

    error("other picture", send(&other, &app.ada).await.unwrap(), 422, "IDEMPOTENCY_KEY_REUSED")
        .await;
    assert!(app.image(other.id).await.is_live());
    let body = app.delete(&image, &app.ada).header("idempotency-key", "k-1").body("x");
    error("other body", body.send().await.unwrap(), 422, "IDEMPOTENCY_KEY_REUSED").await;
    assert_eq!(send(&theirs, &app.bob).await.unwrap().status(), 202, "another user's key");

    for (name, key) in [("too long", "k".repeat(256)), ("blank", "a b".to_owned())] {
        let call = app.delete(&other, &app.ada).header("idempotency-key", key);
        let body = error(name, call.send().await.unwrap(), 400, "VALIDATION_EXCEPTION").await;
        assert!(body["data"]["Idempotency-Key"].is_array(), "{name}");
    }
}

#[tokio::test]
async fn a_key_that_an_earlier_job_answered_belongs_to_that_request_from_then_on() {
    let app = App::start().await;
    let (image, other) = (app.picture(&app.ada).await, app.picture(&app.ada).await);
    let send = |image, key| app.delete(image, &app.ada).header("idempotency-key", key).send();
    let first = app.job_of(app.delete(&image, &app.ada).send().await.unwrap()).await;

    let bound = send(&image, "k-1").await.unwrap();
    assert_eq!(bound.status(), 202);
    assert_eq!(app.job_of(bound).await.id, first.id);
    let again = send(&image, "k-1").await.unwrap();
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    assert_eq!(app.job_of(again).await.id, first.id);
    let reused = send(&other, "k-1").await.unwrap();
    error("another picture", reused, 422, "IDEMPOTENCY_KEY_REUSED").await;
    assert!(app.image(other.id).await.is_live());

    // A job has one key: a second one could not be told from a new one later.
    let second = send(&image, "k-2").await.unwrap();
    error("a second key", second, 422, "IDEMPOTENCY_KEY_REUSED").await;
    let plain = app.job_of(app.delete(&image, &app.ada).send().await.unwrap()).await;
    assert_eq!(plain.id, first.id, "without a key the job is found as before");
}

#[tokio::test]
async fn a_caller_who_waits_gets_the_outcome() {
    type Case = (&'static str, Verdict, u16, Option<&'static str>);
    let app = App::start().await;
    let cases: [Case; 3] = [
        ("done", done(), 204, None),
        ("refused", Verdict::Error(JobError::Rejected("gone")), 422, Some("JOB_FAILED")),
        ("cancelled", Verdict::Error(JobError::Cancelled), 409, Some("JOB_CANCELLED")),
    ];
    for (name, verdict, status, code) in cases {
        let reply = wait_and_settle(&app, verdict).await;
        assert_eq!(reply.headers()["preference-applied"], "wait=10", "{name}");
        match code {
            None => assert_eq!(reply.status(), status, "{name}"),
            Some(code) => {
                assert!(reply.headers().contains_key("location"), "{name}");
                let body = error(name, reply, status, code).await;
                assert!(body["data"]["job"]["id"].is_string(), "{name}: {body}");
            }
        }
    }
}

async fn wait_and_settle(app: &App, verdict: Verdict) -> Response {
    let image = app.picture(&app.ada).await;
    let mut messages = app.messages();
    let call = tokio::spawn(app.delete(&image, &app.ada).header("prefer", "wait=10").send());
    let delivery = messages.next().await;
    let message::Subject::Job(job) = message::decode(&delivery.body).unwrap().subject else {
        panic!()
    };
    delivery.ack().await;
    let start = Instant::now();
    app.settle(*job, verdict).await;
    let reply = call.await.unwrap().unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "news arrive before the wait is over");
    reply
}

#[tokio::test]
async fn a_dead_job_is_a_bad_gateway_to_who_waits_and_a_job_to_who_does_not() {
    let app = App::start().await;
    let image = app.picture(&app.ada).await;
    let mut job = app.job_of(app.delete(&image, &app.ada).send().await.unwrap()).await;
    job.attempts = 100;
    app.settle_as(job).await;

    let reply = app.delete(&image, &app.ada).header("prefer", "wait=1").send().await.unwrap();
    error("waits", reply, 502, "JOB_DEAD").await;
    let reply = app.delete(&image, &app.ada).send().await.unwrap();
    assert_eq!(reply.status(), 202);
    let body: Value = reply.json().await.unwrap();
    assert_eq!(body["data"]["status"], "dead");
    assert_eq!(body["data"]["error"], json!({ "code": "attempt_failed" }));
    assert!(!body.to_string().contains("disk"), "{body}");
}

impl App {
    /// Saves the last permitted failure of a job.
    async fn settle_as(&self, job: JobRecord) {
        let spec = schemas::JobSpec::of::<schemas::kinds::ImageDelete>();
        let verdict = Verdict::Error(JobError::again("disk sda1 is full"));
        let dead = job.settle(&spec, verdict, "worker-1", Timestamp::now(), 0.5).unwrap();
        assert_eq!(dead.state, JobState::Dead);
        self.save(&dead).await;
    }
}

#[tokio::test]
async fn who_waits_too_short_or_has_no_patience_gets_202() {
    let app = App::start_with(|settings| settings.max_wait = Duration::from_secs(1), 100).await;
    let image = app.picture(&app.ada).await;
    let start = Instant::now();
    let reply = app.delete(&image, &app.ada).header("prefer", "wait=30").send().await.unwrap();

    assert_eq!(reply.status(), 202);
    assert_eq!(reply.headers()["preference-applied"], "wait=1");
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_default_wait_serves_callers_of_the_old_synchronous_api() {
    let set = |settings: &mut api::Settings| settings.default_wait = Duration::from_secs(10);
    let app = App::start_with(set, 100).await;
    let image = app.picture(&app.ada).await;
    let mut messages = app.messages();
    let call = tokio::spawn(app.delete(&image, &app.ada).send());
    let message = messages.next().await;
    let message::Subject::Job(job) = message::decode(&message.body).unwrap().subject else {
        panic!()
    };
    message.ack().await;
    app.settle(*job, done()).await;

    let reply = call.await.unwrap().unwrap();
    assert_eq!(reply.status(), 204);
    assert!(!reply.headers().contains_key("preference-applied"));
    let image = app.picture(&app.ada).await;
    let reply = app.delete(&image, &app.ada).header("prefer", "respond-async").send().await;
    assert_eq!(reply.unwrap().status(), 202);
}

#[tokio::test]
async fn a_queue_that_takes_nothing_loses_nothing() {
    let app = App::start_with(|_| {}, 1).await;
    let first = app.deletion(&app.ada).await;
    let second = app.deletion(&app.ada).await;

    for job in [first, second] {
        assert_eq!(job.state, JobState::Queued, "the sweep finds it");
    }
}

#[tokio::test]
async fn a_picture_given_back_by_a_cancelled_job_can_be_deleted_anew() {
    let app = App::start().await;
    let image = app.picture(&app.ada).await;
    let job = app.job_of(app.delete(&image, &app.ada).send().await.unwrap()).await;
    let hidden = app.image(image.id).await;
    let shown = hidden.restore(job.id).unwrap();
    assert_eq!(app.store.images.save(&shown).await.unwrap(), store::Save::Stored);
    app.settle(job.clone(), Verdict::Error(JobError::Cancelled)).await;

    let reply = app.delete(&image, &app.ada).send().await.unwrap();
    assert_eq!(reply.status(), 202);
    assert_ne!(app.job_of(reply).await.id, job.id);
    assert!(!app.image(image.id).await.is_live());
}

#[tokio::test]
async fn a_call_whose_process_died_before_the_hiding_is_made_good_by_the_next() {
    use schemas::{
        job::NewJob,
        kinds::{ImageDelete, image_delete::ImageDeletion},
    };
    let app = App::start().await;
    let image = app.picture(&app.ada).await;
    let payload = ImageDeletion { image: image.id };
    let mut new = NewJob::of::<ImageDelete>(app.ada.id, &payload).unwrap();
    new.unique_key = Some(payload.unique_key());
    let job = JobRecord::accept(new, "api", Timestamp::now());
    assert_eq!(app.store.jobs.insert(&job).await.unwrap(), store::Insert::Stored);

    let reply = app.delete(&image, &app.ada).send().await.unwrap();
    assert_eq!(app.job_of(reply).await.id, job.id);
    assert_eq!(app.image(image.id).await.deletion.unwrap().job, job.id);
}

#[tokio::test]
async fn a_picture_that_changed_since_this_process_saw_it_is_deleted_as_it_is_now() {
    let app = App::start().await;
    let image = app.picture(&app.ada).await;
    app.read(&image_path(image.id), &app.ada).await;
    let changed = image.clone().tag(vec!["changed elsewhere".to_owned()]);
    assert_eq!(app.store.images.save(&changed).await.unwrap(), Save::Stored);
    let mut messages = app.messages();

    let job = app.job_of(app.delete(&image, &app.ada).send().await.unwrap()).await;

    let hidden = app.store.images.get(image.id).await.unwrap().unwrap();
    assert_eq!(hidden.deletion.as_ref().map(|deletion| deletion.job), Some(job.id));
    assert_eq!(hidden.tags, changed.tags);
    let beside = message::decode(&messages.next().await.body).unwrap().beside.unwrap();
    assert_eq!(beside.read::<ImageRecord>(), Some(hidden));
    // Seen by its owner, it is nobody else's.
    let other = app.picture(&app.ada).await;
    app.read(&image_path(other.id), &app.ada).await;
    let reply = app.delete(&other, &app.bob).send().await.unwrap();
    error("another user's", reply, 404, "NOT_FOUND").await;
}

#[tokio::test]
async fn a_client_that_hangs_up_leaves_nothing_half_accepted() {
    let app = App::start().await;
    for _ in 0..10 {
        let image = app.picture(&app.ada).await;
        let call = app.delete(&image, &app.ada).timeout(Duration::from_micros(1_500)).send();
        // Whether the reply still arrives is not the point.
        let _ = call.await;
        let filter = JobFilter { owner: Some(app.ada.id), ..JobFilter::default() };
        eventually("a job hides its picture", async || {
            let jobs = app.store.jobs.list(&filter, None, 100).await.unwrap();
            let accepted = jobs.iter().any(|job| job.payload["image"] == json!(image.id));
            accepted != app.image(image.id).await.is_live()
        })
        .await;
    }
}

#[tokio::test]
async fn a_job_shows_what_came_of_it() {
    let app = App::start().await;
    let job = app.deletion(&app.ada).await;
    app.settle(job.clone(), done()).await;
    let body = app.read(&job_path(&job), &app.ada).await;

    assert_eq!(body["data"]["status"], "succeeded");
    assert_eq!(body["data"]["result"], json!({ "image": 41, "files_removed": 1 }));
    assert_eq!(body["data"]["links"]["cancel"], Value::Null);
}
