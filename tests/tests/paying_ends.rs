//! How payments and refunds end that take their time: only the provider's word, or a person's, ends
//! them.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use providers::payment::{Gateways, PaymentSettings};
use schemas::{
    BillRecord, BillStatus, Channel, Fen, Job, JobRecord, JobState, Scene, Timestamp,
    bill::{AttemptState, Closing, ClosingReason, RefundState, Surplus},
    kinds::{
        PayNotify, PayRefundQuery,
        pay_notify::{Told, ToldNews},
        pay_refund_query::RefundLook,
    },
};
use sim::{Act, Fault};
use store::{JobFilter, Save};
use tests::{
    eventually,
    rig::Engine,
    simulated::{Simulated, Way},
};

const UNIONPAY: Way = (Channel::UnionPay, Scene::Native, "web");
const UNIONPAY_APP: Way = (Channel::UnionPay, Scene::App, "web");
const WECHAT_V2: Way = (Channel::WeChatPay, Scene::Native, "official_account");
const WECHAT_V3: Way = (Channel::WeChatPay, Scene::Native, "official_account_v3");
const PART: i64 = 250;

/// Begins to pay and waits for what the client pays with.
async fn open(at: &Simulated, way: Way) -> BillRecord {
    let sn = at.bill().await;
    let job = at.ended(&at.pay(&sn, way).await).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?} {:?}", job.error, job.calls);
    at.read(&sn).await
}

/// Changes the stored bill behind everybody's back.
async fn alter(at: &Simulated, bill: &BillRecord, how: impl Fn(&mut BillRecord)) {
    eventually("the bill is changed", Duration::from_secs(10), async || {
        let mut bill = at.read(&bill.id).await;
        bill.version += 1;
        how(&mut bill);
        (at.rig.store.bills.save(&bill).await.expect("store") == Save::Stored).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_unionpay_has_accepted_is_asked_about_long_after_its_time() {
    let at = Simulated::start(Engine::Embedded).await;
    let worker = at.rig.worker();
    let (soon, later) = (Duration::from_mins(10), Duration::from_hours(2));
    // Questions are asked for an hour, as the worker's pace has it.
    let cases = [
        (UNIONPAY, soon, JobState::Waiting, AttemptState::Open, None),
        (UNIONPAY, later, JobState::Succeeded, AttemptState::Closed, Some(Surplus::AfterClose)),
        (UNIONPAY_APP, soon, JobState::Succeeded, AttemptState::Closed, Some(Surplus::AfterClose)),
    ];
    for (way, ago, ends, attempt, surplus) in cases {
        let bill = open(&at, way).await;
        alter(&at, &bill, |bill| bill.expires_at = Timestamp::now() - ago).await;
        let job = at.close(&bill.id, way.0).await;
        at.rig.in_state(job.id, ends).await;
        assert_eq!(at.read(&bill.id).await.attempts[0].state, attempt, "{way:?} {ago:?}");

        // Money that comes all the same is in the bill, whatever was thought of it.
        at.sim.approve(bill.attempts[0].key.as_str()).expect("the payer pays");
        let heard = |bill: &BillRecord| !bill.payments.is_empty();
        let bill = at.bill_becomes(&bill.id, "heard of its payment", heard).await;
        assert_eq!(bill.payments[0].surplus, surplus, "{way:?} {ago:?}");
        let held = bill.refunds.iter().filter(|refund| refund.state == RefundState::Held).count();
        assert_eq!(held, usize::from(surplus.is_some()), "{way:?} {ago:?}");
    }
    worker.stop().await;
}

/// A paid bill of which a part is being paid back.
async fn with_refund(at: &Simulated) -> BillRecord {
    let bill = open(at, WECHAT_V3).await;
    at.sim.approve(bill.attempts[0].key.as_str()).expect("the payer pays");
    let paid = |bill: &BillRecord| bill.status == BillStatus::Paid;
    at.bill_becomes(&bill.id, "paid", paid).await;
    let part = Fen::new(PART).expect("sum");
    let job = at.ended(&at.refund(&bill.id, part, WECHAT_V3.0).await).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?} {:?}", job.error, job.calls);
    at.read(&bill.id).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_was_refused_here_and_is_back_there_is_believed_when_it_is_asked_about() {
    let at = Simulated::start(Engine::Embedded).await;
    let worker = at.rig.worker();
    // Nobody but the looks of this test tells of the refund once more.
    at.sim.fault(Fault::once("wechat.v3.notify.refund", Act::Lose)).expect("script");
    let bill = with_refund(&at).await;
    let back = |bill: &BillRecord| bill.refunded() == PART;
    at.bill_becomes(&bill.id, "partly paid back", back).await;
    worker.stop().await;
    let bill = at.read(&bill.id).await;
    alter(&at, &bill, |bill| bill.refunds[0].state = RefundState::Refused).await;

    let worker = at.rig.worker();
    let scheduled = RefundLook { sn: bill.id.clone(), refund: 1, look: Some(398) };
    at.ended(&at.rig.submit::<PayRefundQuery>(&scheduled).await).await;
    assert_eq!(at.read(&bill.id).await.refunded(), 0, "what has ended is not looked at again");
    let alone = RefundLook { look: None, ..scheduled };
    let job = at.ended(&at.rig.submit::<PayRefundQuery>(&alone).await).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?} {:?}", job.error, job.calls);
    assert_eq!(at.read(&bill.id).await.refunded(), PART);
    worker.stop().await;
}

/// Takes in a genuine notice about the bill's refund.
async fn told(
    at: &Simulated,
    bill: &BillRecord,
    state: RefundState,
    amount: Option<i64>,
) -> JobRecord {
    let news = ToldNews::Refund {
        key: bill.refunds[0].key.clone(),
        state,
        provider_id: Some("5030".to_owned()),
        amount: amount.and_then(Fen::new),
    };
    let (event, app) = (format!("{state:?} {amount:?}"), WECHAT_V3.2.to_owned());
    let told = Told { channel: WECHAT_V3.0, app, event, news };
    let job = at.ended(&at.rig.submit::<PayNotify>(&told).await).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    job
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_of_another_sum_ends_no_refund_and_is_asked_about() {
    let at = Simulated::start(Engine::Embedded).await;
    let worker = at.rig.worker();
    at.sim.fault(Fault::once("wechat.v3.refund", Act::RefundAbnormal)).expect("script");
    let bill = with_refund(&at).await;

    let job = told(&at, &bill, RefundState::Succeeded, Some(PART - 1)).await;
    assert_eq!(job.output, Some("held".into()), "somebody has to look");
    assert!(at.read(&bill.id).await.refunds[0].state.is_under_way());
    let kinds = vec![PayRefundQuery::KIND.to_owned()];
    let filter = JobFilter { kinds, ..JobFilter::default() };
    let looks = at.rig.store.jobs.list(&filter, None, 100).await.expect("store");
    let out_of_turn = |job: &JobRecord| job.payload.get("look").is_none();
    assert!(looks.iter().any(out_of_turn), "nobody asked: {looks:?}");

    told(&at, &bill, RefundState::Refused, None).await;
    let refused = at.read(&bill.id).await.refunds[0].refused.clone();
    assert_eq!(refused.as_deref(), Some("closed_by_provider"));
    worker.stop().await;
}

/// The accounts of the simulators without the first one, as of a worker that was not told of it.
fn incomplete(at: &Simulated) -> Gateways {
    let mut accounts = at.sim.payments();
    accounts["wechat_pay"].as_array_mut().expect("accounts").remove(0);
    let accounts: PaymentSettings = serde_json::from_value(accounts).expect("settings");
    Gateways::open(&accounts).expect("accounts")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_never_reached_its_provider_makes_way_for_the_next() {
    let mut at = Simulated::start(Engine::Embedded).await;
    let few = incomplete(&at);
    let all = std::mem::replace(&mut at.rig.till.gateways, few);
    let worker = at.rig.worker();
    let sn = at.bill().await;
    let job = at.pay(&sn, WECHAT_V2).await;
    let dead = eventually("the job gives up", Duration::from_mins(1), async || {
        let job = at.rig.job(job.id).await;
        assert_ne!(job.state, JobState::Succeeded, "nobody has its keys");
        if job.state == JobState::Waiting {
            // Nobody waits here for its pauses.
            let wake_at = Some(Timestamp::now());
            let due = JobRecord { version: job.version + 1, wake_at, ..job.clone() };
            let _ = at.rig.store.jobs.save(&due).await.expect("store");
        }
        (job.state == JobState::Dead).then_some(job)
    })
    .await;
    assert!(dead.attempts > 1 && dead.unknown_since.is_none(), "{dead:?}");
    let hold = &at.read(&sn).await.attempts[0].hold;
    assert!(hold.is_none(), "who has not reached the provider says so: {hold:?}");
    worker.stop().await;

    at.rig.till.gateways = all;
    let worker = at.rig.worker();
    let job = at.ended(&at.pay(&sn, WECHAT_V2).await).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?} {:?}", job.error, job.calls);
    let bill = at.read(&sn).await;
    let states: Vec<_> = bill.attempts.iter().map(|attempt| attempt.state).collect();
    assert_eq!(states, [AttemptState::Closed, AttemptState::Open]);
    at.sim.approve(bill.attempts[1].key.as_str()).expect("the payer pays");
    at.bill_becomes(&sn, "paid", |bill| bill.status == BillStatus::Paid).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attempt_that_reached_its_provider_is_left_to_the_closing_of_its_bill() {
    let at = Simulated::start(Engine::Embedded).await;
    let lost = Fault::once("wechat.v2.unifiedorder", Act::DropAfter);
    let silence = Fault::times(10_000, "wechat.v2.orderquery", Act::DropBefore);
    for fault in [lost, silence] {
        at.sim.fault(fault).expect("script");
    }
    let worker = at.rig.worker();
    let sn = at.bill().await;
    let job = at.pay(&sn, WECHAT_V2).await;
    at.rig.in_state(job.id, JobState::Unknown).await;
    // No run that has read the bill before it closes asks after that.
    worker.stop().await;
    let bill = at.read(&sn).await;
    let since = Timestamp::now();
    let until = bill.attempts[0].held_until().expect("the provider may have been reached");
    assert!(until <= since, "the next question need not wait");
    let closing = Closing { reason: ClosingReason::Cancelled, since, done_at: None };
    alter(&at, &bill, |bill| bill.closing = Some(closing)).await;
    at.sim.clear_faults();

    let worker = at.rig.worker();
    let job = at.ended(&job).await;
    assert_eq!(job.state, JobState::Failed, "{:?}", job.error);
    assert_eq!(job.error.map(|error| error.code).as_deref(), Some("bill_closed"));
    assert_eq!(at.read(&sn).await.attempts[0].state, AttemptState::Sent);
    let job = at.ended(&at.close(&sn, WECHAT_V2.0).await).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    let states: Vec<_> = at.sim.trades().into_iter().map(|trade| trade.state).collect();
    assert_eq!(states, ["closed"], "at the provider, too");
    worker.stop().await;
}
