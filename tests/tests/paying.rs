//! Bills paid through the simulators: every provider, many at once, and what a notice may do.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use futures::future::join_all;
use schemas::{
    BillRecord, BillStatus, Channel, Fen, JobRecord, JobState, Scene, Timestamp,
    bill::{AttemptState, RefundState, Surplus},
    kinds::{
        PayNotify, PayRefundQuery,
        pay_notify::{Told, ToldNews},
        pay_refund_query::RefundLook,
    },
};
use sim::{Act, Effect, Fault};
use store::Save;
use tests::{
    eventually,
    rig::Engine,
    simulated::{Simulated, Way, amount},
};

const WECHAT_V2: Way = (Channel::WeChatPay, Scene::Native, "official_account");
const WECHAT_V3: Way = (Channel::WeChatPay, Scene::Native, "official_account_v3");
const ALIPAY: Way = (Channel::Alipay, Scene::Native, "web");
const UNIONPAY: Way = (Channel::UnionPay, Scene::Native, "web");

fn key(bill: &BillRecord, attempt: usize) -> &str {
    bill.attempts[attempt].key.as_str()
}

/// Begins to pay and waits for what the client pays with.
async fn open(at: &Simulated, way: Way) -> BillRecord {
    let sn = at.bill().await;
    let job = at.pay(&sn, way).await;
    let job = at.ended(&job).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?} {:?}", job.error, job.calls);
    at.read(&sn).await
}

fn paid(bill: &BillRecord) -> bool {
    bill.status == BillStatus::Paid
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bill_is_paid_heard_of_and_paid_back() {
    let at = Simulated::start(Engine::Embedded).await;
    let worker = at.rig.worker();
    for way in [WECHAT_V2, WECHAT_V3] {
        let bill = open(&at, way).await;
        at.sim.approve(key(&bill, 0)).expect("the payer pays");
        let bill = at.bill_becomes(&bill.id, "paid", paid).await;
        assert_eq!(bill.attempts[0].state, AttemptState::Paid);

        let part = Fen::new(250).expect("sum");
        let job = at.ended(&at.refund(&bill.id, part, way.0).await).await;
        assert_eq!(job.state, JobState::Succeeded, "{:?} {:?}", job.error, job.calls);
        assert!(!job.calls.is_empty(), "an operator sees what was said");
        let back = |bill: &BillRecord| bill.refunded() == 250;
        let bill = at.bill_becomes(&bill.id, "partly paid back", back).await;
        assert_eq!(bill.status, BillStatus::Paid);
        let rest = Fen::new(1_000).expect("sum");
        at.ended(&at.refund(&bill.id, rest, way.0).await).await;
        let all = |bill: &BillRecord| bill.status == BillStatus::Refunded;
        let bill = at.bill_becomes(&bill.id, "paid back", all).await;

        let ledger = at.sim.ledger();
        assert_eq!(ledger.of_key(key(&bill, 0)).count(), 1);
        for refund in &bill.refunds {
            let entries: Vec<_> = ledger.of_key(refund.key.as_str()).collect();
            assert_eq!(entries.len(), 1, "{way:?}");
            assert_eq!(entries[0].amount, refund.amount.get(), "{way:?}");
        }
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_calls_to_pay_make_one_trade_for_each_way() {
    for engine in [Engine::Embedded, Engine::Distributed] {
        let at = Simulated::start(engine).await;
        let workers = [at.rig.worker(), at.rig.worker()];
        let sn = at.bill().await;
        let ways = [WECHAT_V2, WECHAT_V3, ALIPAY, UNIONPAY];
        let calls = (0..50).map(|n| at.pay(&sn, ways[n % ways.len()]));
        let jobs = join_all(calls).await;
        for job in &jobs {
            let job = at.ended(job).await;
            assert_eq!(job.state, JobState::Succeeded, "{engine:?}: {:?}", job.error);
        }
        let bill = at.read(&sn).await;

        assert_eq!(bill.attempts.len(), ways.len(), "{engine:?}: one attempt for each way");
        assert_eq!(at.sim.trades().len(), ways.len(), "{engine:?}: one trade for each attempt");
        join_all(workers.map(tests::rig::Worker::stop)).await;
    }
}

/// Its message was sent before, so only the record tells the worker: nothing may be prepared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_was_cancelled_before_a_worker_came_begins_nothing() {
    let at = Simulated::start(Engine::Embedded).await;
    let sn = at.bill().await;
    let job = at.pay(&sn, WECHAT_V2).await;
    let wish = job.clone().request_cancel("operator test", Timestamp::now()).expect("a wish");
    assert_eq!(at.rig.store.jobs.save(&wish).await.expect("store"), Save::Stored);
    let worker = at.rig.worker();

    let ended = at.ended(&job).await;
    assert_eq!(ended.state, JobState::Cancelled, "{:?}", ended.error);
    let bill = at.read(&sn).await;
    assert!(bill.attempts.is_empty(), "{:?}", bill.attempts);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bill_that_comes_along_may_be_old() {
    let at = Simulated::start(Engine::Embedded).await;
    let worker = at.rig.worker();
    let sn = at.bill().await;
    let unpaid = at.read(&sn).await;
    at.ended(&at.pay(&sn, ALIPAY).await).await;
    let begun = at.read(&sn).await;
    // Nobody who saw it without the attempt begins another one in the same way.
    let again = at.ended(&at.pay_as_seen(&unpaid, ALIPAY).await).await;
    assert_eq!(again.state, JobState::Succeeded, "{:?}", again.error);
    assert_eq!(again.output, at.ended(&at.pay_as_seen(&begun, ALIPAY).await).await.output);
    assert_eq!(at.sim.trades().len(), 1);

    at.sim.approve(key(&begun, 0)).expect("the payer pays");
    at.bill_becomes(&sn, "paid", paid).await;
    for seen in [&unpaid, &begun] {
        let late = at.ended(&at.pay_as_seen(seen, WECHAT_V2).await).await;
        assert_eq!(late.state, JobState::Failed);
        assert_eq!(late.error.map(|error| error.code).as_deref(), Some("bill_paid"));
    }
    // Nor is what it was begun with given out again.
    let late = at.ended(&at.pay_as_seen(&begun, ALIPAY).await).await;
    assert_eq!(late.error.map(|error| error.code).as_deref(), Some("bill_paid"));
    assert_eq!(at.sim.trades().len(), 1);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_refunds_at_once_never_exceed_what_was_paid() {
    for engine in [Engine::Embedded, Engine::Distributed] {
        refund_two_hundred_times(engine).await;
    }
}

async fn refund_two_hundred_times(engine: Engine) {
    let at = Simulated::start(engine).await;
    let workers = [at.rig.worker(), at.rig.worker()];
    let bill = open(&at, WECHAT_V2).await;
    at.sim.approve(key(&bill, 0)).expect("the payer pays");
    at.bill_becomes(&bill.id, "paid", paid).await;
    let each = Fen::new(100).expect("sum");
    let jobs = join_all((0..200).map(|_| at.refund(&bill.id, each, Channel::WeChatPay))).await;
    let mut states = std::collections::BTreeMap::new();
    for job in &jobs {
        let job = at.ended(job).await;
        let why = job.error.map(|error| error.code).unwrap_or_default();
        *states.entry((job.state, why)).or_insert(0) += 1;
    }
    println!("{engine:?}: {states:?}");
    let none_open = |bill: &BillRecord| !bill.refunds.iter().any(|one| one.state.is_under_way());
    let bill = at.bill_becomes(&bill.id, "settled", none_open).await;
    let ledger = at.sim.ledger();
    let moved: i64 = ledger
        .entries
        .iter()
        .filter(|entry| entry.effect == Effect::Refunded)
        .map(|entry| entry.amount)
        .sum();

    assert_eq!(states[&(JobState::Succeeded, String::new())], 12, "1250 holds 100 twelve times");
    assert_eq!((bill.refunded(), moved), (1_200, 1_200));
    join_all(workers.map(tests::rig::Worker::stop)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_payment_is_held_for_approval() {
    let at = Simulated::start(Engine::Embedded).await;
    let sn = at.bill().await;
    let worker = at.rig.worker();
    for way in [WECHAT_V2, WECHAT_V3] {
        at.ended(&at.pay(&sn, way).await).await;
    }
    let bill = at.read(&sn).await;
    // Both notices are lost; only the questions tell, so both payers are through before.
    for call in ["wechat.v2.notify.pay", "wechat.v3.notify.pay"] {
        at.sim.fault(Fault::once(call, Act::Lose)).expect("script");
    }
    at.sim.approve(key(&bill, 0)).expect("first");
    at.sim.approve(key(&bill, 1)).expect("second");
    let held = |bill: &BillRecord| bill.held_since.is_some();
    let bill = at.bill_becomes(&sn, "held", held).await;

    assert_eq!(bill.payments.len(), 2);
    assert_eq!(bill.refunds.len(), 1);
    assert_eq!((bill.refunds[0].state, bill.refunds[0].amount), (RefundState::Held, amount()));
    assert_eq!(bill.status, BillStatus::Paid);
    let refunded = at.sim.ledger().entries.iter().any(|one| one.effect == Effect::Refunded);
    assert!(!refunded, "nothing goes back without approval");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notices_that_are_not_right_change_nothing() {
    let at = Simulated::start(Engine::Embedded).await;
    let worker = at.rig.worker();
    let cases = [
        ("tampered", Act::Tamper),
        ("foreign", Act::Foreign),
        ("signed by nobody", Act::BadSignature),
        ("repeated", Act::Duplicate { copies: 5 }),
    ];
    let ways = [
        (WECHAT_V2, "wechat.v2.notify.pay"),
        (WECHAT_V3, "wechat.v3.notify.pay"),
        (ALIPAY, "alipay.notify.pay"),
        (UNIONPAY, "unionpay.notify.pay"),
    ];
    for (name, act) in cases {
        for (way, call) in ways {
            let bill = open(&at, way).await;
            at.sim.fault(Fault::once(call, act.clone())).expect("script");
            at.sim.approve(key(&bill, 0)).expect("the payer pays");
            let bill = at.bill_becomes(&bill.id, name, paid).await;
            assert_eq!((bill.payments.len(), bill.refunds.len()), (1, 0), "{name}");
            assert_eq!(bill.payments[0].amount, amount(), "{name}");
        }
    }
    let reply = reqwest::Client::new()
        .post(format!("{}/api/pay/notify/wechat_pay/official_account/", at.url))
        .body("<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><xml><a>&e;</a></xml>")
        .send()
        .await
        .expect("answer");
    let text = reply.text().await.expect("text");
    assert!(text.contains("FAIL") && !text.contains("root:"), "{text}");
    let reply = reqwest::Client::new()
        .post(format!("{}/api/pay/notify/unionpay/web/", at.url))
        .body("merId=1&signature=X")
        .send()
        .await
        .expect("answer");
    assert_eq!(reply.status(), 400);
    assert_eq!(reply.text().await.expect("text"), "fail", "in the provider's own form");
    worker.stop().await;
}

/// Sends a notice of the JSON protocol that names a key which nobody has; gives its status.
async fn forge(at: &Simulated) -> u16 {
    let now = Timestamp::now().as_secs().to_string();
    let forged = reqwest::Client::new()
        .post(format!("{}/api/pay/notify/wechat_pay/official_account_v3/", at.url))
        .header("wechatpay-serial", "5157F09EFDC096DE15EBE81A47057A7232F1B8E1")
        .header("wechatpay-timestamp", now)
        .header("wechatpay-nonce", "abc")
        .header("wechatpay-signature", "c2lnbmVkIGJ5IG5vYm9keQ==")
        .body("{}");
    forged.send().await.expect("answer").status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_come_too_late_for_one_notice_are_there_for_the_next() {
    let at = Simulated::start(Engine::Embedded).await;
    let late = Act::Late { ms: 3_000 };
    at.sim.fault(Fault::times(1_000, "wechat.v3.certificates", late)).expect("script");
    assert_eq!(forge(&at).await, 503, "it cannot be judged yet");
    // A fetch that the first notice had taken along into its end would never come to one.
    eventually("the keys are there to judge it", Duration::from_mins(1), async || {
        (forge(&at).await == 400).then_some(())
    })
    .await;
}

/// Takes in a notice that its provider has signed and that says something else than the truth.
async fn told(at: &Simulated, bill: &BillRecord, app: &str, amount: i64) -> JobRecord {
    let attempt = &bill.attempts[0];
    let news = ToldNews::Paid {
        key: attempt.key.clone(),
        transaction_id: "4200000000202611240000000001".to_owned(),
        amount: Fen::new(amount).expect("sum"),
        paid_at: None,
    };
    let event = format!("{amount} {app}");
    let told = Told { channel: attempt.channel, app: app.to_owned(), event, news };
    at.ended(&at.rig.submit::<PayNotify>(&told).await).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_of_another_sum_or_account_pays_no_bill() {
    let at = Simulated::start(Engine::Embedded).await;
    let worker = at.rig.worker();
    let bill = open(&at, WECHAT_V2).await;
    let foreign = told(&at, &bill, WECHAT_V3.2, amount().get()).await;
    let code = foreign.error.map(|error| error.code);
    assert_eq!((foreign.state, code.as_deref()), (JobState::Failed, Some("nothing_of_ours")));
    assert!(at.read(&bill.id).await.payments.is_empty());

    let less = told(&at, &bill, WECHAT_V2.2, amount().get() - 1).await;
    assert_eq!(less.state, JobState::Succeeded, "{:?}", less.error);
    let bill = at.read(&bill.id).await;
    assert_eq!(bill.payments[0].surplus, Some(Surplus::OtherAmount));
    assert_eq!((bill.status, bill.refunds[0].state), (BillStatus::Created, RefundState::Held));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_never_ends_is_left_to_a_person() {
    let at = Simulated::start(Engine::Embedded).await;
    let worker = at.rig.worker();
    let bill = open(&at, WECHAT_V3).await;
    at.sim.approve(key(&bill, 0)).expect("the payer pays");
    at.bill_becomes(&bill.id, "paid", paid).await;
    at.sim.fault(Fault::once("wechat.v3.refund", Act::RefundAbnormal)).expect("script");
    at.ended(&at.refund(&bill.id, amount(), WECHAT_V3.0).await).await;

    // The last look of the schedule, days later.
    let look = RefundLook { sn: bill.id.clone(), refund: 1, look: Some(399) };
    let job = at.rig.submit::<PayRefundQuery>(&look).await;
    let job = at.rig.in_state(job.id, JobState::Unknown).await;
    assert_eq!(job.wake_at, None, "nobody asks any more");
    assert!(at.read(&bill.id).await.refunds[0].state.is_under_way());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alipay_is_paid_on_its_page_and_paid_back() {
    let at = Simulated::start(Engine::Embedded).await;
    let worker = at.rig.worker();
    let sn = at.bill().await;
    let job = at.ended(&at.pay(&sn, (ALIPAY.0, Scene::App, ALIPAY.2)).await).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    let mut offer = job.output.expect("offer");
    let offer = offer["reply"].take();
    let order = offer.as_object().and_then(|reply| reply.values().next()).expect("one text");
    at.sim.pay_in_app(sim::Provider::Alipay, order).expect("the payer pays");
    let bill = at.bill_becomes(&sn, "paid", paid).await;

    let job = at.ended(&at.refund(&sn, amount(), Channel::Alipay).await).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?} {:?}", job.error, job.calls);
    let all = |bill: &BillRecord| bill.status == BillStatus::Refunded;
    at.bill_becomes(&sn, "paid back", all).await;
    assert_eq!(at.sim.ledger().of_key(key(&bill, 0)).count(), 1);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unionpay_is_paid_in_its_app_and_paid_back() {
    let at = Simulated::start(Engine::Embedded).await;
    let worker = at.rig.worker();
    let sn = at.bill().await;
    let job = at.ended(&at.pay(&sn, (Channel::UnionPay, Scene::App, "web")).await).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?} {:?}", job.error, job.calls);
    let offer = &job.output.expect("offer")["reply"];
    at.sim.pay_in_app(sim::Provider::UnionPay, offer).expect("the payer pays");
    at.bill_becomes(&sn, "paid", paid).await;

    let job = at.ended(&at.refund(&sn, amount(), Channel::UnionPay).await).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?} {:?}", job.error, job.calls);
    let all = |bill: &BillRecord| bill.status == BillStatus::Refunded;
    at.bill_becomes(&sn, "paid back", all).await;
    worker.stop().await;
}
