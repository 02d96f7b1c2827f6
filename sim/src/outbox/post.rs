//! One POST over plain HTTP, without redirects.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Uri, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use crate::ledger::Provider;

/// Longest answer that is read.
const MOST_BYTES: usize = 64 * 1024;

/// A notification as it goes over the wire.
#[derive(Debug, Clone)]
pub(crate) struct Sealed {
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

/// Sends `sealed` to `url`; answers with status and body, or with why there are none.
pub(super) async fn post(
    provider: Provider,
    url: &str,
    sealed: Sealed,
) -> Result<(u16, Bytes), String> {
    let patience = match provider {
        Provider::Wechat => Duration::from_secs(5),
        Provider::Alipay | Provider::UnionPay => Duration::from_secs(10),
    };
    match timeout(patience, send(url, sealed)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {patience:?}")),
    }
}

async fn send(url: &str, sealed: Sealed) -> Result<(u16, Bytes), String> {
    let uri: Uri = url.parse().map_err(|_| "not an address".to_owned())?;
    if uri.scheme_str() != Some("http") {
        return Err("the simulator delivers over plain http only".to_owned());
    }
    let host = uri.host().ok_or("no host")?.to_owned();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = (bare, uri.port_u16().unwrap_or(80));
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let _ = stream.set_nodelay(true);
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let driver = tokio::spawn(connection);
    let answer = exchange(&mut sender, &uri, sealed).await;
    driver.abort();
    answer
}

async fn exchange(
    sender: &mut http1::SendRequest<Full<Bytes>>,
    uri: &Uri,
    sealed: Sealed,
) -> Result<(u16, Bytes), String> {
    let authority = uri.authority().ok_or("no host")?.as_str();
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let mut request = Request::post(target)
        .header("host", authority)
        .header("user-agent", "Mozilla/4.0")
        .header("accept", "*/*")
        .header("content-type", sealed.content_type);
    for (name, value) in sealed.headers {
        request = request.header(name, value);
    }
    let request =
        request.body(Full::new(Bytes::from(sealed.body))).map_err(|error| error.to_string())?;
    let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), MOST_BYTES).collect().await;
    Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
}
