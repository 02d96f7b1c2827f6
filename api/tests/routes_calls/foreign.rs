//! Who may call what: no token, a token without the scope, other users' ids.

use reqwest::{Method, RequestBuilder};
use schemas::JobId;
use serde_json::Value;

use crate::rig::{App, error, image_path, job_path};

/// Every call, with an id of a picture and of a job.
fn calls<'a>(image: &'a str, job: &'a str) -> Vec<(Method, String)> {
    vec![
        (Method::GET, image.to_owned()),
        (Method::PATCH, image.to_owned()),
        (Method::DELETE, image.to_owned()),
        (Method::GET, job.to_owned()),
        (Method::GET, format!("{job}events/")),
        (Method::POST, format!("{job}cancel/")),
    ]
}

fn with_body(method: &Method, call: RequestBuilder) -> RequestBuilder {
    if *method == Method::PATCH {
        return call.header("content-type", "application/json").body(r#"{"tags":["x"]}"#);
    }
    call
}

#[tokio::test]
async fn other_users_ids_and_ids_of_nothing_look_alike() {
    let app = App::start().await;
    let job = app.deletion(&app.ada).await;
    let image = app.picture(&app.ada).await;
    let deleted = app.picture(&app.ada).await;
    assert_eq!(app.delete(&deleted, &app.ada).send().await.unwrap().status(), 202);
    let (images, jobs) = ("/api/user/user-image", "/api/job");
    let rounds = [
        ("another's", image_path(deleted.id), job_path(&job)),
        ("nothing", format!("{images}/1/"), format!("{jobs}/{}/", JobId::generate())),
        ("no ids", format!("{images}/abc/"), format!("{jobs}/abc/")),
        ("zero", format!("{images}/0/"), format!("{jobs}/0/")),
        (
            "upper case",
            format!("{images}/1e3/"),
            job_path(&job).to_uppercase().replace("/API/JOB", jobs),
        ),
        ("path tricks", format!("{images}/..%2f..%2f/"), format!("{jobs}/%2e%2e/")),
    ];
    for (round, image, job) in rounds {
        for (method, path) in calls(&image, &job) {
            let call = with_body(&method, app.request(method.clone(), &path, &app.bob));
            let name = format!("{round}: {method} {path}");
            error(&name, call.send().await.unwrap(), 404, "NOT_FOUND").await;
        }
    }
    for method in [Method::PATCH, Method::DELETE] {
        let call = with_body(&method, app.request(method.clone(), &image_path(image.id), &app.bob));
        error("live, another's", call.send().await.unwrap(), 404, "NOT_FOUND").await;
    }
    assert_eq!(app.image(image.id).await, image);
    assert_eq!(app.store.jobs.get(job.id).await.unwrap().unwrap(), job);
}

#[tokio::test]
async fn the_document_names_every_call_and_that_it_needs_a_token() {
    let app = App::start().await;
    let reply = app.anonymous(Method::GET, "/api/openapi.json").send().await.unwrap();
    let document: Value = reply.json().await.unwrap();
    let mut operations = vec![];
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if path.starts_with("/api/o/") {
                continue;
            }
            // A browser that comes back from a provider has no token.
            let returns = ["alipay_auth_return", "wechat_auth_return", "auth_return"];
            if returns.iter().any(|name| *path == format!("/api/pay/{name}/")) {
                assert!(operation["security"].is_null(), "{path}");
                continue;
            }
            let name = format!("{} {path}", method.to_uppercase());
            assert!(operation["security"][0].is_object(), "{name}");
            let method: Method = method.to_uppercase().parse().unwrap();
            let call = app.anonymous(method, &path.replace("{id}", "1")).send().await.unwrap();
            error(&name, call, 401, "not_authenticated").await;
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let parameters = parameters.map(|parameter| parameter["name"].as_str().unwrap());
            operations.push(format!("{name} ({})", parameters.collect::<Vec<_>>().join(", ")));
        }
    }
    insta::assert_snapshot!(operations.join("\n"));
}

#[tokio::test]
async fn every_call_needs_a_token_and_those_about_pictures_the_scope() {
    let app = App::start().await;
    let job = app.deletion(&app.ada).await;
    let image = app.picture(&app.ada).await;
    let list = ("/api/user/user-image/", "/api/job/");
    let mut all = calls(&image_path(image.id), &job_path(&job));
    all.push((Method::GET, format!("{}?uid=1", list.0)));
    all.push((Method::POST, list.0.to_owned()));
    all.push((Method::GET, list.1.to_owned()));
    let narrow = app.narrow_token().await;
    for (method, path) in all {
        let name = format!("{method} {path}");
        let call = with_body(&method, app.anonymous(method.clone(), &path));
        error(&name, call.send().await.unwrap(), 401, "not_authenticated").await;
        if path.starts_with(list.0) {
            let call = with_body(&method, app.anonymous(method.clone(), &path));
            let mut call = call.bearer_auth(&narrow);
            if method == Method::POST {
                call = call.header("content-type", "multipart/form-data; boundary=x").body("--x--");
            }
            let reply = call.send().await.unwrap();
            assert!(reply.headers().contains_key("www-authenticate"), "{name}");
            error(&name, reply, 403, "permission_denied").await;
        }
    }
    assert!(app.image(image.id).await.is_live());
}

#[tokio::test]
async fn a_token_reaches_only_jobs_that_it_could_have_started() {
    let app = App::start().await;
    let job = app.deletion(&app.ada).await;
    let narrow = app.narrow_token().await;
    let path = job_path(&job);
    let calls = [
        (Method::GET, path.clone()),
        (Method::GET, format!("{path}events/")),
        (Method::POST, format!("{path}cancel/")),
    ];
    for (method, path) in calls {
        let call = app.anonymous(method.clone(), &path).bearer_auth(&narrow);
        error(&format!("{method} {path}"), call.send().await.unwrap(), 404, "NOT_FOUND").await;
    }
    for query in ["", "?kind=image.delete"] {
        let list = app.anonymous(Method::GET, &format!("/api/job/{query}")).bearer_auth(&narrow);
        let list: Value = list.send().await.unwrap().json().await.unwrap();
        assert_eq!(list["data"], serde_json::json!([]), "{query}");
    }
    assert_eq!(app.store.jobs.get(job.id).await.unwrap().unwrap(), job);

    let own = app.read("/api/job/", &app.ada).await;
    assert_eq!(own["data"][0]["id"], job.id.to_string());
}
