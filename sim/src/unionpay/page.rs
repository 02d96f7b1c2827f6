//! The test cashier of front transactions, and the way back to the merchant.

use std::fmt::Write;

use super::{
    Call, Fields, cards,
    message::{Fail, sign},
    notify::paid,
    order::{channel, place},
};
use crate::{
    book::Trade,
    crypto::nonce,
    http::{Reply, escape},
    page::{self, frame},
    sim::Sim,
};

/// The cashier, or a page that says what is wrong.
pub(super) fn open(sim: &Sim, checked: Result<Call<'_>, (Fields, Fail)>) -> Reply {
    let page = checked.map_err(|(_, fail)| fail).and_then(|call| match call.field("txnType") {
        "79" => cards::begin(&call).map(|page| Reply::html(200, page)),
        _ => order(&call).map(|trade| Reply::html(200, page::trade(sim, &trade)).about(trade.id)),
    });
    match page {
        Ok(page) => page,
        Err(fail) => {
            let text = format!("<p>交易失败 {}</p>", escape(&fail.reason()));
            Reply::html(200, frame("UnionPay (simulated): error", &text)).because(fail.reason())
        }
    }
}

fn order(call: &Call<'_>) -> Result<Trade, Fail> {
    if !call.is("01", "01", &["000201"]) {
        return Err(cards::refusal(call));
    }
    channel(call, &["07", "08"])?;
    call.required("frontUrl")?;
    place(call, "gateway", nonce(30))
}

/// A form that brings the browser back with what was paid; it settles nothing.
pub(crate) fn return_form(sim: &Sim, trade: &Trade) -> Option<String> {
    posted_back(sim, trade.return_url.as_deref()?, paid(trade)?)
}

/// A form that posts `fields`, signed, to `url`.
pub(super) fn posted_back(sim: &Sim, url: &str, mut fields: Fields) -> Option<String> {
    let url = escape(url);
    sign(sim, &mut fields, None).ok()?;
    let mut form = format!("<form method=\"post\" action=\"{url}\">");
    for (name, value) in &fields {
        let value = escape(value);
        let _ = write!(form, "<input type=\"hidden\" name=\"{name}\" value=\"{value}\">");
    }
    form.push_str("<button>Return to the shop</button></form>");
    Some(form)
}
