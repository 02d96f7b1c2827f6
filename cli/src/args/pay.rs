//! `feat pay`: bills, and what a person decides about them.

use std::time::Duration;

use clap::{Args, Subcommand};
use schemas::{BillSn, BillStatus, BookDay, Channel};

use super::{Operator, Output, Place};
use crate::when::When;

/// What can be done with bills.
#[derive(Debug, Subcommand)]
pub(crate) enum Pay {
    /// List bills, newest first
    #[command(after_help = "\
Examples:
  feat pay list --status paid --provider alipay --since 1d
  feat pay list --user ada --all --json | jq .id")]
    List(ListBills),
    /// Print the whole record of one bill: attempts, payments, refunds, evidence
    #[command(after_help = "\
Examples:
  feat pay show 202402030405061234567890123
  feat pay show 20240203040506123456789012301    # the number on the payer's receipt")]
    Show(ShowBill),
    /// List bills with a refund that waits for approval
    Held(Output<Place>),
    /// Send a refund that was held
    #[command(after_help = "\
Example:
  feat pay approve 202402030405061234567890123 --refund 1 --evidence 'paid twice, ticket 7'")]
    Approve(DecideRefund),
    /// Decide against a refund that was held
    Drop(DecideRefund),
    /// Say with evidence what became of an attempt or a refund that no provider tells of
    #[command(after_help = "\
Examples:
  feat pay settle SN --attempt 1 --not-paid --evidence 'closed in the merchant portal'
  feat pay settle SN --attempt 1 --paid --transaction 4200…  --amount 1250 --evidence 'bill of 3 Feb'
  feat pay settle SN --refund 2 --succeeded --evidence 'letter of the bank'")]
    Settle(SettleBill),
    /// Match the providers' bills of one day with Feat's own, and print in what they differ
    #[command(after_help = "\
Exit code 0: the books agree. 3: they differ. 1: not all is matched yet, or something went wrong.
A bill that is not published yet is matched when it is there.

Examples:
  feat pay reconcile --date 2026-11-22
  feat pay reconcile --date 2026-11-22 --provider alipay --json
  feat pay reconcile --date 2026-11-22 --stored")]
    Reconcile(Reconcile),
}

/// Which day's books to match.
#[derive(Debug, Clone, Args)]
pub(crate) struct Reconcile {
    /// The day on the provider's books, in Beijing
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(crate) date: BookDay,
    /// Only this provider: `wechat_pay`, `alipay` or `unionpay`
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Option<Channel>,
    /// Longest time to wait for the result; 0s to start it and leave
    #[arg(long, value_name = "SPAN", default_value = "10m", value_parser = crate::config::duration::parse)]
    pub(crate) wait: Duration,
    /// Print what an earlier run found and start nothing
    #[arg(long, conflicts_with = "wait")]
    pub(crate) stored: bool,
    #[command(flatten)]
    pub(crate) operator: Operator,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
}

/// Which bills to list.
#[derive(Debug, Clone, Args)]
pub(crate) struct ListBills {
    /// Only this status; may be repeated
    #[arg(long, value_name = "STATUS", value_parser = status)]
    pub(crate) status: Vec<BillStatus>,
    /// Only of this user: username or id
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Only with an attempt through this provider: `wechat_pay`, `alipay` or `unionpay`
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Option<Channel>,
    /// Only made since: a span such as 2h or 3d, or a time such as 2026-02-03T04:05:06Z
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<When>,
    /// Only made before: a span or a time as above
    #[arg(long, value_name = "WHEN")]
    pub(crate) until: Option<When>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 50, conflicts_with = "all")]
    pub(crate) limit: usize,
    /// All of them
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
}

fn status(name: &str) -> Result<BillStatus, String> {
    let named = |status: &BillStatus| status.name() == name;
    let expected =
        || format!("expected one of {}", BillStatus::ALL.map(BillStatus::name).join(", "));
    BillStatus::ALL.into_iter().find(named).ok_or_else(expected)
}

/// Which bill to show.
#[derive(Debug, Clone, Args)]
pub(crate) struct ShowBill {
    /// Its number, or the one under which a provider knows an attempt or a refund of it
    #[arg(value_parser = number)]
    pub(crate) sn: BillSn,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
}

fn number(text: &str) -> Result<BillSn, String> {
    BillSn::of_key(text).ok_or_else(|| "expected the 27 digits of a bill's number".to_owned())
}

/// Which held refund to decide on, and why.
#[derive(Debug, Clone, Args)]
pub(crate) struct DecideRefund {
    /// Number of the bill
    pub(crate) sn: BillSn,
    /// Number of the refund in its bill
    #[arg(long, value_name = "N")]
    pub(crate) refund: u32,
    #[command(flatten)]
    pub(crate) word: Word,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
}

/// The word of an operator; it stays in the bill's record.
#[derive(Debug, Clone, Args)]
pub(crate) struct Word {
    /// What the decision rests on
    #[arg(long, value_name = "TEXT")]
    pub(crate) evidence: String,
    /// Name of the operator in the bill's record; $USER when it is not given
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) operator: Option<String>,
}

/// What became of what.
#[derive(Debug, Clone, Args)]
#[command(group = clap::ArgGroup::new("subject").required(true).args(["attempt", "refund"]))]
#[command(group = clap::ArgGroup::new("fate").required(true).args(["paid", "not_paid", "succeeded", "failed"]))]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line, one of which is set")]
pub(crate) struct SettleBill {
    /// Number of the bill
    pub(crate) sn: BillSn,
    /// Number of the attempt
    #[arg(long, value_name = "N")]
    pub(crate) attempt: Option<u32>,
    /// Number of the refund
    #[arg(long, value_name = "N")]
    pub(crate) refund: Option<u32>,
    /// The attempt was paid
    #[arg(long, requires_all = ["attempt", "transaction", "amount"])]
    pub(crate) paid: bool,
    /// The provider's number of the payment
    #[arg(long, value_name = "ID", requires = "paid")]
    pub(crate) transaction: Option<String>,
    /// What was paid, in fen
    #[arg(long, value_name = "FEN", requires = "paid")]
    pub(crate) amount: Option<i64>,
    /// The attempt was not paid and cannot be any more
    #[arg(long, requires = "attempt")]
    pub(crate) not_paid: bool,
    /// The refund reached the payer
    #[arg(long, requires = "refund")]
    pub(crate) succeeded: bool,
    /// The refund did not reach the payer and never will
    #[arg(long, requires = "refund")]
    pub(crate) failed: bool,
    #[command(flatten)]
    pub(crate) word: Word,
    #[command(flatten)]
    pub(crate) place: Output<Place>,
}
