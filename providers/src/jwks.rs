//! The public keys of an issuer of access tokens elsewhere (RFC 7517), fetched over HTTP.
//!
//! What must hold: a fetch is short, small and goes to the configured address alone, whatever
//! answers there.

use std::time::Duration;

use futures::StreamExt as _;

/// Longest time of a fetch.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longest time until the connection is there.
const CONNECT: Duration = Duration::from_secs(3);

/// Largest set of keys, in bytes.
const MAX_BYTES: usize = 256 << 10;

/// Why no keys came. The keys that came before may be used for a while.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Nobody answered, or the answer broke off.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// The answer was no success.
    #[error("answered {0}")]
    Refused(u16),
    /// The answer was larger than any set of keys.
    #[error("answered with more than 256 KiB")]
    TooLarge,
}

/// Where an issuer publishes its keys.
#[derive(Debug, Clone)]
pub struct KeySetSource {
    url: String,
}

impl KeySetSource {
    /// The source at `url`. Nothing is fetched yet.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into() }
    }

    /// The document as it is now; takes five seconds at most. Redirects are not followed.
    ///
    /// # Errors
    ///
    /// [`KeySetError`]: try again later, not at once.
    pub async fn fetch(&self) -> Result<Vec<u8>, KeySetError> {
        // A fetch happens once in minutes, so no connection is kept between two.
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .timeout(PATIENCE)
            .build()
            .map_err(unreachable)?;
        let reply = client.get(&self.url).send().await.map_err(unreachable)?;
        if !reply.status().is_success() {
            return Err(KeySetError::Refused(reply.status().as_u16()));
        }
        let mut document = Vec::new();
        let mut pieces = reply.bytes_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(unreachable)?;
            if document.len() + piece.len() > MAX_BYTES {
                return Err(KeySetError::TooLarge);
            }
            document.extend_from_slice(&piece);
        }
        Ok(document)
    }
}

fn unreachable(error: reqwest::Error) -> KeySetError {
    KeySetError::Unreachable(error.without_url().to_string())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// A server that answers once with `reply`.
    async fn answering(reply: Vec<u8>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut head = [0; 4_096];
            let _ = socket.read(&mut head).await;
            let _ = socket.write_all(&reply).await;
        });
        url
    }

    fn reply(head: &str, body: &str) -> Vec<u8> {
        let length = body.len();
        format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
            .into_bytes()
    }

    #[tokio::test]
    async fn only_a_small_good_answer_counts() {
        let large = "x".repeat(MAX_BYTES + 1);
        let moved = "302 Found\r\nlocation: http://127.0.0.1:9/";
        let cases = [
            ("good", reply("200 OK", "{}"), Ok(b"{}".to_vec())),
            ("error", reply("500 No", "{}"), Err(KeySetError::Refused(500))),
            ("elsewhere", reply(moved, ""), Err(KeySetError::Refused(302))),
            ("large", reply("200 OK", &large), Err(KeySetError::TooLarge)),
        ];
        for (name, reply, expected) in cases {
            let source = KeySetSource::new(answering(reply).await);
            assert_eq!(source.fetch().await, expected, "{name}");
        }
        let cut = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec()).await;
        for url in [cut, "http://127.0.0.1:1/".to_owned(), "no address".to_owned()] {
            let answer = KeySetSource::new(&url).fetch().await;
            assert!(matches!(answer, Err(KeySetError::Unreachable(_))), "{url}: {answer:?}");
        }
    }
}
