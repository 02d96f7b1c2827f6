//! Feat as processes, with an API that providers reach, and a signed-in client.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sim::{Quotas, Running, Settings};

use crate::{
    cluster::{Cluster, Process},
    eventually,
    http::Client,
};

/// Begin of the addresses of bills.
pub const ORDERS: &str = "/api/pay/order/";

const SOON: Duration = Duration::from_mins(1);

/// An API process without workers, its providers, and a client.
pub struct Shop {
    /// The providers.
    pub sim: Running,
    /// A signed-in client of [`Self::api`].
    pub client: Client,
    /// The API.
    pub api: Process,
    /// Where more processes come from.
    pub cluster: Cluster,
}

impl Shop {
    /// With simulators without quotas that pay refunds back after a moment.
    ///
    /// # Panics
    ///
    /// When something does not start.
    pub async fn open() -> Self {
        let mut settings = Settings::fixture().expect("fixtures");
        settings.quotas = Quotas::unlimited();
        settings.refund_takes = Duration::from_millis(200);
        let sim = sim::start(settings).await.expect("simulators");
        let mut cluster = Cluster::new().await;
        cluster.open_accounts(&sim.payments());
        for (name, value) in [
            ("FEAT_API__RATE_LIMITS__USER", "off"),
            ("FEAT_API__RATE_LIMITS__CLIENT", "off"),
            ("FEAT_WORKER__LEASE", "3s"),
            ("FEAT_WORKER__SWEEP_MARGIN", "1s"),
        ] {
            cluster.environment.insert(name.to_owned(), value.to_owned());
        }
        let api = cluster.public_api().await;
        let client = cluster.client(&api).await;
        Self { sim, client, api, cluster }
    }

    /// Posts and waits for the result of the work.
    ///
    /// # Panics
    ///
    /// When there is no answer.
    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let call = self.client.request(Method::POST, path).header("prefer", "wait=20").json(body);
        let reply = call.send().await.expect("answer");
        (reply.status(), reply.json().await.expect("JSON"))
    }

    /// Posts without waiting, and answers with the id of the job.
    ///
    /// # Panics
    ///
    /// When it is not accepted.
    pub async fn start(&self, path: &str, body: &Value) -> String {
        let reply = self.client.request(Method::POST, path).json(body).send().await;
        let accepted: Value = reply.expect("answer").json().await.expect("JSON");
        accepted["data"]["id"].as_str().unwrap_or_else(|| panic!("no job: {accepted}")).to_owned()
    }

    /// What is at `path`.
    ///
    /// # Panics
    ///
    /// When there is no answer.
    pub async fn get(&self, path: &str) -> Value {
        let reply = self.client.request(Method::GET, path).send().await.expect("answer");
        reply.json().await.expect("JSON")
    }

    /// A new bill over 12.50.
    ///
    /// # Panics
    ///
    /// When it is not made.
    pub async fn bill(&self) -> String {
        let new = json!({ "amount": 1250, "subject": "tea" });
        let reply = self.client.request(Method::POST, ORDERS).json(&new).send().await;
        let made: Value = reply.expect("answer").json().await.expect("JSON");
        made["data"]["sn"].as_str().unwrap_or_else(|| panic!("no bill: {made}")).to_owned()
    }

    /// Waits until the bill is as `check` wants it.
    pub async fn bill_becomes(
        &self,
        sn: &str,
        what: &str,
        check: impl Fn(&Value) -> bool,
    ) -> Value {
        eventually(format!("bill {sn} {what}"), SOON, async || {
            let bill = self.get(&format!("{ORDERS}{sn}/")).await;
            check(&bill["data"]).then_some(bill)
        })
        .await
    }
}
