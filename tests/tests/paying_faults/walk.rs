//! The life of one bill while a plan comes to pass.

use rand::{RngExt, SeedableRng, rngs::StdRng};
use schemas::{BillRecord, BillSn, Fen, JobRecord, JobState, bill::RefundState};
use sim::PayError;
use std::time::Duration;
use tests::{eventually, simulated::amount};
use tokio::time::Instant;

use crate::{
    lane::{Lane, PATIENCE},
    plan::{Plan, ROADS, Road, Stage, Trouble},
};

/// How often a client asks whether the bill is paid.
const ASKS: Duration = Duration::from_millis(300);

struct Walk<'a> {
    lane: &'a Lane,
    plan: &'a Plan,
    sn: BillSn,
    random: StdRng,
}

/// Makes a bill and lets the plan come to pass until the bill is sure of everything.
pub(crate) async fn walk(lane: &Lane, plan: &Plan) -> BillSn {
    let sn = lane.at.bill().await;
    let mut walk = Walk { lane, plan, sn, random: StdRng::seed_from_u64(plan.seed) };
    match (&plan.trouble.1, plan.stage) {
        (Trouble::PaidAfterClose, Stage::Close) => walk.paid_after_close().await,
        (Trouble::PaidAfterClose, _) => walk.paid_after_it_was_given_up().await,
        _ => walk.paid_and_paid_back().await,
    }
    walk.sn
}

impl Walk<'_> {
    fn prepare(&mut self, stage: Stage) {
        self.lane.prepare(self.plan, stage, &mut self.random);
    }

    async fn paid_and_paid_back(&mut self) {
        let road = self.plan.road;
        let other = ROADS.iter().find(|other| other.way.0 != road.way.0).expect("three channels");
        let twice = self.plan.trouble.1 == Trouble::PaidTwice;
        let mut wanted = 1;
        if road.by_card {
            self.pay_by_card(twice.then_some(other)).await;
        } else {
            self.prepare(Stage::Create);
            let mut keys = vec![self.begin(road).await];
            if twice {
                keys.push(self.begin(other).await);
            }
            self.prepare(Stage::Hear);
            for key in &keys {
                self.approve(key);
            }
            wanted = keys.len();
        }
        let paid = |bill: &BillRecord| bill.payment().is_some() && bill.payments.len() >= wanted;
        self.becomes("paid", paid).await;

        self.prepare(Stage::Refund);
        let part = Fen::new(self.random.random_range(1..=amount().get())).expect("sum");
        let job = self.lane.at.refund(&self.sn, part, self.plan.road.way.0).await;
        self.lane.ended(&job, &self.name()).await;
        let sure = |bill: &BillRecord| {
            !bill.refunds.iter().any(|refund| refund.state == RefundState::Sent)
        };
        self.becomes("sure of its refunds", sure).await;
    }

    /// A card pays in Feat's own call; an `other` payer pays while that is on its way, if they still
    /// can.
    async fn pay_by_card(&mut self, other: Option<&Road>) {
        let Some(other) = other else {
            self.prepare(Stage::Create);
            self.begin(self.plan.road).await;
            self.prepare(Stage::Hear);
            return;
        };
        let key = self.begin(other).await;
        let code = self.lane.at.send_code(&self.sn).await;
        self.lane.ended(&code, &self.name()).await;
        self.prepare(Stage::Create);
        let charge = self.lane.at.charge(&self.sn).await.expect("a code was sent");
        match self.lane.at.sim.approve(&key) {
            Ok(_) | Err(PayError::Closed) => {}
            Err(error) => panic!("{}: the payer cannot pay {key}: {error}", self.name()),
        }
        self.lane.ended(&charge, &self.name()).await;
    }

    /// The provider takes the payment although it has closed the trade.
    async fn paid_after_close(&mut self) {
        let key = self.begin(self.plan.road).await;
        self.open_page(&key).await;
        self.prepare(Stage::Close);
        let job = self.lane.at.close(&self.sn, self.plan.road.way.0).await;
        self.lane.ended(&job, &self.name()).await;
        self.becomes("told of the payment", |bill| !bill.payments.is_empty()).await;
    }

    /// The client never got what it could pay with, and the payer pays all the same.
    async fn paid_after_it_was_given_up(&mut self) {
        self.prepare(Stage::Create);
        self.try_to_pay(self.plan.road).await;
        let bill = self.lane.at.read(&self.sn).await;
        self.approve(bill.attempts[0].key.as_str());
        self.becomes("told of the payment", |bill| bill.payment().is_some()).await;
    }

    /// Calls to pay until the client has something to pay with; gives the number of the trade.
    async fn begin(&self, road: &Road) -> String {
        for _ in 0..8 {
            let job = self.try_to_pay(road).await;
            let bill = self.lane.at.read(&self.sn).await;
            let attempt = bill.attempts.last().expect("an attempt");
            if job.state == JobState::Succeeded || bill.payment().is_some() {
                return attempt.key.to_string();
            }
            let code = job.error.map(|error| error.code).unwrap_or_default();
            assert_eq!(code, "attempt_closed", "{}", self.name());
        }
        panic!("{}: it cannot be paid", self.name());
    }

    /// What one call to pay comes to: of a card the charge, if a code could be sent.
    async fn try_to_pay(&self, road: &Road) -> JobRecord {
        let at = &self.lane.at;
        if !road.by_card {
            return self.lane.ended(&at.pay(&self.sn, road.way).await, &self.name()).await;
        }
        let code = self.lane.ended(&at.send_code(&self.sn).await, &self.name()).await;
        match at.charge(&self.sn).await {
            Some(charge) => self.lane.ended(&charge, &self.name()).await,
            None => code,
        }
    }

    /// The payer pays, if that has not happened already.
    fn approve(&self, key: &str) {
        match self.lane.at.sim.approve(key) {
            Ok(_) | Err(PayError::Paid) => {}
            Err(error) => panic!("{}: the payer cannot pay {key}: {error}", self.name()),
        }
    }

    /// At Alipay a trade exists when its payer has opened it.
    async fn open_page(&self, key: &str) {
        let bill = self.lane.at.read(&self.sn).await;
        let attempt = bill.attempt_of_key(key).expect("the attempt");
        let code = attempt.offer.as_ref().and_then(|offer| offer.code.clone());
        if let Some(address) = code.filter(|code| code.starts_with("http")) {
            let page = reqwest::get(address).await.expect("the cashier");
            assert!(page.status().is_success(), "{}", page.status());
        }
    }

    /// Waits, and asks now and then as a client does.
    async fn becomes(&self, what: &str, check: impl Fn(&BillRecord) -> bool) {
        let (at, channel) = (&self.lane.at, self.plan.road.way.0);
        let mut asked = Instant::now();
        eventually(format!("{} {what}", self.name()), PATIENCE, async || {
            if check(&at.read(&self.sn).await) {
                return Some(());
            }
            if asked.elapsed() > ASKS {
                asked = Instant::now();
                at.refresh(&self.sn, channel).await;
            }
            None
        })
        .await;
    }

    fn name(&self) -> String {
        let Plan { road, point, trouble, stage, .. } = self.plan;
        format!("{}, {}, {point:?} of {stage:?}: bill {}", road.name, trouble.0, self.sn)
    }
}
