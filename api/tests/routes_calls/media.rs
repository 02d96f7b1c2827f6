//! Files of pictures: conditions, ranges, thumbnails, and that deleted ones are gone.

use image::GenericImageView;
use reqwest::{Method, Response};
use schemas::{ImageId, image::ImageRecord};
use serde_json::json;

use crate::rig::{App, error, media_path, png};

async fn get(app: &App, image: &ImageRecord, headers: &[(&str, &str)]) -> Response {
    let call = app.anonymous(Method::GET, &media_path(image));
    let call = headers.iter().fold(call, |call, (name, value)| call.header(*name, *value));
    call.send().await.unwrap()
}

#[tokio::test]
async fn a_file_is_served_to_everybody_with_headers_that_keep_it_harmless() {
    let app = App::start().await;
    let image = app.picture(&app.ada).await;
    let file = png(600, 400);
    let size = file.len().to_string();
    let expected = [
        ("content-type", "image/png"),
        ("content-length", size.as_str()),
        ("x-content-type-options", "nosniff"),
        ("content-disposition", "inline"),
        ("content-security-policy", "default-src 'none'; sandbox"),
        ("cache-control", "public, no-cache"),
        ("accept-ranges", "bytes"),
        ("etag", &format!("\"{}\"", image.digest)),
    ];
    for method in [Method::GET, Method::HEAD] {
        let reply = app.anonymous(method.clone(), &media_path(&image)).send().await.unwrap();
        assert_eq!(reply.status(), 200);
        for (name, value) in expected {
            assert_eq!(reply.headers()[name], value, "{method} {name}");
        }
        let body = reply.bytes().await.unwrap();
        assert_eq!(body, if method == Method::GET { file.clone() } else { vec![] });
    }
}

#[tokio::test]
async fn a_known_file_is_not_sent_again() {
    let app = App::start().await;
    let image = app.picture(&app.ada).await;
    let tag = format!("\"{}\"", image.digest);
    let cases = [("same", tag.as_str(), 304), ("any", "*", 304), ("other", "\"x\"", 200)];
    for (name, list, status) in cases {
        let reply = get(&app, &image, &[("if-none-match", list)]).await;
        assert_eq!(reply.status(), status, "{name}");
        assert_eq!(reply.headers()["etag"], tag, "{name}");
        assert_eq!(reply.headers()["cache-control"], "public, no-cache", "{name}");
    }
}

#[tokio::test]
async fn a_part_is_sent_alone() {
    let app = App::start().await;
    let image = app.picture(&app.ada).await;
    let file = png(600, 400);
    let size = file.len();
    let cases = [
        ("first bytes", "bytes=0-9", 0..10),
        ("from the middle", "bytes=100-", 100..size),
        ("last bytes", "bytes=-7", size - 7..size),
    ];
    for (name, range, expected) in cases {
        let reply = get(&app, &image, &[("range", range)]).await;
        assert_eq!(reply.status(), 206, "{name}");
        let (start, last) = (expected.start, expected.end - 1);
        let content_range = format!("bytes {start}-{last}/{size}");
        assert_eq!(reply.headers()["content-range"], content_range, "{name}");
        assert_eq!(reply.bytes().await.unwrap(), file[expected], "{name}");
    }
    let other = get(&app, &image, &[("range", "bytes=0-9"), ("if-range", "\"old\"")]).await;
    assert_eq!(other.status(), 200);

    let beyond = get(&app, &image, &[("range", "bytes=99999999-")]).await;
    assert_eq!(beyond.headers()["content-range"], format!("bytes */{size}"));
    error("beyond", beyond, 416, "RANGE_NOT_SATISFIABLE").await;
}

#[tokio::test]
async fn a_thumbnail_is_made_once_and_kept() {
    let app = App::start().await;
    let image = app.picture(&app.ada).await;
    let path = format!("{}?w=128", media_path(&image));
    let calls = (0..8).map(|_| app.anonymous(Method::GET, &path).send());
    for reply in futures::future::join_all(calls).await {
        let reply = reply.unwrap();
        assert_eq!(reply.status(), 200);
        assert_eq!(reply.headers()["content-type"], "image/png");
        assert_eq!(reply.headers()["etag"], format!("\"{}-w128\"", image.digest));
        let small = image::load_from_memory(&reply.bytes().await.unwrap()).unwrap();
        assert_eq!(small.dimensions(), (128, 85));
    }
    let files = [image.original(), format!("{}/w128.png", image.variants())];
    assert_eq!(app.blobs.list(&format!("images/{}", app.ada.id)).await.unwrap(), files);

    app.blobs.put(&files[1], "kept".into()).await.unwrap();
    let again = app.anonymous(Method::GET, &path).send().await.unwrap();
    assert_eq!(again.bytes().await.unwrap(), "kept");
    let part = app.anonymous(Method::GET, &path).header("range", "bytes=1-2").send().await.unwrap();
    assert_eq!((part.status().as_u16(), part.bytes().await.unwrap()), (206, "ep".into()));
}

#[tokio::test]
async fn nothing_is_enlarged_and_only_presets_are_made() {
    let app = App::start().await;
    let image = app.picture(&app.ada).await;
    let reply = app.anonymous(Method::GET, &format!("{}?w=640", media_path(&image))).send().await;
    assert_eq!(reply.unwrap().headers()["etag"], format!("\"{}\"", image.digest));

    for width in ["1", "65", "0", "-64", "9999999999", "abc", ""] {
        let path = format!("{}?w={width}", media_path(&image));
        let reply = app.anonymous(Method::GET, &path).send().await.unwrap();
        let body = error(width, reply, 400, "VALIDATION_EXCEPTION").await;
        assert_eq!(body["data"]["w"], json!(["Choose one of 64, 128, 320, 640, 1280."]));
    }
}

#[tokio::test]
async fn what_names_no_live_picture_is_not_found() {
    let app = App::start().await;
    let image = app.picture(&app.ada).await;
    let deleted = app.picture(&app.ada).await;
    assert_eq!(app.delete(&deleted, &app.ada).send().await.unwrap().status(), 202);
    let name = media_path(&image).rsplit('/').next().unwrap().to_owned();
    let (ada, bob) = (app.ada.id, app.bob.id);
    let cases = [
        ("deleted", media_path(&deleted)),
        ("deleted, thumbnail", format!("{}?w=64", media_path(&deleted))),
        ("other owner", format!("/media/{bob}/UserImage/{name}")),
        ("other name", format!("/media/{ada}/UserImage/x.png")),
        ("other folder", format!("/media/{ada}/Avatar/{name}")),
        ("no owner", format!("/media/x/UserImage/{name}")),
        ("path tricks", format!("/media/{ada}/UserImage/..%2f{}.png", image.id)),
        ("file store's own key", format!("/media/{}", image.original())),
        ("not UTF-8", format!("/media/{ada}/UserImage/%ff%fe")),
        ("NUL", format!("/media/{ada}/UserImage/%00")),
        ("slash at the end", format!("/media/{ada}/UserImage/{name}/")),
    ];
    for (name, path) in cases {
        let reply = app.anonymous(Method::GET, &path).send().await.unwrap();
        error(name, reply, 404, "NOT_FOUND").await;
    }
    let call = app.anonymous(Method::POST, &media_path(&image)).send().await.unwrap();
    error("POST", call, 405, "METHOD_NOT_ALLOWED").await;
}

#[tokio::test]
async fn a_file_that_is_lost_is_not_found_and_says_nothing_of_keys() {
    let app = App::start().await;
    let image = app.picture_with(&app.ada, |image| image.id = ImageId::generate()).await;
    app.blobs.remove(&image.original(), &image.variants()).await.unwrap();
    for path in [media_path(&image), format!("{}?w=64", media_path(&image))] {
        let reply = app.anonymous(Method::GET, &path).send().await.unwrap();
        let body = error("lost", reply, 404, "NOT_FOUND").await;
        assert!(!body.to_string().contains("images/"), "{body}");
    }
}
