//! What only the queues of the process do.

use broker::{Broker, PARKED_SHOWN, PublishError};
use schemas::Queue;

use crate::stage::{id, job, next};

#[tokio::test]
async fn a_full_queue_takes_nothing_more_until_something_is_fetched() {
    let broker = Broker::local(2);
    let jobs = [job(), job(), job()];
    broker.publish(&jobs[0]).await.unwrap();
    broker.publish(&jobs[1]).await.unwrap();
    assert_eq!(broker.publish(&jobs[2]).await, Err(PublishError::Full));

    let mut consumer = broker.consume(Queue::Images, 1);
    let held = next(&mut consumer).await;
    broker.publish(&jobs[2]).await.unwrap();

    // What comes back has its place even in a full queue.
    held.requeue().await;
    for job in jobs {
        let delivery = next(&mut consumer).await;
        assert_eq!(id(&delivery), job.id);
        delivery.ack().await;
    }
}

#[tokio::test]
async fn only_the_newest_parked_messages_are_kept() {
    let broker = Broker::local(10);
    let mut consumer = broker.consume(Queue::Images, 1);
    for number in 0..PARKED_SHOWN + 2 {
        broker.publish(&job()).await.unwrap();
        next(&mut consumer).await.park(&number.to_string()).await;
    }

    let parked = broker.parked(Queue::Images).await.unwrap();
    assert_eq!((parked.len(), parked[0].reason.as_str()), (PARKED_SHOWN, "2"));
}
