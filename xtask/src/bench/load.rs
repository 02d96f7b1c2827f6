//! Many requests over a number of kept-alive connections.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use schemas::UserId;
use serde_json::Value;

use super::{
    Fault,
    http::{Connection, Reply, Request},
};

/// A picture of one pixel.
const PICTURE: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// A signed-in user and how many connections the user opens.
#[derive(Debug, Clone)]
pub(super) struct Load {
    /// Where the API listens.
    pub(super) address: SocketAddr,
    /// Access token.
    pub(super) token: String,
    /// Connections that send at a time.
    pub(super) connections: usize,
    /// Longest pause of a connection before each of its requests; its length is chosen at random.
    pub(super) pause: Duration,
}

/// How the requests went.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Of each request that was answered as expected, from its first byte to the reply's last.
    pub(super) times: Vec<Duration>,
    /// Requests that were answered otherwise or not at all.
    pub(super) errors: u64,
    /// What the first of them got.
    pub(super) first_error: Option<String>,
    /// From the first request to the last reply.
    pub(super) elapsed: Duration,
}

impl Report {
    /// Takes another one along, of requests that came later.
    pub(super) fn add(&mut self, later: Self) {
        self.times.extend(later.times);
        self.errors += later.errors;
        self.first_error = self.first_error.take().or(later.first_error);
        self.elapsed += later.elapsed;
    }
}

impl Load {
    /// Uploads `count` pictures and returns their ids.
    pub(super) async fn upload(&self, count: usize) -> Result<Vec<i64>, Fault> {
        let request = self.upload_request()?;
        let mut ids = Vec::with_capacity(count);
        let report = self
            .each(
                count,
                201,
                move |_| request.clone(),
                |reply| {
                    let body: Value = serde_json::from_slice(&reply.body).ok()?;
                    body["data"]["id"].as_i64()
                },
                &mut ids,
            )
            .await;
        match report.first_error {
            Some(error) => Err(format!("a picture was not taken: {error}").into()),
            None => Ok(ids),
        }
    }

    /// Deletes the pictures.
    pub(super) async fn delete(&self, images: &[i64]) -> Report {
        let (load, ids) = (self.clone(), images.to_vec());
        let request = move |index: usize| load.deletion(ids[index], &[]);
        self.each(images.len(), 202, request, |_| Some(()), &mut Vec::new()).await
    }

    /// The request to delete a picture.
    pub(super) fn deletion(&self, image: i64, headers: &[&str]) -> Request {
        let authorization = self.authorization();
        let headers = [&[authorization.as_str()], headers].concat();
        Request::new("DELETE", &format!("/api/user/user-image/{image}/"), &headers, b"")
    }

    /// The request that is answered when the job of an accepted request has ended.
    pub(super) fn end_of_job(&self, accepted: &Reply) -> Result<Request, Fault> {
        let body: Value = serde_json::from_slice(&accepted.body)?;
        let id = body["data"]["id"].as_str().ok_or("a reply without its job")?;
        let headers = [self.authorization(), "prefer: wait=30".to_owned()];
        let headers = headers.each_ref().map(String::as_str);
        Ok(Request::new("GET", &format!("/api/job/{id}/"), &headers, b""))
    }

    /// Who is signed in, by the access token.
    pub(super) fn owner(&self) -> Result<UserId, Fault> {
        let claims = self.token.split('.').nth(1).ok_or("a token without claims")?;
        let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims)?)?;
        let owner = claims["sub"].as_str().and_then(|sub| UserId::new(sub.parse().ok()?));
        Ok(owner.ok_or("a token without its user")?)
    }

    /// The header line of the signed-in user.
    pub(super) fn authorization(&self) -> String {
        format!("authorization: Bearer {}", self.token)
    }

    fn upload_request(&self) -> Result<Request, Fault> {
        let head = "--bench\r\ncontent-disposition: form-data; name=\"img\"; filename=\"a.png\"\r\n\
                    content-type: image/png\r\n\r\n";
        let picture = BASE64_STANDARD.decode(PICTURE)?;
        let body = [head.as_bytes(), &picture, b"\r\n--bench--\r\n"].concat();
        let content_type = "content-type: multipart/form-data; boundary=bench";
        let headers = [content_type, &self.authorization()];
        Ok(Request::new("POST", "/api/user/user-image/", &headers, &body))
    }

    /// Sends `count` requests, each as soon as a connection is free, and collects what `read`
    /// finds in the replies, in no special order.
    pub(super) async fn each<T: Send + 'static>(
        &self,
        count: usize,
        status: u16,
        request: impl Fn(usize) -> Request + Send + Sync + 'static,
        read: fn(&Reply) -> Option<T>,
        found: &mut Vec<T>,
    ) -> Report {
        let (request, next) = (Arc::new(request), Arc::new(AtomicUsize::new(0)));
        let begun = Instant::now();
        let lanes: Vec<_> = (0..self.connections.min(count))
            .map(|_| {
                let (request, next) = (Arc::clone(&request), Arc::clone(&next));
                let lane = Lane { address: self.address, pause: self.pause, status, read };
                tokio::spawn(async move { lane.run(count, &next, &*request).await })
            })
            .collect();
        let mut all = Report::default();
        for lane in lanes {
            match lane.await {
                Ok((report, values)) => {
                    all.times.extend(report.times);
                    all.errors += report.errors;
                    all.first_error = all.first_error.or(report.first_error);
                    found.extend(values);
                }
                Err(panic) => {
                    all.errors += 1;
                    all.first_error = Some(panic.to_string());
                }
            }
        }
        all.elapsed = begun.elapsed();
        all
    }
}

/// One connection's share of the work.
struct Lane<T> {
    address: SocketAddr,
    pause: Duration,
    status: u16,
    read: fn(&Reply) -> Option<T>,
}

impl<T> Lane<T> {
    async fn run(
        &self,
        count: usize,
        next: &AtomicUsize,
        request: &impl Fn(usize) -> Request,
    ) -> (Report, Vec<T>) {
        let (mut report, mut values, mut connection) = (Report::default(), Vec::new(), None);
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return (report, values);
            }
            let request = request(index);
            if !self.pause.is_zero() {
                tokio::time::sleep(self.pause.mul_f64(rand::random())).await;
            }
            let begun = Instant::now();
            match self.send(&mut connection, &request).await {
                Ok(value) => {
                    report.times.push(begun.elapsed());
                    values.push(value);
                }
                Err(error) => {
                    connection = None;
                    report.errors += 1;
                    report.first_error.get_or_insert(error);
                }
            }
        }
    }

    async fn send(
        &self,
        connection: &mut Option<Connection>,
        request: &Request,
    ) -> Result<T, String> {
        let open = if let Some(open) = connection {
            open
        } else {
            let opened = Connection::open(self.address).await;
            connection.insert(opened.map_err(|error| error.to_string())?)
        };
        let reply = open.send(request).await.map_err(|error| error.to_string())?;
        let text = || format!("{} {}", reply.status, String::from_utf8_lossy(&reply.body));
        if reply.status != self.status {
            return Err(text());
        }
        (self.read)(&reply).ok_or_else(text)
    }
}
