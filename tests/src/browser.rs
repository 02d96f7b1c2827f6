//! A real browser without a window, driven over the `WebDriver` protocol of chromedriver.

use std::{
    io::{BufRead, BufReader, Read as _, Write as _},
    net::TcpStream,
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    time::Duration,
};

use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{eventually, services::announced};

/// What every element is called in the driver's replies.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Longest that the browser may take for anything.
const PATIENCE: Duration = Duration::from_mins(1);

const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-proxy-server",
];

/// One browser with a profile of its own, gone with this value.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    http: reqwest::Client,
    /// Its folder, which goes with it.
    profile: TempDir,
}

impl Browser {
    /// Starts a browser.
    ///
    /// # Panics
    ///
    /// When there is none, or it does not start.
    pub async fn start() -> Self {
        let profile = TempDir::new().expect("temporary folder");
        let mut driver = Command::new(announced("FEAT_TEST_CHROMEDRIVER"))
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("chromedriver starts");
        let port = port(&mut driver);
        let http = reqwest::Client::builder().timeout(PATIENCE).no_proxy().build().expect("client");
        let mut browser = Self { driver, port, session: String::new(), http, profile };
        browser.open_session().await;
        browser
    }

    async fn open_session(&mut self) {
        let mut flags: Vec<_> = FLAGS.map(str::to_owned).to_vec();
        flags.push(format!("--user-data-dir={}", self.profile.path().display()));
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": flags },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let opened = self.call(Method::POST, "session", wanted).await.expect("a session");
        opened["sessionId"].as_str().expect("a session's name").clone_into(&mut self.session);
    }

    /// Sends one command; gives its value, or the error's name.
    async fn call(&self, method: Method, path: &str, body: Value) -> Result<Value, String> {
        let mut request =
            self.http.request(method.clone(), format!("http://127.0.0.1:{}/{path}", self.port));
        if method == Method::POST {
            request = request.json(&body);
        }
        let mut reply: Value =
            request.send().await.expect("chromedriver answers").json().await.expect("JSON");
        let value = reply["value"].take();
        match value["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(value),
        }
    }

    async fn command(&self, method: Method, path: &str, body: Value) -> Result<Value, String> {
        self.call(method, &format!("session/{}/{path}", self.session), body).await
    }

    /// Goes to an address and waits until the page is there.
    ///
    /// # Panics
    ///
    /// When it does not come.
    pub async fn open(&self, address: &str) {
        let body = json!({ "url": address });
        self.command(Method::POST, "url", body).await.expect("the page opens");
    }

    /// The address of the page that is shown.
    ///
    /// # Panics
    ///
    /// When the browser does not say.
    pub async fn address(&self) -> String {
        let address = self.command(Method::GET, "url", Value::Null).await.expect("an address");
        address.as_str().expect("text").to_owned()
    }

    /// Waits for an element.
    async fn element(&self, selector: &str) -> String {
        eventually(format!("{selector} is there"), PATIENCE, async || self.find(selector).await)
            .await
    }

    async fn find(&self, selector: &str) -> Option<String> {
        let body = json!({ "using": "css selector", "value": selector });
        let found = self.command(Method::POST, "element", body).await.ok()?;
        found[ELEMENT].as_str().map(str::to_owned)
    }

    /// Whether the page has an element like this now.
    pub async fn has(&self, selector: &str) -> bool {
        self.find(selector).await.is_some()
    }

    /// The text of an element, once it is there.
    pub async fn text(&self, selector: &str) -> String {
        eventually(format!("text of {selector}"), PATIENCE, async || {
            let element = self.find(selector).await?;
            let path = format!("element/{element}/text");
            let text = self.command(Method::GET, &path, Value::Null).await.ok()?;
            text.as_str().map(str::to_owned)
        })
        .await
    }

    /// Types into a field, once it is there.
    ///
    /// # Panics
    ///
    /// When it is no field.
    pub async fn write(&self, selector: &str, text: &str) {
        self.act(selector, "value", json!({ "text": text })).await;
    }

    /// Presses a button or ticks a box, once it is there.
    ///
    /// # Panics
    ///
    /// When it cannot be pressed.
    pub async fn press(&self, selector: &str) {
        self.act(selector, "click", json!({})).await;
    }

    /// Does something to an element. One that went with its page between being found and being
    /// asked has done nothing: it is looked for on the page that came.
    async fn act(&self, selector: &str, what: &str, body: Value) {
        eventually(format!("{selector} takes a {what}"), PATIENCE, async || {
            let path = format!("element/{}/{what}", self.find(selector).await?);
            match self.command(Method::POST, &path, body.clone()).await {
                Ok(_) => Some(()),
                Err(error) if error == "stale element reference" => None,
                Err(error) => panic!("{selector}: {error}"),
            }
        })
        .await;
    }

    /// Looks into a frame of the page instead of the page.
    ///
    /// # Panics
    ///
    /// When there is no such frame.
    pub async fn enter_frame(&self, selector: &str) {
        let frame = json!({ "id": { ELEMENT: self.element(selector).await } });
        self.command(Method::POST, "frame", frame).await.expect("a frame");
    }

    /// What the browser complained about since this was last asked.
    ///
    /// # Panics
    ///
    /// When the browser does not say.
    pub async fn complaints(&self) -> Vec<String> {
        let body = json!({ "type": "browser" });
        let entries = self.command(Method::POST, "se/log", body).await.expect("the log");
        let entries = entries.as_array().cloned().unwrap_or_default();
        entries.iter().map(|entry| entry["message"].to_string()).collect()
    }
}

/// Where chromedriver listens, as it says itself.
fn port(driver: &mut Child) -> u16 {
    let output = driver.stdout.take().expect("output");
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let line = lines.find(|line| line.contains("started successfully on port"));
    // What it says later must not fill the pipe.
    std::thread::spawn(move || lines.for_each(drop));
    let digits = line.and_then(|line| line.rsplit(' ').next().map(str::to_owned));
    digits.and_then(|text| text.trim_end_matches('.').parse().ok()).expect("chromedriver's port")
}

impl Drop for Browser {
    /// Asks for the browser's end, and ends the driver.
    fn drop(&mut self) {
        if let Ok(mut socket) = TcpStream::connect(("127.0.0.1", self.port)) {
            let session = &self.session;
            let _ = socket.set_read_timeout(Some(Duration::from_secs(10)));
            let request = format!(
                "DELETE /session/{session} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"
            );
            let _ = socket.write_all(request.as_bytes());
            let _ = socket.read(&mut [0; 1_024]);
        }
        if let Some(group) = Pid::from_raw(self.driver.id().cast_signed()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.driver.wait();
    }
}
