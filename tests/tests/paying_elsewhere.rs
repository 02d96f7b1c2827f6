//! A bill that one API process has made, and with which something is done at another.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{
    cluster::Process,
    eventually,
    http::Client,
    shop::{ORDERS, Shop},
};

const SOON: Duration = Duration::from_secs(30);

/// A shop with a worker and a second API process, and a client of that.
async fn open() -> (Shop, [Process; 2], Client) {
    let shop = Shop::open().await;
    let worker = shop.cluster.worker(None).await;
    let second = shop.cluster.api(None).await;
    let elsewhere = shop.cluster.client(&second).await;
    (shop, [worker, second], elsewhere)
}

/// Posts, and waits for the result of the work.
async fn post(client: &Client, path: &str, body: &Value) -> (StatusCode, Value) {
    post_with(client, path, body, None).await
}

/// The same with an idempotency key.
async fn post_with(
    client: &Client,
    path: &str,
    body: &Value,
    key: Option<&str>,
) -> (StatusCode, Value) {
    let mut call = client.request(Method::POST, path).header("prefer", "wait=20").json(body);
    if let Some(key) = key {
        call = call.header("idempotency-key", key);
    }
    let reply = call.send().await.expect("answer");
    (reply.status(), reply.json().await.expect("JSON"))
}

async fn bill(client: &Client, sn: &str) -> Value {
    let reply = client.request(Method::GET, &format!("{ORDERS}{sn}/")).send().await;
    reply.expect("answer").json().await.expect("JSON")
}

fn by_code() -> Value {
    json!({ "pay_method": 200, "end_type": 0 })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_to_pay_with_is_given_out_for_a_bill_that_was_paid_elsewhere() {
    let (shop, _running, elsewhere) = open().await;
    for (others, key) in [None, Some("one")].into_iter().enumerate() {
        let sn = shop.bill().await;
        let pay = format!("{ORDERS}{sn}/pay/");
        let (status, reply) = post(&elsewhere, &pay, &by_code()).await;
        assert_eq!(status, StatusCode::OK, "{reply}");
        shop.sim.approve(&format!("{sn}01")).expect("the payer pays");
        eventually("the bill is paid", SOON, async || {
            (bill(&elsewhere, &sn).await["data"]["status"] == 200).then_some(())
        })
        .await;
        let (status, reply) = post_with(&shop.client, &pay, &by_code(), key).await;
        assert_eq!(status, StatusCode::CONFLICT, "{key:?}: {reply}");
        assert_eq!(reply["data"]["reason"], "bill_paid", "{key:?}: {reply}");
        assert_eq!(shop.sim.trades().len(), others + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_trade_is_made_for_a_bill_that_was_closed_elsewhere() {
    let (shop, _running, elsewhere) = open().await;
    let sn = shop.bill().await;
    let (status, reply) = post(&elsewhere, &format!("{ORDERS}{sn}/close/"), &json!({})).await;
    assert_eq!(status, StatusCode::OK, "{reply}");
    let (status, reply) = post(&shop.client, &format!("{ORDERS}{sn}/pay/"), &by_code()).await;
    let refused = (status, &reply["code"], &reply["data"]["job"]["error"]["code"]);
    assert_eq!(
        refused,
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("JOB_FAILED"), &json!("bill_closed")),
        "{reply}"
    );
    assert_eq!(shop.sim.trades().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_places_make_one_trade_of_a_new_bill() {
    let (shop, _running, elsewhere) = open().await;
    let sn = shop.bill().await;
    let pay = format!("{ORDERS}{sn}/pay/");
    let body = by_code();
    let ((first, one), (second, other)) =
        tokio::join!(post(&shop.client, &pay, &body), post(&elsewhere, &pay, &body));
    assert_eq!((first, second), (StatusCode::OK, StatusCode::OK), "{one} {other}");
    assert_eq!(one, other);
    assert_eq!(shop.sim.trades().len(), 1);
}
