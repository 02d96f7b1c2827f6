//! Where the parts of a bill stand.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptState {
    /// The provider may know of it: the call was or is about to be made.
    Sent,
    /// The client has what it needs and may pay at any moment.
    Open,
    /// The provider has confirmed a payment.
    Paid,
    /// The provider says that it cannot be paid any more, or never knew of it.
    Closed,
    /// The provider refused to make it.
    Refused,
}

impl AttemptState {
    /// Name on the wire and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Closed => "closed",
            Self::Refused => "refused",
        }
    }
}

/// Why a payment does not count and is to be paid back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Surplus {
    /// Another payment counted before.
    SecondPayment,
    /// The bill was closed before.
    AfterClose,
    /// It is not the sum that is owed.
    OtherAmount,
}

impl Surplus {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::SecondPayment, Self::AfterClose, Self::OtherAmount];

    /// Name in metrics, logs and the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SecondPayment => "second_payment",
            Self::AfterClose => "after_close",
            Self::OtherAmount => "other_amount",
        }
    }
}

/// Where a refund stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// Waits for an operator's approval.
    Held,
    /// The provider may know of it: the call was or is about to be made.
    Sent,
    /// The provider has accepted it; the money is on its way.
    Processing,
    /// The provider cannot deliver the money; an operator has to see to it.
    Abnormal,
    /// The money went back.
    Succeeded,
    /// The provider refused; no money moved.
    Refused,
    /// An operator decided against it; it was never sent.
    Dropped,
}

impl RefundState {
    /// Whether its sum is taken from the payment: all but what certainly moves no money.
    #[must_use]
    pub const fn takes(self) -> bool {
        !matches!(self, Self::Refused | Self::Dropped)
    }

    /// Name on the wire, in evidence and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Sent => "sent",
            Self::Processing => "processing",
            Self::Abnormal => "abnormal",
            Self::Succeeded => "succeeded",
            Self::Refused => "refused",
            Self::Dropped => "dropped",
        }
    }

    /// Whether money may be on its way.
    #[must_use]
    pub const fn is_under_way(self) -> bool {
        matches!(self, Self::Sent | Self::Processing | Self::Abnormal)
    }
}
