//! The payer with a real browser: the simulators' pages, what a client embeds, and the way back to
//! the shop.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::{fs, time::Duration};

use reqwest::StatusCode;
use serde_json::{Value, json};
use sim::Effect;
use tempfile::TempDir;
use tests::{
    browser::Browser,
    cluster::Process,
    eventually,
    shop::{ORDERS, Shop},
};

const SOON: Duration = Duration::from_mins(1);

const PAY: &str = "button[value=approve]";
const DECLINE: &str = "button[value=decline]";
const TIME_OUT: &str = "button[value=expire]";
/// To the page of the trade that was made last.
const LATEST: &str = "td a";

/// A shop, and somebody who sits before a browser.
struct Stage {
    shop: Shop,
    browser: Browser,
    folder: TempDir,
    _worker: Process,
}

impl Stage {
    async fn open() -> Self {
        let shop = Shop::open().await;
        let worker = shop.cluster.worker(None).await;
        let folder = TempDir::new().expect("a folder");
        Self { shop, browser: Browser::start().await, folder, _worker: worker }
    }

    /// Begins to pay; gives what the client pays with.
    async fn begin(&self, sn: &str, wish: &Value) -> Value {
        let (status, mut reply) = self.shop.post(&format!("{ORDERS}{sn}/pay/"), wish).await;
        assert_eq!(status, StatusCode::OK, "{reply}");
        reply["data"].take()
    }

    /// Goes to the provider's list of trades, and from there to the latest one.
    async fn choose(&self, provider: &str) {
        self.browser.open(&format!("{}/_sim/pay/{provider}", self.shop.sim.url())).await;
        self.browser.press(LATEST).await;
    }

    async fn page_says(&self, what: &str) {
        eventually(format!("a page that says {what}"), SOON, async || {
            self.browser.text("body").await.contains(what).then_some(())
        })
        .await;
    }

    async fn status(&self, sn: &str) -> Value {
        self.shop.get(&format!("{ORDERS}{sn}/")).await["data"]["status"].take()
    }

    async fn becomes_paid(&self, sn: &str) {
        self.shop.bill_becomes(sn, "paid", |bill| bill["status"] == 200).await;
        let ledger = self.shop.sim.ledger();
        let ours = ledger.entries.iter().filter(|entry| entry.key.starts_with(sn));
        let moved: Vec<_> = ours.map(|entry| (entry.effect, entry.amount)).collect();
        assert_eq!(moved, [(Effect::Paid, 1250)], "money moves once");
    }

    /// Where the browser is sent after paying, and that it shows it without a complaint.
    async fn is_back(&self) {
        self.page_says("You can close this page.").await;
        let (address, api) = (self.browser.address().await, self.shop.api.address);
        assert!(address.starts_with(&format!("http://{api}/api/pay/return/")), "{address}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_declined_at_first_and_then_paid() {
    let stage = Stage::open().await;
    let code = json!({ "presentation": "code" });
    for (provider, method) in [("wechat", 200), ("alipay", 100), ("unionpay", 0)] {
        let sn = stage.shop.bill().await;
        let wish = json!({ "pay_method": method, "end_type": 0, "extra_params": code });
        let given = stage.begin(&sn, &wish).await;
        match given["qr_code"].as_str().filter(|code| code.starts_with("http")) {
            // It is the address of a cashier.
            Some(address) => stage.browser.open(address).await,
            None => stage.choose(provider).await,
        }
        stage.page_says(&sn).await;
        stage.page_says("¥12.50").await;

        stage.browser.press(DECLINE).await;
        stage.page_says("open, declined once").await;
        assert_eq!(stage.status(&sn).await, 0, "{provider}: nobody has paid");
        stage.browser.press(PAY).await;
        stage.page_says("State: paid").await;
        stage.becomes_paid(&sn).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trade_that_times_out_is_followed_by_another() {
    let stage = Stage::open().await;
    let sn = stage.shop.bill().await;
    let wish = json!({ "pay_method": 200, "end_type": 0 });
    let first = stage.begin(&sn, &wish).await;
    stage.choose("wechat").await;
    stage.browser.press(TIME_OUT).await;
    stage.page_says("State: closed").await;

    let (status, reply) =
        stage.shop.post(&format!("{ORDERS}{sn}/refresh_order_status/"), &json!({})).await;
    assert_eq!((status, &reply["data"]["status"]), (StatusCode::OK, &json!(0)), "{reply}");
    let second = stage.begin(&sn, &wish).await;
    assert_ne!(first["code_url"], second["code_url"]);
    stage.choose("wechat").await;
    stage.browser.press(PAY).await;
    stage.becomes_paid(&sn).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_embedded_paid_and_left_for_the_shop() {
    let stage = Stage::open().await;
    // The way of paying, where its reply says to go, and what leads back.
    let ways = [
        ("WeChat Pay on a phone", 200, 300, "mweb_url", "p a"),
        ("Alipay by address", 100, 0, "redirect_url", "p a"),
        ("Alipay as a form", 100, 0, "html", "p a"),
        ("UnionPay", 0, 0, "html", "form button"),
    ];
    for (name, method, end, field, back) in ways {
        let sn = stage.shop.bill().await;
        let wish = json!({ "pay_method": method, "end_type": end });
        let given = stage.begin(&sn, &wish).await;
        let given = given[field].as_str().unwrap_or_else(|| panic!("{name}: {given}"));
        if field == "html" {
            // Its script submits the form.
            let page = stage.folder.path().join("pay.html");
            fs::write(&page, given).expect("a page");
            stage.browser.open(&format!("file://{}", page.display())).await;
        } else {
            stage.browser.open(given).await;
        }
        stage.page_says(&sn).await;
        stage.browser.press(PAY).await;
        stage.page_says("State: paid").await;
        stage.becomes_paid(&sn).await;
        stage.browser.press(back).await;
        stage.is_back().await;
    }
    let complaints = stage.browser.complaints().await;
    let serious = complaints.iter().filter(|one| !one.contains("favicon.ico"));
    assert_eq!(serious.count(), 0, "{complaints:?}");
}
