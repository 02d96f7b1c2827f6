//! `feat health`: asks a running process whether it is well, for images without a `curl`.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{args::Health, failure::Failure};

/// The start of an answer, enough for its status line.
const STATUS_LINE: usize = 64;

/// Succeeds when `url` answers 200 in time.
///
/// # Errors
///
/// [`Failure::Setup`] with what it answered instead.
pub(crate) async fn run(args: &Health) -> Result<(), Failure> {
    let within = Duration::from_secs(args.timeout);
    let advice = "Look at the log of that process";
    match timeout(within, status(&args.url)).await {
        Ok(Ok(200)) => Ok(()),
        Ok(Ok(code)) => Err(Failure::setup(format!("{} answers {code}", args.url), advice)),
        Ok(Err(Fault::Url)) => {
            Err(Failure::Misuse(format!("{}: expected http://HOST:PORT/PATH", args.url)))
        }
        Ok(Err(Fault::Io(error))) => Err(Failure::setup(format!("{}: {error}", args.url), advice)),
        Err(_) => {
            Err(Failure::setup(format!("{} gives no answer within {within:?}", args.url), advice))
        }
    }
}

/// Why there is no status.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("not a plain http address")]
    Url,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

async fn status(url: &str) -> Result<u16, Fault> {
    let rest = url.strip_prefix("http://").ok_or(Fault::Url)?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = if authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
    {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let mut stream = TcpStream::connect(&address).await?;
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::with_capacity(STATUS_LINE);
    stream.take(STATUS_LINE as u64).read_to_end(&mut head).await?;
    let head = String::from_utf8_lossy(&head);
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    code.ok_or_else(|| std::io::Error::other("the answer is not HTTP").into())
}
