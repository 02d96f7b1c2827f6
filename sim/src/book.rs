//! Trades and refunds of all providers, and the moves that are legal.
//!
//! Money moves in three places of this file, and each writes the ledger.

mod money;
mod trade;

use std::collections::HashMap;

use chrono::{DateTime, Utc};

pub(crate) use self::{
    money::{Refused, Request},
    trade::{Dialect, End, Refund, State, Trade},
};
use crate::ledger::{Ledger, Provider};

type Key = (Provider, String, String);

/// Everything that the providers know.
#[derive(Debug, Default)]
pub(crate) struct Book {
    trades: Vec<Trade>,
    by_key: HashMap<Key, usize>,
    by_number: HashMap<String, usize>,
    by_code: HashMap<String, usize>,
    refunds: HashMap<Key, (usize, usize)>,
    pub(crate) ledger: Ledger,
    most: usize,
    serial: u64,
}

/// There is no room for another trade.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Book {
    /// An empty book for at most `most` trades.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// A number that was not given before.
    pub(crate) fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Adds a trade, which gets its number; answers with it.
    pub(crate) fn open(&mut self, mut trade: Trade) -> Result<&mut Trade, Full> {
        if self.trades.len() >= self.most {
            return Err(Full);
        }
        let place = self.trades.len();
        trade.id = place as u64 + 1;
        self.by_key.insert((trade.provider, trade.merchant.clone(), trade.key.clone()), place);
        self.by_number.insert(trade.number.clone(), place);
        for code in &trade.codes {
            self.by_code.insert(code.clone(), place);
        }
        self.trades.push(trade);
        self.trades.last_mut().ok_or(Full)
    }

    /// Gives `trade` one more code by which it is found.
    pub(crate) fn add_code(&mut self, id: u64, code: String) {
        if let Some(place) = self.place(id) {
            self.by_code.insert(code.clone(), place);
            self.trades[place].codes.push(code);
        }
    }

    fn place(&self, id: u64) -> Option<usize> {
        let place = usize::try_from(id).ok()?.checked_sub(1)?;
        (place < self.trades.len()).then_some(place)
    }

    /// The trade with the simulators' own number `id`.
    pub(crate) fn get(&self, id: u64) -> Option<&Trade> {
        self.place(id).map(|place| &self.trades[place])
    }

    /// The same, to change it.
    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut Trade> {
        self.place(id).map(|place| &mut self.trades[place])
    }

    /// The trade under the merchant's number.
    pub(crate) fn by_key(&self, provider: Provider, merchant: &str, key: &str) -> Option<&Trade> {
        let key = (provider, merchant.to_owned(), key.to_owned());
        self.by_key.get(&key).map(|place| &self.trades[*place])
    }

    /// The merchant's trade under the provider's number.
    pub(crate) fn by_number(&self, provider: Provider, merchant: &str, number: &str) -> Option<&Trade> {
        let trade = self.by_number.get(number).map(|place| &self.trades[*place])?;
        (trade.provider == provider && trade.merchant == merchant).then_some(trade)
    }

    /// The trade that a code, a prepay id or a `tn` leads to.
    pub(crate) fn by_code(&self, code: &str) -> Option<&Trade> {
        self.by_code.get(code).map(|place| &self.trades[*place])
    }

    /// The trade that `name` means: the simulators' own number, a code, a code's link, the
    /// provider's number, or the merchant's number at any provider.
    pub(crate) fn find(&self, name: &str) -> Option<&Trade> {
        let by_id = || name.parse().ok().and_then(|id| self.get(id));
        let tail = name.rsplit(['=', '/']).next().unwrap_or(name);
        let by_number = || self.by_number.get(name).map(|place| &self.trades[*place]);
        // A merchant's number may be all digits too; it is longer than any of ours.
        let by_key = || self.trades.iter().rev().find(|trade| trade.key == name);
        let by_order = || {
            let orders = self.trades.iter().rev();
            let mut of_order = orders.filter(|trade| trade.provider == Provider::UnionPay);
            of_order.find(|trade| trade.key.split('@').next() == Some(name))
        };
        let by_code = self.by_code(name).or_else(|| self.by_code(tail));
        by_code.or_else(by_number).or_else(by_key).or_else(by_order).or_else(by_id)
    }

    /// Every trade, oldest first.
    pub(crate) fn trades(&self) -> &[Trade] {
        &self.trades
    }

    /// The merchant's refund `number` with its trade.
    pub(crate) fn refund(
        &self,
        provider: Provider,
        merchant: &str,
        number: &str,
    ) -> Option<(&Trade, &Refund)> {
        let key = (provider, merchant.to_owned(), number.to_owned());
        let (place, index) = self.refunds.get(&key)?;
        let trade = &self.trades[*place];
        Some((trade, trade.refunds.get(*index)?))
    }

    /// Closes an unpaid trade; what is closed stays so.
    pub(crate) fn close(&mut self, id: u64, now: DateTime<Utc>) -> Result<(), Refused> {
        let trade = self.get_mut(id).ok_or(Refused::NotPaid)?;
        match trade.state(now) {
            State::Open => trade.state = State::Closed(now),
            State::Closed(_) => {}
            State::Paid(_) => return Err(Refused::Paid),
        }
        Ok(())
    }
}
