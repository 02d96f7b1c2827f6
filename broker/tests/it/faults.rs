//! What RabbitMQ loses under us comes back by itself, and what was confirmed is not lost.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
};

use broker::PublishError;
use futures::StreamExt;
use schemas::{Event, JobId, Queue};
use tokio::sync::Mutex;

use crate::stage::{Vhost, id, job, next, on_vhost, publish, soon, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_deleted_under_its_consumer_is_declared_and_consumed_again() {
    on_vhost(async |vhost| {
        let broker = vhost.ready().await;
        let mut consumer = broker.consume(Queue::Images, 10);
        for round in 0..3 {
            publish(&broker, &job()).await;
            let held = next(&mut consumer).await;
            vhost.delete_queue(Queue::Images.broker_name()).await;
            held.ack().await;

            let job = job();
            publish(&broker, &job).await;
            let delivery = next(&mut consumer).await;
            assert_eq!(id(&delivery), job.id, "round {round}");
            delivery.ack().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_for_a_missing_queue_is_not_confirmed_and_the_next_one_is() {
    on_vhost(async |vhost| {
        let broker = vhost.ready().await;
        vhost.delete_queue(Queue::Images.broker_name()).await;
        assert_eq!(broker.publish(&job()).await, Err(PublishError::Unroutable));

        publish(&broker, &job()).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parking_survives_a_missing_parked_queue() {
    on_vhost(async |vhost| {
        let broker = vhost.ready().await;
        publish(&broker, &job()).await;
        let mut consumer = broker.consume(Queue::Images, 10);
        let delivery = next(&mut consumer).await;
        vhost.delete_queue(Queue::Images.parked_name()).await;
        soon("park", delivery.park("unreadable")).await;

        until("the parked message", async || broker.parked(Queue::Images).await.ok()?.pop()).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_back_after_their_exchange_was_deleted() {
    on_vhost(async |vhost| {
        let (here, there) = (vhost.ready().await, vhost.ready().await);
        let wish = Event::CancelRequested { id: JobId::generate() };
        for (exchange, event) in [("feat.events", wish), ("feat.news", Event::changed(&job()))] {
            let mut received = there.events();
            let path = format!("exchanges/{}/{exchange}", vhost.name);
            vhost.manage(reqwest::Method::DELETE, &path).await;

            until("an event", async || {
                here.send_event(event.clone());
                received.try_recv().ok()
            })
            .await;
        }
    })
    .await;
}

/// Closes every connection at the server, several times, under load.
async fn cut(vhost: &Vhost, rounds: usize) {
    for round in 0..rounds {
        let names = until("connections", async || {
            let names = vhost.connections().await;
            (!names.is_empty()).then_some(names)
        });
        let names = names.await;
        for name in &names {
            eprintln!("round {round}: closing {name}");
            vhost.close_connection(name).await;
        }
        until("closed connections", async || {
            let open = vhost.connections().await;
            names.iter().all(|name| !open.contains(name)).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_confirmed_is_lost_when_connections_are_cut() {
    on_vhost(async |vhost| {
        let broker = vhost.ready().await;
        let confirmed = Mutex::new(BTreeSet::new());
        let over = AtomicBool::new(false);

        let publishing = futures::stream::iter(0..8).for_each_concurrent(None, async |_| {
            while !over.load(Ordering::Relaxed) {
                let job = job();
                match broker.publish(&job).await {
                    Ok(()) => drop(confirmed.lock().await.insert(job.id)),
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        });
        let mut consumer = broker.consume(Queue::Images, 50);
        let consuming = async {
            let mut done = BTreeSet::new();
            loop {
                let delivery = next(&mut consumer).await;
                done.insert(id(&delivery));
                delivery.ack().await;
                if over.load(Ordering::Relaxed) && confirmed.lock().await.is_subset(&done) {
                    return done;
                }
            }
        };
        let cutting = async {
            cut(&vhost, 3).await;
            // The connections that come after the last cut must work as well.
            let before = confirmed.lock().await.len();
            until("confirms after the cut", async || {
                (confirmed.lock().await.len() > before + 100).then_some(())
            })
            .await;
            over.store(true, Ordering::Relaxed);
            // So that the consumer looks once more.
            publish(&broker, &job()).await;
        };
        let ((), done, ()) = tokio::join!(publishing, consuming, cutting);

        let confirmed = confirmed.into_inner();
        eprintln!("{} confirmed, {} consumed", confirmed.len(), done.len());
    })
    .await;
}
