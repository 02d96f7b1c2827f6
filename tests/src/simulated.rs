//! A rig whose bills are paid through the simulators, with an API that hears their notices.

use std::time::Duration;

use api::{Api, auth::TokenKey};
use metrics_exporter_prometheus::PrometheusBuilder;
use providers::{
    payment::{Card, Gateways, PaymentSettings},
    seal::Sealer,
    till::Till,
};
use schemas::{
    BillRecord, BillSn, Channel, Currency, Fen, Job, JobRecord, Queue, Scene, Timestamp, UserId,
    bill::{ClosingReason, NewBill},
    card::{CardNumber, SEALED_TEXT_CODE, SealedCard},
    job::NewJob,
    kinds::{
        PayCharge, PayClose, PayCreate, PayQuery, PayRefund, pay_charge::CardCharge,
        pay_close::PayClosing, pay_create::PayOrder, pay_query::PayLook, pay_refund::RefundWish,
    },
    message::Beside,
};
use sim::{Quotas, Running, Settings};
use store::Insert;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    eventually,
    rig::{Engine, Rig, owner},
};

/// Everything that a payment test needs.
pub struct Simulated {
    /// Store, broker and till.
    pub rig: Rig,
    /// The providers.
    pub sim: Running,
    /// Address of the API.
    pub url: String,
    shutdown: CancellationToken,
}

impl Drop for Simulated {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// One way of paying, by its account.
pub type Way = (Channel, Scene, &'static str);

/// How cards without the provider's page are paid.
const CARD_WAY: Way = (Channel::UnionPay, Scene::Native, "web");

/// What is owed on the bills of tests.
///
/// # Panics
///
/// Never: it is a sum.
#[must_use]
pub fn amount() -> Fen {
    Fen::new(1_250).expect("a sum")
}

impl Simulated {
    /// A rig without workers, with simulators without quotas that pay refunds back at once.
    ///
    /// # Panics
    ///
    /// When something does not start.
    pub async fn start(engine: Engine) -> Self {
        let mut settings = Settings::fixture().expect("fixtures");
        settings.quotas = Quotas::unlimited();
        settings.refund_takes = Duration::from_millis(50);
        Self::with(engine, settings).await
    }

    /// The same with other simulators.
    ///
    /// # Panics
    ///
    /// When something does not start.
    pub async fn with(engine: Engine, settings: Settings) -> Self {
        Self::over(Rig::new(engine).await, settings).await
    }

    /// The same on top of a rig that is there.
    ///
    /// # Panics
    ///
    /// When something does not start.
    pub async fn over(rig: Rig, settings: Settings) -> Self {
        Self::tuned(rig, settings, |_| {}).await
    }

    /// The same with other settings of the API.
    ///
    /// # Panics
    ///
    /// When something does not start.
    pub async fn tuned(
        mut rig: Rig,
        settings: Settings,
        tune: impl FnOnce(&mut api::Settings),
    ) -> Self {
        let sim = sim::start(settings).await.expect("simulators");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("address"));
        let accounts: PaymentSettings =
            serde_json::from_value(sim.payments()).expect("the form of the settings");
        let gateways = Gateways::open(&accounts).expect("accounts");
        rig.till = Till { gateways, sealer: Sealer::ephemeral(), public_url: url.clone() };
        let mut tuned = api::Settings::new(url.clone(), TokenKey::generate());
        tune(&mut tuned);
        let api = Api {
            store: rig.store.clone(),
            broker: rig.broker.clone(),
            blobs: rig.blobs.clone(),
            till: rig.till.clone(),
            settings: tuned,
            metrics: PrometheusBuilder::new().build_recorder().handle(),
        };
        let shutdown = CancellationToken::new();
        tokio::spawn(api::serve(api, listener, shutdown.clone(), Duration::from_secs(2)));
        Self { rig, sim, url, shutdown }
    }

    /// A stored bill of the rig's owner over [`amount`].
    ///
    /// # Panics
    ///
    /// When the store refuses it.
    pub async fn bill(&self) -> BillSn {
        let now = Timestamp::now();
        let new = NewBill {
            owner: owner(),
            amount: amount(),
            currency: Currency::Cny,
            subject: "tea".to_owned(),
            client_ref: None,
            expires_at: now + Duration::from_hours(2),
        };
        let bill = BillRecord::open(new, BillSn::generate(now), now);
        assert_eq!(self.rig.store.bills.insert(&bill).await.expect("store"), Insert::Stored);
        bill.id
    }

    /// The bill as it stands.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub async fn read(&self, sn: &BillSn) -> BillRecord {
        self.rig.store.bills.get(sn).await.expect("store").expect("bill")
    }

    /// Waits until the bill is as `check` wants it.
    pub async fn bill_becomes(
        &self,
        sn: &BillSn,
        what: &str,
        check: impl Fn(&BillRecord) -> bool,
    ) -> BillRecord {
        eventually(format!("bill {sn} {what}"), Duration::from_mins(2), async || {
            Some(self.read(sn).await).filter(|bill| check(bill))
        })
        .await
    }

    /// Submits a job that begins to pay the bill, as the API does: one for each attempt.
    pub async fn pay(&self, sn: &BillSn, way: Way) -> JobRecord {
        let bill = self.read(sn).await;
        let order = order(&bill, way);
        let unique_key = Some(order.unique_key());
        let beside = Beside::of(&bill).map(|beside| beside.awaited(true));
        self.submit::<PayCreate>(&order, unique_key, way.0, beside.as_ref()).await
    }

    /// Submits a job that begins to pay the bill, which comes along as somebody has seen it.
    pub async fn pay_as_seen(&self, seen: &BillRecord, way: Way) -> JobRecord {
        let beside = Beside::of(seen);
        self.submit::<PayCreate>(&order(seen, way), None, way.0, beside.as_ref()).await
    }

    /// Submits a job that has a code sent for the bill to the holder of a card.
    ///
    /// # Panics
    ///
    /// When the store does not answer.
    pub async fn send_code(&self, sn: &BillSn) -> JobRecord {
        let bill = self.read(sn).await;
        let card = Some(self.card());
        let mut order = PayOrder { code: false, card, ..order(&bill, CARD_WAY) };
        order.ordinal = bill.ordinal_for(&order.way(), Timestamp::now());
        let unique_key = Some(order.unique_key());
        let beside = Beside::of(&bill).map(|beside| beside.awaited(true));
        self.submit::<PayCreate>(&order, unique_key, Channel::UnionPay, beside.as_ref()).await
    }

    /// Submits a job that charges the card with the right code, if one was sent.
    ///
    /// # Panics
    ///
    /// When the store does not answer.
    pub async fn charge(&self, sn: &BillSn) -> Option<JobRecord> {
        let bill = self.read(sn).await;
        let card = self.card();
        let attempt = bill.chargeable(&card.digest)?.number;
        let code = self.rig.till.sealer.seal(SEALED_TEXT_CODE, "111111").expect("sealed");
        let charge = CardCharge { sn: sn.clone(), attempt, card, code };
        let unique_key = Some(charge.unique_key());
        Some(self.submit::<PayCharge>(&charge, unique_key, Channel::UnionPay, None).await)
    }

    /// A card of the simulator's that is open and always pays.
    fn card(&self) -> SealedCard {
        let number = CardNumber::read("6216261000000000018").expect("a card");
        let card = Card::new(number, Some("13552535506".into()));
        card.seal(&self.rig.till.sealer).expect("sealed")
    }

    /// Submits a job that pays `amount` back.
    pub async fn refund(&self, sn: &BillSn, amount: Fen, channel: Channel) -> JobRecord {
        let wish = RefundWish { sn: sn.clone(), amount, reason: "test".to_owned(), held: None };
        self.submit::<PayRefund>(&wish, None, channel, None).await
    }

    /// Submits a look at every open attempt, as a client that asks for the bill's state does.
    pub async fn refresh(&self, sn: &BillSn, channel: Channel) -> JobRecord {
        let look = PayLook { sn: sn.clone(), attempt: None, look: None };
        self.submit::<PayQuery>(&look, None, channel, None).await
    }

    /// Submits a job that closes the bill.
    pub async fn close(&self, sn: &BillSn, channel: Channel) -> JobRecord {
        let closing = PayClosing { sn: sn.clone(), reason: ClosingReason::Cancelled };
        let unique_key = Some(closing.unique_key());
        self.submit::<PayClose>(&closing, unique_key, channel, None).await
    }

    /// Submits the job that closes an overdue bill, as it was scheduled with the bill.
    ///
    /// # Panics
    ///
    /// When the store or the broker does not take it.
    pub async fn overtime(&self, sn: &BillSn) -> JobRecord {
        let closing = PayClosing { sn: sn.clone(), reason: ClosingReason::Overtime };
        let mut new = NewJob::of::<PayClose>(UserId::FEAT, &closing).expect("payload");
        new.unique_key = Some(closing.unique_key());
        self.submit_new(new, None).await
    }

    async fn submit<J: Job>(
        &self,
        payload: &J::Payload,
        unique_key: Option<String>,
        channel: Channel,
        beside: Option<&Beside>,
    ) -> JobRecord {
        let mut new = NewJob::of::<J>(owner(), payload).expect("payload");
        new.queue = Some(Queue::of_channel(channel));
        new.unique_key = unique_key;
        self.submit_new(new, beside).await
    }

    async fn submit_new(&self, new: NewJob, beside: Option<&Beside>) -> JobRecord {
        let unique_key = new.unique_key.clone();
        let job = JobRecord::accept(new, "api", Timestamp::now());
        if self.rig.store.jobs.insert(&job).await.expect("insert") == Insert::Stored {
            // A publication that fails is made good by the sweep.
            let _ = self.rig.broker.publish_with(&job, beside).await;
            return job;
        }
        let key = unique_key.expect("a key");
        let earlier = self.rig.store.jobs.by_unique_key(job.owner, &key).await.expect("store");
        earlier.expect("the job that holds the key")
    }

    /// Waits until the job has ended or waits for a person.
    pub async fn ended(&self, job: &JobRecord) -> JobRecord {
        eventually(format!("the end of job {}", job.id), Duration::from_mins(3), async || {
            let job = self.rig.job(job.id).await;
            job.state.is_settled().then_some(job)
        })
        .await
    }
}

/// What a client wishes who pays `bill` in this way.
fn order(bill: &BillRecord, (channel, scene, app): Way) -> PayOrder {
    let mut order = PayOrder {
        sn: bill.id.clone(),
        channel,
        scene,
        code: scene == Scene::Native,
        app: app.to_owned(),
        ordinal: 0,
        payer: None,
        payer_ip: None,
        card: None,
    };
    order.ordinal = bill.ordinal_for(&order.way(), Timestamp::now());
    order
}
