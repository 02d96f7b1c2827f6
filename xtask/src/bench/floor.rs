//! What RabbitMQ and MongoDB can do at most on this machine: the writes and messages of a
//! deletion, in batches, with nothing of Feat around them.
//!
//! For each job: one insert of the job, one update of the picture that hides it, one persistent
//! message with its confirmation over a quorum queue, one update of the picture that marks its
//! files as going, one update of the job, one acknowledgement. The records, the collections with
//! their indexes and the write concern are Feat's; up to 4 commands are in flight.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, future::try_join_all};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties,
    message::Delivery,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
        ConfirmSelectOptions, QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
};
use mongodb::{Client, Database};
use schemas::{
    JobRecord, Timestamp, UserId,
    image::ImageRecord,
    message::{self, Subject},
};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

use super::{
    Fault,
    documents::{self, BATCH, Command},
};

const QUEUE: &str = "floor";
/// Commands of MongoDB that are in flight at a time.
const COMMANDS: usize = 4;
/// Tasks that produce, and as many that consume, so that no command waits for a message.
const LANES: usize = 4;
/// How long no batch may end before the measurement is given up.
const STALLED: Duration = Duration::from_mins(1);

/// The services, and what every lane shares.
#[derive(Clone)]
struct Floor {
    database: Database,
    connection: Arc<Connection>,
    commands: Arc<Semaphore>,
    owner: UserId,
}

/// How long `jobs` jobs take; `name` is a database with Feat's collections.
pub(super) async fn measure(
    mongodb: &str,
    name: &str,
    rabbitmq: &str,
    jobs: usize,
) -> Result<Duration, Fault> {
    let floor = Floor::connect(mongodb, name, rabbitmq).await?;
    documents::store_images(&floor.database, floor.owner, jobs).await?;
    let (done, mut batches) = mpsc::unbounded_channel();
    let mut lanes = JoinSet::new();
    for _ in 0..LANES {
        let (consumer, done) = (floor.clone(), done.clone());
        let channel = floor.channel().await?;
        lanes.spawn(async move { consumer.consume(channel, &done).await });
    }
    let begun = Instant::now();
    for lane in 0..LANES {
        let producer = floor.clone();
        let numbers: Vec<_> = (lane * jobs / LANES..(lane + 1) * jobs / LANES).collect();
        let channel = floor.channel().await?;
        lanes.spawn(async move { producer.produce(channel, &numbers).await });
    }
    let mut finished = 0;
    while finished < jobs {
        tokio::select! {
            Some(count) = batches.recv() => finished += count,
            Some(ended) = lanes.join_next() => ended??,
            () = tokio::time::sleep(STALLED) => return Err("the floor's jobs do not end".into()),
        }
    }
    let elapsed = begun.elapsed();
    floor.channel().await?.queue_delete(QUEUE.into(), <_>::default()).await?;
    Ok(elapsed)
}

impl Floor {
    async fn connect(mongodb: &str, name: &str, rabbitmq: &str) -> Result<Self, Fault> {
        let database = Client::with_uri_str(mongodb).await?.database(name);
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(&format!("{rabbitmq}/%2f"), properties).await?;
        let floor = Self {
            database,
            connection: Arc::new(connection),
            commands: Arc::new(Semaphore::new(COMMANDS)),
            owner: UserId::generate(),
        };
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        let channel = floor.channel().await?;
        channel.queue_declare(QUEUE.into(), QueueDeclareOptions::durable(), arguments).await?;
        Ok(floor)
    }

    async fn channel(&self) -> Result<Channel, Fault> {
        Ok(self.connection.create_channel().await?)
    }

    async fn send(&self, command: Command) -> Result<(), Fault> {
        let _permit = self.commands.acquire().await?;
        command.send(&self.database).await
    }

    /// What the API does for the pictures of these numbers.
    async fn produce(&self, channel: Channel, numbers: &[usize]) -> Result<(), Fault> {
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        for numbers in numbers.chunks(BATCH) {
            let (mut jobs, mut hidden) = (Vec::new(), Vec::new());
            for number in numbers {
                let image = documents::image(self.owner, *number)?;
                let job = documents::deletion(&image)?;
                hidden.push(image.delete(job.id, job.created_at));
                jobs.push(job);
            }
            self.send(Command::insert("jobs", &jobs)?).await?;
            self.send(Command::replace("images", &hidden)?).await?;
            publish(&channel, &jobs).await?;
        }
        Ok(())
    }

    /// What the worker does, until it is dropped.
    async fn consume(
        &self,
        channel: Channel,
        done: &mpsc::UnboundedSender<usize>,
    ) -> Result<(), Fault> {
        let prefetch = u16::try_from(2 * BATCH)?;
        channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = channel.basic_consume(QUEUE.into(), "".into(), options, arguments).await?;
        let mut batches = consumer.ready_chunks(BATCH);
        while let Some(batch) = batches.next().await {
            let batch: Vec<_> = batch.into_iter().collect::<Result<_, _>>()?;
            let Some(last) = batch.last().map(|last| last.delivery_tag) else { continue };
            let (purging, settled) = self.outcomes(&batch)?;
            self.send(Command::replace("images", &purging)?).await?;
            self.send(Command::replace("jobs", &settled)?).await?;
            channel.basic_ack(last, BasicAckOptions { multiple: true }).await?;
            done.send(batch.len())?;
        }
        Err("the queue is gone".into())
    }

    fn outcomes(&self, batch: &[Delivery]) -> Result<(Vec<ImageRecord>, Vec<JobRecord>), Fault> {
        let (mut purging, mut settled) = (Vec::new(), Vec::new());
        for delivery in batch {
            let Subject::Job(job) = message::decode(&delivery.data)?.subject else {
                return Err("a message without its job".into());
            };
            let id = job.payload["image"].as_i64().ok_or("a job without its picture")?;
            let image = documents::image(self.owner, usize::try_from(id - 1)?)?;
            purging.push(image.delete(job.id, job.created_at).purge(job.id, Timestamp::now()));
            settled.push(documents::settled(*job)?);
        }
        Ok((purging, settled))
    }
}

/// Sends a message for each job and waits for all confirmations.
async fn publish(channel: &Channel, jobs: &[JobRecord]) -> Result<(), Fault> {
    let mut confirms = Vec::with_capacity(jobs.len());
    for job in jobs {
        let properties = BasicProperties::default().with_delivery_mode(2);
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let body = message::encode(job, None)?;
        let sent =
            channel.basic_publish("".into(), QUEUE.into(), options, &body, properties).await?;
        confirms.push(sent);
    }
    for confirmation in try_join_all(confirms).await? {
        if !matches!(confirmation, Confirmation::Ack(None)) {
            return Err("a message was not confirmed".into());
        }
    }
    Ok(())
}
