//! What is still to happen: notifications on each provider's own schedule, and refunds that end.
//!
//! One task works it off. Everything has a due time on the simulators' clock, so a test that moves
//! the clock sees a day of repeats in a moment, in their order.

mod post;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

pub(crate) use self::post::Sealed;
use crate::{
    clock::{Clock, span},
    fault::Act,
    ledger::Provider,
    sim::Sim,
};

/// Deliveries under way at once.
const AT_ONCE: usize = 64;
/// Attempts that are remembered.
const MOST_ATTEMPTS: usize = 100_000;
/// How long a held notification waits for one to overtake it.
const HOLD: TimeDelta = TimeDelta::minutes(1);

const WECHAT_GAPS: &[u32] = &[
    15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600,
];
const ALIPAY_GAPS: &[u32] = &[240, 600, 600, 3600, 7200, 21600, 54000];
const UNIONPAY_GAPS: &[u32] = &[60, 120, 240, 300];

/// One attempt to deliver a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When, on the simulators' clock.
    pub at: DateTime<Utc>,
    /// Whose notification.
    pub provider: Provider,
    /// Its name as in fault scripts.
    pub call: String,
    /// The event that it announces; the same in repeats.
    pub event: String,
    /// The merchant's number of the trade.
    pub trade: String,
    /// Where to.
    pub url: String,
    /// The how-manieth attempt of this event, from 1.
    pub attempt: usize,
    /// What came back: the status and the start of the body, or why nothing came.
    pub answer: String,
    /// Whether the answer was the one that ends the repeats.
    pub accepted: bool,
}

/// A notification before it is sealed.
#[derive(Debug, Clone)]
pub(crate) struct Parcel {
    pub(crate) provider: Provider,
    pub(crate) call: &'static str,
    pub(crate) event: String,
    pub(crate) trade: String,
    pub(crate) url: String,
    pub(crate) content: Content,
}

/// What a notification says; it is signed anew for every attempt.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// Signed XML.
    WechatV2 { merchant: String, hmac: bool, fields: BTreeMap<String, String> },
    /// XML with an encrypted part and no signature.
    WechatV2Refund { merchant: String, app: String, fields: BTreeMap<String, String> },
    /// Signed JSON with an encrypted resource.
    WechatV3 { merchant: String, envelope: serde_json::Value, plain: serde_json::Value },
    /// A signed form.
    Alipay { app: String, fields: BTreeMap<String, String> },
    /// A signed form.
    UnionPay { fields: BTreeMap<String, String> },
}

#[derive(Debug, Clone)]
struct Delivery {
    parcel: Parcel,
    attempt: usize,
    /// The fault of this attempt has been chosen already.
    judged: bool,
    held: bool,
}

#[derive(Debug)]
enum Item {
    Deliver(Box<Delivery>),
    EndRefund { trade: u64, index: usize },
}

#[derive(Debug, Default)]
struct Inner {
    queue: BTreeMap<(DateTime<Utc>, u64), Item>,
    serial: u64,
    in_flight: usize,
    attempts: VecDeque<Attempt>,
}

/// What is still to happen.
#[derive(Debug)]
pub(crate) struct Outbox {
    inner: Mutex<Inner>,
    wake: Notify,
    calm: Notify,
    slots: Arc<Semaphore>,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            inner: Mutex::default(),
            wake: Notify::new(),
            calm: Notify::new(),
            slots: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl Outbox {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends `parcel` now, and again on its provider's schedule until it is accepted.
    pub(crate) fn post(&self, parcel: Parcel, now: DateTime<Utc>) {
        let delivery = Delivery { parcel, attempt: 1, judged: false, held: false };
        self.push(now, Item::Deliver(Box::new(delivery)));
    }

    /// Ends a refund at `due`.
    pub(crate) fn end_refund(&self, trade: u64, index: usize, due: DateTime<Utc>) {
        self.push(due, Item::EndRefund { trade, index });
    }

    fn push(&self, due: DateTime<Utc>, item: Item) {
        let mut inner = self.inner();
        inner.serial += 1;
        let key = (due, inner.serial);
        inner.queue.insert(key, item);
        drop(inner);
        self.wake.notify_one();
    }

    /// The attempts so far, oldest first.
    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        self.inner().attempts.iter().cloned().collect()
    }

    /// When the next thing is due.
    pub(crate) fn next_due(&self) -> Option<DateTime<Utc>> {
        self.inner().queue.keys().next().map(|(due, _)| *due)
    }

    /// Takes what is due at `now`; refunds end in here.
    fn take(&self, now: DateTime<Utc>) -> Option<Item> {
        let mut inner = self.inner();
        let (due, _) = *inner.queue.keys().next()?;
        if due > now {
            return None;
        }
        inner.in_flight += 1;
        inner.queue.pop_first().map(|(_, item)| item)
    }

    fn done(&self) {
        self.inner().in_flight -= 1;
        self.calm.notify_waiters();
        self.wake.notify_one();
    }

    fn record(&self, attempt: Attempt) {
        let mut inner = self.inner();
        if inner.attempts.len() >= MOST_ATTEMPTS {
            inner.attempts.pop_front();
        }
        inner.attempts.push_back(attempt);
    }

    /// Lets the held notifications of `provider` go.
    fn release(&self, provider: Provider, now: DateTime<Utc>) {
        let mut inner = self.inner();
        let held: Vec<_> = inner
            .queue
            .iter()
            .filter(|(_, item)| {
                matches!(item, Item::Deliver(d) if d.held && d.parcel.provider == provider)
            })
            .map(|(key, _)| *key)
            .collect();
        for (due, serial) in held {
            if let Some(item) = inner.queue.remove(&(due, serial)) {
                inner.queue.insert((now, serial), item);
            }
        }
        drop(inner);
        self.wake.notify_one();
    }

    /// Waits until nothing is due at the clock's present time and nothing is under way.
    pub(crate) async fn calm(&self, clock: &Clock) {
        loop {
            let changed = self.calm.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let now = clock.now();
            let busy = {
                let inner = self.inner();
                inner.in_flight > 0 || inner.queue.keys().next().is_some_and(|(due, _)| *due <= now)
            };
            if !busy {
                return;
            }
            self.wake.notify_one();
            changed.await;
        }
    }
}

/// Works the outbox off until `stop`.
pub(crate) async fn work(sim: Arc<Sim>, stop: CancellationToken) {
    loop {
        while let Some(item) = sim.outbox.take(sim.clock().now()) {
            match item {
                Item::EndRefund { trade, index } => {
                    sim.refund_ends(trade, index);
                    sim.outbox.done();
                }
                Item::Deliver(delivery) => {
                    let Ok(slot) = Arc::clone(&sim.outbox.slots).acquire_owned().await else {
                        return;
                    };
                    let sim = Arc::clone(&sim);
                    tokio::spawn(async move {
                        deliver(&sim, *delivery).await;
                        sim.outbox.done();
                        drop(slot);
                    });
                }
            }
        }
        let nap = pause(&sim);
        tokio::select! {
            () = stop.cancelled() => return,
            () = sim.outbox.wake.notified() => {}
            () = tokio::time::sleep(nap) => {}
        }
    }
}

/// How long nothing will be due, as far as the machine's clock tells.
fn pause(sim: &Sim) -> Duration {
    let now = sim.clock().now();
    let due = sim.outbox.next_due().filter(|_| matches!(sim.clock(), Clock::System));
    due.and_then(|due| (due - now).to_std().ok()).unwrap_or(Duration::from_hours(1))
}

async fn deliver(sim: &Sim, delivery: Delivery) {
    let now = sim.clock().now();
    let act = if delivery.judged { None } else { sim.faults.take(delivery.parcel.call) };
    let later = |due: DateTime<Utc>, held| {
        let again = Delivery { judged: true, held, ..delivery.clone() };
        sim.outbox.push(due, Item::Deliver(Box::new(again)));
    };
    match act {
        Some(Act::Late { ms }) => return later(now + span(Duration::from_millis(ms)), false),
        Some(Act::Reorder) => return later(now + HOLD, true),
        Some(Act::Lose) => {
            return note(sim, &delivery, now, "lost on purpose".to_owned(), false);
        }
        Some(Act::Duplicate { copies }) => {
            for _ in 0..copies.min(100) {
                let (answer, accepted) = attempt(sim, &delivery.parcel, None).await;
                note(sim, &delivery, now, answer, accepted);
            }
        }
        _ => {}
    }
    let (answer, accepted) = attempt(sim, &delivery.parcel, act.as_ref()).await;
    note(sim, &delivery, now, answer, accepted);
    sim.outbox.release(delivery.parcel.provider, now);
    let forged = matches!(act, Some(Act::Tamper | Act::Foreign));
    if accepted || forged {
        return;
    }
    let gaps = match delivery.parcel.provider {
        Provider::Wechat => WECHAT_GAPS,
        Provider::Alipay => ALIPAY_GAPS,
        Provider::UnionPay => UNIONPAY_GAPS,
    };
    if let Some(gap) = gaps.get(delivery.attempt - 1) {
        let due = now + TimeDelta::seconds(i64::from(*gap));
        let next = Delivery { attempt: delivery.attempt + 1, judged: false, held: false, ..delivery };
        sim.outbox.push(due, Item::Deliver(Box::new(next)));
    }
}

async fn attempt(sim: &Sim, parcel: &Parcel, act: Option<&Act>) -> (String, bool) {
    let sealed = match sim.seal(parcel, act) {
        Ok(sealed) => sealed,
        Err(unusable) => return (unusable.to_string(), false),
    };
    match post::post(parcel.provider, &parcel.url, sealed).await {
        Ok((status, body)) => {
            let accepted = sim.accepts(parcel, status, &body);
            let text = String::from_utf8_lossy(&body);
            let start: String = text.chars().take(200).collect();
            (format!("{status} {start}"), accepted)
        }
        Err(why) => (why, false),
    }
}

fn note(sim: &Sim, delivery: &Delivery, at: DateTime<Utc>, answer: String, accepted: bool) {
    let parcel = &delivery.parcel;
    if !accepted {
        tracing::info!(call = parcel.call, trade = %parcel.trade, %answer, "a notification was not accepted");
    }
    sim.outbox.record(Attempt {
        at,
        provider: parcel.provider,
        call: parcel.call.to_owned(),
        event: parcel.event.clone(),
        trade: parcel.trade.clone(),
        url: parcel.url.clone(),
        attempt: delivery.attempt,
        answer,
        accepted,
    });
}
