//! Fault scripts over real sockets.

use serde_json::{Value, json};

use super::{
    Fields, MINUTE, World, fields,
    unionpay::is_genuine,
    wechat_v3::{proves, resource},
};
use crate::{Act, Fault};

const NATIVE: &str = "/v3/pay/transactions/native";
const APP: &str = "/gateway/api/appTransReq.do";

async fn paid(world: &World, number: &str) {
    world.v3("POST", NATIVE, world.v3_order(number, 1000)).await;
    world.sim.approve(number).unwrap();
    world.sim.settled().await;
}

#[tokio::test]
async fn whether_a_call_takes_effect_is_what_the_script_says() {
    let cases = [
        ("dropped before", Act::DropBefore, 0),
        ("dropped after", Act::DropAfter, 1),
        ("late", Act::Late { ms: 1 }, 1),
        ("error before", Act::ErrorBefore, 0),
        ("error after", Act::ErrorAfter, 1),
        ("wrong signature", Act::BadSignature, 1),
        ("unsigned", Act::Unsigned, 1),
        ("stale", Act::Stale, 1),
        ("probe", Act::Probe, 1),
        ("unknown serial", Act::Stranger, 1),
        ("garbage", Act::Garbage, 1),
        ("throttled", Act::Throttle, 0),
    ];
    let world = World::start().await;
    for (n, (name, act, effects)) in cases.into_iter().enumerate() {
        let (order, refund) = (format!("2026112400{n:04}"), format!("R{n}"));
        paid(&world, &order).await;
        world.sim.fault(Fault::once("wechat.v3.refund", act.clone())).unwrap();
        let body = world.v3_refund_body(&order, &refund, 10, 1000);
        let answer = world.v3_sent("POST", "/v3/refund/domestic/refunds", body.clone()).await;
        let seen = world.sim.ledger().of_key(&refund).count();
        assert_eq!(seen, effects, "{name}");
        match (&act, &answer) {
            (Act::DropBefore | Act::DropAfter, answer) => assert!(answer.is_err(), "{name}"),
            (Act::ErrorBefore | Act::ErrorAfter, Ok(answer)) => {
                assert_eq!(answer.status, 500, "{name}");
            }
            (Act::Throttle, Ok(answer)) => assert_eq!(answer.status, 429, "{name}"),
            (act, Ok(answer)) => {
                let header = |name: &str| answer.header(name).to_owned();
                let genuine =
                    proves(&world.shop.merchant, header, &answer.body) && *act != Act::Stale;
                assert_eq!(genuine, matches!(act, Act::Late { .. }), "{name}");
            }
            (_, Err(error)) => panic!("{name}: {error}"),
        }
        // Whatever happened, the same number again ends in one refund.
        let again = world.v3("POST", "/v3/refund/domestic/refunds", body).await;
        assert_eq!(again.status, 200, "{name}: {}", again.text());
        assert_eq!(world.sim.ledger().of_key(&refund).count(), 1, "{name}");
    }
    assert!(world.sim.faults().iter().all(|script| script.applied == 1));
}

#[tokio::test]
async fn a_payment_arrives_after_the_close_and_before_the_answer() {
    let world = World::start().await;
    world.v3("POST", NATIVE, world.v3_order("20261124100001", 1000)).await;
    world.sim.fault(Fault::once("wechat.v3.close", Act::PayAfterClose)).unwrap();
    let path = "/v3/pay/transactions/out-trade-no/20261124100001/close";
    let closed = world.v3("POST", path, json!({ "mchid": "1900000109" })).await;
    assert_eq!(closed.status, 204);
    assert_eq!(world.v3_query("20261124100001").await.json()["trade_state"], "SUCCESS");

    world.sim.fault(Fault::once("wechat.v3.create", Act::PayEarly)).unwrap();
    let heard = world.shop.heard().len();
    world.v3("POST", NATIVE, world.v3_order("20261124100002", 1000)).await;
    assert!(world.shop.heard().len() > heard, "the notification came before the answer");
    assert_eq!(world.sums(), (2000, 0));
}

#[tokio::test]
async fn notifications_are_lost_late_doubled_overtaken_and_forged() {
    let world = World::start().await;
    let call = "wechat.v3.notify.pay";
    let cases = [
        ("lost", Act::Lose, 0, 0),
        ("late", Act::Late { ms: 5000 }, 0, 1),
        ("doubled", Act::Duplicate { copies: 2 }, 3, 3),
        ("tampered", Act::Tamper, 1, 1),
        ("foreign", Act::Foreign, 1, 1),
        ("wrong signature", Act::BadSignature, 1, 1),
    ];
    for (n, (name, act, at_once, later)) in cases.into_iter().enumerate() {
        world.sim.fault(Fault::once(call, act.clone())).unwrap();
        let before = world.shop.heard().len();
        paid(&world, &format!("2026112420{n:04}")).await;
        let heard = world.shop.heard();
        assert_eq!(heard.len() - before, at_once, "{name}");
        for heard in &heard[before..] {
            let plain = resource(&world, heard);
            match act {
                Act::Tamper | Act::BadSignature => assert!(plain.is_none(), "{name}"),
                Act::Foreign => assert_ne!(plain.unwrap()["mchid"], "1900000109", "{name}"),
                _ => assert!(plain.is_some(), "{name}"),
            }
        }
        world.sim.advance(std::time::Duration::from_secs(10)).await.unwrap();
        assert_eq!(world.shop.heard().len() - before, later, "{name}: later");
    }
    world.sim.fault(Fault::once(call, Act::Reorder)).unwrap();
    let before = world.shop.heard().len();
    paid(&world, "20261124300001").await;
    assert_eq!(world.shop.heard().len(), before, "held");
    paid(&world, "20261124300002").await;
    let order: Vec<_> = world.shop.heard()[before..]
        .iter()
        .map(|heard| resource(&world, heard).unwrap()["out_trade_no"].clone())
        .collect();
    assert_eq!(order, ["20261124300002", "20261124300001"]);
}

#[tokio::test]
async fn refunds_fail_later_and_keys_change_in_the_middle() {
    let world = World::start().await;
    for (n, (act, state, back)) in
        [(Act::RefundClosed, "CLOSED", 1), (Act::RefundAbnormal, "ABNORMAL", 0)]
            .into_iter()
            .enumerate()
    {
        let order = format!("2026112440{n:04}");
        paid(&world, &order).await;
        world.sim.fault(Fault::once("wechat.v3.refund", act)).unwrap();
        world.v3_refund(&order, &format!("R{n}"), 10, 1000).await;
        world.sim.advance(MINUTE).await.unwrap();
        let told = world.v3("GET", &format!("/v3/refund/domestic/refunds/R{n}"), Value::Null).await;
        assert_eq!(told.json()["status"], state);
        let movements = world.sim.ledger().of_key(&format!("R{n}")).count();
        assert_eq!(movements, 1 + back, "{state}");
    }
    let before = world.v3_query("20261124400000").await.header("wechatpay-serial").to_owned();
    world.sim.fault(Fault::once("wechat.v3.query", Act::RotateKeys)).unwrap();
    let after = world.v3_query("20261124400000").await;
    assert_ne!(after.header("wechatpay-serial"), before);
}

#[tokio::test]
async fn unionpay_lies_with_every_kind_of_certificate() {
    let world = World::start().await;
    let acts = [Act::Stranger, Act::Stale, Act::SelfSigned, Act::BadSignature];
    for (n, act) in acts.into_iter().enumerate() {
        world.sim.fault(Fault::once("unionpay.app", act.clone())).unwrap();
        let order = world.unionpay_order(&format!("2026112450{n:04}"), "888");
        let answer = world.unionpay(APP, order).await;
        assert!(!is_genuine(&world, &answer), "{act:?}");
    }
    world.sim.fault(Fault::times(2, "unionpay.query", Act::Pending)).unwrap();
    world.sim.fault(Fault::once("unionpay.query", Act::Defective)).unwrap();
    world.sim.approve("20261124500000").unwrap();
    let trade = world.sim.trade("20261124500000").unwrap();
    let (order, time) = trade.trade.split_once('@').unwrap();
    let question = fields([
        ("txnType", "00"),
        ("txnSubType", "00"),
        ("bizType", "000201"),
        ("orderId", order),
        ("txnTime", time),
    ]);
    let ask = || world.unionpay("/gateway/api/queryTrans.do", question.clone());
    let codes = |answer: &Fields| (answer["respCode"].clone(), answer["origRespCode"].clone());
    assert_eq!(codes(&ask().await).0, "05");
    assert_eq!(codes(&ask().await).0, "05");
    assert_eq!(codes(&ask().await).1, "A6");
    assert_eq!(codes(&ask().await), ("00".to_owned(), "00".to_owned()));
}

#[tokio::test]
async fn new_fields_and_foreign_sellers_are_rightly_signed() {
    let world = World::start().await;
    let order = world.unionpay_order("20261124550001", "888");
    world.unionpay(APP, order).await;
    world.sim.fault(Fault::once("unionpay.notify.pay", Act::ExtraField)).unwrap();
    world.sim.approve("20261124550001").unwrap();
    world.sim.settled().await;
    let order = World::alipay_order("20261124550002", "8.88");
    world.alipay("alipay.trade.precreate", order).await;
    world.sim.fault(Fault::once("alipay.notify.*", Act::Foreign)).unwrap();
    world.sim.approve("20261124550002").unwrap();
    world.sim.settled().await;
    let heard: Vec<Fields> = world
        .shop
        .heard()
        .iter()
        .map(|heard| form_urlencoded::parse(heard.body.as_bytes()).into_owned().collect())
        .collect();
    assert_eq!(heard[0]["newField"], "1");
    assert!(is_genuine(&world, &heard[0]));
    assert_ne!(heard[1]["seller_id"], world.shop.merchant.alipay.seller_id);
}

#[tokio::test]
async fn scripts_and_the_ledger_are_reached_over_http() {
    let world = World::start().await;
    let script = json!({ "call": "wechat.v3.c*", "times": 2, "act": "late", "ms": 1 });
    let added = world.post("/_sim/faults", "application/json", script.to_string()).await.unwrap();
    assert_eq!(added.status, 201, "{}", added.text());
    let bad = json!({ "call": "wechat.v3.create", "act": "lose" });
    let refused = world.post("/_sim/faults", "application/json", bad.to_string()).await.unwrap();
    assert_eq!(refused.status, 400);
    let code = world.v3("POST", NATIVE, world.v3_order("20261124600001", 1000)).await.json();
    let link = code["code_url"].as_str().unwrap().to_owned();
    let list = world.get(&format!("{}/_sim/pay/wechat", world.sim.url())).await;
    assert!(list.text().contains(&link), "{}", list.text());
    let paid = world
        .post("/_sim/trades/20261124600001/approve", "application/json", String::new())
        .await
        .unwrap();
    assert_eq!(paid.json()["state"], "paid", "{}", paid.text());
    let url = world.sim.url();
    let ledger = world.get(&format!("{url}/_sim/ledger")).await.json();
    assert_eq!(ledger["totals"]["wechat/1900000109"]["paid"], 1000);
    let faults = world.get(&format!("{url}/_sim/faults")).await.json();
    assert_eq!((&faults[0]["applied"], &faults[0]["act"]), (&json!(1), &json!("late")));
    let moved =
        world.post("/_sim/advance", "application/json", "{\"seconds\":60}".to_owned()).await;
    assert_eq!(moved.unwrap().json()["now"], "2026-11-24T02:16:30Z");
    for path in ["/", "/_sim/trades", "/_sim/notifies", "/_sim/merchant", "/_sim/pay/alipay"] {
        assert_eq!(world.get(&format!("{url}{path}")).await.status, 200, "{path}");
    }
    assert_eq!(world.get(&format!("{url}/_sim/nothing")).await.status, 404);
}
