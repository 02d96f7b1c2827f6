//! What happens to a bill while something of it is still open at a provider: nobody is led to pay
//! twice, and nothing is sent that nobody wants any more.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use schemas::{
    BillRecord, BillStatus, Channel, JobRecord, JobState, Scene, Timestamp, bill::RefundState,
};
use sim::{Act, Fault};
use store::Save;
use tests::{
    rig::Engine,
    simulated::{Simulated, Way, amount},
};

const WECHAT: Way = (Channel::WeChatPay, Scene::Native, "official_account");
const UNIONPAY_APP: Way = (Channel::UnionPay, Scene::App, "web");
const UNIONPAY: Way = (Channel::UnionPay, Scene::Native, "web");

fn code(job: &JobRecord) -> Option<&str> {
    job.error.as_ref().map(|error| error.code.as_str())
}

/// A bill that was paid in this way.
async fn paid(at: &Simulated, way: Way) -> BillRecord {
    let sn = at.bill().await;
    pay(at, &sn, way).await
}

async fn pay(at: &Simulated, sn: &schemas::BillSn, way: Way) -> BillRecord {
    let job = at.ended(&at.pay(sn, way).await).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?} {:?}", job.error, job.calls);
    let bill = at.read(sn).await;
    let attempt = bill.attempts.iter().find(|one| one.channel == way.0).expect("an attempt");
    at.sim.approve(attempt.key.as_str()).expect("the payer pays");
    at.bill_becomes(sn, "paid", |bill| bill.status == BillStatus::Paid).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trade_whose_outcome_was_open_is_not_made_once_the_bill_is_paid() {
    let at = Simulated::start(Engine::Embedded).await;
    let worker = at.rig.worker();
    let sn = at.bill().await;
    // As long as the bill is not paid it would be right to make the trade after all.
    at.sim.fault(Fault::times(10_000, "unionpay.app", Act::ErrorBefore)).expect("script");
    let open = at.pay(&sn, UNIONPAY_APP).await;
    at.rig.in_state(open.id, JobState::Unknown).await;
    pay(&at, &sn, WECHAT).await;

    let ended = at.ended(&open).await;
    assert_eq!((ended.state, code(&ended)), (JobState::Failed, Some("bill_paid")));
    assert_eq!(at.sim.trades().len(), 1, "the payer was given nothing else to pay");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_its_provider_had_no_time_for_can_be_cancelled() {
    let at = Simulated::start(Engine::Embedded).await;
    let worker = at.rig.worker();
    let bill = paid(&at, WECHAT).await;
    at.sim.fault(Fault::times(100, "wechat.v2.refund", Act::Throttle)).expect("script");
    let job = at.refund(&bill.id, amount(), WECHAT.0).await;
    let waiting = at.rig.in_state(job.id, JobState::Waiting).await;
    let wish = waiting.request_cancel("owner", Timestamp::now()).expect("a wish");
    assert_eq!(at.rig.store.jobs.save(&wish).await.expect("store"), Save::Stored);

    let ended = at.ended(&job).await;
    assert_eq!(ended.state, JobState::Cancelled, "{:?}", ended.error);
    let bill = at.read(&bill.id).await;
    assert_eq!(bill.refunds[0].state, RefundState::Refused);
    assert_eq!(bill.may_refund(amount()), Ok(()), "its sum is free again");
    let calls = ended.calls.iter().filter(|call| call.exchange.to_string().contains("pay/refund"));
    assert!(calls.count() >= 1, "{:?}", ended.calls);
    assert_eq!(at.sim.ledger().of_key(bill.refunds[0].key.as_str()).count(), 0);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_was_put_off_is_sent_with_the_time_of_its_sending() {
    let at = Simulated::start(Engine::Embedded).await;
    let worker = at.rig.worker();
    let bill = paid(&at, UNIONPAY).await;
    at.sim.fault(Fault::once("unionpay.back.refund", Act::Throttle)).expect("script");
    let job = at.ended(&at.refund(&bill.id, amount(), UNIONPAY.0).await).await;
    assert_eq!(job.state, JobState::Succeeded, "{:?} {:?}", job.error, job.calls);

    let bill = at.read(&bill.id).await;
    assert!(bill.refunds[0].sent_at > Some(bill.refunds[0].opened_at), "{:?}", bill.refunds);
    worker.stop().await;
}
