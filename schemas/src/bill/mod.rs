//! A bill: what somebody owes, every way in which they tried to pay it, what the providers said,
//! and what was paid back. One aggregate, so that "paid once" and "never more paid back than was
//! paid" are guarded single writes.
//!
//! What always holds, whatever the providers say in whatever order:
//!
//! - At most one payment counts. Every other one is a surplus, and stands beside a refund that is
//!   held until an operator approves it. When its provider refuses that refund, another one is held.
//! - The refunds of a payment never sum up to more than the payment.
//! - A number that a provider sees is made from the bill's number, saved before it is used, and
//!   never used for anything else.
//! - Only a provider's word or a named operator ends what is unknown; a clock does not.

mod charging;
mod closing;
mod holding;
mod listing;
mod paying;
mod record;
mod refunding;
mod settling;
mod sn;
mod states;
mod status;

pub use charging::CardUse;
pub use listing::Listed;
pub use paying::{Paid, PaymentNews, Way};
pub use record::{
    Attempt, BillRecord, Closing, ClosingReason, Evidence, NewBill, Offer, Payment, Refund, Source,
};
pub use refunding::RefundNews;
pub use sn::BillSn;
pub use states::{AttemptState, RefundState, Surplus};
pub use status::BillStatus;

/// Most attempts to pay one bill.
pub const MAX_ATTEMPTS: usize = 30;

/// Most refunds that can be asked for on one bill; WeChat Pay allows no more for an order.
pub const MAX_REFUNDS: usize = 50;

/// Most refunds that are opened on one bill in place of one that the provider refused.
pub const MAX_RENEWALS: usize = 20;

/// Pieces of evidence that are kept: the first ones and the latest.
pub const MAX_EVIDENCE: usize = 64;

/// Longest subject, in bytes; what the narrowest provider takes.
pub const MAX_SUBJECT_BYTES: usize = 127;

/// Longest reference of a client, in characters.
pub const MAX_CLIENT_REF: usize = 64;

/// Longest reason of a refund, in bytes.
pub const MAX_REASON_BYTES: usize = 80;

/// Longest text of a piece of evidence, in characters.
pub const MAX_EVIDENCE_CHARS: usize = 512;

/// A change that the bill does not allow; it stays as it is. Sorted by what the caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BillRefusal {
    /// The bill is paid: there is nothing to pay.
    #[error("the bill is paid")]
    Paid,
    /// The bill is closed, or being closed: make another one.
    #[error("the bill is closed")]
    Closed,
    /// The time in which the bill could be paid is over: make another one.
    #[error("the bill is overdue")]
    Overdue,
    /// Too many attempts to pay: make another bill.
    #[error("the bill has seen too many attempts")]
    TooManyAttempts,
    /// Nothing was paid, so nothing can be paid back.
    #[error("the bill is not paid")]
    NotPaid,
    /// More than what is left of the payment: ask for less.
    #[error("the refunds would exceed what was paid")]
    ExceedsPaid,
    /// Too many refunds of this bill.
    #[error("the bill has seen too many refunds")]
    TooManyRefunds,
    /// There is no attempt or refund of this number.
    #[error("there is no such attempt or refund")]
    Unheard,
    /// A card is being charged, and nobody knows yet what comes of it: wait for that.
    #[error("a card is being charged")]
    Charging,
    /// An attempt is still open at its provider, so the bill cannot be closed yet.
    #[error("an attempt is still open")]
    StillOpen,
    /// It has ended already: nothing is left to decide.
    #[error("it has ended already")]
    Ended,
}

impl BillRefusal {
    /// Stable code that clients and filters use.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Paid => "bill_paid",
            Self::Closed => "bill_closed",
            Self::Overdue => "bill_overdue",
            Self::TooManyAttempts => "too_many_attempts",
            Self::NotPaid => "bill_not_paid",
            Self::ExceedsPaid => "refund_exceeds_paid",
            Self::TooManyRefunds => "too_many_refunds",
            Self::Unheard => "no_such_attempt",
            Self::Charging => "card_charging",
            Self::StillOpen => "attempt_open",
            Self::Ended => "ended",
        }
    }
}
