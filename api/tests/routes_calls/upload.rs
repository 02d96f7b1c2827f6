//! Uploads: what is taken, how it is named, and what is refused without a trace.

use futures::StreamExt as _;
use image::{DynamicImage, ImageFormat as Codec};
use reqwest::{
    Method, Response,
    multipart::{Form, Part},
};
use serde_json::{Value, json};
use store::ImageFilter;

use crate::rig::{App, encode, error, pattern, png};

const PATH: &str = "/api/user/user-image/";

fn img(bytes: impl Into<Vec<u8>>, name: &str) -> Part {
    Part::bytes(bytes.into()).file_name(name.to_owned())
}

async fn send(app: &App, form: Form) -> Response {
    app.request(Method::POST, PATH, &app.ada).multipart(form).send().await.unwrap()
}

async fn created(app: &App, form: Form) -> Value {
    let reply = send(app, form).await;
    let status = reply.status();
    let body: Value = reply.json().await.unwrap();
    assert_eq!(status, 201, "{body}");
    body["data"].clone()
}

/// Nothing is stored for `ada`: no record and no file.
async fn nothing_is_kept(app: &App, name: &str) {
    let (tags_all, tags_any) = (vec![], vec![]);
    let all = ImageFilter { owner: app.ada.id, include_deleted: true, tags_all, tags_any };
    assert_eq!(app.store.images.count(&all).await.unwrap(), 0, "{name}");
    let folder = format!("images/{}", app.ada.id);
    assert_eq!(app.blobs.list(&folder).await.unwrap(), Vec::<String>::new(), "{name}");
}

#[tokio::test]
async fn every_format_is_taken_by_its_content() {
    let app = App::start().await;
    let picture = pattern(60, 40);
    let cases = [
        ("JPEG", Codec::Jpeg, "jpg", "image/jpeg"),
        ("PNG", Codec::Png, "png", "image/png"),
        ("WebP", Codec::WebP, "webp", "image/webp"),
        ("GIF", Codec::Gif, "gif", "image/gif"),
    ];
    for (name, codec, extension, media_type) in cases {
        let picture = if codec == Codec::Gif { picture.to_rgba8().into() } else { picture.clone() };
        let form = Form::new().part("img", img(encode(&picture, codec), "dune.exe"));
        let image = created(&app, form).await;
        assert_eq!(
            (image["img_width"].as_u64(), image["img_height"].as_u64()),
            (Some(60), Some(40)),
            "{name}"
        );
        assert_eq!(image["delete_time"], Value::Null, "{name}");
        let address = image["img"].as_str().unwrap().strip_prefix("https://feat.test").unwrap();
        let file = address.rsplit('/').next().unwrap();
        assert!(file.starts_with("dune_") && file.ends_with(&format!(".{extension}")), "{file}");
        let reply = app.anonymous(Method::GET, address).send().await.unwrap();
        assert_eq!(reply.headers()["content-type"], media_type, "{name}");
        let served = image::load_from_memory(&reply.bytes().await.unwrap()).unwrap();
        assert_eq!((served.width(), served.height()), (60, 40), "{name}");
    }
}

#[tokio::test]
async fn an_upload_is_answered_as_documented() {
    let app = App::start().await;
    let form = Form::new().part("img", img(png(60, 40), "dune.png")).text("tags", "holiday, 2024");
    let reply = send(&app, form).await;
    assert_eq!(reply.status(), 201);
    let location = reply.headers()["location"].to_str().unwrap().to_owned();
    let body: Value = reply.json().await.unwrap();
    insta::assert_json_snapshot!(body, {
        ".data.id" => "[id]",
        ".data.user" => "[user]",
        ".data.img" => "[img]",
        ".data.create_time" => "[time]",
    });
    assert_eq!(app.read(&location, &app.ada).await, body);
    assert_eq!(app.read(&location, &app.bob).await, body);
}

#[tokio::test]
async fn tags_come_in_three_encodings() {
    let app = App::start().await;
    let form = || Form::new().part("img", img(png(8, 8), "a.png"));
    let cases = [
        ("repeated", form().text("tags", "a b").text("tags", "c").text("tags", "a b")),
        ("commas", form().text("tags", "a b, c,,a b")),
        ("JSON", form().text("tags", r#"["a b", "c", "a b"]"#)),
        ("before the file", Form::new().text("tags", "a b,c").part("img", img(png(8, 8), "a.png"))),
        ("with unknown parts", form().text("tags", "a b,c").text("x", "y")),
    ];
    for (name, form) in cases {
        assert_eq!(created(&app, form).await["tags"], json!(["a b", "c"]), "{name}");
    }
    assert_eq!(created(&app, form()).await["tags"], json!([]));
}

#[tokio::test]
async fn a_name_cannot_leave_its_folder_or_pretend() {
    let app = App::start().await;
    let names = [
        ("../../etc/passwd", "passwd_"),
        ("..\\..\\boot.ini", "boot_"),
        ("/", "image_"),
        ("", "image_"),
        ("沙丘.png", "%E6%B2%99%E4%B8%98_"),
        ("<script>.svg", "script_"),
        ("a\u{202e}gnp.exe", "agnp_"),
    ];
    for (given, start) in names {
        let image = created(&app, Form::new().part("img", img(png(8, 8), given))).await;
        let address = image["img"].as_str().unwrap();
        let prefix = format!("https://feat.test/media/{}/UserImage/", app.ada.id);
        let name = address.strip_prefix(&prefix).unwrap();
        assert!(
            name.starts_with(start) && name.rsplit_once('.').unwrap().1 == "png",
            "{given:?}: {name}"
        );
        assert!(!name.contains('/'), "{given:?}: {name}");
        let path = address.strip_prefix("https://feat.test").unwrap();
        assert_eq!(
            app.anonymous(Method::GET, path).send().await.unwrap().status(),
            200,
            "{given:?}"
        );
    }
}

#[tokio::test]
async fn what_is_no_picture_is_refused_and_leaves_nothing() {
    let app = App::start().await;
    let svg = "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>";
    let good = png(60, 40);
    let mut bomb = png(8, 8);
    // The header claims 50,000 x 50,000; the checksum of the chunk is wrong then, too.
    bomb[16..24].copy_from_slice(&[0, 0, 0xc3, 0x50, 0, 0, 0xc3, 0x50]);
    let cases: [(&str, Vec<u8>, &str); 8] = [
        ("text named .jpg", b"hello, I am text".to_vec(), "a.jpg"),
        ("SVG with a script", svg.as_bytes().to_vec(), "a.svg"),
        ("SVG named .png", svg.as_bytes().to_vec(), "a.png"),
        ("HTML", b"<!doctype html><script>1</script>".to_vec(), "a.gif"),
        ("truncated", good[..good.len() / 2].to_vec(), "a.png"),
        ("signature alone", good[..8].to_vec(), "a.png"),
        ("empty", vec![], "a.png"),
        ("bomb", bomb, "a.png"),
    ];
    for (name, bytes, file_name) in cases {
        let reply = send(&app, Form::new().part("img", img(bytes, file_name))).await;
        let body = error(name, reply, 400, "VALIDATION_EXCEPTION").await;
        assert!(body["data"]["img"].is_array(), "{name}: {body}");
    }
    nothing_is_kept(&app, "all of them").await;
}

#[tokio::test]
async fn what_hides_behind_a_picture_is_not_served() {
    let app = App::start().await;
    let secret = b"<script>alert('polyglot')</script>PK\x03\x04";
    for (name, codec) in [("PNG", Codec::Png), ("JPEG", Codec::Jpeg), ("GIF", Codec::Gif)] {
        let picture: DynamicImage = pattern(60, 40).to_rgb8().into();
        let file = [encode(&picture, codec).as_slice(), secret].concat();
        let reply = send(&app, Form::new().part("img", img(file, "a.png"))).await;
        let status = reply.status();
        let body: Value = reply.json().await.unwrap();
        if status == 400 {
            continue;
        }
        let address = body["data"]["img"].as_str().unwrap();
        let path = address.strip_prefix("https://feat.test").unwrap();
        let served = app.anonymous(Method::GET, path).send().await.unwrap().bytes().await.unwrap();
        let found = served.windows(8).any(|window| window == b"polyglot");
        assert!(!found, "{name}");
    }
}

#[tokio::test]
async fn a_form_that_is_wrong_is_refused_by_the_part() {
    let app = App::start().await;
    let file = || img(png(8, 8), "a.png");
    let form = || Form::new().part("img", file());
    let many: Vec<_> = (0..10_000).map(|n| n.to_string()).collect();
    let cases = [
        ("no file", Form::new().text("tags", "a"), "img"),
        ("two files", form().part("img", file()), "img"),
        ("10,000 tags, commas", form().text("tags", many.join(",")), "tags"),
        ("10,000 tags, JSON", form().text("tags", json!(many).to_string()), "tags"),
        ("JSON of numbers", form().text("tags", "[1,2]"), "tags"),
        ("control character", form().text("tags", "a\u{1}b"), "tags"),
        ("comma, JSON", form().text("tags", r#"["a,b"]"#), "tags"),
        ("comma, repeated", form().text("tags", "a").text("tags", "b,c"), "tags"),
        ("not UTF-8", form().part("tags", Part::bytes(vec![0xff, 0xfe])), "tags"),
    ];
    for (name, form, field) in cases {
        let body = error(name, send(&app, form).await, 400, "VALIDATION_EXCEPTION").await;
        assert!(body["data"][field].is_array(), "{name}: {body}");
    }
    nothing_is_kept(&app, "all of them").await;
}

#[tokio::test]
async fn a_tag_that_is_too_long_is_called_so() {
    let app = App::start().await;
    let form = |tags: String| Form::new().part("img", img(png(8, 8), "a.png")).text("tags", tags);
    let cases = [
        ("a little", form("x".repeat(65)), "A tag has at most 64 characters."),
        (
            "far",
            form("x".repeat(200 << 10)),
            "The tags are too long: a picture has at most 64, each of at most 64 characters.",
        ),
    ];
    for (name, form, text) in cases {
        let body = error(name, send(&app, form).await, 400, "VALIDATION_EXCEPTION").await;
        assert_eq!(body["data"]["tags"], json!([text]), "{name}");
    }
}

#[tokio::test]
async fn ten_thousand_parts_are_refused_after_the_first_few() {
    use std::fmt::Write;

    let app = App::start().await;
    let mut body = String::new();
    for n in 0..10_000 {
        let head = "Content-Disposition: form-data; name=\"tags\"";
        write!(body, "--x\r\n{head}\r\n\r\n{n}\r\n").unwrap();
    }
    let call = app.request(Method::POST, PATH, &app.ada);
    let call = call.header("content-type", "multipart/form-data; boundary=x").body(body);
    let reply = call.send().await.unwrap();
    let body = error("tags", reply, 400, "VALIDATION_EXCEPTION").await;
    assert!(body["data"]["tags"].is_array(), "{body}");
}

#[tokio::test]
async fn a_body_that_is_no_form_is_refused() {
    let app = App::start().await;
    let multipart = "multipart/form-data; boundary=x";
    let cut = "--x\r\nContent-Disposition: form-data; name=\"img\"; filename=\"a\"\r\n\r\nabc";
    let cases = [
        ("JSON", "application/json", "{}", 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("no boundary", "multipart/form-data", "x", 400, "VALIDATION_EXCEPTION"),
        ("nothing", multipart, "", 400, "VALIDATION_EXCEPTION"),
        ("cut off", multipart, cut, 400, "VALIDATION_EXCEPTION"),
        ("noise", multipart, "\0\0\0\0", 400, "VALIDATION_EXCEPTION"),
    ];
    for (name, content_type, body, status, code) in cases {
        let call = app.request(Method::POST, PATH, &app.ada);
        let call = call.header("content-type", content_type).body(body);
        error(name, call.send().await.unwrap(), status, code).await;
    }
    nothing_is_kept(&app, "all of them").await;
}

#[tokio::test]
async fn a_file_that_is_too_large_is_refused_while_it_comes() {
    let app = App::start_with(|settings| settings.pictures.max_bytes = 100_000, 100).await;
    for (name, size) in [("a little", 100_001), ("far", 5_000_000)] {
        let form = Form::new().part("img", img(vec![0; size], "a.png"));
        error(name, send(&app, form).await, 413, "PAYLOAD_TOO_LARGE").await;
    }
    nothing_is_kept(&app, "all of them").await;
}

#[tokio::test]
async fn uploads_share_bounded_memory() {
    let app = App::start_with(|settings| settings.pictures.waiting_bytes = 1 << 16, 100).await;
    let form = Form::new().part("img", img(vec![0; 1 << 18], "a.png"));
    let reply = send(&app, form).await;
    assert!(reply.headers().contains_key("retry-after"));
    error("too much at once", reply, 429, "RATE_LIMITED").await;
    nothing_is_kept(&app, "it").await;
}

#[tokio::test]
async fn every_byte_of_a_form_counts_as_memory() {
    let app = App::start_with(|settings| settings.pictures.waiting_bytes = 1 << 20, 100).await;
    let large = || img(vec![0; 3 << 20], "a.png");
    let cases = [
        ("a picture", Form::new().part("img", large())),
        ("a part that nobody knows", Form::new().part("x", large())),
    ];
    for (name, form) in cases {
        error(name, send(&app, form).await, 429, "RATE_LIMITED").await;
    }
    let small = Form::new().part("img", img(png(8, 8), "a.png"));
    created(&app, small).await;
}

#[tokio::test]
async fn the_header_of_a_part_is_bounded() {
    let app = App::start().await;
    let long = "a".repeat(4_000);
    let form = Form::new().text(long.clone(), "x").part("img", img(png(8, 8), &long));
    created(&app, form).await;

    let endless = format!("--x\r\nContent-Disposition: form-data; name=\"{}", "a".repeat(100_000));
    let start = futures::stream::iter([Ok::<_, std::io::Error>(endless)]);
    let body = reqwest::Body::wrap_stream(start.chain(futures::stream::pending()));
    let call = app.request(Method::POST, PATH, &app.ada);
    let call = call.header("content-type", "multipart/form-data; boundary=x").body(body);
    error("endless", call.send().await.unwrap(), 400, "VALIDATION_EXCEPTION").await;
}
