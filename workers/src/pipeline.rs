//! One queue: messages in, runs out, a bounded number at a time.

use std::sync::Arc;

use broker::Delivery;
use schemas::{
    Queue,
    message::{self, Subject},
};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    runner::{Answer, Runner},
    settings::QueueSettings,
};

/// Serves `queue` until `shutdown`, then waits for the runs in hand.
pub(crate) async fn consume(
    runner: Runner,
    queue: Queue,
    settings: QueueSettings,
    shutdown: CancellationToken,
) {
    let mut consumer = runner.broker().consume(queue, settings.prefetch);
    let slots = Arc::new(Semaphore::new(settings.concurrency.max(1)));
    let runs = TaskTracker::new();
    loop {
        let next = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, consumer.next().await)
        };
        let (slot, delivery) = tokio::select! {
            next = next => next,
            () = shutdown.cancelled() => break,
        };
        let runner = runner.clone();
        runs.spawn(async move {
            let _slot = slot;
            answer(&runner, delivery).await;
        });
    }
    consumer.stop().await;
    runs.close();
    runs.wait().await;
}

async fn answer(runner: &Runner, delivery: Delivery) {
    let answer = match message::decode(&delivery.body) {
        Ok(Subject::Job(job)) => runner.run(*job, delivery.redelivered).await,
        Ok(Subject::JobId(id)) => runner.run_by_id(id).await,
        Err(unreadable) => Answer::Park(unreadable.to_string()),
    };
    match answer {
        Answer::Ack => delivery.ack().await,
        Answer::Requeue => delivery.requeue().await,
        Answer::Park(reason) => {
            tracing::error!(reason, "a message was set aside");
            metrics::counter!("feat_messages_parked_total").increment(1);
            delivery.park(&reason).await;
        }
    }
}
