//! What people watch about payments: counted from zero, and counted when it happens.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use reqwest::StatusCode;
use serde_json::json;
use tests::{
    cluster::Process,
    shop::{ORDERS, Shop},
};

/// What a process shows of itself.
async fn metrics(process: &Process) -> String {
    let reply = reqwest::get(format!("http://{}/metrics", process.address)).await;
    reply.expect("metrics").text().await.expect("text")
}

/// How many notices had one of these outcomes, at all accounts together; `None` when no account
/// has such a counter.
fn notices(metrics: &str, outcomes: &[&str]) -> Option<u32> {
    let named = |line: &&str| {
        line.starts_with("feat_notices_total{")
            && outcomes.iter().any(|one| line.contains(&format!("\"{one}\"")))
    };
    let counts = metrics.lines().filter(named);
    let counts: Vec<u32> =
        counts.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
    (!counts.is_empty()).then(|| counts.iter().sum())
}

/// How many calls that wait for their job came to record it like this.
fn waiting_calls(metrics: &str, how: &str) -> Option<u32> {
    let start = format!("feat_waiting_calls_total{{how=\"{how}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&start)?.parse().ok())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_watch_is_counted_from_zero() {
    let shop = Shop::open().await;
    let worker = shop.cluster.worker(None).await;
    let (api, worker) = (metrics(&shop.api).await, metrics(&worker).await);
    for outcome in ["taken", "replayed", "forged", "foreign", "late"] {
        assert_eq!(notices(&api, &[outcome]), Some(0), "{outcome}");
    }
    for how in ["in_turn", "too_long", "no_place"] {
        assert_eq!(waiting_calls(&api, how), Some(0), "{how}");
    }
    let zeros = [
        "feat_bill_surplus_total{why=\"second_payment\"} 0",
        "feat_bill_surplus_total{why=\"after_close\"} 0",
        "feat_bill_surplus_total{why=\"other_amount\"} 0",
        "feat_bill_contradictions_total 0",
        "feat_bill_refund_troubles_total{why=\"abnormal\"} 0",
        "feat_bill_refund_troubles_total{why=\"refused\"} 0",
        "feat_pay_unknown_total 0",
        "feat_notices_foreign_total{channel=\"alipay\"} 0",
    ];
    for line in zeros {
        assert!(worker.lines().any(|shown| shown == line), "{line} is missing:\n{worker}");
    }
    for (name, text) in [("feat_notices_total", &api), ("feat_pay_unknown_total", &worker)] {
        assert!(text.contains(&format!("# HELP {name} ")), "nothing says what {name} counts");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_notices_are_refused_and_counted() {
    let shop = Shop::open().await;
    let accounts = [
        "wechat_pay/official_account",
        "wechat_pay/official_account_v3",
        "alipay/web",
        "unionpay/web",
    ];
    let bodies = [
        "<xml><sign>X</sign><return_code>SUCCESS</return_code></xml>",
        "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><xml><a>&e;</a></xml>",
        "app_id=1&sign=X&signature=X&merId=1",
    ];
    for (account, body) in accounts.iter().flat_map(|account| bodies.map(|body| (account, body))) {
        let address = format!("http://{}/api/pay/notify/{account}/", shop.api.address);
        let call = reqwest::Client::new().post(address).body(body).send().await;
        let answer = call.expect("answer").text().await.expect("text");
        assert!(!answer.contains("root:") && !answer.contains("SUCCESS"), "{account}: {answer}");
    }
    let after = metrics(&shop.api).await;
    assert_eq!(notices(&after, &["forged", "malformed"]), Some(12), "{after}");
    assert_eq!(notices(&after, &["taken", "replayed", "nothing"]), Some(0), "{after}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_takes_a_turn_and_nobody_else_does() {
    let shop = Shop::open().await;
    let _worker = shop.cluster.worker(None).await;
    let (waited, begun) = (shop.bill().await, shop.bill().await);
    let body = json!({ "pay_method": 200, "end_type": 0 });
    shop.start(&format!("{ORDERS}{begun}/pay/"), &body).await;
    assert_eq!(waiting_calls(&metrics(&shop.api).await, "in_turn"), Some(0));
    let (status, reply) = shop.post(&format!("{ORDERS}{waited}/pay/"), &body).await;
    assert_eq!(status, StatusCode::OK, "{reply}");
    assert_eq!(waiting_calls(&metrics(&shop.api).await, "in_turn"), Some(1));
}
