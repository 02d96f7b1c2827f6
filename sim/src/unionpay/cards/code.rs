//! Text messages, and the codes in them: a code is good once, for the numbers that it was asked for.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    card::{TEST_CODE, TestCard},
    customer::Customer,
    encryption, starts,
};
use crate::unionpay::{Call, Done, Fields, message::Fail, order::currency};

/// How long a code is good.
const LIFETIME: TimeDelta = TimeDelta::minutes(10);
/// In which time messages are counted.
const WINDOW: TimeDelta = TimeDelta::minutes(1);
/// Most codes that are kept.
const MOST: usize = 100_000;

/// What a code is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Opening a card.
    Open,
    /// Paying so many fen.
    Pay(i64),
}

#[derive(Debug)]
struct Text {
    card: &'static str,
    purpose: Purpose,
    until: DateTime<Utc>,
}

#[derive(Debug, Default)]
struct Inner {
    /// By merchant and `orderId@txnTime`.
    sent: HashMap<(String, String), Text>,
    /// Since when, and how many, by merchant and card.
    counts: HashMap<(String, &'static str), (DateTime<Utc>, u32)>,
}

/// The messages that were sent.
#[derive(Debug, Default)]
pub(super) struct Texts(Mutex<Inner>);

impl Texts {
    /// Sends a message; the one before under the same numbers is void.
    fn send(&self, call: &Call<'_>, card: &'static TestCard, purpose: Purpose) -> Result<(), Fail> {
        let (merchant, now) = (call.account.mer_id(), call.sim.now());
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = inner.counts.entry((merchant.to_owned(), card.number)).or_insert((now, 0));
        if now - count.0 >= WINDOW {
            *count = (now, 0);
        }
        if count.1 >= call.sim.settings.quotas.unionpay_texts {
            return Err(Fail::new("37", "too many text messages to this card[accNo]"));
        }
        count.1 += 1;
        if inner.sent.len() >= MOST {
            inner.sent.retain(|_, text| text.until > now);
        }
        if inner.sent.len() >= MOST {
            return Err(Fail::new("06", "the simulator is full"));
        }
        let text = Text { card: card.number, purpose, until: now + LIFETIME };
        inner.sent.insert((merchant.to_owned(), call.key()), text);
        Ok(())
    }

    /// Uses up what was sent for the numbers of `call`, and says whether `code` is what it said.
    pub(super) fn claim(
        &self,
        call: &Call<'_>,
        card: &TestCard,
        purpose: Purpose,
        code: &str,
    ) -> Result<(), Fail> {
        let name = (call.account.mer_id().to_owned(), call.key());
        let text = self.0.lock().unwrap_or_else(PoisonError::into_inner).sent.remove(&name);
        let why = match text {
            None => "no message was sent for this orderId and txnTime",
            Some(text) if text.card != card.number => "the code is for another card",
            Some(text) if text.purpose != purpose => "the code is for another step or amount",
            Some(text) if text.until <= call.sim.now() => "the code has expired",
            Some(_) if code != TEST_CODE => "the code is wrong",
            Some(_) => return Ok(()),
        };
        Err(Fail::new("71", format!("{why}[smsCode]")))
    }
}

/// A text message for an opening or for a payment.
pub(in crate::unionpay) fn send(call: &Call<'_>) -> Result<Done, Fail> {
    starts(call, "77", &["00", "02"])?;
    let number = encryption::number(call)?;
    let paying = call.field("txnSubType") == "02";
    let purpose = if paying {
        currency(call)?;
        Purpose::Pay(call.amount()?)
    } else {
        Purpose::Open
    };
    let customer = Customer::of(call)?;
    customer.required("phoneNo")?;
    let card = number.card()?;
    let cards = &call.sim.cards;
    if paying && !cards.is_opened(call.account.mer_id(), card) {
        return Err(Fail::new("77", "the card is not opened[accNo]"));
    }
    customer.fits(card)?;
    cards.texts.send(call, card, purpose)?;
    Ok(Done { fields: Fields::new(), trade: None })
}
