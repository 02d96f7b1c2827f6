//! The pipeline: take a message, run its job, settle the record, acknowledge.
//!
//! What must always hold: a message is acknowledged only after the outcome is saved or somebody
//! else is known to care for the job; a run that could collide with another one holds a lease;
//! whatever happens to a handler (panic, time-out, shutdown), its slot is freed and its job is
//! settled, retried or returned.

mod attempt;
mod calm;
mod fault;
mod given_up;
mod handler;
mod handlers;
mod held;
mod in_flight;
mod lease;
mod matching;
mod patience;
mod paying;
mod pipeline;
mod pushing;
mod registry;
mod runner;
mod scheduler;
mod settings;
mod sweep;
mod timetable;
mod trace;
mod webhooks;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use broker::Broker;
use providers::{apns::Apns, blobs::Blobs, till::Till, webhook::Webhooks};
use schemas::{Channel, Queue, Timestamp, matching::DifferenceClass};
use store::Store;
use tokio::time::{Instant, sleep_until};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

#[cfg(feature = "fault-points")]
pub use fault::{Trap, arm_thread};
pub use handler::{Context, Handler, Undo};
pub use registry::{Registry, registry};
pub use settings::{PayPace, QueueSettings, Settings, TokenLife};

use calm::Calm;
use held::Held;
use in_flight::InFlight;
use pushing::Pushing;
use runner::Runner;
use sweep::Flow;

/// What a worker process works with.
#[derive(Clone)]
pub struct Workers {
    /// Where jobs and pictures are.
    pub store: Store,
    /// Where messages come from.
    pub broker: Broker,
    /// Where files are.
    pub blobs: Blobs,
    /// Where bills are paid.
    pub till: Till,
    /// The way to Apple, if one is configured.
    pub apns: Option<Apns>,
    /// The back ends that want to hear of events.
    pub webhooks: Webhooks,
    /// How much at once, how long, how often.
    pub settings: Settings,
    /// The handlers, [`registry()`] but in tests.
    pub registry: Arc<Registry>,
}

/// How the work ended at shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Runs that came to their end since the start.
    pub finished: u64,
    /// Runs that the deadline cut off; their jobs went back to the queue.
    pub returned: u64,
}

/// What every part of one worker process shares.
struct Shared {
    workers: Workers,
    in_flight: InFlight,
    held: Held,
    flow: Flow,
    calm: Arc<Calm>,
    push: Arc<Pushing>,
    /// Set with the signal to stop: runs that work in steps begin no further one.
    stopping: CancellationToken,
    /// Set at the deadline of the shutdown: runs end now.
    cut_off: CancellationToken,
    finished: AtomicU64,
    returned: AtomicU64,
}

/// Works until `shutdown` is cancelled and the work in hand has ended or the deadline of
/// [`Settings::shutdown_deadline`] has passed. What is cut off then goes back to the queue and
/// spends no attempt.
pub async fn run(workers: Workers, shutdown: CancellationToken) -> Drained {
    let push = Arc::new(Pushing::new(workers.apns.clone(), workers.settings.push_probe));
    let shared = Arc::new(Shared {
        workers,
        in_flight: InFlight::new(Timestamp::now()),
        held: Held::default(),
        flow: Flow::default(),
        calm: Arc::new(Calm::new()),
        push,
        stopping: shutdown.clone(),
        cut_off: CancellationToken::new(),
        finished: AtomicU64::new(0),
        returned: AtomicU64::new(0),
    });
    begin_counters();
    let parts = TaskTracker::new();
    for (queue, settings) in shared.workers.settings.queues.clone() {
        let runner = Runner::new(Arc::clone(&shared));
        parts.spawn(pipeline::consume(runner, queue, settings, shutdown.clone()));
    }
    parts.spawn(in_flight::hear_events(Arc::clone(&shared), shutdown.clone()));
    parts.spawn(held::announce(Arc::clone(&shared), shutdown.clone()));
    parts.spawn(scheduler::publish_due(Arc::clone(&shared), shutdown.clone()));
    parts.spawn(sweep::republish_lost(Arc::clone(&shared), shutdown.clone()));
    parts.spawn(timetable::keep(Arc::clone(&shared), shutdown.clone()));
    parts.close();

    shutdown.cancelled().await;
    let deadline = Instant::now() + shared.workers.settings.shutdown_deadline;
    tokio::select! {
        () = parts.wait() => {}
        () = sleep_until(deadline) => {
            shared.cut_off.cancel();
            parts.wait().await;
        }
    }
    Drained {
        finished: shared.finished.load(Ordering::Relaxed),
        returned: shared.returned.load(Ordering::Relaxed),
    }
}

/// Sets the counters to zero that somebody watches for their first increment: they have to be there
/// before it. [`run`] does so, too; a process that can be asked for its metrics before calls this
/// first. Repeating it changes nothing.
pub fn begin_counters() {
    pushing::begin_counters();
    metrics::describe_counter!(
        "feat_messages_parked_total",
        "Messages that no worker can read; they are kept aside for a person."
    );
    metrics::describe_counter!(
        "feat_jobs_republished_total",
        "Jobs that were published again: retries that were due, ended leases, lost messages."
    );
    metrics::describe_counter!("feat_jobs_run_total", "Runs of jobs, by kind and how they ended.");
    metrics::describe_counter!(
        "feat_pay_bill_differences_total",
        "Differences between a provider's bill of a day and ours, by their class."
    );
    metrics::describe_counter!(
        "feat_pay_bills_matched_total",
        "Bills of a day that were matched with our own, by provider."
    );
    metrics::describe_histogram!(
        "feat_job_run_seconds",
        "Time from a message to the recorded outcome, by kind and verdict."
    );
    metrics::describe_gauge!(
        "feat_queue_ready",
        "Messages that wait for a worker, as of this worker's last look."
    );
    metrics::counter!("feat_messages_parked_total").increment(0);
    for channel in Channel::ALL {
        for class in DifferenceClass::ALL {
            metrics::counter!("feat_pay_bill_differences_total",
                "channel" => channel.name(), "class" => class.name())
            .increment(0);
        }
    }
    paying::begin_counters();
    for queue in Queue::ALL {
        for why in [scheduler::DUE, scheduler::LEASE_ENDED, sweep::MESSAGE_LOST] {
            metrics::counter!("feat_jobs_republished_total", "why" => why, "queue" => queue.name())
                .increment(0);
        }
    }
}
