//! Openings: of a card on the merchant's own page, and what is known of every opening.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};

use super::{
    Cards,
    card::{Number, TestCard},
    code::Purpose,
    customer::Customer,
    encryption, shown, starts,
};
use crate::{
    ledger::Provider,
    outbox::{Content, Parcel},
    unionpay::{
        Call, Done, Fields,
        message::Fail,
        notify::told,
        order::{deadline, duplicate, is_known, kept},
    },
};

/// Most openings that are kept.
const MOST: usize = 100_000;

/// Where an opening is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// A person has the page before them.
    Waiting,
    /// The card is opened.
    Opened,
    /// It is not, and will not be by this opening.
    Failed(&'static str),
}

/// An opening.
#[derive(Debug, Clone)]
pub(super) struct Opening {
    pub(super) merchant: String,
    /// `orderId@txnTime`.
    pub(super) key: String,
    /// Where its page is; empty when there is none.
    pub(super) page: String,
    /// Which card; a person may choose it on the page.
    pub(super) card: Option<&'static TestCard>,
    /// What the person reads.
    pub(super) subject: String,
    pub(super) front_url: String,
    pub(super) back_url: String,
    expires: DateTime<Utc>,
    stage: Stage,
    facts: Fields,
}

impl Opening {
    /// The opening that `call` asks for.
    pub(super) fn of(call: &Call<'_>) -> Result<Self, Fail> {
        Ok(Self {
            merchant: call.account.mer_id().to_owned(),
            key: call.key(),
            page: String::new(),
            card: None,
            subject: call.field("orderDesc").to_owned(),
            front_url: call.field("frontUrl").to_owned(),
            back_url: call.field("backUrl").to_owned(),
            expires: deadline(call)?,
            stage: Stage::Waiting,
            facts: kept(call),
        })
    }

    /// Where it is at `now`.
    pub(super) fn stage(&self, now: DateTime<Utc>) -> Stage {
        match self.stage {
            Stage::Waiting if now >= self.expires => Stage::Failed("69"),
            stage => stage,
        }
    }

    /// What is told of a card that is opened.
    pub(super) fn opened(&self) -> Option<Fields> {
        let card = self.card.filter(|_| self.stage == Stage::Opened)?;
        Some(told(&self.facts, shown(card), "00"))
    }

    /// The notification of it.
    pub(super) fn parcel(&self) -> Option<Parcel> {
        Some(Parcel {
            provider: Provider::UnionPay,
            call: "unionpay.notify.open",
            event: format!("{}-open", self.key),
            trade: self.key.clone(),
            url: self.back_url.clone(),
            content: Content::UnionPay { fields: self.opened()? },
        })
    }
}

/// Why an opening cannot be ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Never {
    /// There is no such page.
    Unknown,
    /// It has ended, or its time is over.
    Over,
}

#[derive(Debug, Default)]
struct Drawer {
    /// By merchant and `orderId@txnTime`.
    openings: HashMap<(String, String), Opening>,
    pages: HashMap<String, (String, String)>,
}

/// Every opening.
#[derive(Debug, Default)]
pub(super) struct Openings(Mutex<Drawer>);

impl Openings {
    fn drawer(&self) -> MutexGuard<'_, Drawer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn knows(&self, merchant: &str, key: &str) -> bool {
        self.drawer().openings.contains_key(&(merchant.to_owned(), key.to_owned()))
    }

    /// Keeps it; the caller has made sure that its number is new.
    pub(super) fn add(&self, opening: Opening) -> Result<(), Fail> {
        let mut drawer = self.drawer();
        if drawer.openings.len() >= MOST {
            return Err(Fail::new("06", "the simulator is full"));
        }
        let name = (opening.merchant.clone(), opening.key.clone());
        if !opening.page.is_empty() {
            drawer.pages.insert(opening.page.clone(), name.clone());
        }
        drawer.openings.insert(name, opening);
        Ok(())
    }

    /// The opening with this page.
    pub(super) fn by_page(&self, page: &str) -> Option<Opening> {
        let drawer = self.drawer();
        drawer.pages.get(page).and_then(|name| drawer.openings.get(name)).cloned()
    }

    /// The person on the page has chosen: `card` is opened, or nothing is.
    pub(super) fn end(
        &self,
        page: &str,
        card: Option<&'static TestCard>,
        now: DateTime<Utc>,
    ) -> Result<Opening, Never> {
        let mut drawer = self.drawer();
        let name = drawer.pages.get(page).cloned().ok_or(Never::Unknown)?;
        let opening = drawer.openings.get_mut(&name).ok_or(Never::Unknown)?;
        if opening.stage(now) != Stage::Waiting {
            return Err(Never::Over);
        }
        opening.stage = if card.is_some() { Stage::Opened } else { Stage::Failed("60") };
        opening.card = opening.card.or(card);
        Ok(opening.clone())
    }
}

impl Cards {
    /// What a query tells of an opening, and its code.
    pub(in crate::unionpay) fn opening(
        &self,
        merchant: &str,
        key: &str,
        now: DateTime<Utc>,
    ) -> Option<(Fields, &'static str)> {
        let drawer = self.openings.drawer();
        let opening = drawer.openings.get(&(merchant.to_owned(), key.to_owned()))?;
        let (code, mut fields) = match opening.stage(now) {
            Stage::Waiting => ("05", Fields::new()),
            Stage::Opened => ("00", opening.card.map(shown).unwrap_or_default()),
            Stage::Failed(code) => (code, Fields::new()),
        };
        fields.extend(opening.facts.clone());
        Some((fields, code))
    }
}

/// Opens a card with what its holder typed on the merchant's page.
pub(in crate::unionpay) fn open(call: &Call<'_>) -> Result<Done, Fail> {
    starts(call, "79", &["00"])?;
    let mut opening = Opening::of(call)?;
    let number = encryption::number(call)?;
    let customer = Customer::of(call)?;
    for name in ["phoneNo", "smsCode"] {
        customer.required(name)?;
    }
    if let Ok(card) = number.card() {
        customer.opens(card)?;
    }
    opening.facts.insert("accNo".to_owned(), number.masked());

    // What is wrong from here on is the card's matter, and uses the number up. The book stands still
    // meanwhile: two calls with the same number may have come this far.
    let book = call.sim.book();
    if is_known(&book, call) {
        return Err(duplicate());
    }
    let verdict = judge(call, &number, &customer);
    opening.stage = match &verdict {
        Ok(_) => Stage::Opened,
        Err(fail) => Stage::Failed(fail.code()),
    };
    opening.card = verdict.as_ref().ok().copied();
    call.sim.cards.openings.add(opening)?;
    drop(book);

    let card = verdict?;
    call.sim.cards.open(call.account.mer_id(), card);
    Ok(Done { fields: shown(card), trade: None })
}

/// What the issuer says.
fn judge(call: &Call<'_>, number: &Number, customer: &Customer) -> Result<&'static TestCard, Fail> {
    let card = number.card()?;
    customer.fits(card)?;
    let code = customer.required("smsCode")?;
    call.sim.cards.texts.claim(call, card, Purpose::Open, code)?;
    Ok(card)
}
