//! Whatever is wrong with a request, the answer has the one shape.

use reqwest::{Body, Method, RequestBuilder};
use serde_json::json;

use crate::rig::{Server, error};

const PICTURE: &str = "/api/user/user-image/1/";

fn json_body(request: RequestBuilder, body: impl Into<Body>) -> RequestBuilder {
    request.header("content-type", "application/json").body(body)
}

#[tokio::test]
async fn unknown_addresses_and_methods_are_named_as_such() {
    let server = Server::start().await;
    let cases = [
        ("unknown path", Method::GET, "/api/nothing/", 404, "NOT_FOUND", ""),
        ("unknown below a known one", Method::GET, "/api/job/x/y/z/", 404, "NOT_FOUND", ""),
        ("not even the API", Method::GET, "/nothing", 404, "NOT_FOUND", ""),
        ("root", Method::GET, "/", 404, "NOT_FOUND", ""),
        ("method", Method::DELETE, "/api/o/token/", 405, "METHOD_NOT_ALLOWED", "POST"),
        ("method with an id", Method::PUT, PICTURE, 405, "METHOD_NOT_ALLOWED", "*"),
        (
            "unheard-of method",
            Method::from_bytes(b"BREW").unwrap(),
            "/api/o/token/",
            405,
            "METHOD_NOT_ALLOWED",
            "POST",
        ),
        ("media", Method::POST, "/media/1/UserImage/a.png", 405, "METHOD_NOT_ALLOWED", "GET, HEAD"),
        ("health", Method::POST, "/livez", 405, "METHOD_NOT_ALLOWED", "GET, HEAD"),
        ("document", Method::POST, "/api/openapi.json", 405, "METHOD_NOT_ALLOWED", "GET, HEAD"),
    ];
    for (name, method, path, status, code, allow) in cases {
        let reply = server.request(method, path).send().await.unwrap();
        let found = reply.headers().get("allow").map(|value| value.to_str().unwrap().to_owned());
        if allow == "*" {
            assert!(found.unwrap().contains("DELETE"), "{name}");
        } else {
            assert_eq!(found.unwrap_or_default(), allow, "{name}");
        }
        error(name, reply, status, code).await;
    }
}

#[tokio::test]
async fn unreadable_json_is_a_validation_error() {
    let server = Server::start().await;
    let token = server.access_token().await;
    let deep = "[".repeat(20_000);
    let deep_object = "{\"a\":".repeat(5_000);
    let cases = [
        ("empty", ""),
        ("cut", "{\"tags\": ["),
        ("not JSON", "tags=a"),
        ("an array", "[]"),
        ("deep arrays", &deep),
        ("deep objects", &deep_object),
    ];
    for (name, body) in cases {
        let request = server.request(Method::PATCH, PICTURE).bearer_auth(&token);
        let reply = json_body(request, body.to_owned()).send().await.unwrap();
        let body = error(name, reply, 400, "VALIDATION_EXCEPTION").await;
        let fields = body["data"].as_object().unwrap();
        assert!(!fields.is_empty(), "{name}");
        for texts in fields.values() {
            let texts = texts.as_array().unwrap();
            assert!(texts.iter().all(|text| text.as_str().unwrap().len() < 1_000), "{name}");
        }
    }
}

#[tokio::test]
async fn other_content_types_are_not_read() {
    let server = Server::start().await;
    let request = server.request(Method::PATCH, PICTURE).bearer_auth(server.access_token().await);
    let reply = request.header("content-type", "text/xml").body("<a/>").send().await.unwrap();

    error("xml", reply, 415, "UNSUPPORTED_MEDIA_TYPE").await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_with_and_without_its_length() {
    let server = Server::start().await;
    let token = server.access_token().await;
    let request = || server.request(Method::PATCH, PICTURE).bearer_auth(&token);
    let piece = "[".repeat(1 << 20);
    let pieces: Vec<Result<String, std::io::Error>> = (0..10).map(|_| Ok(piece.clone())).collect();
    let streamed = Body::wrap_stream(futures::stream::iter(pieces));

    let announced = json_body(request(), "[".repeat(10 << 20)).send().await.unwrap();
    error("with its length", announced, 413, "PAYLOAD_TOO_LARGE").await;
    let chunked = json_body(request(), streamed).send().await.unwrap();
    error("without", chunked, 413, "PAYLOAD_TOO_LARGE").await;
}

#[tokio::test]
async fn an_upload_that_is_too_large_is_refused_with_and_without_its_length() {
    let change = |settings: &mut api::Settings| settings.pictures.max_bytes = 100_000;
    let server = Server::start_with(change).await;
    let token = server.access_token().await;
    let piece = "x".repeat(1 << 20);
    let head = "--b\r\nContent-Disposition: form-data; name=\"img\"; filename=\"a.png\"\r\n\r\n";
    let request = || {
        let request = server.request(Method::POST, "/api/user/user-image/").bearer_auth(&token);
        request.header("content-type", "multipart/form-data; boundary=b")
    };
    let whole = format!("{head}{}", piece.repeat(4));
    let mut pieces: Vec<Result<String, std::io::Error>> = vec![Ok(head.to_owned())];
    pieces.extend((0..4).map(|_| Ok(piece.clone())));
    let streamed = Body::wrap_stream(futures::stream::iter(pieces));

    let announced = request().body(whole).send().await.unwrap();
    error("with its length", announced, 413, "PAYLOAD_TOO_LARGE").await;
    let chunked = request().body(streamed).send().await.unwrap();
    error("without", chunked, 413, "PAYLOAD_TOO_LARGE").await;
}

#[tokio::test]
async fn whoever_waits_for_leave_to_send_too_much_gets_none() {
    let server = Server::start().await;
    let mut raw = server.connect().await;
    raw.send(
        "POST /api/o/token/ HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: 99999999\r\n\r\n",
    )
    .await;

    assert!(raw.rest().await.starts_with("HTTP/1.1 413 "));
}

#[tokio::test]
async fn wrong_parameters_are_named_in_words_for_people() {
    let server = Server::start().await;
    let token = server.access_token().await;
    let ask = |path: &str| server.request(Method::GET, path).bearer_auth(&token).send();
    let pictures = "/api/user/user-image/";
    let cases = [
        ("missing", format!("{pictures}?"), "uid", "This field is required."),
        ("a text", format!("{pictures}?uid=abc"), "uid", "Send a whole number."),
        ("nothing", format!("{pictures}?uid=1&page="), "page", "Send a whole number."),
        (
            "a fraction",
            format!("{pictures}?uid=1&page_size=1.5"),
            "page_size",
            "Send a whole number.",
        ),
        ("huge", format!("{pictures}?uid={}", "9".repeat(30)), "uid", "Send a whole number."),
    ];
    for (name, path, field, text) in cases {
        let reply = ask(&path).await.unwrap();
        let body = error(name, reply, 400, "VALIDATION_EXCEPTION").await;
        assert_eq!(body["data"], json!({ field: [text] }), "{name}");
    }
    let reply = ask("/api/job/?created_from=yesterday").await.unwrap();
    let body = error("no moment", reply, 400, "VALIDATION_EXCEPTION").await;
    let text = body["data"]["created_from"][0].as_str().unwrap();
    assert!(!text.contains("failed to parse") && !text.contains("string_"), "{text}");
}

#[tokio::test]
async fn a_text_that_is_no_id_names_nothing() {
    let server = Server::start().await;
    let token = server.access_token().await;
    let reply = server.request(Method::GET, "/api/job/nonsense/").bearer_auth(&token).send().await;
    let body = error("a text that is no id", reply.unwrap(), 404, "NOT_FOUND").await;
    assert_eq!(body, json!({ "code": "NOT_FOUND", "message": "Not found.", "data": null }));
}
