//! A client of the public API, as an app would have it.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, StatusCode, multipart};
use serde_json::Value;

use crate::eventually;

/// A signed-in client.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    /// Address of the API, without a slash at the end.
    pub base: String,
    /// Access token.
    pub token: String,
}

impl Client {
    /// Signs in with the password grant.
    ///
    /// # Panics
    ///
    /// When the API refuses.
    pub async fn sign_in(
        base: &str,
        client: &str,
        secret: &str,
        username: &str,
        password: &str,
    ) -> Self {
        Self::sign_in_on("test:1", base, client, secret, username, password).await
    }

    /// The same on a device of this name.
    ///
    /// # Panics
    ///
    /// When the API refuses.
    pub async fn sign_in_on(
        device_id: &str,
        base: &str,
        client: &str,
        secret: &str,
        username: &str,
        password: &str,
    ) -> Self {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .expect("client");
        let mut form = vec![
            ("grant_type", "password"),
            ("client_id", client),
            ("username", username),
            ("password", password),
            ("device_id", device_id),
        ];
        // A public client has no secret.
        form.extend(Some(("client_secret", secret)).filter(|(_, secret)| !secret.is_empty()));
        let reply = http.post(format!("{base}/api/o/token/")).form(&form).send().await;
        let reply: Value = reply.expect("token").json().await.expect("JSON");
        let token = reply["access_token"].as_str().unwrap_or_else(|| panic!("no token: {reply}"));
        Self { http, base: base.to_owned(), token: token.to_owned() }
    }

    /// The same client towards another API of the cluster.
    #[must_use]
    pub fn at(&self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self.clone() }
    }

    /// A request with the token.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token)
    }

    /// Uploads a picture and answers with its record.
    ///
    /// # Panics
    ///
    /// When the API refuses.
    pub async fn upload(&self, picture: Vec<u8>) -> Value {
        let part = multipart::Part::bytes(picture).file_name("a.png");
        let form = multipart::Form::new().part("img", part);
        let reply =
            self.request(Method::POST, "/api/user/user-image/").multipart(form).send().await;
        let reply = reply.expect("upload");
        assert_eq!(reply.status(), StatusCode::CREATED, "upload");
        let mut body: Value = reply.json().await.expect("JSON");
        body["data"].take()
    }

    /// Asks to delete a picture.
    ///
    /// # Errors
    ///
    /// When the API went away before it answered.
    pub async fn delete(&self, image: i64) -> reqwest::Result<Response> {
        self.request(Method::DELETE, &format!("/api/user/user-image/{image}/")).send().await
    }

    /// The public view of a job.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub async fn job(&self, id: &str) -> Value {
        let reply = self.request(Method::GET, &format!("/api/job/{id}/")).send().await;
        let mut body: Value = reply.expect("job").json().await.expect("JSON");
        body["data"].take()
    }

    /// Waits until a job has this status.
    pub async fn job_becomes(&self, id: &str, status: &str, within: Duration) -> Value {
        eventually(format!("job {id} {status}"), within, async || {
            let job = self.job(id).await;
            (job["status"] == status).then_some(job)
        })
        .await
    }
}
