//! Card payment without redirect, bizType `000301`: is a card opened, text messages, opening, payment.
//!
//! Card numbers, phone numbers and codes are decrypted for one call and then forgotten: what is kept or
//! shown is masked. The token edition, bizType `000902`, is refused by name.

mod card;
mod code;
mod customer;
mod encryption;
mod open;
mod page;
mod pay;
mod status;

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

pub use self::card::{TEST_CARDS, TEST_CODE, TestCard};
pub(crate) use self::page::{answer, show, table};
use self::{code::Texts, open::Openings};
pub(super) use self::{
    code::send, encryption::certificate, open::open, page::begin, pay::pay, status::status,
};
use super::{
    Call, Fields,
    message::Fail,
    order::{channel, is_new},
};

/// What UnionPay knows of the merchants' dealings with cards.
#[derive(Debug, Default)]
pub(crate) struct Cards {
    /// Cards that were opened since the start, by merchant.
    opened: Mutex<HashSet<(String, &'static str)>>,
    texts: Texts,
    openings: Openings,
}

impl Cards {
    fn is_opened(&self, merchant: &str, card: &TestCard) -> bool {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        card.opened || opened.contains(&(merchant.to_owned(), card.number))
    }

    fn open(&self, merchant: &str, card: &TestCard) {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.insert((merchant.to_owned(), card.number));
    }

    /// Whether `key` is the number of an opening.
    pub(super) fn knows(&self, merchant: &str, key: &str) -> bool {
        self.openings.knows(merchant, key)
    }
}

/// What is not simulated is refused by name.
pub(super) fn refusal(call: &Call<'_>) -> Fail {
    let (kind, sub) = (call.field("txnType"), call.field("txnSubType"));
    let token = call.field("bizType") == "000902"
        || kind == "74"
        || [("78", "02"), ("79", "03"), ("79", "05")].contains(&(kind, sub));
    if token {
        return Fail::new("32", "tokens are not simulated: no permission[bizType]");
    }
    if (kind, call.field("bizType")) == ("01", "000301") {
        let reason = "opening and paying in one is not simulated: no permission[txnType]";
        return Fail::new("32", reason);
    }
    Fail::new("14", "Invalid transaction type[txnType]")
}

/// What every new transaction with a card begins with.
fn starts(call: &Call<'_>, kind: &str, subs: &[&str]) -> Result<(), Fail> {
    if !subs.iter().any(|sub| call.is(kind, sub, &["000301"])) {
        return Err(refusal(call));
    }
    channel(call, &["07", "08"])?;
    is_new(call)?;
    call.is_fresh()
}

/// Opened, which card, and how it is shown.
fn shown(card: &TestCard) -> Fields {
    [
        ("activateStatus", "1".to_owned()),
        ("accNo", card.masked()),
        ("payCardType", card.kind().to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
