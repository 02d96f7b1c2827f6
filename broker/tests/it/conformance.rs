//! One suite for both engines.

use std::collections::BTreeMap;

use broker::{Depth, Status};
use futures::{StreamExt, future::join_all};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use schemas::{Event, JobId, JobState, Queue, message::MAX_RECORD_BYTES};
use tokio::sync::broadcast;

use crate::stage::{Stage, id, job, next, on_local, on_rabbit, soon, until};

macro_rules! for_both_engines {
    ($($name:ident),+ $(,)?) => {
        mod local_engine {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::on_local(super::$name).await;
            })+
        }
        mod rabbit_engine {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::on_rabbit(super::$name).await;
            })+
        }
    };
}

for_both_engines!(
    a_message_arrives_once_and_is_gone_when_acknowledged,
    a_returned_message_comes_back_first_and_marked,
    a_dropped_delivery_comes_back,
    a_parked_message_keeps_body_and_reason_and_leaves_the_queue,
    unanswered_deliveries_are_bounded,
    messages_arrive_in_order,
    a_stopped_consumer_gives_back_what_it_did_not_hand_out,
    depth_counts_messages_and_consumers,
    queues_are_apart,
    events_reach_every_receiver_everywhere,
    a_large_record_arrives_whole_and_a_larger_one_as_its_id,
    a_consumer_may_come_before_everything_else,
    nothing_is_lost_whatever_the_order_of_answers,
    a_closed_broker_takes_nothing,
    a_sound_broker_has_no_findings,
);

async fn depth_is(broker: &broker::Broker, ready: u64, consumers: u32) {
    let wanted = Depth { ready, consumers };
    until(&format!("{wanted:?}"), async || {
        let depth = broker.depth(Queue::Images).await.unwrap();
        (depth == wanted).then_some(())
    })
    .await;
}

async fn a_message_arrives_once_and_is_gone_when_acknowledged(stage: Stage) {
    let broker = stage.ready().await;
    let job = job();
    broker.publish(&job).await.unwrap();

    let mut consumer = broker.consume(Queue::Images, 10);
    let delivery = next(&mut consumer).await;
    assert_eq!((id(&delivery), delivery.redelivered), (job.id, false));
    delivery.ack().await;
    consumer.stop().await;

    depth_is(&broker, 0, 0).await;
    broker.publish(&job).await.unwrap();
    let mut consumer = broker.consume(Queue::Images, 10);
    assert!(!next(&mut consumer).await.redelivered, "the acknowledged one came back");
}

async fn a_returned_message_comes_back_first_and_marked(stage: Stage) {
    let broker = stage.ready().await;
    let jobs = [job(), job()];
    for job in &jobs {
        broker.publish(job).await.unwrap();
    }
    let mut consumer = broker.consume(Queue::Images, 1);
    next(&mut consumer).await.requeue().await;

    let again = next(&mut consumer).await;
    assert_eq!((id(&again), again.redelivered), (jobs[0].id, true));
    again.ack().await;
    assert_eq!(id(&next(&mut consumer).await), jobs[1].id);
}

async fn a_dropped_delivery_comes_back(stage: Stage) {
    let broker = stage.ready().await;
    let job = job();
    broker.publish(&job).await.unwrap();
    let mut consumer = broker.consume(Queue::Images, 1);
    drop(next(&mut consumer).await);

    let again = next(&mut consumer).await;
    assert_eq!((id(&again), again.redelivered), (job.id, true));
}

async fn a_parked_message_keeps_body_and_reason_and_leaves_the_queue(stage: Stage) {
    let broker = stage.ready().await;
    let mut consumer = broker.consume(Queue::Images, 5);
    let mut expected = Vec::new();
    for reason in ["unreadable: expected value", "schema 7 is newer"] {
        broker.publish(&job()).await.unwrap();
        let delivery = next(&mut consumer).await;
        expected.push((delivery.body.clone(), reason.to_owned()));
        delivery.park(reason).await;
    }
    consumer.stop().await;

    depth_is(&broker, 0, 0).await;
    for round in ["first look", "second look"] {
        let parked = until(round, async || {
            let parked = broker.parked(Queue::Images).await.unwrap();
            (parked.len() == 2).then_some(parked)
        });
        let parked: Vec<_> =
            parked.await.into_iter().map(|parked| (parked.body, parked.reason)).collect();
        assert_eq!(parked, expected, "{round}");
    }
    assert_eq!(broker.parked(Queue::Maintenance).await.unwrap(), []);
}

async fn unanswered_deliveries_are_bounded(stage: Stage) {
    let broker = stage.ready().await;
    for _ in 0..5 {
        broker.publish(&job()).await.unwrap();
    }
    let mut consumer = broker.consume(Queue::Images, 2);
    let held = [next(&mut consumer).await, next(&mut consumer).await];

    depth_is(&broker, 3, 1).await;
    {
        let third = std::pin::pin!(consumer.next());
        assert!(futures::poll!(third).is_pending(), "a third delivery came");
    }
    let [first, second] = held;
    first.ack().await;
    let third = next(&mut consumer).await;
    depth_is(&broker, 2, 1).await;
    drop((second, third));
}

async fn messages_arrive_in_order(stage: Stage) {
    let broker = stage.ready().await;
    let mut consumer = broker.consume(Queue::Images, 7);
    let mut sent = Vec::new();
    for _ in 0..100 {
        let job = job();
        broker.publish(&job).await.unwrap();
        sent.push(job.id);
    }
    let mut received = Vec::new();
    for _ in 0..100 {
        let delivery = next(&mut consumer).await;
        received.push(id(&delivery));
        delivery.ack().await;
    }
    assert_eq!(received, sent);
}

async fn a_stopped_consumer_gives_back_what_it_did_not_hand_out(stage: Stage) {
    let broker = stage.ready().await;
    let mut sent = Vec::new();
    for _ in 0..5 {
        let job = job();
        broker.publish(&job).await.unwrap();
        sent.push(job.id);
    }
    let mut first = broker.consume(Queue::Images, 10);
    let done = next(&mut first).await;
    let undone = next(&mut first).await;
    first.stop().await;
    until("three messages", async || {
        let depth = broker.depth(Queue::Images).await.unwrap();
        (depth.ready == 3).then_some(())
    })
    .await;

    done.ack().await;
    undone.requeue().await;
    depth_is(&broker, 4, 0).await;
    let mut second = broker.consume(Queue::Images, 10);
    let mut received = Vec::new();
    for _ in 0..4 {
        let delivery = next(&mut second).await;
        received.push(id(&delivery));
        delivery.ack().await;
    }
    received.sort();
    sent.remove(0);
    sent.sort();
    assert_eq!(received, sent);
    depth_is(&broker, 0, 1).await;
}

async fn depth_counts_messages_and_consumers(stage: Stage) {
    let broker = stage.ready().await;
    depth_is(&broker, 0, 0).await;
    for _ in 0..3 {
        broker.publish(&job()).await.unwrap();
    }
    depth_is(&broker, 3, 0).await;

    let mut one = broker.consume(Queue::Images, 1);
    let held = next(&mut one).await;
    depth_is(&broker, 2, 1).await;
    let mut two = broker.consume(Queue::Images, 1);
    held.ack().await;
    let held = [next(&mut one).await, next(&mut two).await];
    depth_is(&broker, 0, 2).await;

    drop((one, two));
    drop(held);
    depth_is(&broker, 2, 0).await;
}

async fn queues_are_apart(stage: Stage) {
    let broker = stage.ready().await;
    let mut other = job();
    other.queue = Queue::Maintenance;
    broker.publish(&job()).await.unwrap();
    broker.publish(&other).await.unwrap();

    let mut consumer = broker.consume(Queue::Maintenance, 5);
    assert_eq!(id(&next(&mut consumer).await), other.id);
    depth_is(&broker, 1, 0).await;
}

async fn gather(receiver: &mut broadcast::Receiver<Event>, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    while events.len() < count {
        events.push(soon("an event", receiver.recv()).await.unwrap());
    }
    events
}

async fn events_reach_every_receiver_everywhere(stage: Stage) {
    let (here, there) = (stage.ready().await, stage.ready().await);
    let mut receivers = [here.events(), here.events(), there.events(), there.events()];
    let news = |version| Event::Changed {
        id: JobId::generate(),
        version,
        state: JobState::Succeeded,
        job: None,
    };
    let sent: Vec<_> = (1..=3_000).map(news).collect();
    for event in &sent {
        here.send_event(event.clone());
    }
    for receiver in &mut receivers {
        assert_eq!(gather(receiver, sent.len()).await, sent);
    }

    let answer = Event::CancelRequested { id: JobId::generate() };
    there.send_event(answer.clone());
    for receiver in &mut receivers {
        assert_eq!(
            gather(receiver, 1).await,
            std::slice::from_ref(&answer),
            "once, and to everybody"
        );
    }
}

async fn a_large_record_arrives_whole_and_a_larger_one_as_its_id(stage: Stage) {
    let broker = stage.ready().await;
    let mut consumer = broker.consume(Queue::Images, 5);
    for (name, size, arrives_whole) in
        [("whole", MAX_RECORD_BYTES - 2_000, true), ("as its id", MAX_RECORD_BYTES, false)]
    {
        let mut job = job();
        job.payload = "x".repeat(size).into();
        broker.publish(&job).await.unwrap();

        let delivery = next(&mut consumer).await;
        assert_eq!(id(&delivery), job.id, "{name}");
        assert_eq!(delivery.body.len() > size, arrives_whole, "{name}");
        delivery.ack().await;
    }
}

async fn a_consumer_may_come_before_everything_else(stage: Stage) {
    let broker = stage.broker();
    let mut consumer = broker.consume(Queue::Images, 5);
    let job = job();
    crate::stage::publish(&broker, &job).await;

    assert_eq!(id(&next(&mut consumer).await), job.id);
}

/// Several processes publish and consume at once and answer in a random order, some deliveries
/// by a return, some by dropping them.
async fn nothing_is_lost_whatever_the_order_of_answers(stage: Stage) {
    const JOBS: usize = 600;
    let seed = std::env::var("FEAT_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    println!("FEAT_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);

    let (publishing, consuming) = (stage.ready().await, stage.broker());
    let jobs: Vec<_> = (0..JOBS).map(|_| job()).collect();
    let publications = futures::stream::iter(&jobs)
        .for_each_concurrent(64, async |job| publishing.publish(job).await.unwrap());
    let mut consumers = [consuming.consume(Queue::Images, 40), consuming.consume(Queue::Images, 9)];
    let mut done: BTreeMap<JobId, u32> = BTreeMap::new();
    let consumption = async {
        while done.len() < JOBS {
            let [one, two] = &mut consumers;
            let mut held = Vec::new();
            held.push(soon("a delivery", async {
                tokio::select! { delivery = one.next() => delivery, delivery = two.next() => delivery }
            }).await);
            for consumer in &mut consumers {
                while let std::task::Poll::Ready(more) =
                    futures::poll!(std::pin::pin!(consumer.next()))
                {
                    held.push(more);
                }
            }
            held.shuffle(&mut random);
            for delivery in held {
                match random.random_range(0..10) {
                    0 => delivery.requeue().await,
                    1 => drop(delivery),
                    _ => {
                        *done.entry(id(&delivery)).or_default() += 1;
                        delivery.ack().await;
                    }
                }
            }
        }
    };
    tokio::join!(publications, consumption);

    assert!(done.values().all(|count| *count == 1), "seed {seed}: acknowledged twice");
    depth_is(&publishing, 0, 2).await;
    join_all(consumers.map(broker::Consumer::stop)).await;
    depth_is(&publishing, 0, 0).await;
}

async fn a_closed_broker_takes_nothing(stage: Stage) {
    let broker = stage.ready().await;
    assert_eq!(broker.status(), Status::Ready);
    let mut consumer = broker.consume(Queue::Images, 5);
    soon("end", broker.close()).await;
    soon("second end", broker.close()).await;

    assert_eq!(broker.status(), Status::Down);
    assert_eq!(broker.publish(&job()).await, Err(broker::PublishError::Down));
    assert!(futures::poll!(std::pin::pin!(consumer.next())).is_pending());
    soon("stop", consumer.stop()).await;
}

async fn a_sound_broker_has_no_findings(stage: Stage) {
    let findings = stage.ready().await.check().await;

    assert!(!findings.is_empty());
    assert!(findings.iter().all(|finding| finding.problem.is_none()), "{findings:?}");
}
