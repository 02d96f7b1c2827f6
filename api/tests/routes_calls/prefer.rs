//! `Prefer` in all its spellings, and what a reply says about having waited.

use reqwest::{Method, Response};
use schemas::Verdict;
use serde_json::json;

use crate::rig::{App, job_path};

fn applied(reply: &Response) -> Option<&str> {
    reply.headers().get("preference-applied").map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn several_lines_are_one_list() {
    let app = App::start().await;
    let image = app.picture(&app.ada).await;
    let job = app.job_of(app.delete(&image, &app.ada).send().await.unwrap()).await;
    app.settle(job.clone(), Verdict::Done(json!({ "image": 41, "files_removed": 1 }))).await;
    let twice = |request: reqwest::RequestBuilder| {
        request.header("prefer", "handling=strict").header("prefer", "wait=5").send()
    };

    let deleted = twice(app.delete(&image, &app.ada)).await.unwrap();
    assert_eq!((deleted.status().as_u16(), applied(&deleted)), (204, Some("wait=5")));
    let read = twice(app.request(Method::GET, &job_path(&job), &app.ada)).await.unwrap();
    assert_eq!((read.status().as_u16(), applied(&read)), (200, Some("wait=5")));
    let known =
        app.request(Method::GET, &job_path(&job), &app.ada).header("if-none-match", "\"x\"");
    let tag = read.headers()["etag"].to_str().unwrap();
    let known = known.header("if-none-match", tag).send().await.unwrap();
    assert_eq!(known.status(), 304, "the same goes for entity tags");
}

#[tokio::test]
async fn a_wait_that_had_no_place_is_not_called_applied() {
    let app = App::start_with(|settings| settings.limits.watched_jobs = 0, 100).await;
    let image = app.picture(&app.ada).await;
    let deleted = app.delete(&image, &app.ada).header("prefer", "wait=5").send().await.unwrap();
    assert_eq!((deleted.status().as_u16(), applied(&deleted)), (202, None));
    let job = app.job_of(deleted).await;
    let read = |wait| app.request(Method::GET, &job_path(&job), &app.ada).header("prefer", wait);
    let cancel = format!("{}cancel/", job_path(&job));

    let reply = read("wait=5").send().await.unwrap();
    assert_eq!((reply.status().as_u16(), applied(&reply)), (200, None));
    let reply = read("wait=0").send().await.unwrap();
    assert_eq!(applied(&reply), Some("wait=0"), "an answer at once is what was asked for");
    let reply = app.request(Method::POST, &cancel, &app.ada).header("prefer", "wait=5");
    let reply = reply.send().await.unwrap();
    assert_eq!((reply.status().as_u16(), applied(&reply)), (202, None));

    app.settle(job.clone(), Verdict::Done(json!({ "image": 41, "files_removed": 1 }))).await;
    let reply = read("wait=5").send().await.unwrap();
    assert_eq!(applied(&reply), Some("wait=5"), "there was nothing left to wait for");
}
