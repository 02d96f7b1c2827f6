//! Clients that send slowly, too much at once, or nothing.

use std::time::Duration;

use crate::rig::{PATIENCE, Server, eventually, good_sign_in};

#[tokio::test]
async fn a_head_that_never_ends_is_answered_408() {
    let server =
        Server::start_with(|settings| settings.limits.head_time = Duration::from_millis(300)).await;
    let mut raw = server.connect().await;
    raw.send("GET /livez HTTP/1.1\r\nx-a: 1\r\n").await;

    refused("a piece of a head", &raw.rest().await, 408, "REQUEST_TIMEOUT");
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed_without_a_word() {
    let server =
        Server::start_with(|settings| settings.limits.head_time = Duration::from_millis(300)).await;
    let mut quiet = server.connect().await;
    let mut idle = server.connect().await;
    idle.send("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await;

    assert_eq!(quiet.rest().await, "");
    let replies = idle.rest().await;
    assert!(replies.starts_with("HTTP/1.1 200 "), "{replies}");
    assert_eq!(replies.matches("HTTP/1.1").count(), 1, "{replies}");
}

#[tokio::test]
async fn a_head_that_drips_is_cut_all_the_same() {
    let server =
        Server::start_with(|settings| settings.limits.head_time = Duration::from_millis(300)).await;
    let mut raw = server.connect().await;
    raw.send("GET /livez HTTP/1.1\r\n").await;
    let drip = async {
        use tokio::io::AsyncWriteExt as _;
        let mut drops = tokio::time::interval(Duration::from_millis(50));
        loop {
            drops.tick().await;
            if raw.0.write_all(b"x-a: 1\r\n").await.is_err() {
                return;
            }
        }
    };

    tokio::time::timeout(PATIENCE, drip).await.expect("the server closes the connection");
}

#[tokio::test]
async fn a_body_that_stops_coming_is_answered_408() {
    let server =
        Server::start_with(|settings| settings.limits.body_idle = Duration::from_millis(300)).await;
    let mut raw = server.connect().await;
    raw.send(
        "POST /api/o/token/ HTTP/1.1\r\nhost: x\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n\r\ngrant",
    )
    .await;
    let reply = raw.head().await;

    assert!(reply.starts_with("HTTP/1.1 408 "), "{reply}");
    assert!(reply.contains("content-type: application/json\r\n"), "{reply}");
    assert!(reply.contains("connection: close\r\n"), "{reply}");
}

/// Checks that the server's last words are an error in the one shape.
fn refused(name: &str, said: &str, status: u16, code: &str) {
    let (head, body) = said.split_once("\r\n\r\n").expect("a head");
    let head = head.to_lowercase();
    assert!(head.starts_with(&format!("http/1.1 {status} ")), "{name}: {said}");
    let length = format!("content-length: {}", body.len());
    for line in ["content-type: application/json", "connection: close", length.as_str()] {
        assert!(head.lines().any(|found| found == line), "{name}, {line}: {said}");
    }
    for field in ["x-request-id: ", "date: ", "x-content-type-options: nosniff"] {
        assert!(head.contains(&format!("\r\n{field}")), "{name}, {field}: {said}");
    }
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(body["code"], code, "{name}: {body}");
    assert!(body["message"].is_string() && body.get("data").is_some(), "{name}: {body}");
}

#[tokio::test]
async fn a_head_that_cannot_be_read_is_refused_in_the_one_shape() {
    let server = Server::start().await;
    let get = "GET /livez HTTP/1.1\r\nhost: x\r\n";
    let cases = [
        ("a large head", format!("{get}x-a: {}\r\n\r\n", "a".repeat(70_000)), 431),
        ("many headers", format!("{get}{}\r\n", "x-a: 1\r\n".repeat(200)), 431),
        ("no HTTP", "\u{16}\u{3}\u{1}nonsense\r\n\r\n".to_owned(), 400),
        ("a header without a name", format!("{get}: x\r\n\r\n"), 400),
        ("two lengths", format!("{get}content-length: 1\r\ncontent-length: 2\r\n\r\n"), 400),
        ("no such version", "GET /livez HTTP/9.9\r\n\r\n".to_owned(), 400),
    ];
    for (name, sent, status) in cases {
        let mut raw = server.connect().await;
        raw.send(&sent).await;
        refused(name, &raw.rest().await, status, "VALIDATION_EXCEPTION");
    }
}

#[tokio::test]
async fn what_follows_a_good_request_is_judged_by_itself() {
    let server = Server::start().await;
    let good = "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut raw = server.connect().await;
    raw.send(&format!("{good}{good}nonsense\r\n\r\n")).await;
    let replies = raw.rest().await;

    let parts: Vec<_> = replies.split("HTTP/1.1 ").skip(1).collect();
    assert_eq!(parts.len(), 3, "{replies}");
    assert!(parts[..2].iter().all(|part| part.starts_with("200 ")), "{replies}");
    refused("the third", &format!("HTTP/1.1 {}", parts[2]), 400, "VALIDATION_EXCEPTION");
}

#[tokio::test]
async fn further_connections_wait_for_a_place() {
    let server = Server::start_with(|settings| settings.limits.connections = 1).await;
    let mut first = server.connect().await;
    first.send("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(first.head().await.starts_with("HTTP/1.1 200 "));
    let mut second = server.connect().await;
    second.send("GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(100), second.0.peek(&mut byte)).await;
    assert!(early.is_err(), "the first one still holds the place");

    drop(first);
    assert!(second.rest().await.starts_with("HTTP/1.1 200 "));
    eventually("the place is free again", async || {
        let mut third = server.connect().await;
        third.send("GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        third.rest().await.starts_with("HTTP/1.1 200 ")
    })
    .await;
}

#[tokio::test]
async fn one_address_leaves_connections_to_the_others() {
    for (name, is_proxy) in [("a caller", false), ("a trusted proxy", true)] {
        let server = Server::start_with(|settings| {
            settings.limits.connections = 128;
            if is_proxy {
                settings.trusted_proxies = vec!["127.0.0.0/8".parse().expect("a network")];
            }
        })
        .await;
        let mut open = vec![];
        for _ in 0..64 {
            open.push(server.connect().await);
        }
        // Those before it are accepted when this one is answered or closed.
        let mut next = server.connect().await;
        let sent = "GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        // It may be closed by now.
        let _ = tokio::io::AsyncWriteExt::write_all(&mut next.0, sent.as_bytes()).await;
        let said = next.rest().await;
        assert_eq!(said.starts_with("HTTP/1.1 200 "), is_proxy, "{name}: {said}");

        drop(open);
        eventually("there is room again", async || {
            let mut next = server.connect().await;
            let _ = tokio::io::AsyncWriteExt::write_all(&mut next.0, sent.as_bytes()).await;
            next.rest().await.starts_with("HTTP/1.1 200 ")
        })
        .await;
    }
}

#[tokio::test]
async fn bodies_that_do_not_come_take_no_places_from_the_others() {
    let server = Server::start_with(|settings| settings.limits.requests = 16).await;
    let sent = "POST /api/o/token/ HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\
        content-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n\r\n";
    let mut slow = vec![];
    for _ in 0..2 {
        let mut raw = server.connect().await;
        raw.send(sent).await;
        let head = raw.head().await;
        assert!(
            head.starts_with("HTTP/1.1 100 "),
            "its body has a place, and is waited for: {head}"
        );
        slow.push(raw);
    }
    // An eighth of the places is all there is for slow bodies.
    let mut raw = server.connect().await;
    raw.send(sent).await;
    let head = raw.head().await;
    assert!(head.starts_with("HTTP/1.1 429 "), "{head}");
    assert!(
        head.contains("retry-after: 1\r\n") && head.contains("connection: close\r\n"),
        "{head}"
    );

    assert_eq!(server.get("/api/o/scope/").await.status(), 200);
    drop(slow);
    eventually("there is room again", async || server.token(good_sign_in()).await.status() == 200)
        .await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut() {
    let server = Server::start_with(|settings| {
        settings.limits.connections = 1;
        settings.limits.stall_time = Duration::from_millis(300);
    })
    .await;
    let mut greedy = server.connect().await;
    // A megabyte and more for each, far beyond what the sockets hold.
    greedy.send(&"GET /api/docs/ HTTP/1.1\r\nhost: x\r\n\r\n".repeat(50)).await;
    let mut next = server.connect().await;
    next.send("GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;

    assert!(next.rest().await.starts_with("HTTP/1.1 200 "), "its place is free");
    drop(greedy);
}
