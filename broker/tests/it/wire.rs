//! What a message looks like to others at the server, and what a broken server looks like to us.

use std::time::{Duration, Instant};

use broker::{Broker, BrokerError, PublishError, Status};
use lapin::{
    Channel, Connection, ConnectionProperties, ExchangeKind,
    options::{BasicGetOptions, ExchangeDeclareOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use schemas::{Event, JobId, Queue};

use crate::stage::{PREPARED, Vhost, broker_at, broker_of, job, next, on_vhost, soon, until};

async fn channel(vhost: &Vhost) -> Channel {
    let properties = ConnectionProperties::default();
    let connection = Connection::connect(&vhost.uri(), properties).await.unwrap();
    connection.create_channel().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_says_what_it_is_and_survives_a_restart() {
    on_vhost(async |vhost| {
        let broker = vhost.ready().await;
        let mut job = job();
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        job.trace_parent = Some(trace.to_owned());
        broker.publish(&job).await.unwrap();

        let queue = Queue::Images.broker_name().into();
        let got = channel(&vhost).await.basic_get(queue, BasicGetOptions::default()).await;
        let message = got.unwrap().unwrap();
        let properties = &message.properties;
        let headers = properties.headers().as_ref().unwrap().inner();

        assert_eq!(*properties.delivery_mode(), Some(2));
        assert_eq!(properties.message_id().as_ref().unwrap().as_str(), job.id.to_string());
        assert_eq!(properties.kind().as_ref().unwrap().as_str(), job.kind);
        assert_eq!(properties.content_type().as_ref().unwrap().as_str(), "application/json");
        assert_eq!(headers.get("traceparent"), Some(&AMQPValue::LongString(trace.into())));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_nobody_waits_at_is_not_sent_what_becomes_of_jobs() {
    on_vhost(async |vhost| {
        let (sender, worker) = (vhost.ready().await, broker_of(&vhost.uri(), false));
        worker.ready(PREPARED).await.unwrap();
        let (mut all, mut orders) = (worker.events(), worker.worker_events());
        let changed = Event::changed(&job());
        let wish = Event::CancelRequested { id: JobId::generate() };
        for event in [&changed, &wish, &changed] {
            sender.send_event(event.clone());
        }
        assert_eq!(soon("an event", all.recv()).await.unwrap(), wish);
        assert_eq!(soon("an event", orders.recv()).await.unwrap(), wish);

        // What it says itself it hears all the same.
        worker.send_event(changed.clone());
        worker.send_event(wish.clone());
        assert_eq!(soon("an event", all.recv()).await.unwrap(), changed);
        assert_eq!(soon("an event", orders.recv()).await.unwrap(), wish);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_go_on_coming_however_many_there_were() {
    on_vhost(async |vhost| {
        let (here, there) = (vhost.ready().await, vhost.ready().await);
        let mut received = there.events();
        // One at a time, so that each is a message, and many more than are fetched ahead.
        for _ in 0..300 {
            let event = Event::changed(&job());
            here.send_event(event.clone());
            assert_eq!(soon("an event", received.recv()).await.unwrap(), event);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_back_for_ever_is_parked_by_the_server() {
    on_vhost(async |vhost| {
        let broker = vhost.ready().await;
        broker.publish(&job()).await.unwrap();
        let mut consumer = broker.consume(Queue::Images, 1);
        let mut returned = 0;
        let parked = async {
            loop {
                tokio::select! {
                    delivery = consumer.next() => {
                        returned += 1;
                        delivery.requeue().await;
                    }
                    found = until("the parked message", async || {
                        broker.parked(Queue::Images).await.unwrap().pop()
                    }) => return found,
                }
            }
        };
        let parked = tokio::time::timeout(PREPARED * 5, parked).await.unwrap();

        assert_eq!(parked.reason, "delivery_limit");
        assert!((1_000..=1_002).contains(&returned), "{returned}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_answered_when_a_broker_closes_is_delivered_to_others() {
    on_vhost(async |vhost| {
        let broker = vhost.ready().await;
        for _ in 0..4 {
            broker.publish(&job()).await.unwrap();
        }
        let mut consumer = broker.consume(Queue::Images, 10);
        next(&mut consumer).await.ack().await;
        let held = next(&mut consumer).await;
        broker.close().await;
        held.ack().await;

        let other = vhost.ready().await;
        until("three messages", async || {
            let depth = other.depth(Queue::Images).await.unwrap();
            (depth.ready == 3 && depth.consumers == 0).then_some(())
        })
        .await;
        assert_eq!(vhost_of_nobody(&vhost, &other).await, 2);
    })
    .await;
}

/// Connections of the vhost once only those of `left` are there.
async fn vhost_of_nobody(vhost: &Vhost, left: &Broker) -> usize {
    assert_eq!(left.status(), Status::Ready);
    until("two connections", async || {
        let open = vhost.connections().await.len();
        (open == 2).then_some(open)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_broker_disconnects() {
    on_vhost(async |vhost| {
        let broker = vhost.ready().await;
        let consumer = broker.consume(Queue::Images, 1);
        until("connections", async || (vhost.connections().await.len() == 2).then_some(())).await;
        drop((broker, consumer));
        until("no connection", async || vhost.connections().await.is_empty().then_some(())).await;
    })
    .await;
}

/// Every call ends soon and says that the server is not there.
async fn is_down(broker: &Broker, why: &str) -> BrokerError {
    let begun = Instant::now();
    assert_eq!(broker.status(), Status::Down, "{why}");
    assert_eq!(broker.publish(&job()).await, Err(PublishError::Down), "{why}");
    assert!(begun.elapsed() < Duration::from_secs(1), "{why}: a publication waited");

    let error = broker.ready(Duration::from_secs(7)).await.unwrap_err();
    let findings = soon("findings", broker.check()).await;
    assert!(findings.iter().any(|finding| finding.problem.is_some()), "{why}: {findings:?}");
    let consumer = broker.consume(Queue::Images, 1);
    soon("stop", consumer.stop()).await;
    soon("end", broker.close()).await;
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_waits_for_a_server_that_is_not_there() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let cases = [("nobody listens", closed), ("nobody answers", silent.local_addr().unwrap())];
    let checks = cases.map(async |(why, address)| {
        let broker = broker_at(&format!("amqp://guest:guest@{address}/feat"));
        let error = is_down(&broker, why).await;
        assert!(matches!(error, BrokerError::Unavailable(_)), "{why}: {error}");
    });
    futures::future::join_all(checks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_what_an_operator_must_change() {
    on_vhost(async |vhost| {
        let name = vhost.name.as_str();
        let uri = vhost.uri();
        let cases = [
            ("no such vhost", uri.replace(name, "not-there"), "not-there"),
            (
                "wrong password",
                uri.replace("//guest:guest@", "//guest:wrong@"),
                "Login was refused",
            ),
        ];
        for (why, uri, text) in cases {
            let error = is_down(&broker_at(&uri), why).await;
            assert!(matches!(error, BrokerError::Refused(_)), "{why}: {error}");
            assert!(error.to_string().contains(text), "{why}: {error}");
            assert!(!error.to_string().contains("wrong"), "{why}: {error}");
        }
    })
    .await;
}

/// What the server has against the broker's declarations.
async fn refusal(broker: &Broker) -> String {
    until("a refusal", async || match broker.ready(Duration::from_secs(2)).await {
        Err(BrokerError::Refused(text)) => Some(text),
        Ok(()) | Err(_) => None,
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_somebody_declared_otherwise_is_named() {
    on_vhost(async |vhost| {
        let queue = Queue::Images.broker_name();
        channel(&vhost)
            .await
            .queue_declare(queue.into(), QueueDeclareOptions::durable(), FieldTable::default())
            .await
            .unwrap();

        let broker = vhost.broker();
        let text = refusal(&broker).await;
        assert!(text.contains(queue), "{text}");
        let findings = broker.check().await;
        let wrong: Vec<_> = findings.iter().filter(|finding| finding.problem.is_some()).collect();
        assert_eq!(wrong.len(), 1, "{findings:?}");
        assert!(wrong[0].what.ends_with(queue), "{findings:?}");

        vhost.delete_queue(queue).await;
        broker.ready(PREPARED).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_that_somebody_declared_otherwise_is_named() {
    for exchange in ["feat.events", "feat.news"] {
        on_vhost(async |vhost| {
            let (kind, options) = (ExchangeKind::Direct, ExchangeDeclareOptions::default());
            let channel = channel(&vhost).await;
            let arguments = FieldTable::default();
            channel.exchange_declare(exchange.into(), kind, options, arguments).await.unwrap();

            let broker = vhost.broker();
            let text = refusal(&broker).await;
            assert!(text.contains(exchange), "{text}");
            let findings = broker.check().await;
            let wrong: Vec<_> = findings.iter().filter(|one| one.problem.is_some()).collect();
            assert_eq!(wrong.len(), 1, "{findings:?}");
            assert!(wrong[0].what.ends_with(exchange), "{findings:?}");
        })
        .await;
    }
}
