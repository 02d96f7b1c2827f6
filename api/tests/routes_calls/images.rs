//! Records of pictures: list, detail, tags.

use std::time::Duration;

use reqwest::{Method, Response};
use schemas::{ImageId, Timestamp, image::ImageRecord};
use serde_json::{Value, json};

use crate::rig::{App, error, image_path};

async fn patch(app: &App, image: &ImageRecord, body: impl ToString) -> Response {
    let call = app.request(Method::PATCH, &image_path(image.id), &app.ada);
    let call = call.header("content-type", "application/json").body(body.to_string());
    call.send().await.unwrap()
}

#[tokio::test]
async fn a_picture_is_shown_as_documented() {
    let app = App::start().await;
    let image = app
        .picture_with(&app.ada, |image| {
            image.created_at = Timestamp::from_micros(1_706_933_106_123_456);
            image.file_name = "沙丘 1.png".to_owned();
        })
        .await;
    for user in [&app.ada, &app.bob] {
        let body = app.read(&image_path(image.id), user).await;
        insta::allow_duplicates! {
            insta::assert_json_snapshot!(body, {
                ".data.id" => "[id]",
                ".data.user" => "[user]",
                ".data.img" => insta::dynamic_redaction(|img, _| {
                    let img = img.as_str().unwrap();
                    let (start, name) = img.split_once("/UserImage/").unwrap();
                    let (start, user) = start.rsplit_once('/').unwrap();
                    assert!(user.parse::<u64>().is_ok());
                    format!("{start}/[user]/UserImage/{name}")
                }),
            });
        }
        assert_eq!(body["data"]["id"], image.id.get());
        assert_eq!(body["data"]["user"], app.ada.id.get());
    }
}

/// Five pictures with tags, one of them deleted; the ids oldest first.
async fn gallery(app: &App) -> Vec<ImageId> {
    let mut ids = vec![];
    for (n, tags) in ["a", "a,b", "b,c", "", "a,b"].into_iter().enumerate() {
        let n = u32::try_from(n).unwrap();
        let image = app
            .picture_with(&app.ada, |image| {
                let tags = tags.split(',').filter(|tag| !tag.is_empty());
                image.tags = tags.map(str::to_owned).collect();
                image.width = 100 + n / 2;
                image.height = 100 - n;
                image.created_at = Timestamp::now() + Duration::from_secs(n.into());
            })
            .await;
        ids.push(image.id);
    }
    let gone = app.image(ids[4]).await;
    assert_eq!(app.delete(&gone, &app.ada).send().await.unwrap().status(), 202);
    ids
}

#[tokio::test]
async fn a_list_is_filtered_ordered_and_paged() {
    let app = App::start().await;
    let ids = gallery(&app).await;
    app.picture(&app.bob).await;
    let cases: [(&str, &str, &[usize]); 13] = [
        ("newest first, without deleted ones", "", &[3, 2, 1, 0]),
        ("all of the tags", "tags__contains=a,b", &[1]),
        ("one tag", "tags__contains=%20a%20", &[1, 0]),
        ("any of the tags", "tags__overlap=a,c", &[2, 1, 0]),
        ("both filters", "tags__contains=b&tags__overlap=c,x", &[2]),
        ("no such tag", "tags__contains=A", &[]),
        ("empty filter", "tags__contains=", &[3, 2, 1, 0]),
        ("oldest first", "ordering=create_time", &[0, 1, 2, 3]),
        ("by id", "ordering=-id", &[3, 2, 1, 0]),
        ("by height", "ordering=img_height", &[3, 2, 1, 0]),
        ("by two fields", "ordering=-img_width,img_height", &[3, 2, 1, 0]),
        ("by two fields, turned", "ordering=img_width,-img_height", &[0, 1, 2, 3]),
        ("second page", "page=2&page_size=3", &[0]),
    ];
    for (name, query, expected) in cases {
        let path = format!("/api/user/user-image/?uid={}&{query}", app.ada.id);
        let body = app.read(&path, &app.bob).await;
        let found = body["data"].as_array().unwrap().iter();
        let found: Vec<_> = found.map(|image| image["id"].as_i64().unwrap()).collect();
        let expected: Vec<_> = expected.iter().map(|&n| ids[n].get()).collect();
        assert_eq!(found, expected, "{name}");
        assert_eq!(body.get("pagination").is_some(), query.contains("page"), "{name}");
    }
}

#[tokio::test]
async fn pages_say_where_they_lie() {
    let app = App::start().await;
    gallery(&app).await;
    let list = format!("/api/user/user-image/?uid={}", app.ada.id);
    let body = app.read(&format!("{list}&page=2&page_size=3"), &app.ada).await;
    insta::assert_json_snapshot!(body["pagination"]);

    let body = app.read(&format!("{list}&page_size=1000"), &app.ada).await;
    assert_eq!(body["pagination"]["page_size"], 100);
    let nobody = app.read("/api/user/user-image/?uid=1&page=1", &app.ada).await;
    assert_eq!(nobody["pagination"]["total_pages"], 1);
    for page in ["3", "0", "-1", "9223372036854775807"] {
        let reply = app.get(&format!("{list}&page={page}&page_size=3"), &app.ada).await;
        error(page, reply, 404, "NOT_FOUND").await;
    }
}

#[tokio::test]
async fn what_a_list_cannot_mean_is_refused_by_name() {
    let app = App::start().await;
    let many = vec!["t"; 1_000].join(",");
    let many = format!("uid=1&tags__contains={many}");
    let cases = [
        ("uid", ""),
        ("uid", "uid=me"),
        ("uid", "uid=0"),
        ("uid", "uid=-5"),
        ("uid", "uid=9007199254740992"),
        ("uid", "uid=99999999999999999999999"),
        ("ordering", "uid=1&ordering=name"),
        ("ordering", "uid=1&ordering=id;drop"),
        ("page", "uid=1&page=one"),
        ("page_size", "uid=1&page_size=0"),
        ("tags__contains", many.as_str()),
    ];
    for (field, query) in cases {
        let reply = app.get(&format!("/api/user/user-image/?{query}"), &app.ada).await;
        let body = error(query, reply, 400, "VALIDATION_EXCEPTION").await;
        assert!(body["data"][field].is_array(), "{query}: {body}");
    }
}

#[tokio::test]
async fn tags_are_replaced() {
    let app = App::start().await;
    let image = app.picture(&app.ada).await;
    let reply = patch(&app, &image, json!({ "tags": [" sea ", "2024", "sea", ""] })).await;

    assert_eq!(reply.status(), 200);
    let body: Value = reply.json().await.unwrap();
    assert_eq!(body["data"]["tags"], json!(["sea", "2024"]));
    assert_eq!(app.image(image.id).await.tags, ["sea", "2024"]);
    assert_eq!(patch(&app, &image, json!({ "tags": [] })).await.status(), 200);
    assert!(app.image(image.id).await.tags.is_empty());
}

#[tokio::test]
async fn changes_at_the_same_time_all_succeed() {
    let app = App::start().await;
    let image = app.picture(&app.ada).await;
    let changes = (0..6).map(|n| patch(&app, &image, json!({ "tags": [n.to_string()] })));
    for reply in futures::future::join_all(changes).await {
        assert_eq!(reply.status(), 200);
    }
    assert_eq!(app.image(image.id).await.version, 7);
}

#[tokio::test]
async fn what_may_not_be_a_change_changes_nothing() {
    let app = App::start().await;
    let image = app.picture(&app.ada).await;
    let many: Vec<_> = (0..10_000).map(|n| n.to_string()).collect();
    let huge = format!(r#"{{"tags":["{}"]}}"#, "x".repeat(100_000));
    let deep = "[".repeat(10_000);
    let cases = [
        ("10,000 tags", json!({ "tags": many[..5_000] }).to_string(), 400, "tags"),
        ("wrong type", json!({ "tags": "a" }).to_string(), 400, "tags"),
        ("wrong types inside", json!({ "tags": [1] }).to_string(), 400, "tags"),
        ("null", json!({ "tags": null }).to_string(), 400, "tags"),
        ("missing", json!({}).to_string(), 400, "tags"),
        ("control character", json!({ "tags": ["\u{7}"] }).to_string(), 400, "tags"),
        ("too long", json!({ "tags": ["x".repeat(65)] }).to_string(), 400, "tags"),
        ("no object", "[]".to_owned(), 400, "non_field_errors"),
        ("no JSON", "{".to_owned(), 400, "non_field_errors"),
        ("nested deeply", deep, 400, "non_field_errors"),
        ("nothing", String::new(), 400, "non_field_errors"),
        ("large", huge, 413, ""),
    ];
    for (name, body, status, field) in cases {
        let reply = patch(&app, &image, body).await;
        let code = if status == 413 { "PAYLOAD_TOO_LARGE" } else { "VALIDATION_EXCEPTION" };
        let body = error(name, reply, status, code).await;
        assert!(field.is_empty() || body["data"][field].is_array(), "{name}: {body}");
    }
    let call = app.request(Method::PATCH, &image_path(image.id), &app.ada).body("tags=a");
    error("form", call.send().await.unwrap(), 415, "UNSUPPORTED_MEDIA_TYPE").await;
    assert_eq!(app.image(image.id).await, image);
}

#[tokio::test]
async fn a_deleted_picture_keeps_its_tags() {
    let app = App::start().await;
    let image = app.picture(&app.ada).await;
    assert_eq!(app.delete(&image, &app.ada).send().await.unwrap().status(), 202);

    let reply = patch(&app, &image, json!({ "tags": ["x"] })).await;
    error("deleted", reply, 404, "NOT_FOUND").await;
}
