//! The moves of money: a payment, a refund, a refund that ends, a withdrawal.

use chrono::{DateTime, Utc};

use super::{Book, End, Refund, State, Trade};
use crate::ledger::{Effect, Entry, Provider};

/// Why money did not move. Providers give it their own names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The trade is paid.
    Paid,
    /// The trade is closed.
    Closed,
    /// The trade is not paid.
    NotPaid,
    /// The refund's number is taken by one with other data.
    OtherData,
    /// More than is left of the trade.
    TooMuch,
    /// More than the merchant has.
    NotEnough,
    /// As many refunds as a trade can have.
    TooMany,
    /// The last refund of the trade is too fresh.
    TooSoon,
}

/// A refund that the merchant asks for.
#[derive(Debug)]
pub(crate) struct Request {
    /// The refund as it will stand in the book.
    pub(crate) refund: Refund,
    /// Least time since the trade's last refund.
    pub(crate) gap: chrono::TimeDelta,
    /// Most refunds of a trade.
    pub(crate) most: usize,
}

impl Book {
    /// The payer pays. `after_all` lets a payment arrive for a closed trade.
    pub(crate) fn pay(
        &mut self,
        id: u64,
        payer: &str,
        after_all: bool,
        now: DateTime<Utc>,
    ) -> Result<Trade, Refused> {
        let trade = self.get_mut(id).ok_or(Refused::NotPaid)?;
        match trade.state(now) {
            State::Paid(_) => return Err(Refused::Paid),
            State::Closed(_) if !after_all => return Err(Refused::Closed),
            State::Closed(_) | State::Open => {}
        }
        trade.state = State::Paid(now);
        trade.known = true;
        trade.declined = false;
        trade.payer.get_or_insert_with(|| payer.to_owned());
        let trade = trade.clone();
        self.post(&trade, &trade.key, Effect::Paid, trade.amount, now);
        Ok(trade)
    }

    /// The merchant refunds. The same number with the same data gives the same refund again and moves
    /// nothing; the second part of the answer says whether it was new.
    pub(crate) fn take_refund(
        &mut self,
        id: u64,
        request: Request,
        now: DateTime<Utc>,
    ) -> Result<(Trade, Refund, bool), Refused> {
        let trade = self.get(id).ok_or(Refused::NotPaid)?;
        let (provider, merchant) = (trade.provider, trade.merchant.clone());
        let name = trade.refund_name(&request.refund.number);
        if let Some((first, refund)) = self.refund(provider, &merchant, &name) {
            let same = first.id == id && refund.data == request.refund.data;
            let known = same.then(|| (first.clone(), refund.clone(), false));
            return known.ok_or(Refused::OtherData);
        }
        self.may_refund(trade, &request, now)?;

        let number = request.refund.number.clone();
        let trade = self.get_mut(id).ok_or(Refused::NotPaid)?;
        trade.refunds.push(request.refund);
        let (trade, index) = (trade.clone(), trade.refunds.len() - 1);
        let place = usize::try_from(id).unwrap_or_default().saturating_sub(1);
        self.refunds.insert((provider, merchant, name), (place, index));
        let refund = trade.refunds[index].clone();
        self.post(&trade, &number, Effect::Refunded, refund.amount, now);
        Ok((trade, refund, true))
    }

    fn may_refund(&self, trade: &Trade, request: &Request, now: DateTime<Utc>) -> Result<(), Refused> {
        match trade.state(now) {
            State::Paid(_) => {}
            State::Closed(_) => return Err(Refused::Closed),
            State::Open => return Err(Refused::NotPaid),
        }
        let amount = request.refund.amount;
        if trade.refunds.len() >= request.most {
            return Err(Refused::TooMany);
        }
        if trade.refunds.last().is_some_and(|last| now - last.at < request.gap) {
            return Err(Refused::TooSoon);
        }
        if amount > trade.amount - trade.refunded() {
            return Err(Refused::TooMuch);
        }
        let balance = self.ledger.totals_of(trade.provider, &trade.merchant).balance();
        if amount > balance { Err(Refused::NotEnough) } else { Ok(()) }
    }

    /// The refund at `index` of trade `id` ends; answers with it, once.
    pub(crate) fn end_refund(
        &mut self,
        id: u64,
        index: usize,
        now: DateTime<Utc>,
    ) -> Option<(Trade, Refund)> {
        let refund = self.get_mut(id)?.refunds.get_mut(index)?;
        if refund.ended.is_some() {
            return None;
        }
        refund.ended = Some(now);
        let trade = self.get(id)?.clone();
        let refund = trade.refunds.get(index)?.clone();
        if refund.end == End::Closed {
            self.post(&trade, &refund.number, Effect::Returned, refund.amount, now);
        }
        Some((trade, refund))
    }

    /// The merchant takes money out of its account; what is not there stays away.
    pub(crate) fn withdraw(
        &mut self,
        provider: Provider,
        merchant: &str,
        amount: i64,
        now: DateTime<Utc>,
    ) -> i64 {
        let balance = self.ledger.totals_of(provider, merchant).balance();
        let amount = amount.clamp(0, balance.max(0));
        if amount > 0 {
            let seq = self.serial();
            let key = format!("withdrawal-{seq}");
            self.ledger.post(Entry {
                seq: 0,
                at: now,
                provider,
                merchant: merchant.to_owned(),
                trade: String::new(),
                key,
                effect: Effect::Withdrawn,
                amount,
            });
        }
        amount
    }

    fn post(&mut self, trade: &Trade, key: &str, effect: Effect, amount: i64, now: DateTime<Utc>) {
        self.ledger.post(Entry {
            seq: 0,
            at: now,
            provider: trade.provider,
            merchant: trade.merchant.clone(),
            trade: trade.key.clone(),
            key: key.to_owned(),
            effect,
            amount,
        });
    }
}
