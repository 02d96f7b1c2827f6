//! What a provider says about a trade, a refund, an account or a day.

use std::fmt;

use aws_lc_rs::constant_time;
use schemars::JsonSchema;
use schemas::{Fen, ProviderKey, Timestamp};
use secrecy::{ExposeSecret, SecretString};

/// The provider's id of a person. Personal data: it prints as nothing.
#[derive(Clone)]
pub struct Payer(SecretString);

impl Payer {
    /// The id `text`, if it is neither empty nor longer than 128 bytes and has no control characters.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=128).contains(&text.len()) && !text.chars().any(char::is_control);
        fits.then(|| Self(SecretString::from(text)))
    }

    /// The id itself, for the provider and for encrypted storage.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Payer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Payer(…)")
    }
}

impl PartialEq for Payer {
    fn eq(&self, other: &Self) -> bool {
        let (left, right) = (self.expose().as_bytes(), other.expose().as_bytes());
        constant_time::verify_slices_are_equal(left, right).is_ok()
    }
}

impl Eq for Payer {}

/// How a trade stands at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TradeState {
    /// The provider has no such trade: it was never created, or (Alipay, UnionPay) the payer has
    /// not opened it yet. Not paid so far; it may still be paid until it expires.
    NotFound,
    /// Created and not paid.
    NotPaid,
    /// The payer or the bank is at it; ask again.
    Paying,
    /// Paid, and so far nothing returned as far as this answer shows.
    Paid(Payment),
    /// Paid, and at least partly returned. The refunds say how much.
    Refunded(Payment),
    /// Closed without payment. It never becomes paid, but see [`TradeState::NotFound`].
    Closed,
}

impl TradeState {
    /// The payment, if there was one.
    #[must_use]
    pub const fn payment(&self) -> Option<&Payment> {
        match self {
            Self::Paid(payment) | Self::Refunded(payment) => Some(payment),
            Self::NotFound | Self::NotPaid | Self::Paying | Self::Closed => None,
        }
    }
}

/// One payment, as the provider's signed answer tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// The provider's own number of the trade.
    pub transaction_id: String,
    /// Total of the order, not the payer's part of it. Compare it with the bill.
    pub amount: Fen,
    /// When it was paid, if the provider says so.
    pub paid_at: Option<Timestamp>,
    /// Who paid, under the app of the gateway.
    pub payer: Option<Payer>,
}

/// How a refund stands at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundState {
    /// The provider never received it: the same refund again is safe.
    NotFound,
    /// Accepted and under way.
    Processing,
    /// The money is on its way back to the payer.
    Done {
        /// What was returned by this refund, if the answer says it.
        amount: Option<Fen>,
        /// When, if the provider says so.
        at: Option<Timestamp>,
    },
    /// Ended without returning anything.
    Closed,
    /// The payer's card or account cannot take it; somebody must act at the provider.
    Abnormal,
}

/// One refund, as the provider's signed answer tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// How it stands.
    pub state: RefundState,
    /// The provider's own number, if it has one.
    pub refund_id: Option<String>,
}

/// What a verified notice is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A trade changed.
    Trade {
        /// Number of the trade.
        key: ProviderKey,
        /// How it stands.
        state: TradeState,
    },
    /// A refund changed.
    Refund {
        /// Number of the trade, if the notice names it.
        trade: Option<ProviderKey>,
        /// Number of the refund.
        key: ProviderKey,
        /// How it stands.
        refund: Refund,
    },
    /// Genuine, and of no use here (for example a state that Feat does not follow).
    Nothing,
}

/// A person who bound an account of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundAccount {
    /// The person's id under the app of the gateway.
    pub id: Payer,
    /// The person's id that several apps of one owner share.
    pub union_id: Option<Payer>,
    /// Name that the person shows, if the consent covers it.
    pub nickname: Option<String>,
    /// Address of the person's picture, if the consent covers it.
    pub picture: Option<String>,
}

/// What a provider's bill file says about one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DayBill {
    /// There is no file yet. Ask again later.
    NotReady,
    /// There is no file, and the provider does not say whether it is too early or there were no
    /// trades that day.
    Absent,
    /// The provider knows of no trades that day.
    Empty,
    /// Every line of the file.
    Lines(Vec<BillLine>),
}

/// What one line of a bill is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BillLineKind {
    /// Money from a payer.
    Payment,
    /// Money back to a payer.
    Refund,
    /// Anything else.
    Other,
}

/// One line of a provider's bill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillLine {
    /// What it is about.
    pub kind: BillLineKind,
    /// Number that Feat gave the trade (of UnionPay's refunds: that it gave the refund).
    pub key: String,
    /// Number that Feat gave the refund.
    pub refund_key: Option<String>,
    /// The provider's number of the trade; of UnionPay's refunds that of the paid trade.
    pub transaction_id: String,
    /// The provider's number of the refund.
    pub refund_id: Option<String>,
    /// What was paid or returned, in fen; never negative.
    pub amount_fen: i64,
    /// The provider's fee in thousandths of a fen, negative when it was given back.
    pub fee_thousandths: Option<i64>,
    /// The provider's word for the state.
    pub state: String,
    /// The time of the line, when it has one.
    pub at: Option<Timestamp>,
}
