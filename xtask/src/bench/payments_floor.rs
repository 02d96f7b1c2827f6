//! What RabbitMQ and MongoDB need for one payment on this machine, with nothing of Feat around it.
//!
//! The steps that follow each other until a payer has something to pay with: the bill is read, the
//! job inserted and sent over a quorum queue; the attempt is saved in the bill; the provider is
//! waited for and the offer saved while the first look is inserted; then the news of it is sent, and
//! afterwards the job's end is saved. The records, the indexes, the hints and the write concern are
//! Feat's; only the trail of calls is missing in the job. Every client sends commands of its own.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bson::{RawDocumentBuf, doc};
use futures::StreamExt;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, PublisherConfirm,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
        ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions,
    },
    types::{AMQPValue, FieldTable},
};
use mongodb::{Client, Database, options::Hint};
use schemas::{
    BillRecord, BillSn, Channel as Provider, Currency, Fen, JobId, JobRecord, JobSpec, Scene,
    Timestamp, UserId, Verdict,
    bill::{NewBill, Offer},
    job::{Lease, NewJob},
    kinds::{
        PayCreate, PayQuery,
        pay_create::{PayOffer, PayOrder},
        pay_query::PayLook,
    },
    message,
};
use serde_json::json;
use tokio::{sync::oneshot, task::JoinSet, time::timeout};

use super::{
    Fault,
    documents::{BATCH, Command},
};

const JOBS: &str = "payments-floor";
const NEWS: &str = "payments-floor-news";
/// Messages that the server sends ahead of their acknowledgement.
const PREFETCH: u16 = 512;
/// How long all clients together may take before the measurement is given up.
const PATIENCE: Duration = Duration::from_mins(5);
/// How long an offer and a hold last in the records.
const LIFE: Duration = Duration::from_hours(1);

/// How many pay what at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Crowd {
    /// Clients.
    pub(super) clients: usize,
    /// Bills that they pay.
    pub(super) bills: usize,
    /// Longest pause of a client before each bill; its length is chosen at random.
    pub(super) pause: Duration,
    /// What the provider takes for its answer.
    pub(super) provider: Duration,
}

/// The services, and who waits for which message.
#[derive(Clone)]
struct Floor {
    database: Database,
    jobs: Channel,
    news: Channel,
    owner: UserId,
    waiting: Arc<Mutex<HashMap<JobId, oneshot::Sender<()>>>>,
}

/// A payment that its payer knows how to make.
struct Paid {
    /// How long the provider took.
    provider: Duration,
    /// The job's end, which no payer waits for.
    settled: JobRecord,
    /// What the server has yet to confirm; no payer waits for that either.
    sent: [PublisherConfirm; 2],
}

/// Times of the payments of `crowd`, less the provider's own; `name` is a database with Feat's
/// collections.
pub(super) async fn measure(
    mongodb: &str,
    name: &str,
    rabbitmq: &str,
    crowd: Crowd,
) -> Result<Vec<Duration>, Fault> {
    let connect = || Connection::connect(rabbitmq, ConnectionProperties::default());
    let (publishing, consuming) = (connect().await?, connect().await?);
    let floor = Floor {
        database: Client::with_uri_str(mongodb).await?.database(name),
        jobs: confirming(&publishing).await?,
        news: publishing.create_channel().await?,
        owner: UserId::generate(),
        waiting: Arc::default(),
    };
    let arriving = [
        (floor.declare_jobs().await?, consuming.create_channel().await?),
        declared_news(&consuming).await?,
    ];
    let bills = Arc::new(floor.bills(crowd.bills).await?);
    let mut tasks = JoinSet::new();
    for (queue, channel) in arriving {
        let floor = floor.clone();
        tasks.spawn(async move { floor.consume(channel, queue).await });
    }
    let next = Arc::new(AtomicUsize::new(0));
    for _ in 0..crowd.clients {
        let (floor, bills, next) = (floor.clone(), Arc::clone(&bills), Arc::clone(&next));
        tasks.spawn(async move { floor.client(crowd, &bills, &next).await });
    }
    let paying = async {
        let mut times = Vec::with_capacity(crowd.bills);
        while times.len() < crowd.bills {
            let ended = tasks.join_next().await.ok_or("nobody pays any more")?;
            times.extend(ended??);
        }
        Ok::<_, Fault>(times)
    };
    let times = timeout(PATIENCE, paying).await??;
    floor.jobs.queue_delete(JOBS.into(), QueueDeleteOptions::default()).await?;
    Ok(times)
}

async fn confirming(connection: &Connection) -> Result<Channel, Fault> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

/// The queue of the news, which goes with its connection, and a channel to read it.
async fn declared_news(connection: &Connection) -> Result<(&'static str, Channel), Fault> {
    let channel = connection.create_channel().await?;
    let own = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(NEWS.into(), own, FieldTable::default()).await?;
    Ok((NEWS, channel))
}

/// Checks that the server took a message.
async fn confirmed(sent: PublisherConfirm) -> Result<(), Fault> {
    match sent.await? {
        Confirmation::Ack(None) | Confirmation::NotRequested => Ok(()),
        _ => Err("a message was not confirmed".into()),
    }
}

impl Floor {
    async fn declare_jobs(&self) -> Result<&'static str, Fault> {
        let mut quorum = FieldTable::default();
        quorum.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        self.jobs.queue_declare(JOBS.into(), QueueDeclareOptions::durable(), quorum).await?;
        Ok(JOBS)
    }

    async fn bills(&self, count: usize) -> Result<Vec<BillRecord>, Fault> {
        let now = Timestamp::now();
        let new = NewBill {
            owner: self.owner,
            amount: Fen::new(1_250).ok_or("not an amount")?,
            currency: Currency::Cny,
            subject: "tea".to_owned(),
            client_ref: None,
            expires_at: now + LIFE,
        };
        let bill = |_| BillRecord::open(new.clone(), BillSn::generate(now), now);
        let bills: Vec<_> = (0..count).map(bill).collect();
        for bills in bills.chunks(BATCH) {
            Command::insert("bills", bills)?.send(&self.database).await?;
        }
        Ok(bills)
    }

    /// Tells whoever waits for a message that it came, until it is dropped.
    async fn consume(&self, channel: Channel, queue: &str) -> Result<Vec<Duration>, Fault> {
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let mut messages =
            channel.basic_consume(queue.into(), "".into(), options, arguments).await?;
        while let Some(message) = messages.next().await {
            let message = message?;
            let id = message.properties.message_id().as_ref().ok_or("a message without an id")?;
            let id: JobId = id.as_str().parse()?;
            let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
            if let Some(waiting) = waiting {
                // Whoever waited is gone only with the measurement.
                let _ = waiting.send(());
            }
            message.acker.ack(BasicAckOptions::default()).await?;
        }
        Err("the queue is gone".into())
    }

    /// Pays one bill after the other.
    async fn client(
        &self,
        crowd: Crowd,
        bills: &[BillRecord],
        next: &AtomicUsize,
    ) -> Result<Vec<Duration>, Fault> {
        let mut times = Vec::new();
        while let Some(bill) = bills.get(next.fetch_add(1, Ordering::Relaxed)) {
            if !crowd.pause.is_zero() {
                tokio::time::sleep(crowd.pause.mul_f64(rand::random())).await;
            }
            let begun = Instant::now();
            let paid = self.pay(bill.clone(), crowd.provider).await?;
            times.push(begun.elapsed().saturating_sub(paid.provider));
            self.save("jobs", &paid.settled).await?;
            for sent in paid.sent {
                confirmed(sent).await?;
            }
        }
        Ok(times)
    }

    /// All that is durable before a payer has something to pay with.
    async fn pay(&self, bill: BillRecord, answers: Duration) -> Result<Paid, Fault> {
        self.read(&bill).await?;
        let order = order(&bill);
        let (job, announced) = self.accept(&order).await?;
        let now = Timestamp::now();
        let hold = Lease { holder: "floor".to_owned(), until: now + LIFE };
        let begun = bill.begin_attempt(&order.way(), 0, now)?.held_by(hold);
        self.save("bills", &begun).await?;

        let reply = json!({ "code_url": "weixin://wxpay/bizpayurl/up?pr=NwY5Mz9&groupid=00" });
        let offered = async {
            let called = Instant::now();
            tokio::time::sleep(answers).await;
            let provider = called.elapsed();
            let (reply, at) = (reply.clone(), Timestamp::now());
            let offer = Offer { reply, wrapped: true, code: None, at, until: at + LIFE };
            self.save("bills", &begun.offer(1, offer, at)?).await?;
            Ok(provider)
        };
        let (provider, ()) = tokio::try_join!(offered, self.look_later(&order))?;

        let output = PayOffer { sn: order.sn, attempt: 1, reply, wrapped: true };
        let verdict = Verdict::Done(serde_json::to_value(output)?);
        let spec = JobSpec::of::<PayCreate>();
        let settled = job.settle(&spec, verdict, "floor", Timestamp::now(), 0.0)?;
        let body = serde_json::to_vec(&settled)?;
        let told = self.send(&self.news, NEWS, settled.id, &body).await?;
        Ok(Paid { provider, settled, sent: [announced, told] })
    }

    async fn read(&self, bill: &BillRecord) -> Result<(), Fault> {
        let named = doc! { "_id": bill.id.to_string(), "owner": bill.owner.get() };
        let bills = self.database.collection::<RawDocumentBuf>("bills");
        bills
            .find_one(named)
            .hint(Hint::Keys(doc! { "_id": 1 }))
            .await?
            .map(drop)
            .ok_or_else(|| "a bill is gone".into())
    }

    async fn accept(&self, order: &PayOrder) -> Result<(JobRecord, PublisherConfirm), Fault> {
        let mut new = NewJob::of::<PayCreate>(self.owner, order)?;
        new.unique_key = Some(order.unique_key());
        new.request_id = Some(format!("{:032x}", rand::random::<u128>()));
        let job = JobRecord::accept(new, "api", Timestamp::now());
        self.insert(&job).await?;
        let body = message::encode(&job, None)?;
        let announced = self.send(&self.jobs, JOBS, job.id, &body).await?;
        Ok((job, announced))
    }

    async fn look_later(&self, order: &PayOrder) -> Result<(), Fault> {
        let look = PayLook { sn: order.sn.clone(), attempt: Some(1), look: Some(0) };
        let mut new = NewJob::of::<PayQuery>(self.owner, &look)?;
        new.run_at = Some(Timestamp::now() + LIFE);
        self.insert(&JobRecord::accept(new, "floor", Timestamp::now())).await
    }

    async fn insert(&self, job: &JobRecord) -> Result<(), Fault> {
        Command::insert("jobs", &[job])?.send(&self.database).await
    }

    async fn save(
        &self,
        collection: &'static str,
        record: &impl serde::Serialize,
    ) -> Result<(), Fault> {
        Command::replace(collection, &[record])?.send(&self.database).await
    }

    /// Sends a message and waits until it has arrived.
    async fn send(
        &self,
        channel: &Channel,
        queue: &str,
        id: JobId,
        body: &[u8],
    ) -> Result<PublisherConfirm, Fault> {
        let (arrival, waiter) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, arrival);
        let mode = if queue == JOBS { 2 } else { 1 };
        let properties = BasicProperties::default()
            .with_delivery_mode(mode)
            .with_message_id(id.to_string().into());
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let sent =
            channel.basic_publish("".into(), queue.into(), options, body, properties).await?;
        waiter.await?;
        Ok(sent)
    }
}

fn order(bill: &BillRecord) -> PayOrder {
    PayOrder {
        sn: bill.id.clone(),
        channel: Provider::WeChatPay,
        scene: Scene::Native,
        code: true,
        app: "official_account".to_owned(),
        ordinal: 0,
        payer: None,
        payer_ip: None,
        card: None,
    }
}
