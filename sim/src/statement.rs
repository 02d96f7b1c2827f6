//! What a provider's bill of one day lists, before it is written in the provider's own form; and
//! what a fault script does to it.

use chrono::{DateTime, Utc};

use crate::{
    book::{Refund, Trade},
    fault::Act,
    ledger::Provider,
    sim::Sim,
};

/// How much more a wrong fee is: five fen, in thousandths of one.
const WRONG_FEE: i64 = 5_000;

/// A payment, or a refund of it.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// The trade.
    pub(crate) trade: Trade,
    /// The refund, if that is what it is about.
    pub(crate) refund: Option<Refund>,
    /// When.
    pub(crate) at: DateTime<Utc>,
    /// What the fee is too much, in thousandths of a fen.
    pub(crate) fee_error: i64,
}

/// The lines of `merchant` at the moments that `in_time` takes, oldest first, as `act` leaves them.
pub(crate) fn lines(
    sim: &Sim,
    provider: Provider,
    merchant: &str,
    in_time: impl Fn(DateTime<Utc>) -> bool,
    act: Option<&Act>,
) -> Vec<Line> {
    let book = sim.book();
    let mut lines = Vec::new();
    let own = |trade: &&Trade| trade.provider == provider && trade.merchant == merchant;
    for trade in book.trades().iter().filter(own) {
        if let Some(at) = trade.paid_at().filter(|at| in_time(*at)) {
            lines.push(Line { trade: trade.clone(), refund: None, at, fee_error: 0 });
        }
        for refund in trade.refunds.iter().filter(|refund| in_time(refund.at)) {
            let (trade, refund, at) = (trade.clone(), Some(refund.clone()), refund.at);
            lines.push(Line { trade, refund, at, fee_error: 0 });
        }
    }
    drop(book);
    lines.sort_by_key(|line| line.at);
    doctor(&mut lines, act);
    lines
}

/// Does to the first line, if there is one, what a script says.
fn doctor(lines: &mut Vec<Line>, act: Option<&Act>) {
    let Some(first) = lines.first_mut() else { return };
    match act {
        Some(Act::BillOmits) => drop(lines.remove(0)),
        Some(Act::BillInvents) => {
            let invented = first.invented();
            lines.push(invented);
        }
        Some(Act::BillAmount) => match &mut first.refund {
            Some(refund) => refund.amount += 1,
            None => first.trade.amount += 1,
        },
        Some(Act::BillFee) => first.fee_error = WRONG_FEE,
        Some(Act::BillRefundFee) => {
            if let Some(line) = lines.iter_mut().find(|line| line.refund.is_some()) {
                line.fee_error = WRONG_FEE;
            }
        }
        _ => {}
    }
}

impl Line {
    /// A line like it about money that never moved.
    fn invented(&self) -> Self {
        let mut line = self.clone();
        let other = |text: &str| {
            let at = text.find('@').unwrap_or(text.len());
            let (number, rest) = text.split_at(at);
            let turned: String = number.chars().rev().collect();
            format!("{turned}{rest}")
        };
        line.trade.key = other(&line.trade.key);
        line.trade.number = other(&line.trade.number);
        let order = other(line.trade.fact("orderId"));
        line.trade.facts.insert("orderId".to_owned(), order);
        line.refund = None;
        line
    }
}
