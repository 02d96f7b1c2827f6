//! The judgement, pure: one line of a file against the bill that it names, and one bill of ours
//! against what the file had.

use std::collections::HashSet;

use providers::payment::{BillLine, BillLineKind};
use schemas::{
    BillRecord, BookDay, Channel,
    bill::{AttemptState, Listed, Payment, Refund, RefundState},
    matching::{Difference, DifferenceClass, MAX_TEXT, Movement, Side},
};

use super::terms::Terms;

/// Fees that differ by less than this, in thousandths of a fen, were only rounded otherwise.
const FEE_ROUNDING: i64 = 1_000;

/// What a line comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// In what it differs, if it does.
    pub(super) difference: Option<Difference>,
    /// What of our bill it lists.
    pub(super) listed: Option<Listed>,
    /// What should be asked about, because the provider knows more than we do.
    pub(super) ask: Option<Listed>,
}

/// What tells the lines of a file apart: which way money went, and under which of our numbers.
pub(super) type Name = (Movement, String);

/// The name of a line; `None` for one that is neither payment nor refund.
pub(super) fn name_of(line: &BillLine) -> Option<Name> {
    match line.kind {
        BillLineKind::Payment => Some((Movement::Payment, line.key.clone())),
        BillLineKind::Refund => {
            let key = line.refund_key.as_ref().unwrap_or(&line.key);
            Some((Movement::Refund, key.clone()))
        }
        BillLineKind::Other => None,
    }
}

/// Judges a line by the bill whose number it has, if there is one.
pub(super) fn judge(line: &BillLine, bill: Option<&BillRecord>, terms: &Terms) -> Verdict {
    let Some((movement, key)) = name_of(line) else { return Verdict::default() };
    match (movement, bill) {
        (Movement::Payment, Some(bill)) => payment(line, &key, bill, terms),
        (Movement::Refund, Some(bill)) => refund(line, &key, bill, terms),
        (movement, None) => unheard(line, movement, &key, None),
    }
}

/// A line about money that we do not know of.
pub(super) fn unheard(
    line: &BillLine,
    movement: Movement,
    key: &str,
    bill: Option<&BillRecord>,
) -> Verdict {
    let difference = Difference {
        class: DifferenceClass::MissingHere,
        movement,
        key: cut(key),
        sn: bill.map(|bill| bill.id.clone()),
        ours: None,
        theirs: Some(theirs(line)),
        heard: None,
    };
    Verdict { difference: Some(difference), ..Verdict::default() }
}

fn payment(line: &BillLine, key: &str, bill: &BillRecord, terms: &Terms) -> Verdict {
    let attempt = bill.attempt_of_key(key).filter(|attempt| terms.covers(attempt));
    let Some(attempt) = attempt else {
        return unheard(line, Movement::Payment, key, Some(bill));
    };
    let listed = Listed::Payment(attempt.number);
    let differs = |class, ours: Side| Difference {
        class,
        movement: Movement::Payment,
        key: cut(key),
        sn: Some(bill.id.clone()),
        ours: Some(ours),
        theirs: Some(theirs(line)),
        heard: bill.heard_from(listed),
    };
    let Some(paid) = bill.payments.iter().find(|paid| paid.attempt == attempt.number) else {
        let ours = Side { fen: bill.amount.get(), ..plain(attempt.state.name()) };
        // Also when it was given up here: money that came all the same has to be paid back.
        return Verdict {
            difference: Some(differs(DifferenceClass::State, ours)),
            listed: None,
            ask: Some(listed),
        };
    };
    let ours = of_payment(paid);
    let difference = if paid.amount.get() != line.amount_fen {
        Some(differs(DifferenceClass::Amount, ours))
    } else if paid.transaction_id != line.transaction_id {
        Some(differs(DifferenceClass::State, ours))
    } else {
        let agreed = terms.fee(attempt, paid.amount.get());
        agreed
            .and_then(|agreed| other_fee(line, agreed))
            .map(|fee| differs(DifferenceClass::Fee, Side { fee_thousandths: Some(fee), ..ours }))
    };
    Verdict { difference, listed: Some(listed), ask: None }
}

/// The agreed fee, if the line's is another one. What is given back with a refund is below zero: each
/// provider's file lists it so, in proportion to what is paid back.
fn other_fee(line: &BillLine, agreed: i64) -> Option<i64> {
    let taken = line.fee_thousandths?;
    (agreed.abs_diff(taken) >= FEE_ROUNDING.unsigned_abs()).then_some(agreed)
}

fn refund(line: &BillLine, key: &str, bill: &BillRecord, terms: &Terms) -> Verdict {
    let refund = bill.refund_of_key(key);
    let refund = refund.filter(|refund| terms.attempt(bill, refund.attempt).is_some());
    let Some(refund) = refund else {
        return unheard(line, Movement::Refund, key, Some(bill));
    };
    let listed = Listed::Refund(refund.number);
    let fate = Fate::of(terms.channel, &line.state);
    let fee = terms.attempt(bill, refund.attempt).and_then(|attempt| {
        let back = terms.fee(attempt, refund.amount.get()).filter(|_| fate == Fate::Back)?;
        other_fee(line, -back)
    });
    let class = if refund.amount.get() != line.amount_fen {
        Some(DifferenceClass::Amount)
    } else if !fate.agrees_with(refund.state) {
        Some(DifferenceClass::State)
    } else {
        fee.map(|_| DifferenceClass::Fee)
    };
    let fee = fee.filter(|_| class == Some(DifferenceClass::Fee));
    let difference = class.map(|class| Difference {
        class,
        movement: Movement::Refund,
        key: cut(key),
        sn: Some(bill.id.clone()),
        ours: Some(Side { fee_thousandths: fee, ..of_refund(refund) }),
        theirs: Some(theirs(line)),
        heard: bill.heard_from(listed),
    });
    // One that was refused here and is back there has left the sum free to be paid back again.
    let unsure =
        refund.state.is_under_way() || (refund.state == RefundState::Refused && fate == Fate::Back);
    let ask = (class == Some(DifferenceClass::State) && unsure).then_some(listed);
    Verdict { difference, listed: Some(listed), ask }
}

/// What became of a refund, in the word of a provider's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Back,
    UnderWay,
    Failed,
}

impl Fate {
    /// The files of Alipay and UnionPay list what was paid back and nothing else.
    fn of(channel: Channel, state: &str) -> Self {
        match (channel, state) {
            (Channel::Alipay | Channel::UnionPay, _) | (Channel::WeChatPay, "SUCCESS") => {
                Self::Back
            }
            (Channel::WeChatPay, "CLOSED" | "REFUNDCLOSE" | "FAIL") => Self::Failed,
            (Channel::WeChatPay, _) => Self::UnderWay,
        }
    }

    /// A file tells of its day, so a refund that was under way may have ended meanwhile.
    const fn agrees_with(self, ours: RefundState) -> bool {
        match self {
            Self::Back => matches!(ours, RefundState::Succeeded),
            Self::UnderWay => matches!(ours, RefundState::Succeeded) || ours.is_under_way(),
            Self::Failed => matches!(ours, RefundState::Refused),
        }
    }
}

/// What `bill` has of the day that the file has not, and that no other day's file had.
pub(super) fn unlisted(
    bill: &BillRecord,
    terms: &Terms,
    file: &HashSet<Name>,
) -> Vec<(Name, Difference)> {
    let elsewhere = |day: Option<BookDay>| day.is_some_and(|day| day != terms.day);
    let missing = |movement, key: &str, ours: Side, listed| {
        let name = (movement, key.to_owned());
        let difference = Difference {
            class: DifferenceClass::MissingThere,
            movement,
            key: cut(key),
            sn: Some(bill.id.clone()),
            ours: Some(ours),
            theirs: None,
            heard: bill.heard_from(listed),
        };
        (!file.contains(&name)).then_some((name, difference))
    };
    let payments = bill.payments.iter().filter_map(|paid| {
        let attempt = terms.attempt(bill, paid.attempt)?;
        let counts = terms.is_of_day(paid.paid_at) && !elsewhere(paid.listed_on);
        let listed = Listed::Payment(paid.attempt);
        counts
            .then(|| missing(Movement::Payment, attempt.key.as_str(), of_payment(paid), listed))
            .flatten()
    });
    let refunds = bill.refunds.iter().filter_map(|refund| {
        terms.attempt(bill, refund.attempt)?;
        let ended = refund.ended_at.filter(|_| refund.state == RefundState::Succeeded)?;
        // A provider lists a refund when it takes or when it ends it; days that were not matched
        // may have listed it.
        let begun = refund.sent_at.unwrap_or(refund.opened_at);
        let known = terms.follows || begun >= terms.from;
        let counts = terms.is_of_day(ended) && known && !elsewhere(refund.listed_on);
        let listed = Listed::Refund(refund.number);
        counts
            .then(|| missing(Movement::Refund, refund.key.as_str(), of_refund(refund), listed))
            .flatten()
    });
    payments.chain(refunds).collect()
}

fn of_payment(paid: &Payment) -> Side {
    Side {
        fen: paid.amount.get(),
        at: Some(paid.paid_at),
        provider_id: Some(paid.transaction_id.clone()),
        ..plain(AttemptState::Paid.name())
    }
}

fn of_refund(refund: &Refund) -> Side {
    Side {
        fen: refund.amount.get(),
        at: refund.ended_at.or(refund.sent_at),
        provider_id: refund.provider_id.clone(),
        ..plain(refund.state.name())
    }
}

fn theirs(line: &BillLine) -> Side {
    let id = line.refund_id.as_ref().unwrap_or(&line.transaction_id);
    Side {
        fen: line.amount_fen,
        at: line.at,
        fee_thousandths: line.fee_thousandths,
        provider_id: Some(cut(id)),
        ..plain(&line.state)
    }
}

fn plain(state: &str) -> Side {
    Side { fen: 0, state: cut(state), at: None, fee_thousandths: None, provider_id: None }
}

/// A text of a file, short and without what could forge a line where it is printed.
fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests;
