//! A place that providers send notices to, and that keeps them as they arrived.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use providers::payment::{Gateway, NoticeAnswer, RawNotify};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// One notice, raw.
#[derive(Debug, Clone, Default)]
pub struct Arrived {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

/// A listening inbox; it acknowledges in the form that the gateway makes.
pub struct Inbox {
    /// Its address.
    pub url: String,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

impl Inbox {
    /// Listens for the notices of the account that is put into `gateway` later.
    ///
    /// # Panics
    ///
    /// When no port is free.
    pub async fn start(gateway: Arc<Mutex<Option<Gateway>>>) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = TcpListener::bind(any).await.expect("a free port");
        let url = format!("http://{}/notify", listener.local_addr().expect("address"));
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&arrived);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(take(stream, Arc::clone(&gateway), Arc::clone(&kept)));
            }
        });
        Self { url, arrived }
    }

    /// Every notice so far.
    ///
    /// # Panics
    ///
    /// When a test panicked while it looked.
    #[must_use]
    pub fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().expect("no panic").clone()
    }
}

async fn take(
    mut stream: TcpStream,
    gateway: Arc<Mutex<Option<Gateway>>>,
    kept: Arc<Mutex<Vec<Arrived>>>,
) {
    let Some(arrived) = read(&mut stream).await else { return };
    let gateway = gateway.lock().expect("no panic").clone();
    let raw = RawNotify { headers: &arrived.headers, body: &arrived.body };
    let Some(reply) = gateway.map(|gateway| gateway.acknowledge(raw, NoticeAnswer::Taken)) else {
        return;
    };
    kept.lock().expect("no panic").push(arrived);
    let (status, body) = (reply.status, reply.body);
    let length =
        if status == 204 { String::new() } else { format!("content-length: {}\r\n", body.len()) };
    let text = format!("HTTP/1.1 {status} X\r\n{length}connection: close\r\n\r\n{body}");
    // A provider that hangs up before its answer sends the notice again.
    let _ = stream.write_all(text.as_bytes()).await;
}

async fn read(stream: &mut TcpStream) -> Option<Arrived> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(value.trim()).ok()?))
    };
    let headers: HeaderMap = head.lines().skip(1).filter_map(header).collect();
    let length = headers.get("content-length").and_then(|length| length.to_str().ok());
    let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or(0);
    while bytes.len() < end + 4 + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(Arrived { headers, body: bytes[end + 4..].to_vec() })
}
