//! Worker processes are killed while they pay bills and pay them back, over RabbitMQ and MongoDB:
//! the next one finishes, and money moves once.

use std::time::Duration;

use serde_json::{Value, json};
use sim::Effect;
use tests::{
    eventually,
    payer::{Payer, Pays},
    shop::{ORDERS, Shop},
};

const PATIENCE: Duration = Duration::from_mins(1);

/// Lets a worker die at `point` with the job that `path` starts, and another one finish it.
async fn killed_at(shop: &Shop, point: &str, path: &str, body: &Value) -> Value {
    let mut doomed = shop.cluster.worker(Some(&format!("{point}:1"))).await;
    let job = shop.start(path, body).await;
    eventually(format!("the end of a worker at {point}"), PATIENCE, async || {
        doomed.has_ended().then_some(())
    })
    .await;
    let _next = shop.cluster.worker(None).await;
    eventually(format!("the end of {job} after a kill at {point}"), PATIENCE, async || {
        let shown = shop.client.job(&job).await;
        let ended = ["succeeded", "failed", "dead"].iter().any(|end| shown["status"] == *end);
        ended.then_some(shown)
    })
    .await
}

/// Pays and pays back with a kill in either step.
async fn walk(name: &str, wish: &Value, pays: Pays, points: [&str; 2]) {
    let shop = Shop::open().await;
    let sn = shop.bill().await;
    let pay = format!("{ORDERS}{sn}/pay/");
    let first = killed_at(&shop, points[0], &pay, wish).await;
    assert_ne!(first["status"], "dead", "{name}: {first}");
    let worker = shop.cluster.worker(None).await;
    // What was lost with the worker is given up, and the client calls again.
    let (_, reply) = shop.post(&pay, wish).await;
    assert!(reply["data"].is_object(), "{name}: {reply}");
    Payer::new(&shop.sim).pay(pays, &reply["data"]).await;
    shop.bill_becomes(&sn, "paid", |bill| bill["status"] == 200).await;
    drop(worker);

    let refund = format!("{ORDERS}{sn}/refund/");
    let second = killed_at(&shop, points[1], &refund, &json!({ "amount": 250 })).await;
    assert_eq!(second["status"], "succeeded", "{name}: {second}");
    let _worker = shop.cluster.worker(None).await;
    shop.bill_becomes(&sn, "partly paid back", |bill| bill["refunded"] == 250).await;

    let ledger = shop.sim.ledger();
    let moved: Vec<_> = ledger.entries.iter().map(|one| (one.effect, one.amount)).collect();
    assert_eq!(moved, [(Effect::Paid, 1250), (Effect::Refunded, 250)], "{name}");
}

/// Charges a card with a kill in the charge.
async fn walk_by_card(point: &str) {
    let shop = Shop::open().await;
    let sn = shop.bill().await;
    let worker = shop.cluster.worker(None).await;
    let card = json!({ "account_no": "6216261000000000018", "phone": "13552535506" });
    let (status, reply) = shop.post(&format!("{ORDERS}{sn}/send_vcode/"), &card).await;
    assert_eq!(status, 200, "{point}: {reply}");
    drop(worker);

    let charge = json!({
        "pay_method": 0, "end_type": 0, "vcode": "111111", "account_no": card["account_no"],
    });
    let charged = killed_at(&shop, point, &format!("{ORDERS}{sn}/unpay/"), &charge).await;
    assert_eq!(charged["status"], "succeeded", "{point}: {charged}");
    shop.bill_becomes(&sn, "paid", |bill| bill["status"] == 200).await;
    let ledger = shop.sim.ledger();
    let moved: Vec<_> = ledger.entries.iter().map(|one| (one.effect, one.amount)).collect();
    assert_eq!(moved, [(Effect::Paid, 1250)], "{point}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_charges_no_card_twice() {
    tokio::join!(
        walk_by_card("worker.before_call"),
        walk_by_card("worker.in_effect"),
        walk_by_card("worker.after_effect"),
        walk_by_card("worker.after_settle"),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_moves_no_money_twice() {
    let code = json!({ "presentation": "code" });
    let wechat = json!({ "pay_method": 200, "end_type": 0 });
    let alipay = json!({ "pay_method": 100, "end_type": 0, "extra_params": code });
    let unionpay = json!({ "pay_method": 0, "end_type": 0, "extra_params": code });
    let (before, after) = ("worker.before_call", "worker.in_effect");
    let (written, settled) = ("worker.after_effect", "worker.after_settle");
    tokio::join!(
        walk("WeChat Pay", &wechat, Pays::Code("code_url"), [after, before]),
        walk("Alipay", &alipay, Pays::Code("qr_code"), [before, after]),
        walk("UnionPay", &unionpay, Pays::Code("qr_code"), [after, written]),
        walk("WeChat Pay again", &wechat, Pays::Code("code_url"), [written, settled]),
        walk("Alipay again", &alipay, Pays::Code("qr_code"), ["worker.prepared", settled]),
    );
}
