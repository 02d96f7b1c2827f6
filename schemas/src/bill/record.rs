//! The stored record of one bill, and what every change of it does alike.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    AttemptState, BillRefusal, BillSn, BillStatus, CardUse, MAX_EVIDENCE, MAX_EVIDENCE_CHARS,
    RefundState, Surplus,
};
use crate::{
    book_day::BookDay,
    id::{JobId, UserId},
    job::Lease,
    money::{Currency, Fen},
    payment::{Channel, ProviderKey, Scene},
    time::Timestamp,
};

/// The record of one bill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BillRecord {
    /// Its number.
    pub id: BillSn,
    /// Whose bill it is: who made it and pays it.
    pub owner: UserId,
    /// Counts the saved changes, from 1.
    pub version: u64,
    /// What is owed.
    pub amount: Fen,
    /// In which money.
    pub currency: Currency,
    /// What it is for; the payer sees it at the provider.
    pub subject: String,
    /// The owner's own name for it; unique for each owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ref: Option<String>,
    /// What its owner is told; follows from the rest of the record.
    pub status: BillStatus,
    /// Every attempt to pay it, by number from 1.
    pub attempts: Vec<Attempt>,
    /// Every payment that a provider has confirmed, in the order in which it was heard of.
    pub payments: Vec<Payment>,
    /// Every refund, by number from 1.
    pub refunds: Vec<Refund>,
    /// That, why and when it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closing: Option<Closing>,
    /// Since when a refund waits for an operator's approval; follows from the refunds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_since: Option<Timestamp>,
    /// When money moved last, and the bill's number behind it, so that the texts sort by time and
    /// are never alike; follows from payments and refunds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<String>,
    /// What was learnt, from whom and when: the first pieces and the latest.
    pub evidence: Vec<Evidence>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its latest change was made.
    pub updated_at: Timestamp,
    /// No attempt begins after this moment.
    pub expires_at: Timestamp,
}

/// What is known of a bill before it is stored.
#[derive(Debug, Clone)]
pub struct NewBill {
    /// See [`BillRecord::owner`].
    pub owner: UserId,
    /// See [`BillRecord::amount`].
    pub amount: Fen,
    /// See [`BillRecord::currency`].
    pub currency: Currency,
    /// See [`BillRecord::subject`].
    pub subject: String,
    /// See [`BillRecord::client_ref`].
    pub client_ref: Option<String>,
    /// See [`BillRecord::expires_at`].
    pub expires_at: Timestamp,
}

/// One attempt to pay: one trade at one provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// Through which provider.
    pub channel: Channel,
    /// From what kind of client.
    pub scene: Scene,
    /// Whether the payer is shown a code instead of the provider's page.
    pub code: bool,
    /// Name of the configured app that it goes through.
    pub app: String,
    /// Digest of who pays, where the provider asks for it; never the account itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer: Option<String>,
    /// The card, when one is charged without the provider's page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<CardUse>,
    /// Counts the attempts that are alike in all of the above, from 0.
    pub ordinal: u32,
    /// The provider's name for it on our side; made once, the same on every retry.
    pub key: ProviderKey,
    /// The time that is part of its name at `UnionPay`; the same on every retry.
    pub sent_at: Timestamp,
    /// Where it stands.
    pub state: AttemptState,
    /// The worker that began it beside no lease of its job, until the provider has answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Lease>,
    /// What the client pays with; absent until the provider has answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
    /// The provider's code when it refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// What a client pays with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Offer {
    /// The documented reply of the call.
    pub reply: Value,
    /// Whether it stands in `data`, as most do, or at the top.
    pub wrapped: bool,
    /// Text to be drawn as a QR code, when the payer scans one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// When the provider gave it.
    pub at: Timestamp,
    /// After this moment the client cannot begin to pay with it.
    pub until: Timestamp,
}

/// One payment that a provider has confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Payment {
    /// The attempt that it belongs to; an attempt has one payment at most.
    pub attempt: u32,
    /// The provider's number for it.
    pub transaction_id: String,
    /// The order's sum as the provider knows it.
    pub amount: Fen,
    /// When the payer paid, by the provider's clock.
    pub paid_at: Timestamp,
    /// When Feat heard of it.
    pub heard_at: Timestamp,
    /// Why it does not count; absent for the one that does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surplus: Option<Surplus>,
    /// The day whose bill of the provider lists it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed_on: Option<BookDay>,
}

/// One refund of one payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refund {
    /// From 1.
    pub number: u32,
    /// The attempt whose payment it pays back.
    pub attempt: u32,
    /// The provider's name for it on our side; made once, the same on every retry.
    pub key: ProviderKey,
    /// What is paid back.
    pub amount: Fen,
    /// What the payer is told.
    pub reason: String,
    /// Where it stands.
    pub state: RefundState,
    /// Why it was opened without anybody's asking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surplus: Option<Surplus>,
    /// The job that asked for it; a job asks for one refund.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// The provider's number for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// The provider's code when it refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// The time that is part of its name at `UnionPay`: when it was first sent, the same on every
    /// retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The day whose bill of the provider lists it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed_on: Option<BookDay>,
}

/// That a bill is closed, or being closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Closing {
    /// Why.
    pub reason: ClosingReason,
    /// When somebody began to close it: no attempt begins from here on.
    pub since: Timestamp,
    /// When its last attempt was closed at its provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at: Option<Timestamp>,
}

/// Why a bill is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClosingReason {
    /// Its owner wanted it.
    Cancelled,
    /// Nobody paid it in time.
    Overtime,
}

/// Where a piece of evidence comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The provider's answer to a call.
    Answer,
    /// The provider's answer to a question.
    Query,
    /// A verified message of the provider.
    Notify,
    /// A line of the provider's bill file.
    Statement,
    /// A person, who is named and gave a reason.
    Operator,
}

/// One thing that was learnt about a bill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// When.
    pub at: Timestamp,
    /// From whom.
    pub source: Source,
    /// Who recorded it: a job, or a named operator.
    pub by: String,
    /// What; no personal data.
    pub what: String,
}

impl BillRecord {
    /// The first record of a bill with number `id`.
    #[must_use]
    pub fn open(new: NewBill, id: BillSn, now: Timestamp) -> Self {
        Self {
            id,
            owner: new.owner,
            version: 1,
            amount: new.amount,
            currency: new.currency,
            subject: new.subject,
            client_ref: new.client_ref,
            status: BillStatus::Created,
            attempts: Vec::new(),
            payments: Vec::new(),
            refunds: Vec::new(),
            closing: None,
            held_since: None,
            moved: None,
            evidence: Vec::new(),
            created_at: now,
            updated_at: now,
            expires_at: new.expires_at,
        }
    }

    /// The payment that counts, if the bill is paid.
    #[must_use]
    pub fn payment(&self) -> Option<&Payment> {
        self.payments.iter().find(|payment| payment.surplus.is_none())
    }

    /// Attempt `number`.
    #[must_use]
    pub fn attempt(&self, number: u32) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.number == number)
    }

    /// The attempt that a provider knows as `key`.
    #[must_use]
    pub fn attempt_of_key(&self, key: &str) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.key.as_str() == key)
    }

    /// Attempts that may still be paid.
    pub fn payable(&self) -> impl Iterator<Item = &Attempt> {
        let open =
            |attempt: &&Attempt| matches!(attempt.state, AttemptState::Sent | AttemptState::Open);
        self.attempts.iter().filter(open)
    }

    /// Refund `number`.
    #[must_use]
    pub fn refund(&self, number: u32) -> Option<&Refund> {
        self.refunds.iter().find(|refund| refund.number == number)
    }

    /// The refund that a provider knows as `key`.
    #[must_use]
    pub fn refund_of_key(&self, key: &str) -> Option<&Refund> {
        self.refunds.iter().find(|refund| refund.key.as_str() == key)
    }

    /// Fen of the payment of `attempt` that refunds take or took.
    #[must_use]
    pub fn taken(&self, attempt: u32) -> i64 {
        let of = |refund: &&Refund| refund.attempt == attempt && refund.state.takes();
        self.refunds.iter().filter(of).map(|refund| refund.amount.get()).sum()
    }

    /// Fen of the payment that counts which went back for certain.
    #[must_use]
    pub fn refunded(&self) -> i64 {
        let Some(payment) = self.payment() else { return 0 };
        let back = |refund: &&Refund| {
            refund.attempt == payment.attempt && refund.state == RefundState::Succeeded
        };
        self.refunds.iter().filter(back).map(|refund| refund.amount.get()).sum()
    }

    /// What follows from the rest of the record.
    fn derive_status(&self) -> BillStatus {
        let Some(payment) = self.payment() else {
            let done = self.closing.filter(|closing| closing.done_at.is_some());
            return match done.map(|closing| closing.reason) {
                None => BillStatus::Created,
                Some(ClosingReason::Cancelled) => BillStatus::Cancelled,
                Some(ClosingReason::Overtime) => BillStatus::Overtime,
            };
        };
        let under_way =
            |refund: &Refund| refund.attempt == payment.attempt && refund.state.is_under_way();
        if self.refunds.iter().any(under_way) {
            BillStatus::Refunding
        } else if self.refunded() == payment.amount.get() {
            BillStatus::Refunded
        } else {
            BillStatus::Paid
        }
    }

    /// Every change ends here: version, time, and the fields that follow from others.
    pub(super) fn changed(mut self, now: Timestamp) -> Self {
        self.version += 1;
        self.updated_at = now;
        self.status = self.derive_status();
        let held = self.refunds.iter().filter(|refund| refund.state == RefundState::Held);
        self.held_since = held.map(|refund| refund.opened_at).min();
        self.moved = self.moved_at().map(|at| Self::moved_mark(at, &self.id));
        self
    }

    /// Notes what was learnt; of a long history the middle is forgotten.
    pub(super) fn note(&mut self, source: Source, by: &str, what: &str, now: Timestamp) {
        if self.evidence.len() >= MAX_EVIDENCE {
            self.evidence.remove(MAX_EVIDENCE / 2);
        }
        let what = what.chars().take(MAX_EVIDENCE_CHARS).collect();
        self.evidence.push(Evidence { at: now, source, by: by.to_owned(), what });
    }

    pub(super) fn attempt_mut(&mut self, number: u32) -> Result<&mut Attempt, BillRefusal> {
        let found = self.attempts.iter_mut().find(|attempt| attempt.number == number);
        found.ok_or(BillRefusal::Unheard)
    }

    pub(super) fn refund_mut(&mut self, number: u32) -> Result<&mut Refund, BillRefusal> {
        let found = self.refunds.iter_mut().find(|refund| refund.number == number);
        found.ok_or(BillRefusal::Unheard)
    }
}
