//! The ledger under load, and the quotas.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{MINUTE, World};
use crate::{Effect, Provider, Quotas};

const NATIVE: &str = "/v3/pay/transactions/native";

#[tokio::test]
async fn two_hundred_refunds_at_once_never_exceed_the_payment() {
    let world = Arc::new(
        World::with(|settings| {
            settings.quotas = Quotas { wechat_partial_refunds: 50, ..Quotas::unlimited() }
        })
        .await,
    );
    world.v3("POST", NATIVE, world.v3_order("20261124000001", 1000)).await;
    world.sim.approve("20261124000001").unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..200 {
        let world = Arc::clone(&world);
        calls.spawn(async move {
            // Every refund is asked for twice.
            let number = format!("R{}", n % 100);
            let answer = world.v3_refund("20261124000001", &number, 30, 1000).await;
            (number, answer.status)
        });
    }
    let mut taken = std::collections::BTreeSet::new();
    while let Some(call) = calls.join_next().await {
        let (number, status) = call.unwrap();
        if status == 200 {
            taken.insert(number);
        }
    }
    let ledger = world.sim.ledger();
    let refunds = ledger.entries.iter().filter(|entry| entry.effect == Effect::Refunded);
    assert_eq!(refunds.count(), taken.len(), "every accepted number moved money once");
    assert_eq!(world.sums(), (1000, 990));
    for number in &taken {
        assert_eq!(ledger.of_key(number).count(), 1, "{number}");
    }
    let totals = ledger.totals_of(Provider::Wechat, "1900000109");
    assert_eq!(totals.balance(), 10);
}

#[tokio::test]
async fn refunds_of_an_order_wait_a_minute_and_are_fifty_at_most() {
    let world = World::start().await;
    world.v3("POST", NATIVE, world.v3_order("20261124000002", 1000)).await;
    world.sim.approve("20261124000002").unwrap();
    for n in 0..50 {
        let taken = world.v3_refund("20261124000002", &format!("R{n}"), 1, 1000).await;
        assert_eq!(taken.status, 200, "{n}: {}", taken.text());
        let hasty = world.v3_refund("20261124000002", &format!("S{n}"), 1, 1000).await;
        let expected = if n < 49 { (429, "FREQUENCY_LIMITED") } else { (403, "RULE_LIMIT") };
        assert_eq!((hasty.status, hasty.json()["code"].as_str().unwrap()), expected, "{n}");
        world.sim.advance(MINUTE).await.unwrap();
    }
    assert_eq!(world.sums(), (1000, 50));
}

#[tokio::test]
async fn six_failing_refunds_a_second_shut_the_door() {
    let world = World::start().await;
    for n in 0..6 {
        let refused = world.v3_refund("20261124000099", &format!("R{n}"), 1, 10).await;
        assert_eq!(refused.status, 404, "{n}");
    }
    assert_eq!(world.v3_refund("20261124000099", "R6", 1, 10).await.status, 429);
    world.sim.advance(std::time::Duration::from_secs(1)).await.unwrap();
    assert_eq!(world.v3_refund("20261124000099", "R7", 1, 10).await.status, 404);
}

#[tokio::test]
async fn time_closes_what_nobody_paid() {
    let world = World::start().await;
    let mut order = world.v3_order("20261124000003", 1000);
    order["time_expire"] = json!("2026-11-24T10:20:30+08:00");
    world.v3("POST", NATIVE, order).await;
    world.sim.advance(MINUTE * 4).await.unwrap();
    assert_eq!(world.v3_query("20261124000003").await.json()["trade_state"], "NOTPAY");
    world.sim.advance(MINUTE).await.unwrap();
    assert_eq!(world.v3_query("20261124000003").await.json()["trade_state"], "CLOSED");
    assert!(world.sim.approve("20261124000003").is_err());
    world.v3("POST", NATIVE, world.v3_order("20261124000004", 1000)).await;
    world.sim.expire("20261124000004").unwrap();
    assert_eq!(world.v3_query("20261124000004").await.json()["trade_state"], "CLOSED");
    assert_eq!(world.sums(), (0, 0));
}

#[tokio::test]
async fn a_year_later_nothing_is_refunded() {
    let world = World::start().await;
    world.v3("POST", NATIVE, world.v3_order("20261124000005", 1000)).await;
    world.sim.approve("20261124000005").unwrap();
    world.sim.advance(MINUTE * 60 * 24 * 366).await.unwrap();
    let late: Value = world.v3_refund("20261124000005", "R1", 1, 1000).await.json();
    assert_eq!(late["code"], "TRADE_OVERDUE");
}
