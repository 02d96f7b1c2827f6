//! Clients that send slowly, too much at once, or nothing.

use std::time::Duration;

use crate::rig::{PATIENCE, Server, eventually};

#[tokio::test]
async fn a_head_that_never_ends_is_cut() {
    let server =
        Server::start_with(|settings| settings.limits.head_time = Duration::from_millis(300)).await;
    let cases = [("nothing", ""), ("a piece", "GET /livez HTTP/1.1\r\nx-a: 1\r\n")];
    for (name, sent) in cases {
        let mut raw = server.connect().await;
        raw.send(sent).await;
        assert!(!raw.rest().await.starts_with("HTTP/1.1 2"), "{name}");
    }
}

#[tokio::test]
async fn a_head_that_drips_is_cut_all_the_same() {
    let server =
        Server::start_with(|settings| settings.limits.head_time = Duration::from_millis(300)).await;
    let mut raw = server.connect().await;
    raw.send("GET /livez HTTP/1.1\r\n").await;
    let drip = async {
        use tokio::io::AsyncWriteExt as _;
        while raw.0.write_all(b"x-a: 1\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
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

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let server = Server::start().await;
    let mut raw = server.connect().await;
    raw.send(&format!("GET /livez HTTP/1.1\r\nx-a: {}\r\n\r\n", "a".repeat(70_000))).await;

    assert!(raw.head().await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn a_head_with_too_many_fields_is_refused() {
    let server = Server::start().await;
    let mut raw = server.connect().await;
    raw.send(&format!("GET /livez HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200))).await;

    assert!(raw.head().await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn what_is_no_http_is_refused() {
    let server = Server::start().await;
    let mut raw = server.connect().await;
    raw.send("\u{16}\u{3}\u{1}nonsense\r\n\r\n").await;

    let reply = raw.rest().await;
    assert!(reply.starts_with("HTTP/1.1 400 ") || reply.is_empty(), "{reply}");
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
