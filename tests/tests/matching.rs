//! A provider's bill of a day against ours: every class of difference, of every provider, comes
//! from the simulators' own bill files.

#![expect(clippy::expect_used, reason = "a panic is how a test fails")]

use std::time::Duration;

use providers::payment::{Gateways, PaymentSettings};
use schemas::{
    BillRecord, BillSn, BillStatus, BookDay, Channel, Fen, JobRecord, JobState, Queue, Scene,
    Timestamp, UserId,
    bill::Source,
    job::NewJob,
    kinds::{PayBillMatch, PayBillRound, pay_bill_match::DayRef, pay_bill_round::BillRound},
    matching::{Difference, DifferenceCounts, MAX_ROWS, MatchReport, Movement, PAGE_ROWS},
};
use sim::{Act, Fault, Provider};
use store::{Insert, Save};
use tests::{
    eventually,
    rig::{Engine, Worker, quick},
    simulated::{Simulated, Way, amount},
};
use workers::PayPace;

/// A provider in one of its protocols, and how its calls are named.
struct Desk {
    way: Way,
    provider: Provider,
    /// Account that asks for the bill.
    account: &'static str,
    file: &'static str,
    readiness: &'static str,
    notice: &'static str,
}

const WECHAT_V2: Desk = Desk {
    way: (Channel::WeChatPay, Scene::Native, "official_account"),
    provider: Provider::Wechat,
    account: "official_account",
    file: "wechat.v2.downloadbill",
    readiness: "wechat.v2.downloadbill",
    notice: "wechat.v2.notify.pay",
};

const WECHAT_V3: Desk = Desk {
    way: (Channel::WeChatPay, Scene::Native, "official_account_v3"),
    account: "official_account_v3",
    file: "wechat.v3.tradebill",
    readiness: "wechat.v3.tradebill",
    notice: "wechat.v3.notify.pay",
    ..WECHAT_V2
};

const ALIPAY: Desk = Desk {
    way: (Channel::Alipay, Scene::App, "web"),
    provider: Provider::Alipay,
    account: "web",
    file: "alipay.bill.file",
    readiness: "alipay.data.dataservice.bill.downloadurl.query",
    notice: "alipay.notify.pay",
};

const UNIONPAY: Desk = Desk {
    way: (Channel::UnionPay, Scene::App, "web"),
    provider: Provider::UnionPay,
    account: "web",
    file: "unionpay.file",
    readiness: "unionpay.file",
    notice: "unionpay.notify.pay",
};

/// A shop that is paid through one desk, and the day in the past on which it was.
struct Shop {
    at: Simulated,
    desk: Desk,
    day: BookDay,
    worker: Worker,
}

impl Shop {
    async fn open(engine: Engine, desk: Desk) -> Self {
        let mut at = Simulated::start(engine).await;
        // The desk's account comes first: it is the one that asks for the bill.
        let mut accounts = at.sim.payments();
        if let Some(list) = accounts["wechat_pay"].as_array_mut() {
            list.sort_by_key(|account| account["name"] != desk.account);
        }
        let accounts: PaymentSettings = serde_json::from_value(accounts).expect("settings");
        at.rig.till.gateways = Gateways::open(&accounts).expect("accounts");
        let mut settings = quick();
        // Only notices tell, as long as nobody asks.
        settings.pay_pace = PayPace { first: Duration::from_hours(1), ..settings.pay_pace };
        let worker = at.rig.worker_with(at.rig.broker.clone(), settings);
        let day = BookDay::published(Timestamp::now()).before().before().before();
        Self { at, desk, day, worker }
    }

    /// A bill whose payer has what it takes, and what the payer's client pays with.
    async fn offered(&self) -> (BillSn, serde_json::Value) {
        let sn = self.at.bill().await;
        let job = self.at.ended(&self.at.pay(&sn, self.desk.way).await).await;
        assert_eq!(job.state, JobState::Succeeded, "{:?} {:?}", job.error, job.calls);
        let reply = job.output.expect("offer")["reply"].take();
        (sn, reply)
    }

    async fn approve(&self, sn: &BillSn, reply: &serde_json::Value) {
        let bill = self.at.read(sn).await;
        match self.desk.provider {
            Provider::Wechat => {
                self.at.sim.approve(bill.attempts[0].key.as_str()).expect("the payer pays");
            }
            Provider::Alipay => {
                let order = reply.as_object().and_then(|all| all.values().next()).expect("text");
                self.at.sim.pay_in_app(self.desk.provider, order).expect("the payer pays");
            }
            Provider::UnionPay => {
                self.at.sim.pay_in_app(self.desk.provider, reply).expect("the payer pays");
            }
        }
    }

    /// A bill that is paid and partly paid back, on the day.
    async fn trade(&self) -> BillRecord {
        let (sn, reply) = self.offered().await;
        self.approve(&sn, &reply).await;
        let paid = |bill: &BillRecord| bill.status == BillStatus::Paid;
        self.at.bill_becomes(&sn, "paid", paid).await;
        let part = Fen::new(250).expect("sum");
        self.at.ended(&self.at.refund(&sn, part, self.desk.way.0).await).await;
        let back = |bill: &BillRecord| bill.refunded() == 250;
        let bill = self.at.bill_becomes(&sn, "partly paid back", back).await;
        let by = self.move_there(bill.attempts[0].key.as_str());
        self.move_here(&sn, by).await
    }

    /// How long ago noon of the day was.
    fn ago(&self) -> Duration {
        let noon = self.day.begins(self.desk.way.0) + Duration::from_hours(12);
        Timestamp::now().since(noon)
    }

    fn move_there(&self, key: &str) -> Duration {
        let by = self.ago();
        self.at.sim.backdate(key, by).expect("a trade");
        by
    }

    /// Moves what our bill says of money as far back.
    async fn move_here(&self, sn: &BillSn, by: Duration) -> BillRecord {
        eventually("the bill is moved", Duration::from_secs(10), async || {
            let mut bill = self.at.read(sn).await;
            bill.version += 1;
            for payment in &mut bill.payments {
                payment.paid_at = payment.paid_at - by;
                payment.heard_at = payment.heard_at - by;
            }
            for refund in &mut bill.refunds {
                refund.opened_at = refund.opened_at - by;
                refund.sent_at = refund.sent_at.map(|at| at - by);
                refund.ended_at = refund.ended_at.map(|at| at - by);
            }
            let last = bill.refunds.iter().filter_map(|refund| refund.ended_at);
            let last = last.chain(bill.payments.iter().map(|paid| paid.paid_at)).max();
            bill.moved = last.map(|at| BillRecord::moved_mark(at, &bill.id));
            let saved = self.at.rig.store.bills.save(&bill).await.expect("store");
            (saved == Save::Stored).then_some(bill)
        })
        .await
    }

    fn of(&self) -> DayRef {
        let (channel, day) = (self.desk.way.0, self.day);
        let gateway = self.at.rig.till.gateway(channel, self.desk.account).expect("account");
        DayRef { channel, merchant: gateway.merchant_id().to_owned(), day }
    }

    async fn submit(&self, of: &DayRef) -> JobRecord {
        let mut new = NewJob::of::<PayBillMatch>(UserId::FEAT, of).expect("payload");
        new.queue = Some(Queue::of_channel(of.channel));
        let job = JobRecord::accept(new, "test", Timestamp::now());
        assert_eq!(self.at.rig.store.jobs.insert(&job).await.expect("store"), Insert::Stored);
        self.at.rig.broker.publish(&job).await.expect("publish");
        job
    }

    /// Matches the day, with a script for the next bill, and reads what is stored of it.
    async fn matched(&self, act: Option<Act>) -> (MatchReport, Vec<Difference>) {
        if let Some(act) = act {
            self.at.sim.fault(Fault::once(self.desk.file, act)).expect("script");
        }
        let job = self.at.ended(&self.submit(&self.of()).await).await;
        assert_eq!(job.state, JobState::Succeeded, "{:?} {:?}", job.error, job.calls);
        self.stored().await
    }

    async fn stored(&self) -> (MatchReport, Vec<Difference>) {
        let matches = &self.at.rig.store.matches;
        let reports = matches.of_day(self.day, 9).await.expect("store");
        assert_eq!(reports.len(), 1, "a run replaces the one before");
        let mut rows = Vec::new();
        for number in 0..reports[0].pages {
            let page = matches.page(&reports[0], number).await.expect("store");
            rows.extend(page.expect("a page").rows);
        }
        (reports[0].clone(), rows)
    }
}

fn one(class: &str) -> DifferenceCounts {
    let mut counts = DifferenceCounts::default();
    match class {
        "missing here" => counts.missing_here = 1,
        "missing there" => counts.missing_there = 1,
        "amount" => counts.amount = 1,
        "state" => counts.state = 1,
        "fee" | "fee of a refund" => counts.fee = 1,
        _ => {}
    }
    counts
}

async fn every_class_is_found(engine: Engine, desk: Desk) {
    let shop = Shop::open(engine, desk).await;
    let bill = shop.trade().await;
    let cases = [
        ("missing there", Some(Act::BillOmits), 1),
        ("nothing", None, 2),
        ("missing here", Some(Act::BillInvents), 2),
        ("amount", Some(Act::BillAmount), 1),
        ("fee", Some(Act::BillFee), 1),
        ("fee of a refund", Some(Act::BillRefundFee), 1),
        ("missing there", Some(Act::BillOmits), 1),
        ("nothing", None, 2),
    ];
    for (name, act, matched) in cases {
        let (report, rows) = shop.matched(act).await;
        assert_eq!((report.differences, report.matched), (one(name), matched), "{name}: {rows:?}");
        assert_eq!(rows.len() as u64, report.differences.total(), "{name}");
        let Some(row) = rows.first() else { continue };
        let (movement, fen) = match name {
            "fee of a refund" => (Movement::Refund, 250),
            _ => (Movement::Payment, amount().get()),
        };
        assert_eq!(row.movement, movement, "{name}");
        let ours = row.ours.as_ref().map(|side| side.fen);
        let known = name != "missing here";
        assert_eq!(ours, known.then_some(fen), "{name}");
        assert_eq!(row.sn.as_ref(), known.then_some(&bill.id), "{name}");
        assert_eq!(row.heard, known.then_some(row.heard).flatten(), "{name}");
        assert_eq!(row.theirs.is_some(), name != "missing there", "{name}");
    }
    let (report, _) = shop.stored().await;
    assert_eq!((report.payments.count, report.payments.fen), (1, amount().get()));
    assert_eq!((report.refunds.count, report.refunds.fen), (1, 250));
    let bill = shop.at.read(&bill.id).await;
    assert_eq!(bill.payments[0].listed_on, Some(shop.day));
    assert_eq!(bill.refunds[0].listed_on, Some(shop.day));

    // A payment whose notice got lost: the provider has it, and we do not know.
    let (sn, reply) = shop.offered().await;
    shop.at.sim.fault(Fault::once(shop.desk.notice, Act::Lose)).expect("script");
    shop.approve(&sn, &reply).await;
    shop.move_there(shop.at.read(&sn).await.attempts[0].key.as_str());
    let (report, rows) = shop.matched(None).await;
    assert_eq!((report.differences, report.matched), (one("state"), 2), "{rows:?}");
    assert_eq!(rows[0].sn.as_ref(), Some(&sn));
    // The file proves nothing, but it is a reason to ask.
    let paid = |bill: &BillRecord| bill.status == BillStatus::Paid;
    let bill = shop.at.bill_becomes(&sn, "paid", paid).await;
    assert_eq!(bill.heard_from(schemas::bill::Listed::Payment(1)), Some(Source::Query));
    let (report, rows) = shop.matched(None).await;
    assert_eq!((report.differences, report.matched), (one("nothing"), 3), "{rows:?}");
    shop.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_class_is_found_in_the_xml_bills_of_wechat_pay() {
    every_class_is_found(Engine::Embedded, WECHAT_V2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_class_is_found_in_the_json_bills_of_wechat_pay() {
    every_class_is_found(Engine::Embedded, WECHAT_V3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_class_is_found_in_the_bills_of_alipay() {
    every_class_is_found(Engine::Embedded, ALIPAY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_class_is_found_in_the_bills_of_unionpay() {
    every_class_is_found(Engine::Embedded, UNIONPAY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_class_is_found_on_mongodb() {
    every_class_is_found(Engine::Distributed, WECHAT_V2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bill_that_is_not_there_yet_is_asked_for_later_and_no_trades_are_no_difference() {
    for desk in [WECHAT_V2, WECHAT_V3, ALIPAY, UNIONPAY] {
        let shop = Shop::open(Engine::Embedded, desk).await;
        let call = shop.desk.readiness;
        let (report, rows) = shop.matched(None).await;
        assert_eq!((report.differences.total(), report.payments.count), (0, 0), "{call}");
        assert!(rows.is_empty() && report.is_clean(), "{call}");

        // UnionPay and Alipay say the same of a day without trades, so only a young day waits.
        let said = matches!(shop.desk.provider, Provider::Wechat);
        shop.at.sim.fault(Fault::once(call, Act::BillNotReady)).expect("script");
        if said {
            shop.trade().await;
            let job = shop.submit(&shop.of()).await;
            let job = shop.at.rig.in_state(job.id, JobState::Waiting).await;
            assert_eq!(job.attempts, 0, "{call}: it spends no attempt");
            let wakes = job.wake_at.expect("a time").since(Timestamp::now());
            assert!(wakes > Duration::from_mins(20), "{call}: {wakes:?}");
            assert_eq!(shop.matched(None).await.0.matched, 2, "{call}");
        }
        let today = DayRef { day: BookDay::of(shop.desk.way.0, Timestamp::now()), ..shop.of() };
        let job = shop.submit(&today).await;
        let job = shop.at.rig.in_state(job.id, JobState::Waiting).await;
        assert_eq!(job.wake_at, Some(today.day.published_at()), "{call}");
        assert!(job.calls.is_empty(), "{call}: nobody was asked");
        shop.worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_timetable_makes_up_for_days_that_nobody_matched() {
    let shop = Shop::open(Engine::Embedded, WECHAT_V2).await;
    let round = async |round: BillRound| {
        let job = shop.at.rig.submit::<PayBillRound>(&round).await;
        let job = shop.at.ended(&job).await;
        assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
        let started = job.output.expect("output")["started"].take();
        let started = started.as_array().expect("a list").clone();
        for one in &started {
            let id = one["job"].as_str().expect("id").parse().expect("id");
            if one["channel"] != Channel::UnionPay.number() {
                shop.at.rig.in_state(id, JobState::Succeeded).await;
            }
        }
        started.len()
    };
    assert_eq!(round(BillRound::default()).await, 3 * 7, "each merchant, each day of a week");
    let wechat = Some(Channel::WeChatPay);
    let only = || BillRound { channel: wechat, day: None };
    assert_eq!(round(only()).await, 0, "each day has its report");
    let again = BillRound { channel: wechat, day: Some(shop.day) };
    assert_eq!(round(again).await, 1, "a named day is matched again");

    // What was kept for long enough goes with the next round of the timetable.
    let matches = &shop.at.rig.store.matches;
    let report = matches.of_day(shop.day, 9).await.expect("store").remove(0);
    let kept = workers::Settings::default().reports_kept;
    let day = BookDay::published(Timestamp::now() - kept);
    for (day, stays) in [(day.before(), false), (day, true)] {
        let id = MatchReport::id_of(report.channel, &report.merchant, day);
        let old = MatchReport { id: id.clone(), day, version: 1, ..report.clone() };
        assert_eq!(matches.insert(&old).await, Ok(Insert::Stored));
        assert_eq!(round(only()).await, 0);
        assert_eq!(matches.get(&id).await.expect("store").is_some(), stays, "{day}");
    }
    shop.worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_keeps_so_many_rows_and_counts_all() {
    let shop = Shop::open(Engine::Embedded, WECHAT_V2).await;
    let template = shop.trade().await;
    let many = MAX_ROWS as u64 + 7;
    let bills = (0..many).map(|_| {
        let id = BillSn::generate(Timestamp::now());
        let mut bill = BillRecord { id: id.clone(), version: 1, ..template.clone() };
        bill.attempts[0].key = id.attempt_key(1);
        bill.refunds.clear();
        bill.moved = Some(BillRecord::moved_mark(bill.payments[0].paid_at, &id));
        bill
    });
    let store = &shop.at.rig.store;
    let bills: Vec<_> = bills.collect();
    for some in bills.chunks(500) {
        let inserts = futures::future::join_all(some.iter().map(|bill| store.bills.insert(bill)));
        assert!(inserts.await.iter().all(|answer| *answer == Ok(Insert::Stored)));
    }

    let (report, rows) = shop.matched(None).await;
    assert_eq!((report.differences.missing_there, rows.len()), (many, MAX_ROWS));
    assert_eq!(report.pages as usize, MAX_ROWS / PAGE_ROWS);
    let first = report.run;
    let (report, _) = shop.matched(None).await;
    assert!(report.run > first && report.version == 2);
    let old = MatchReport { run: first, ..report };
    assert_eq!(store.matches.page(&old, 0).await, Ok(None), "pages of earlier runs are gone");
    shop.worker.stop().await;
}
