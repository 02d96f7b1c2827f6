//! One trace leads from the caller's request through the message to the worker's run.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use support::{Dev, object};

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

const PICTURE: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\
    \x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

/// Takes what an OTLP collector is sent; gives its address and everything it got.
fn collector() -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let received = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&received);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let sink = Arc::clone(&sink);
            thread::spawn(move || receive(&stream, &sink));
        }
    });
    (address, received)
}

fn receive(stream: &TcpStream, sink: &Mutex<Vec<u8>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        sink.lock().unwrap().extend(body);
        let mut stream = stream;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    }
}

/// The spans of our trace: protobuf keeps the 16 bytes of its id as they are.
fn spans_of_the_trace(received: &[u8]) -> usize {
    let id: Vec<u8> =
        (0..16).map(|at| u8::from_str_radix(&TRACE_ID[2 * at..2 * at + 2], 16).unwrap()).collect();
    received.windows(16).filter(|window| *window == id).count()
}

#[test]
fn a_trace_leads_from_the_request_to_the_run() {
    let home = tempfile::tempdir().unwrap();
    let (address, received) = collector();
    let dev = Dev::start_with(home.path(), &["--otlp-endpoint", &address]);
    let token = object(&dev.token_reply().1)["access_token"].as_str().unwrap().to_owned();
    let auth = format!("Authorization: Bearer {token}\r\n");
    let part = "--x\r\nContent-Disposition: form-data; name=\"img\"; filename=\"a.gif\"\r\n\r\n";
    let upload = [part.as_bytes(), PICTURE, b"\r\n--x--\r\n"].concat();
    let head = format!("{auth}Content-Type: multipart/form-data; boundary=x\r\n");
    let (status, image) = dev.send("POST", "/api/user/user-image/", &head, &upload);
    assert_eq!(status, 201, "{image}");

    let path = format!("/api/user/user-image/{}/", object(&image)["data"]["id"]);
    let head =
        format!("{auth}traceparent: 00-{TRACE_ID}-00f067aa0ba902b7-01\r\nPrefer: wait=20\r\n");
    assert_eq!(dev.send("DELETE", &path, &head, b"").0, 204);
    assert!(dev.interrupt().success());

    let received = received.lock().unwrap();
    let text = String::from_utf8_lossy(&received);
    assert!(spans_of_the_trace(&received) >= 2, "request and run are not in one trace");
    for name in ["feat-dev", "job_id", "image.delete"] {
        assert!(text.contains(name), "{name} is in no span");
    }
    assert!(!text.contains(&token) && !text.contains("demo-password"), "a secret is in a span");
}
