//! What comes of matching a provider's bill of one day with Feat's own bills: one report for each
//! provider, merchant and day, with its differences in pages.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    bill::{BillSn, Source},
    book_day::BookDay,
    id::JobId,
    payment::Channel,
    time::Timestamp,
};

/// Differences of one page.
pub const PAGE_ROWS: usize = 200;

/// Differences that one report keeps; the others are only counted.
pub const MAX_ROWS: usize = 10_000;

/// Longest text that is taken over from a provider's file, in characters.
pub const MAX_TEXT: usize = 64;

/// In what the books differ.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceClass {
    /// The provider lists money that Feat does not know of.
    MissingHere,
    /// Feat recorded money that the provider does not list.
    MissingThere,
    /// Both know of it, and the sums differ.
    Amount,
    /// Both know of it, and it stands otherwise.
    State,
    /// The provider's fee is not the agreed one.
    Fee,
}

impl DifferenceClass {
    /// Every class.
    pub const ALL: [Self; 5] =
        [Self::MissingHere, Self::MissingThere, Self::Amount, Self::State, Self::Fee];

    /// Name on the wire, in metrics and in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MissingHere => "missing_here",
            Self::MissingThere => "missing_there",
            Self::Amount => "amount",
            Self::State => "state",
            Self::Fee => "fee",
        }
    }
}

impl fmt::Display for DifferenceClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Which way money went.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Movement {
    /// From a payer.
    Payment,
    /// Back to a payer.
    Refund,
}

impl Movement {
    /// Name on the wire and in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Payment => "payment",
            Self::Refund => "refund",
        }
    }
}

/// How one side knows a payment or refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Side {
    /// Its sum in fen; never negative.
    pub fen: i64,
    /// Where it stands, in the side's own word.
    pub state: String,
    /// When it happened, if the side says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The fee in thousandths of a fen: on Feat's side the agreed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee_thousandths: Option<i64>,
    /// The provider's number of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// In what.
    pub class: DifferenceClass,
    /// What it is about.
    pub movement: Movement,
    /// The number under which the provider has it from Feat.
    pub key: String,
    /// The bill, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sn: Option<BillSn>,
    /// How Feat knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ours: Option<Side>,
    /// How the provider lists it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theirs: Option<Side>,
    /// From whom Feat heard of it first: a notice, a question, an answer, an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<Source>,
}

/// How many differences there are of each class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DifferenceCounts {
    /// See [`DifferenceClass::MissingHere`].
    pub missing_here: u64,
    /// See [`DifferenceClass::MissingThere`].
    pub missing_there: u64,
    /// See [`DifferenceClass::Amount`].
    pub amount: u64,
    /// See [`DifferenceClass::State`].
    pub state: u64,
    /// See [`DifferenceClass::Fee`].
    pub fee: u64,
}

impl DifferenceCounts {
    /// How many of `class`.
    #[must_use]
    pub const fn of(&self, class: DifferenceClass) -> u64 {
        match class {
            DifferenceClass::MissingHere => self.missing_here,
            DifferenceClass::MissingThere => self.missing_there,
            DifferenceClass::Amount => self.amount,
            DifferenceClass::State => self.state,
            DifferenceClass::Fee => self.fee,
        }
    }

    /// One more of `class`.
    pub const fn add(&mut self, class: DifferenceClass) {
        match class {
            DifferenceClass::MissingHere => self.missing_here += 1,
            DifferenceClass::MissingThere => self.missing_there += 1,
            DifferenceClass::Amount => self.amount += 1,
            DifferenceClass::State => self.state += 1,
            DifferenceClass::Fee => self.fee += 1,
        }
    }

    /// All of them together.
    #[must_use]
    pub fn total(&self) -> u64 {
        DifferenceClass::ALL.into_iter().map(|class| self.of(class)).sum()
    }
}

/// What the provider lists of one sort.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sum {
    /// How many lines.
    pub count: u64,
    /// Together in fen.
    pub fen: i64,
}

impl Sum {
    /// One more line.
    pub const fn add(&mut self, fen: i64) {
        self.count += 1;
        self.fen = self.fen.saturating_add(fen);
    }
}

/// The report of one provider, merchant and day. A later run for the same replaces it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MatchReport {
    /// See [`MatchReport::id_of`].
    pub id: String,
    /// Counts the saved changes, from 1: one for each run.
    pub version: u64,
    /// The provider.
    pub channel: Channel,
    /// The merchant's number there.
    pub merchant: String,
    /// The day.
    pub day: BookDay,
    /// The run that made it; its pages are named after it. Later runs have larger names.
    pub run: JobId,
    /// When that was.
    pub made_at: Timestamp,
    /// Payments that the provider lists.
    pub payments: Sum,
    /// Refunds that the provider lists.
    pub refunds: Sum,
    /// Lines about something else, which are not matched.
    pub others: u64,
    /// Lines that agree with Feat in everything.
    pub matched: u64,
    /// The differences.
    pub differences: DifferenceCounts,
    /// Pages of differences that are kept, of [`PAGE_ROWS`] rows each.
    pub pages: u32,
}

impl MatchReport {
    /// The name of the report of this provider, merchant and day.
    #[must_use]
    pub fn id_of(channel: Channel, merchant: &str, day: BookDay) -> String {
        format!("{channel}:{merchant}:{day}")
    }

    /// Whether the books agree.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.differences.total() == 0
    }
}

/// One page of the differences of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchPage {
    /// See [`MatchPage::id_of`].
    pub id: String,
    /// Always 1: a page is never changed.
    pub version: u64,
    /// The report that it belongs to.
    pub report: String,
    /// The run that made it.
    pub run: JobId,
    /// At most [`PAGE_ROWS`].
    pub rows: Vec<Difference>,
}

impl MatchPage {
    /// The name of page `number`, counted from 0, of `run`.
    #[must_use]
    pub fn id_of(run: JobId, number: u32) -> String {
        format!("{run}:{number:04}")
    }

    /// Page `number` of `run`.
    #[must_use]
    pub fn new(report: &str, run: JobId, number: u32, rows: Vec<Difference>) -> Self {
        Self { id: Self::id_of(run, number), version: 1, report: report.to_owned(), run, rows }
    }
}
