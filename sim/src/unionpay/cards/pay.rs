//! A payment with a card: it is paid or refused for good in the answer, and its number is used up.

use super::{card::Number, code::Purpose, customer::Customer, encryption, starts};
use crate::{
    book::State,
    fault::Act,
    unionpay::{
        Call, Done, Fields,
        message::{Fail, wording},
        notify::payment_parcel,
        order::{draft, duplicate, full, is_known},
    },
};

pub(in crate::unionpay) fn pay(call: &Call<'_>) -> Result<Done, Fail> {
    starts(call, "01", &["01"])?;
    let mut trade = draft(call, "card", Vec::new())?;
    let number = encryption::number(call)?;
    let customer = Customer::of(call)?;
    customer.required("smsCode")?;
    // What is wrong from here on is the card's matter and not the message's: the issuer was asked.
    trade.return_url = None;
    trade.payer = Some(number.masked());
    trade.facts.insert("accNo".to_owned(), number.masked());
    if let Ok(card) = number.card() {
        trade.facts.insert("payCardType".to_owned(), card.kind().to_owned());
    }

    let mut book = call.sim.book();
    // Two calls with the same number may have come this far.
    if is_known(&book, call) {
        return Err(duplicate());
    }
    let verdict = judge(call, &number, &customer, trade.amount);
    if let Err(fail) = &verdict {
        trade.state = State::Closed(call.sim.now());
        trade.refused = Some(fail.code());
    }
    let trade = book.open(trade).map(|trade| trade.clone()).map_err(full)?;
    drop(book);

    if let Err(fail) = verdict {
        if let Some(parcel) = payment_parcel(&trade) {
            call.sim.outbox.post(parcel, call.sim.now());
        }
        return Err(fail);
    }
    let paid = call.sim.pay(trade.id, false);
    let paid = paid.map_err(|_| Fail::new("03", "the state is not known"))?;
    let mut fields: Fields = [("queryId".to_owned(), paid.number)].into();
    if call.act == Some(&Act::Defective) {
        fields.insert("respCode".to_owned(), "A6".to_owned());
        fields.insert("respMsg".to_owned(), wording("A6").to_owned());
    }
    Ok(Done { fields, trade: Some(trade.id) })
}

/// What the issuer says.
fn judge(call: &Call<'_>, number: &Number, customer: &Customer, amount: i64) -> Result<(), Fail> {
    let card = number.card()?;
    let cards = &call.sim.cards;
    if !cards.is_opened(call.account.mer_id(), card) {
        return Err(Fail::new("77", "the card is not opened[accNo]"));
    }
    customer.fits(card)?;
    let code = customer.required("smsCode")?;
    cards.texts.claim(call, card, Purpose::Pay(amount), code)?;
    match card.declines_with {
        Some(code) => Err(Fail::new(code, wording(code))),
        None => Ok(()),
    }
}
