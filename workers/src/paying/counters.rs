//! What people have to hear of. Every counter is there from the start, so that an alert sees its
//! first increment.

use schemas::{
    Channel,
    bill::{Refund, RefundState, Source, Surplus},
};

const SURPLUS: &str = "feat_bill_surplus_total";
const CONTRADICTIONS: &str = "feat_bill_contradictions_total";
const UNKNOWN: &str = "feat_pay_unknown_total";
const REFUNDS: &str = "feat_bill_refund_troubles_total";
const FOREIGN: &str = "feat_notices_foreign_total";

/// Why people have to see to a refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefundTrouble {
    /// The provider cannot deliver the money.
    Abnormal,
    /// The provider gave it up after it had taken it, or refused to pay back what does not count.
    Refused,
}

impl RefundTrouble {
    const ALL: [Self; 2] = [Self::Abnormal, Self::Refused];

    /// Whether people have to hear that `refund` is `state` now, which `source` told. What is refused
    /// at once is told to whoever asked for it; nobody asked for what pays back a surplus.
    pub(crate) fn of(refund: &Refund, state: RefundState, source: Source) -> Option<Self> {
        match state {
            RefundState::Abnormal => Some(Self::Abnormal),
            RefundState::Refused if source != Source::Answer || refund.surplus.is_some() => {
                Some(Self::Refused)
            }
            _ => None,
        }
    }

    /// Name in metrics and logs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Abnormal => "abnormal",
            Self::Refused => "refused",
        }
    }
}

/// Describes every counter and begins it at zero.
pub(crate) fn begin() {
    metrics::describe_counter!(
        SURPLUS,
        "Payments that do not count (a second one, after the close, another sum); their refunds \
         are held for approval."
    );
    metrics::describe_counter!(
        CONTRADICTIONS,
        "Words of a provider that contradict what it said before; the first truth stays."
    );
    metrics::describe_counter!(
        UNKNOWN,
        "Runs that ended without knowing whether money moved; the job asks until it knows."
    );
    metrics::describe_counter!(
        REFUNDS,
        "Refunds that got stuck at their provider, or that it gave up after it had taken them; \
         refused ones of payments that do not count are held again."
    );
    metrics::describe_counter!(
        FOREIGN,
        "Genuine notices about nothing that was begun here at that account."
    );
    for why in Surplus::ALL {
        metrics::counter!(SURPLUS, "why" => why.name()).increment(0);
    }
    metrics::counter!(CONTRADICTIONS).increment(0);
    for why in RefundTrouble::ALL {
        metrics::counter!(REFUNDS, "why" => why.name()).increment(0);
    }
    metrics::counter!(UNKNOWN).increment(0);
    for channel in Channel::ALL {
        metrics::counter!(FOREIGN, "channel" => channel.name()).increment(0);
    }
}

/// A payment does not count.
pub(crate) fn surplus(why: Surplus) {
    metrics::counter!(SURPLUS, "why" => why.name()).increment(1);
}

/// A provider contradicts what is recorded.
pub(crate) fn contradiction() {
    metrics::counter!(CONTRADICTIONS).increment(1);
}

/// People have to see to a refund.
pub(crate) fn refund_trouble(why: RefundTrouble) {
    metrics::counter!(REFUNDS, "why" => why.name()).increment(1);
}

/// A run ended without knowing whether money moved.
pub(crate) fn unknown() {
    metrics::counter!(UNKNOWN).increment(1);
}

/// A genuine notice is about nothing of ours.
pub(crate) fn foreign_notice(channel: Channel) {
    metrics::counter!(FOREIGN, "channel" => channel.name()).increment(1);
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a panic is how a test fails")]
mod tests {
    use std::time::Duration;

    use schemas::{
        BillRecord, BillSn, Currency, Fen, JobId, Scene, Timestamp, UserId,
        bill::{NewBill, Paid, PaymentNews, Way},
    };

    use super::*;

    /// A refund that was asked for, or one of a payment that does not count.
    fn refund(is_surplus: bool) -> Refund {
        let (now, amount) = (Timestamp::now(), Fen::new(100).expect("sum"));
        let new = NewBill {
            owner: UserId::new(7).expect("id"),
            amount,
            currency: Currency::Cny,
            subject: "tea".to_owned(),
            client_ref: None,
            expires_at: now + Duration::from_hours(2),
        };
        let way = Way {
            channel: Channel::WeChatPay,
            scene: Scene::Native,
            code: true,
            app: "shop".to_owned(),
            account: None,
            card: None,
        };
        let bill = BillRecord::open(new, BillSn::generate(now), now);
        let bill = bill.begin_attempt(&way, 0, now).expect("an attempt");
        let sum = Fen::new(if is_surplus { 99 } else { 100 }).expect("sum");
        let paid = Paid { transaction_id: "4200".to_owned(), amount: sum, at: now };
        let mut bill = match bill.pay(1, &paid, Source::Notify, "job", now).expect("paid") {
            PaymentNews::Counted(bill) => {
                bill.begin_refund(JobId::generate(), amount, "r", now).expect("a refund")
            }
            PaymentNews::Surplus(bill, _) => bill,
            other => panic!("{other:?}"),
        };
        bill.refunds.remove(0)
    }

    #[test]
    fn people_hear_of_refunds_that_nobody_else_is_told_of() {
        use RefundState::{Abnormal, Processing, Refused, Succeeded};
        let cases = [
            ("stuck", false, Abnormal, Source::Query, Some(RefundTrouble::Abnormal)),
            ("given up later", false, Refused, Source::Query, Some(RefundTrouble::Refused)),
            ("told so", false, Refused, Source::Notify, Some(RefundTrouble::Refused)),
            ("refused at once", false, Refused, Source::Answer, None),
            ("a surplus stays", true, Refused, Source::Answer, Some(RefundTrouble::Refused)),
            ("under way", true, Processing, Source::Answer, None),
            ("back", true, Succeeded, Source::Query, None),
        ];
        for (name, is_surplus, state, source, expected) in cases {
            let refund = refund(is_surplus);
            assert_eq!(refund.surplus.is_some(), is_surplus, "{name}");
            assert_eq!(RefundTrouble::of(&refund, state, source), expected, "{name}");
        }
    }
}
