//! What Feat declares at the server: for each area a queue and a parked queue, and two exchanges for
//! events.
//!
//! Declaring again is free of effect. Arguments are the same on RabbitMQ 3.10 and 4.x, and spelled
//! out where the defaults differ.

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, ShortString},
};
use schemas::Queue;

/// Takes the events that workers act on from every process to every process.
pub(super) const EVENTS: &str = "feat.events";
/// Takes the others to the processes that somebody may wait at.
pub(super) const NEWS: &str = "feat.news";

/// A message that came back so often is parked. Far above what restarts and stops cause; 4.x
/// would park after 20 by itself. Attempts are counted in the job record, not here.
const RETURNS: i64 = 1_000;
/// Looking at parked messages returns them, which must not use them up.
const PARKED_RETURNS: i64 = 1_000_000;
/// More parked messages than this push out the oldest; their jobs stay in the store.
const PARKED_KEPT: i64 = 100_000;
/// Batches of events that wait for a process that does not fetch them.
const EVENT_BATCHES_KEPT: i64 = 1_000;

fn arguments<const N: usize>(pairs: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in pairs {
        table.insert(name.into(), value);
    }
    table
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// Declares everything.
pub(super) async fn declare_all(channel: &Channel) -> lapin::Result<()> {
    for queue in Queue::ALL {
        declare_queue(channel, queue).await?;
    }
    declare_events(channel).await
}

/// Declares `queue` and its parked queue.
pub(super) async fn declare_queue(channel: &Channel, queue: Queue) -> lapin::Result<()> {
    let parked = arguments([
        ("x-queue-type", text("quorum")),
        ("x-delivery-limit", AMQPValue::LongLongInt(PARKED_RETURNS)),
        ("x-max-length", AMQPValue::LongLongInt(PARKED_KEPT)),
        ("x-overflow", text("drop-head")),
    ]);
    declare(channel, queue.parked_name(), parked).await?;

    let work = arguments([
        ("x-queue-type", text("quorum")),
        ("x-delivery-limit", AMQPValue::LongLongInt(RETURNS)),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(queue.parked_name())),
        // What is parked by the server itself leaves the queue only when the parked queue has it;
        // this needs the overflow below.
        ("x-dead-letter-strategy", text("at-least-once")),
        ("x-overflow", text("reject-publish")),
    ]);
    declare(channel, queue.broker_name(), work).await
}

async fn declare(channel: &Channel, name: &str, arguments: FieldTable) -> lapin::Result<()> {
    channel.queue_declare(name.into(), QueueDeclareOptions::durable(), arguments).await.map(drop)
}

/// Declares both exchanges for events.
pub(super) async fn declare_events(channel: &Channel) -> lapin::Result<()> {
    declare_exchange(channel, EVENTS).await?;
    declare_exchange(channel, NEWS).await
}

/// Declares one of them.
pub(super) async fn declare_exchange(channel: &Channel, name: &str) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let arguments = FieldTable::default();
    channel.exchange_declare(name.into(), ExchangeKind::Fanout, options, arguments).await
}

/// Declares this process's own queue of events, which goes with the connection, and gives its name.
pub(super) async fn declare_own_events(
    channel: &Channel,
    news: bool,
) -> lapin::Result<ShortString> {
    let options = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    let bounds = arguments([
        ("x-max-length", AMQPValue::LongLongInt(EVENT_BATCHES_KEPT)),
        ("x-overflow", text("drop-head")),
    ]);
    let queue =
        channel.queue_declare(ShortString::default(), options, bounds).await?.name().clone();
    bind_events(channel, &queue, news).await?;
    Ok(queue)
}

/// Has events copied to `queue`, those for waiting callers if `news`; declares the exchanges first.
pub(super) async fn bind_events(
    channel: &Channel,
    queue: &ShortString,
    news: bool,
) -> lapin::Result<()> {
    declare_events(channel).await?;
    for exchange in [EVENTS].into_iter().chain(news.then_some(NEWS)) {
        let (options, key) = (QueueBindOptions::default(), ShortString::default());
        let (queue, arguments) = (queue.clone(), FieldTable::default());
        channel.queue_bind(queue, exchange.into(), key, options, arguments).await?;
    }
    Ok(())
}
