//! A client that costs next to nothing, because it shares the machine with what it measures.
//!
//! HTTP/1.1 on one kept-alive connection, replies with `Content-Length` only: what Feat sends.

use std::{fmt::Write, io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A request as bytes, to be made before its time is taken.
#[derive(Debug, Clone)]
pub(super) struct Request(Vec<u8>);

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    /// Status code.
    pub(super) status: u16,
    /// The whole body.
    pub(super) body: Vec<u8>,
}

impl Request {
    /// `headers` are whole lines without their ends.
    pub(super) fn new(method: &str, path: &str, headers: &[&str], body: &[u8]) -> Self {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: bench\r\n");
        for line in headers {
            head.push_str(line);
            head.push_str("\r\n");
        }
        if !body.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(head, "content-length: {}\r\n", body.len());
        }
        head.push_str("\r\n");
        Self([head.as_bytes(), body].concat())
    }
}

impl Connection {
    /// Connects.
    pub(super) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Sends a request and reads the reply. After an error the connection is of no use.
    pub(super) async fn send(&mut self, request: &Request) -> io::Result<Reply> {
        self.stream.write_all(&request.0).await?;
        self.buffer.clear();
        let end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
            self.read().await?;
        };
        let (status, length) = read_head(&self.buffer[..end])?;
        while self.buffer.len() < end + length {
            self.read().await?;
        }
        Ok(Reply { status, body: self.buffer[end..end + length].to_vec() })
    }

    async fn read(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// Status and length of the body.
fn read_head(head: &[u8]) -> io::Result<(u16, usize)> {
    let malformed = || io::Error::other("a reply without a known length");
    let head = std::str::from_utf8(head).map_err(|_| malformed())?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let status = status.ok_or_else(malformed)?;
    let length = lines.filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    match length {
        Some(length) => Ok((status, length)),
        None if status == 204 || status == 304 => Ok((status, 0)),
        None => Err(malformed()),
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn heads_are_read() {
        let cases = [
            ("with a body", "HTTP/1.1 202 Accepted\r\nContent-Length: 12\r\n\r\n", Some((202, 12))),
            ("without", "HTTP/1.1 204 No Content\r\n\r\n", Some((204, 0))),
            ("in pieces", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", None),
            ("no HTTP", "hello\r\n\r\n", None),
        ];
        for (name, head, expected) in cases {
            assert_eq!(read_head(head.as_bytes()).ok(), expected, "{name}");
        }
    }

    #[test]
    fn a_request_has_its_length() {
        let request = Request::new("POST", "/", &["accept: */*"], b"ab");
        let text = String::from_utf8(request.0).unwrap();
        assert!(text.ends_with("accept: */*\r\ncontent-length: 2\r\n\r\nab"), "{text}");
    }
}
