//! A trade and its refunds.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::ledger::Provider;

/// Where a trade is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Made, not paid.
    Open,
    /// Paid at that moment.
    Paid(DateTime<Utc>),
    /// Closed unpaid at that moment, by the merchant or by time.
    Closed(DateTime<Utc>),
}

/// How the merchant speaks about a trade, and so how notifications are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// WeChat Pay v2, signed with MD5.
    WechatMd5,
    /// WeChat Pay v2, signed with HMAC-SHA256.
    WechatHmac,
    /// WeChat Pay v3.
    WechatV3,
    /// Alipay.
    Alipay,
    /// UnionPay.
    UnionPay,
}

/// How a refund ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The payer has the money.
    Success,
    /// The money came back to the merchant.
    Closed,
    /// The money is stuck.
    Abnormal,
}

/// A refund that the provider accepted.
#[derive(Debug, Clone)]
pub(crate) struct Refund {
    /// The merchant's number.
    pub(crate) number: String,
    /// The provider's number.
    pub(crate) id: String,
    /// In fen.
    pub(crate) amount: i64,
    /// What the merchant said about it; the same number with other data is refused.
    pub(crate) data: String,
    /// When it was accepted.
    pub(crate) at: DateTime<Utc>,
    /// When it ended; nothing while it is under way.
    pub(crate) ended: Option<DateTime<Utc>>,
    /// How it ends.
    pub(crate) end: End,
    /// Where the end is announced.
    pub(crate) notify_url: Option<String>,
    /// In which form.
    pub(crate) dialect: Dialect,
    /// What else the provider keeps of the request.
    pub(crate) facts: BTreeMap<String, String>,
}

/// A trade.
#[derive(Debug, Clone)]
pub(crate) struct Trade {
    /// The simulators' own number.
    pub(crate) id: u64,
    /// Where.
    pub(crate) provider: Provider,
    /// Merchant number or application number.
    pub(crate) merchant: String,
    /// Application.
    pub(crate) app: String,
    /// The merchant's number; UnionPay's is `orderId@txnTime`.
    pub(crate) key: String,
    /// The provider's number.
    pub(crate) number: String,
    /// The provider's name for how it is paid.
    pub(crate) product: String,
    /// In fen.
    pub(crate) amount: i64,
    /// What the payer reads.
    pub(crate) subject: String,
    /// What comes back unchanged.
    pub(crate) attach: Option<String>,
    /// Where the payment is announced.
    pub(crate) notify_url: Option<String>,
    /// Where the browser goes afterwards.
    pub(crate) return_url: Option<String>,
    /// Who pays.
    pub(crate) payer: Option<String>,
    /// What the merchant said about it; the same number with other data is refused.
    pub(crate) data: String,
    /// By which codes it is found; the first is shown.
    pub(crate) codes: Vec<String>,
    /// Whether the provider admits that it exists (Alipay: from the first scan on).
    pub(crate) known: bool,
    /// Whether the payer said no last.
    pub(crate) declined: bool,
    /// The code with which it was refused for good; then it is closed, and nobody can pay it.
    pub(crate) refused: Option<&'static str>,
    /// When it was made.
    pub(crate) created: DateTime<Utc>,
    /// When it closes by itself.
    pub(crate) expires: DateTime<Utc>,
    /// Where it is, time left out; ask [`Self::state`].
    pub(crate) state: State,
    /// What was refunded.
    pub(crate) refunds: Vec<Refund>,
    /// How the merchant speaks about it.
    pub(crate) dialect: Dialect,
    /// What else the provider keeps of the request.
    pub(crate) facts: BTreeMap<String, String>,
}

impl Trade {
    /// Where it is at `now`.
    pub(crate) fn state(&self, now: DateTime<Utc>) -> State {
        match self.state {
            State::Open if now >= self.expires => State::Closed(self.expires),
            state => state,
        }
    }

    /// Moves its payment and its refunds into the past.
    pub(crate) fn backdate(&mut self, by: TimeDelta) {
        if let State::Paid(at) = self.state {
            self.state = State::Paid(at - by);
        }
        for refund in &mut self.refunds {
            refund.at -= by;
            refund.ended = refund.ended.map(|at| at - by);
        }
    }

    /// When it was paid.
    pub(crate) fn paid_at(&self) -> Option<DateTime<Utc>> {
        if let State::Paid(at) = self.state { Some(at) } else { None }
    }

    /// What refunds took, without those whose money came back.
    pub(crate) fn refunded(&self) -> i64 {
        let kept = self.refunds.iter().filter(|refund| !refund.came_back());
        kept.map(|refund| refund.amount).sum()
    }

    /// Under which name the book finds a refund: Alipay's numbers are unique in their trade, the
    /// others' with their merchant.
    pub(crate) fn refund_name(&self, number: &str) -> String {
        if self.provider == Provider::Alipay {
            format!("{}/{number}", self.key)
        } else {
            number.to_owned()
        }
    }

    /// One of the facts, empty when it was not said.
    pub(crate) fn fact(&self, name: &str) -> &str {
        self.facts.get(name).map_or("", String::as_str)
    }

    /// The code that is shown.
    pub(crate) fn code(&self) -> &str {
        self.codes.first().map_or("", String::as_str)
    }
}

impl Refund {
    fn came_back(&self) -> bool {
        self.ended.is_some() && self.end == End::Closed
    }

    /// One of the facts, empty when it was not said.
    pub(crate) fn fact(&self, name: &str) -> &str {
        self.facts.get(name).map_or("", String::as_str)
    }
}
