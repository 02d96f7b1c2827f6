//! RabbitMQ and MongoDB as `cargo xtask test` announces them, and a corner of each for one test.

use std::{env, time::Duration};

use reqwest::{Method, StatusCode, Url};

use crate::eventually;

/// How long RabbitMQ may take to make a virtual host.
const PATIENCE: Duration = Duration::from_secs(30);

/// The value of a variable that `cargo xtask test` sets.
///
/// # Panics
///
/// When it is not set.
#[must_use]
pub fn announced(name: &str) -> String {
    env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run the tests with `cargo xtask test`"))
}

/// A virtual host of RabbitMQ and the name of a database, both new and for one test.
pub struct Corner {
    management: Url,
    /// Address of RabbitMQ with the virtual host.
    pub amqp_url: String,
    /// Address of MongoDB.
    pub mongodb_url: String,
    /// Name of the database.
    pub database: String,
}

impl Corner {
    /// Makes a corner in the announced services.
    pub async fn new() -> Self {
        Self::at(
            &announced("FEAT_TEST_AMQP_URL"),
            &announced("FEAT_TEST_RABBITMQ_MANAGEMENT_URL"),
            &announced("FEAT_TEST_MONGODB_URL"),
        )
        .await
    }

    /// Makes a corner in services at these addresses.
    ///
    /// # Panics
    ///
    /// When an address is none or RabbitMQ does not make the virtual host.
    pub async fn at(amqp: &str, management: &str, mongodb: &str) -> Self {
        let name = format!("test-{:016x}", rand::random::<u64>());
        let management: Url = management.parse().expect("address of the management plugin");
        let mut amqp_url: Url = amqp.parse().expect("address of RabbitMQ");
        amqp_url.set_path(&name);
        let corner = Self {
            management,
            amqp_url: amqp_url.into(),
            mongodb_url: mongodb.to_owned(),
            database: name,
        };
        corner.make_vhost().await;
        corner
    }

    /// Makes the virtual host, again after RabbitMQ lost its data.
    ///
    /// The plugin sometimes closes a connection unanswered while several are being made; making
    /// one that is there already changes nothing, so it is asked until it has answered.
    ///
    /// # Panics
    ///
    /// When RabbitMQ does not make it.
    pub async fn make_vhost(&self) {
        let path = format!("api/vhosts/{}", self.database);
        let made = eventually("an answer of the management plugin", PATIENCE, async || {
            request(&self.management, Method::PUT, &path).send().await.ok()
        })
        .await;
        assert!(made.status().is_success(), "no virtual host: {}", made.status());
    }

    /// Calls the management plugin.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    pub async fn manage(&self, method: Method, path: &str) -> StatusCode {
        request(&self.management, method, path).send().await.expect("management plugin").status()
    }

    /// Reads JSON from the management plugin.
    ///
    /// # Panics
    ///
    /// When it does not answer with JSON.
    pub async fn read(&self, path: &str) -> serde_json::Value {
        let reply = request(&self.management, Method::GET, path).send().await;
        reply.expect("management plugin").json().await.expect("JSON")
    }
}

fn request(management: &Url, method: Method, path: &str) -> reqwest::RequestBuilder {
    let url = management.join(path).expect("path of the management plugin");
    let password = management.password().unwrap_or("guest").to_owned();
    let user = if management.username().is_empty() { "guest" } else { management.username() };
    let mut bare = url;
    // The client sends the header; an address with a password would also be printed.
    let _ = bare.set_username("");
    let _ = bare.set_password(None);
    reqwest::Client::new().request(method, bare).basic_auth(user, Some(password))
}

impl Drop for Corner {
    /// Gives the virtual host and the database back.
    fn drop(&mut self) {
        let (management, name, mongodb) =
            (self.management.clone(), self.database.clone(), self.mongodb_url.clone());
        // A runtime of its own: the test's may be ending.
        let clean = std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build()
            else {
                return;
            };
            runtime.block_on(async {
                let path = format!("api/vhosts/{name}");
                let _ = request(&management, Method::DELETE, &path).send().await;
                if let Ok(client) = mongodb::Client::with_uri_str(&mongodb).await {
                    let _ = client.database(&name).drop().await;
                }
            });
        });
        let _ = clean.join();
    }
}
