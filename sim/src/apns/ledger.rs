//! What each device got, so that a test can prove that nothing arrived twice or at a stranger's.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use schemas::{ApnsEnvironment, Timestamp};
use serde::{Serialize, Serializer};
use uuid::Uuid;

/// One push that reached its device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery {
    /// When it reached the device, by the clock of this machine.
    pub at: Timestamp,
    /// The sender's `apns-id`, or one made here.
    pub id: Uuid,
    /// The device token.
    #[serde(serialize_with = "shared")]
    pub device: Arc<str>,
    /// The topic.
    #[serde(serialize_with = "shared")]
    pub topic: Arc<str>,
    /// The environment.
    pub environment: ApnsEnvironment,
    /// Number of the connection, from 1.
    pub connection: u64,
    /// The collapse id.
    pub collapse_id: Option<String>,
    /// `apns-priority`.
    pub priority: u8,
    /// The payload, when payloads are kept.
    #[serde(serialize_with = "text")]
    pub payload: Option<Bytes>,
}

fn shared<S: Serializer>(text: &Arc<str>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(text)
}

#[expect(clippy::ref_option, reason = "serde gives a reference")]
fn text<S: Serializer>(payload: &Option<Bytes>, to: S) -> Result<S::Ok, S::Error> {
    match payload {
        Some(payload) => to.serialize_some(&String::from_utf8_lossy(payload)),
        None => to.serialize_none(),
    }
}

/// What has happened so far, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Pushes that reached their device.
    pub delivered: u64,
    /// Answers by status and reason, such as `200 -` and `400 BadDeviceToken`.
    pub answers: BTreeMap<String, u64>,
    /// Connections since the start.
    pub connections: u64,
    /// Connections that are open.
    pub open: usize,
    /// Most streams at a time on one connection.
    pub most_streams: usize,
    /// Streams that were one too many and refused.
    pub streams_refused: u64,
    /// Different provider tokens that were shown.
    pub provider_tokens: u64,
}

/// Deliveries and numbers.
#[derive(Debug)]
pub(super) struct Ledger {
    keep: usize,
    deliveries: VecDeque<Delivery>,
    stats: Stats,
}

impl Ledger {
    pub(super) fn new(keep: usize) -> Self {
        Self { keep, deliveries: VecDeque::new(), stats: Stats::default() }
    }

    pub(super) fn deliver(&mut self, delivery: Delivery) {
        self.stats.delivered += 1;
        if self.deliveries.len() >= self.keep {
            self.deliveries.pop_front();
        }
        if self.keep > 0 {
            self.deliveries.push_back(delivery);
        }
    }

    pub(super) fn deliveries(&self) -> Vec<Delivery> {
        self.deliveries.iter().cloned().collect()
    }

    pub(super) fn forget(&mut self) {
        self.deliveries.clear();
        self.stats = Stats { connections: self.stats.connections, ..Stats::default() };
    }

    pub(super) fn answered(&mut self, answer: &str) {
        match self.stats.answers.get_mut(answer) {
            Some(count) => *count += 1,
            None => drop(self.stats.answers.insert(answer.to_owned(), 1)),
        }
    }

    /// Counts a connection and gives its number.
    pub(super) fn connected(&mut self) -> u64 {
        self.stats.connections += 1;
        self.stats.connections
    }

    pub(super) fn streams(&mut self, at_a_time: usize, refused: bool) {
        self.stats.most_streams = self.stats.most_streams.max(at_a_time);
        self.stats.streams_refused += u64::from(refused);
    }

    pub(super) fn new_provider_token(&mut self) {
        self.stats.provider_tokens += 1;
    }

    pub(super) fn stats(&self, open: usize) -> Stats {
        Stats { open, ..self.stats.clone() }
    }
}
