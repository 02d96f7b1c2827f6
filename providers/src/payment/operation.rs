//! What was asked, for the tables that turn answers into outcomes.

/// What was asked of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    /// Make a trade.
    Create,
    /// Ask for a trade.
    Query,
    /// Close a trade.
    Close,
    /// Return money.
    Refund,
    /// Ask for a refund.
    QueryRefund,
    /// Fetch a bill, certificates or the like.
    Fetch,
}

/// What a call without the usual success ended in: a fact about the trade, or an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The provider has no such trade or refund.
    NotFound,
    /// What was asked for is so already.
    AlreadySo,
    /// There is no bill for the day.
    NoBill,
    /// The bill is still being made.
    BillNotReady,
    /// Anything else.
    Failed(super::ProviderError),
}

impl Outcome {
    /// The error, for operations that have no use for the facts.
    pub(super) fn into_error(self) -> super::ProviderError {
        match self {
            Self::Failed(error) => error,
            Self::NotFound => super::ProviderError::Conflict("not_found".to_owned()),
            Self::AlreadySo => super::ProviderError::Conflict("already_so".to_owned()),
            Self::NoBill | Self::BillNotReady => super::ProviderError::unknown("no_bill"),
        }
    }
}
