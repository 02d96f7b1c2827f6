//! What one merchant's day is judged by.

use std::collections::HashMap;

use schemas::{
    BillRecord, BookDay, Channel, Timestamp, bill::Attempt, kinds::pay_bill_match::DayRef,
};

use crate::handler::Context;

/// How far the clocks of a provider and of Feat may be apart, with what a message is under way: what
/// happened that close to the end of a day is judged with the next one.
const MARGIN: std::time::Duration = std::time::Duration::from_hours(1);

/// Whose day it is, what belongs to it, and what was agreed.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// The provider.
    pub(crate) channel: Channel,
    /// The day.
    pub(crate) day: BookDay,
    /// The merchant's apps by name, with the agreed fee in hundredths of a percent.
    apps: HashMap<String, Option<u32>>,
    /// Our payments and refunds of this span are looked for in the file.
    pub(crate) from: Timestamp,
    /// End of that span.
    pub(crate) until: Timestamp,
    /// Whether the day before was matched, so that what it listed is known.
    pub(crate) follows: bool,
}

impl Terms {
    /// The terms of `of`; `follows` when the day before was matched.
    pub(crate) fn of(ctx: &Context, of: &DayRef, follows: bool) -> Self {
        let own = ctx.till.gateways.iter().filter(|gateway| {
            gateway.channel() == of.channel && gateway.merchant_id() == of.merchant
        });
        let apps = own.map(|one| (one.name().to_owned(), one.fee_basis_points())).collect();
        Self::new(of.channel, of.day, apps, follows)
    }

    pub(super) fn new(
        channel: Channel,
        day: BookDay,
        apps: HashMap<String, Option<u32>>,
        follows: bool,
    ) -> Self {
        let begins = day.begins(channel);
        let from = if follows { begins - MARGIN } else { begins + MARGIN };
        Self { channel, day, apps, from, until: day.ends(channel) - MARGIN, follows }
    }

    /// Whether `attempt` went to this merchant.
    pub(super) fn covers(&self, attempt: &Attempt) -> bool {
        attempt.channel == self.channel && self.apps.contains_key(&attempt.app)
    }

    /// The agreed fee for a payment of `fen` through `attempt`, in thousandths of a fen.
    pub(super) fn fee(&self, attempt: &Attempt, fen: i64) -> Option<i64> {
        let basis_points = self.apps.get(&attempt.app).copied().flatten()?;
        fen.checked_mul(i64::from(basis_points)).map(|fee| fee / 10)
    }

    /// The attempt of `bill` with this number, if it went to this merchant.
    pub(super) fn attempt<'b>(&self, bill: &'b BillRecord, number: u32) -> Option<&'b Attempt> {
        bill.attempt(number).filter(|attempt| self.covers(attempt))
    }

    /// Whether what happened at `at` is judged with this day.
    pub(super) fn is_of_day(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }
}
