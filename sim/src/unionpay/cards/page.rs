//! UnionPay's page on which a person opens a card or declines, and the table of the test cards.

use std::fmt::Write;

use super::{
    card::{self, TEST_CARDS, TEST_CODE},
    customer::Customer,
    encryption,
    open::{Never, Opening, Stage},
    starts,
};
use crate::{
    crypto::nonce,
    http::{Reply, Request, escape},
    page::frame,
    sim::Sim,
    unionpay::{
        Call,
        message::Fail,
        order::{duplicate, is_known},
        page::posted_back,
    },
};

const TITLE: &str = "UnionPay (simulated): open a card";

/// Begins an opening; answers with its page.
pub(in crate::unionpay) fn begin(call: &Call<'_>) -> Result<String, Fail> {
    starts(call, "79", &["00"])?;
    call.required("frontUrl")?;
    call.required("backUrl")?;
    if !["", "{customPage=true}"].contains(&call.field("reserved")) {
        return Err(Fail::field("reserved"));
    }
    let mut opening = Opening::of(call)?;
    if !call.field("encryptCertId").is_empty() {
        encryption::key(call)?;
    }
    if !call.field("accNo").is_empty() {
        opening.card = Some(encryption::number(call)?.card()?);
    }
    let customer = Customer::of(call)?;
    if let Some(card) = opening.card {
        customer.fits(card)?;
    }
    opening.page = nonce(30);
    let html = render(call.sim, &opening);
    let book = call.sim.book();
    // Two calls with the same number may have come this far.
    if is_known(&book, call) {
        return Err(duplicate());
    }
    call.sim.cards.openings.add(opening)?;
    Ok(html)
}

/// The page of an opening, as it stands.
pub(crate) fn show(sim: &Sim, page: &str) -> Reply {
    match sim.cards.openings.by_page(page) {
        Some(opening) => Reply::html(200, render(sim, &opening)),
        None => unknown(),
    }
}

fn unknown() -> Reply {
    Reply::html(404, frame(TITLE, "<p>There is no such opening.</p>"))
}

fn render(sim: &Sim, opening: &Opening) -> String {
    let mut body = format!(
        "<p>{}</p><p>Merchant <code>{}</code><br>Number <code>{}</code></p>",
        escape(&opening.subject),
        escape(&opening.merchant),
        escape(&opening.key),
    );
    if let Some(card) = opening.card {
        let _ = write!(body, "<p>Card <code>{}</code></p>", card.masked());
    }
    match opening.stage(sim.now()) {
        Stage::Waiting => body.push_str(&choice(opening)),
        Stage::Opened => {
            body.push_str("<p>The card is opened.</p>");
            let fields = opening.opened();
            let form = fields.and_then(|fields| posted_back(sim, &opening.front_url, fields));
            body.push_str(&form.unwrap_or_default());
        }
        Stage::Failed(code) => {
            let _ = write!(
                body,
                "<p>The card was not opened ({code}).</p>\
                 <p><a href=\"{}\">Return to the shop</a></p>",
                escape(&opening.front_url),
            );
        }
    }
    frame(TITLE, &body)
}

/// What the person can do.
fn choice(opening: &Opening) -> String {
    let mut form = format!("<form method=\"post\" action=\"/_sim/open/{}\">", opening.page);
    if opening.card.is_none() {
        form.push_str("<p><label>Card <select name=\"card\">");
        for card in &TEST_CARDS {
            let _ = write!(form, "<option>{}</option>", card.number);
        }
        form.push_str("</select></label></p>");
    }
    form.push_str(
        "<button name=\"answer\" value=\"open\">Open the card</button>\
         <button name=\"answer\" value=\"decline\">Decline</button></form>",
    );
    form
}

/// What the person chose. Only an opening that succeeds is announced; one that was declined leads back
/// to the shop without a word.
pub(crate) fn answer(sim: &Sim, request: &Request, page: &str) -> Reply {
    let form = request.form();
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    let Some(opening) = sim.cards.openings.by_page(page) else { return unknown() };
    let chosen = match field("answer") {
        "open" => match opening.card.or_else(|| card::find(field("card"))) {
            Some(card) => Some(card),
            None => return Reply::html(400, frame(TITLE, "<p>Choose a card.</p>")),
        },
        "decline" => None,
        _ => return Reply::html(400, frame(TITLE, "<p>Choose an answer.</p>")),
    };
    let now = sim.now();
    match (sim.cards.openings.end(page, chosen, now), chosen) {
        (Ok(ended), Some(card)) => {
            sim.cards.open(&ended.merchant, card);
            if let Some(parcel) = ended.parcel() {
                sim.outbox.post(parcel, now);
            }
            Reply::redirect(format!("/_sim/open/{page}"))
        }
        (Ok(ended), None) => Reply::redirect(ended.front_url),
        (Err(Never::Over), _) => Reply::html(409, frame(TITLE, "<p>This opening is over.</p>")),
        (Err(Never::Unknown), _) => unknown(),
    }
}

/// The test cards, and at which merchants they are opened.
pub(crate) fn table(sim: &Sim) -> String {
    let mut body = format!(
        "<h2>Test cards</h2><p>The code of every text message is <code>{TEST_CODE}</code>.</p>\
         <table><tr><th>Number</th><th>Phone</th><th>CVN2, YYMM</th><th>Payments</th>"
    );
    let merchants: Vec<_> =
        sim.settings.merchants.iter().map(|merchant| merchant.unionpay.mer_id.as_str()).collect();
    for merchant in &merchants {
        let _ = write!(body, "<th>Opened at {}</th>", escape(merchant));
    }
    body.push_str("</tr>");
    for card in &TEST_CARDS {
        let _ = write!(
            body,
            "<tr><td><code>{}</code></td><td>{}</td><td>{} {}</td><td>{}</td>",
            card.number,
            card.phone,
            card.cvn2.unwrap_or_default(),
            card.expired.unwrap_or_default(),
            card.declines_with.map_or("paid".to_owned(), |code| format!("declined, {code}")),
        );
        for merchant in &merchants {
            let opened = if sim.cards.is_opened(merchant, card) { "yes" } else { "no" };
            let _ = write!(body, "<td>{opened}</td>");
        }
        body.push_str("</tr>");
    }
    body.push_str("</table>");
    body
}
