//! How a worker process works: how much at once, how long, how often.

use std::{collections::BTreeMap, time::Duration};

use schemas::{Queue, push_token::BrakePolicy};

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
    /// How often unanswered questions about money are asked.
    pub pay_pace: PayPace,
    /// Pause before one push is tried of an app that Apple has refused as a whole.
    pub push_probe: Duration,
    /// How long device tokens live.
    pub tokens: TokenLife,
    /// How long reports about providers' bills are kept, by the day that they are about. 400 days.
    pub reports_kept: Duration,
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

/// How long device tokens live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenLife {
    /// After this long without a registration a token is put aside. Apps register at each launch.
    pub stale_after: Duration,
    /// How long the record of a removed token is kept.
    pub removed_kept: Duration,
    /// How much of a cohort may go at once.
    pub brake: BrakePolicy,
}

impl Default for TokenLife {
    fn default() -> Self {
        Self {
            stale_after: Duration::from_hours(270 * 24),
            removed_kept: Duration::from_hours(30 * 24),
            brake: BrakePolicy::default(),
        }
    }
}

/// How often a provider is asked about what it has not answered, or what its client may do at any
/// moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayPace {
    /// Pause before the first question; the next ones come after 6, 12, 36, 60, 120 and then
    /// always 360 times this. A trade that was just made is looked at from the second pause on.
    pub first: Duration,
    /// How long an unknown outcome is asked about; then it waits for an operator.
    pub give_up: Duration,
}

impl Default for PayPace {
    fn default() -> Self {
        Self { first: Duration::from_secs(5), give_up: Duration::from_hours(24) }
    }
}

impl PayPace {
    /// The pause before question `asked`, counted from 0.
    #[must_use]
    pub fn pause(&self, asked: u32) -> Duration {
        const STEPS: [u32; 7] = [1, 6, 12, 36, 60, 120, 360];
        let step = usize::try_from(asked).unwrap_or(usize::MAX).min(STEPS.len() - 1);
        self.first.saturating_mul(STEPS[step])
    }

    /// The pause before the next question about what is unknown for `elapsed`, or `None` when it
    /// is an operator's turn.
    #[must_use]
    pub fn again(&self, elapsed: Duration) -> Option<Duration> {
        if elapsed >= self.give_up {
            return None;
        }
        // Question after question until the sum of the pauses is beyond what has passed.
        let mut sum = Duration::ZERO;
        for asked in 0..7 {
            let pause = self.pause(asked);
            sum += pause;
            if sum > elapsed {
                return Some(pause);
            }
        }
        Some(self.pause(u32::MAX))
    }
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self { concurrency: 512, prefetch: 1_024 }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let few = QueueSettings { concurrency: 2, prefetch: 2 };
        let pay = QueueSettings { concurrency: 64, prefetch: 64 };
        // Half of what a merchant account lets through at a time is left to those who wait.
        let checks = QueueSettings { concurrency: 32, prefetch: 32 };
        // A job is some hundred pushes.
        let shards = QueueSettings { concurrency: 8, prefetch: 16 };
        Self {
            name: format!("worker-{:08x}", rand::random::<u32>()),
            queues: BTreeMap::from([
                (Queue::Images, QueueSettings::default()),
                (Queue::Maintenance, few),
                (Queue::Payments, pay),
                (Queue::WechatPay, pay),
                (Queue::Alipay, pay),
                (Queue::Unionpay, pay),
                (Queue::WechatPayChecks, checks),
                (Queue::AlipayChecks, checks),
                (Queue::UnionpayChecks, checks),
                (Queue::Push, QueueSettings { concurrency: 4, prefetch: 4 }),
                (Queue::Apns, shards),
                (Queue::PushTokens, QueueSettings { concurrency: 128, prefetch: 256 }),
                (Queue::Webhooks, QueueSettings { concurrency: 32, prefetch: 32 }),
            ]),
            lease: Duration::from_secs(10),
            schedule_interval: Duration::from_millis(500),
            sweep_interval: Duration::from_secs(1),
            sweep_margin: Duration::from_secs(5),
            pay_pace: PayPace::default(),
            push_probe: Duration::from_mins(1),
            tokens: TokenLife::default(),
            reports_kept: Duration::from_hours(400 * 24),
            retention: Duration::from_hours(72),
            shutdown_deadline: Duration::from_secs(20),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_about_money_grow_rare_and_end_with_a_person() {
        let pace = PayPace::default();
        let secs = Duration::from_secs;
        let cases = [
            ("at once", 0, Some(5)),
            ("after the first pause", 5, Some(30)),
            ("after the second", 35, Some(60)),
            ("hours later", 4 * 3_600, Some(1_800)),
            ("a day later", 24 * 3_600, None),
        ];
        for (name, elapsed, expected) in cases {
            assert_eq!(pace.again(secs(elapsed)), expected.map(secs), "{name}");
        }
    }
}
