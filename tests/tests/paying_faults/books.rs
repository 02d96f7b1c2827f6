//! The simulators' ledger against a bill.

use std::ops::AddAssign;

use schemas::{
    BillRecord,
    bill::{AttemptState, RefundState},
};
use sim::{Effect, Entry, Provider, Running};

/// What does not agree, by how bad it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Movements that the bill is sure of and that never were.
    pub(crate) lost: u32,
    /// Movements that happened twice, or for which nobody asked.
    pub(crate) doubled: u32,
    /// Movements and states that the bill has otherwise than the provider.
    pub(crate) different: u32,
}

impl AddAssign for Verdict {
    fn add_assign(&mut self, other: Self) {
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.different += other.different;
    }
}

/// One movement that a bill knows of or rules out.
struct Movement {
    happened: bool,
    key: String,
    sum: i64,
    effect: Effect,
}

/// Compares everything that `bill` says with what the providers know.
pub(crate) fn compare(bill: &BillRecord, sim: &Running) -> Verdict {
    let ledger = sim.ledger();
    let ours = |entry: &&Entry| entry.key.starts_with(bill.id.as_str());
    let entries: Vec<_> = ledger.entries.iter().filter(ours).collect();
    let mut verdict = Verdict::default();
    let movements = movements(bill);
    for movement in &movements {
        let found = entries.iter().filter(|entry| is_of(entry, movement));
        let sums: Vec<_> = found.map(|entry| entry.amount).collect();
        match (movement.happened, sums.as_slice()) {
            (true, []) => verdict.lost += 1,
            (true, [moved]) => verdict.different += u32::from(*moved != movement.sum),
            (false, []) => {}
            (false, [_]) => verdict.different += 1,
            (_, [_, _, ..]) => verdict.doubled += 1,
        }
    }
    let unasked = entries.iter().filter(|entry| !movements.iter().any(|one| is_of(entry, one)));
    verdict.doubled += u32::try_from(unasked.count()).unwrap_or(u32::MAX);
    verdict.different += still_open(bill, sim);
    verdict
}

fn movements(bill: &BillRecord) -> Vec<Movement> {
    let attempts = bill.attempts.iter().map(|attempt| {
        let paid = bill.payments.iter().find(|payment| payment.attempt == attempt.number);
        Movement {
            happened: paid.is_some(),
            key: attempt.key.to_string(),
            sum: paid.map_or(0, |payment| payment.amount.get()),
            effect: Effect::Paid,
        }
    });
    let refunds = bill.refunds.iter().map(|refund| Movement {
        happened: matches!(refund.state, RefundState::Succeeded | RefundState::Processing),
        key: refund.key.to_string(),
        sum: refund.amount.get(),
        effect: Effect::Refunded,
    });
    attempts.chain(refunds).collect()
}

/// UnionPay's keys have the time of the transaction behind them.
fn is_of(entry: &Entry, movement: &Movement) -> bool {
    let number = entry.key.split('@').next();
    number == Some(movement.key.as_str()) && entry.effect == movement.effect
}

/// Attempts that the bill calls over and that WeChat Pay, which can close any trade, has open.
fn still_open(bill: &BillRecord, sim: &Running) -> u32 {
    let over = bill
        .attempts
        .iter()
        .filter(|attempt| matches!(attempt.state, AttemptState::Closed | AttemptState::Refused));
    let open = over.filter(|attempt| {
        let trade = sim.trade(attempt.key.as_str());
        trade.is_some_and(|trade| trade.provider == Provider::Wechat && trade.state == "open")
    });
    u32::try_from(open.count()).unwrap_or(u32::MAX)
}
