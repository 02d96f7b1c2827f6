//! The ledger of effects: every movement of money, once, in the order in which it happened.
//!
//! It is written where money moves and nowhere else, so a test that compares it with its own books
//! proves that money moved once.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A payment provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// WeChat Pay, v2 and v3.
    Wechat,
    /// Alipay.
    Alipay,
    /// UnionPay.
    UnionPay,
}

impl Provider {
    /// Every provider.
    pub const ALL: [Self; 3] = [Self::Wechat, Self::Alipay, Self::UnionPay];

    /// Its name in addresses and in names of calls.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wechat => "wechat",
            Self::Alipay => "alipay",
            Self::UnionPay => "unionpay",
        }
    }
}

/// How money moved, seen from the merchant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// A payer paid.
    Paid,
    /// A refund was taken from the merchant.
    Refunded,
    /// A refund failed and the money came back to the merchant.
    Returned,
    /// The merchant took money out of the account.
    Withdrawn,
}

/// One movement of money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place in the ledger, from 1.
    pub seq: u64,
    /// When, on the simulators' clock.
    pub at: DateTime<Utc>,
    /// Where.
    pub provider: Provider,
    /// Merchant number or application number.
    pub merchant: String,
    /// The merchant's number of the trade; UnionPay's is `orderId@txnTime`.
    pub trade: String,
    /// The key under which the merchant asked for it: of the trade or of the refund.
    pub key: String,
    /// How.
    pub effect: Effect,
    /// How much, in fen; always positive.
    pub amount: i64,
}

/// What one merchant's account adds up to, in fen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Paid by payers.
    pub paid: i64,
    /// Taken for refunds, failed ones included.
    pub refunded: i64,
    /// Come back from failed refunds.
    pub returned: i64,
    /// Taken out.
    pub withdrawn: i64,
}

impl Totals {
    /// What is left in the account.
    #[must_use]
    pub const fn balance(&self) -> i64 {
        self.paid - self.refunded + self.returned - self.withdrawn
    }
}

/// The ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Every movement, oldest first.
    pub entries: Vec<Entry>,
    /// Sums by `provider/merchant`.
    pub totals: BTreeMap<String, Totals>,
}

impl Ledger {
    /// The movements under `key`, of any provider and merchant.
    pub fn of_key<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| entry.key == key)
    }

    /// What `merchant` has at `provider`.
    #[must_use]
    pub fn totals_of(&self, provider: Provider, merchant: &str) -> Totals {
        self.totals.get(&account(provider, merchant)).copied().unwrap_or_default()
    }

    /// Writes one movement down; the caller has made sure that it happens once.
    pub(crate) fn post(&mut self, mut entry: Entry) {
        entry.seq = self.entries.len() as u64 + 1;
        let totals = self.totals.entry(account(entry.provider, &entry.merchant)).or_default();
        match entry.effect {
            Effect::Paid => totals.paid += entry.amount,
            Effect::Refunded => totals.refunded += entry.amount,
            Effect::Returned => totals.returned += entry.amount,
            Effect::Withdrawn => totals.withdrawn += entry.amount,
        }
        self.entries.push(entry);
    }
}

fn account(provider: Provider, merchant: &str) -> String {
    format!("{}/{merchant}", provider.name())
}
