//! How the server ends.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::rig::{PATIENCE, Server, good_sign_in};

#[tokio::test]
async fn requests_under_way_are_finished_and_idle_connections_closed() {
    let mut server = Server::start().await;
    let mut idle = server.connect().await;
    idle.send("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(idle.head().await.starts_with("HTTP/1.1 200 "));
    let body = good_sign_in();
    let mut busy = server.connect().await;
    busy.send(&format!(
        "POST /api/o/token/ HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n",
        body.len()
    ))
    .await;
    assert!(busy.head().await.starts_with("HTTP/1.1 100 "), "the route reads the body");

    server.shutdown.cancel();
    idle.rest().await;
    busy.send(&body).await;
    assert!(busy.rest().await.starts_with("HTTP/1.1 200 "));
    let ended = timeout(PATIENCE, &mut server.running).await.unwrap();
    ended.unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(server.address).await.is_err(), "nobody listens");
}

#[tokio::test]
async fn a_client_that_never_ends_is_cut_at_the_deadline() {
    let mut server = Server::start().await;
    let mut stuck = server.connect().await;
    stuck
        .send(
            "POST /api/o/token/ HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\
                content-type: application/x-www-form-urlencoded\r\ncontent-length: 9\r\n\r\n",
        )
        .await;
    assert!(stuck.head().await.starts_with("HTTP/1.1 100 "));
    let start = Instant::now();
    server.shutdown.cancel();

    timeout(PATIENCE, &mut server.running).await.unwrap().unwrap().unwrap();
    let took = start.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_secs(5)).contains(&took), "{took:?}");
}
