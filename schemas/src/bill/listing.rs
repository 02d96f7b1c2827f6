//! What a provider's bill file says of a bill, and when money moved.

use super::{BillRecord, BillSn, RefundState, Source};
use crate::{book_day::BookDay, time::Timestamp};

/// A payment or refund that a provider's bill lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Listed {
    /// The payment of this attempt.
    Payment(u32),
    /// The refund of this number.
    Refund(u32),
}

impl BillRecord {
    /// Notes that the provider's bill of `day` lists these; `None` when that is noted already. What
    /// the bill does not have is passed over.
    #[must_use]
    pub fn list(mut self, day: BookDay, listed: &[Listed], now: Timestamp) -> Option<Self> {
        let mut is_new = false;
        for one in listed {
            let place = match one {
                Listed::Payment(attempt) => self
                    .payments
                    .iter_mut()
                    .find(|payment| payment.attempt == *attempt)
                    .map(|payment| &mut payment.listed_on),
                Listed::Refund(number) => self
                    .refunds
                    .iter_mut()
                    .find(|refund| refund.number == *number)
                    .map(|refund| &mut refund.listed_on),
            };
            if let Some(place) = place
                && *place != Some(day)
            {
                *place = Some(day);
                is_new = true;
            }
        }
        is_new.then(|| self.changed(now))
    }

    /// From whom Feat heard first of a payment or refund, as far as the evidence goes back.
    #[must_use]
    pub fn heard_from(&self, listed: Listed) -> Option<Source> {
        let begins = match listed {
            Listed::Payment(attempt) => [format!("attempt {attempt} paid:"), String::new()],
            Listed::Refund(number) => {
                let state = |state: RefundState| format!("refund {number} {}:", state.name());
                [state(RefundState::Succeeded), state(RefundState::Processing)]
            }
        };
        let of = |what: &str| begins.iter().any(|text| !text.is_empty() && what.starts_with(text));
        self.evidence.iter().find(|one| of(&one.what)).map(|one| one.source)
    }

    /// The text that stands for `at` in [`Self::moved`] of the bill `sn`.
    #[must_use]
    pub fn moved_mark(at: Timestamp, sn: &BillSn) -> String {
        format!("{at}/{sn}")
    }

    /// When money moved last.
    pub(super) fn moved_at(&self) -> Option<Timestamp> {
        let paid = self.payments.iter().map(|payment| payment.paid_at);
        let back = self.refunds.iter().filter(|refund| refund.state == RefundState::Succeeded);
        paid.chain(back.filter_map(|refund| refund.ended_at)).max()
    }
}
