//! How a worker process works: how much at once, how long, how often.

use std::{collections::BTreeMap, time::Duration};

use schemas::Queue;

/// The settings of one worker process.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name of this process in leases and histories; unique among all running workers.
    pub name: String,
    /// The queues that it serves.
    pub queues: BTreeMap<Queue, QueueSettings>,
    /// Length of a lease. It is renewed three times in that span; a job whose worker was killed
    /// is taken over after at most this long.
    pub lease: Duration,
    /// Pause between two looks for jobs that became due.
    pub schedule_interval: Duration,
    /// Pause between two looks for jobs whose message was lost.
    pub sweep_interval: Duration,
    /// How much longer than the queue's oldest message a job must have waited before its message
    /// counts as lost. Longer than a worker usually keeps a message in hand.
    pub sweep_margin: Duration,
    /// How long settled jobs are kept.
    pub retention: Duration,
    /// How long work in hand may go on after the signal to stop.
    pub shutdown_deadline: Duration,
}

/// How one queue is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueSettings {
    /// Jobs that run at the same time, 1 or more.
    pub concurrency: usize,
    /// Messages that the broker may send ahead, at least `concurrency`.
    pub prefetch: u16,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self { concurrency: 512, prefetch: 1_024 }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let few = QueueSettings { concurrency: 2, prefetch: 2 };
        Self {
            name: format!("worker-{:08x}", rand::random::<u32>()),
            queues: BTreeMap::from([
                (Queue::Images, QueueSettings::default()),
                (Queue::Maintenance, few),
            ]),
            lease: Duration::from_secs(10),
            schedule_interval: Duration::from_millis(500),
            sweep_interval: Duration::from_secs(1),
            sweep_margin: Duration::from_secs(5),
            retention: Duration::from_hours(72),
            shutdown_deadline: Duration::from_secs(20),
        }
    }
}
