//! What a browser or a phone opens: the cashier of page products, app payments, the consent page.

use std::collections::BTreeMap;

use super::{
    gateway::{Call, Fail, check},
    notify::sign_return,
    params::Params,
    trade::{order, place},
};
use crate::{
    book::{State, Trade},
    http::{Reply, Request, escape, is_loopback, write_form},
    page::{self, frame},
    sim::Sim,
};

/// Page products by method, with their product code.
const PAGES: [(&str, &str); 2] = [
    ("alipay.trade.page.pay", "FAST_INSTANT_TRADE_PAY"),
    ("alipay.trade.wap.pay", "QUICK_WAP_WAY"),
];

pub(super) fn is_page(method: &str) -> bool {
    PAGES.iter().any(|(name, _)| *name == method)
}

/// The cashier, or a page that says what is wrong.
pub(super) fn open(sim: &Sim, checked: Result<Call<'_>, Fail>) -> Reply {
    let trade = checked.and_then(|call| {
        let products = PAGES.iter().filter(|(name, _)| *name == call.method);
        let products: Vec<_> = products.map(|(_, product)| *product).collect();
        make(&call, &products)
    });
    match trade {
        Ok(trade) => {
            let page = page::trade(sim, &trade);
            Reply::html(200, page).about(trade.id)
        }
        Err(fail) => {
            let text = format!("<p>错误码 {}</p>", escape(&fail.reason()));
            let page = frame("Alipay (simulated): error", &text);
            let page = page.replace("charset=\"utf-8\"", "charset=\"GBK\"");
            let body = encoding_rs::GBK.encode(&page).0.into_owned();
            Reply::new(200, "text/html;charset=GBK", body).because(fail.reason())
        }
    }
}

/// The trade of a page or app call; opening the cashier makes it known.
fn make(call: &Call<'_>, products: &[&str]) -> Result<Trade, Fail> {
    let mut order = order(call, products, chrono::TimeDelta::days(15))?;
    order.known = true;
    place(call, order)
}

/// What Alipay's client library does with an order string.
pub(crate) fn pay_in_app(sim: &Sim, order_string: &str) -> Result<Trade, String> {
    let params = Params::parse(order_string)?;
    let call = check(sim, params, None).map_err(|fail| fail.reason())?;
    if call.method != "alipay.trade.app.pay" {
        return Err(format!("the method is {}", call.method));
    }
    let trade = make(&call, &["QUICK_MSECURITY_PAY"]).map_err(|fail| fail.reason())?;
    match trade.state(sim.now()) {
        State::Open => Ok(trade),
        state => Err(format!("the trade cannot be paid: {state:?}")),
    }
}

/// The trade that a scanned code means; scanning makes it known.
pub(crate) fn cashier_of(sim: &Sim, code: &str) -> Option<Trade> {
    let mut book = sim.book();
    let id = book.by_code(code)?.id;
    let trade = book.get_mut(id)?;
    trade.known = true;
    Some(trade.clone())
}

/// Where the browser goes after a page payment, with the signed parameters.
pub(crate) fn return_address(sim: &Sim, trade: &Trade) -> Option<String> {
    let url = trade.return_url.as_ref()?;
    let fields = sign_return(sim, trade);
    let query = write_form(fields.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let joint = if url.contains('?') { '&' } else { '?' };
    Some(format!("{url}{joint}{query}"))
}

/// The page on which a person lets an application know who they are.
pub(super) fn consent_page(sim: &Sim, request: &Request) -> Reply {
    let query = request.query_pairs();
    if let Err(problem) = check_consent(sim, &query) {
        let page = frame("Alipay (simulated): error", &format!("<p>{}</p>", escape(&problem)));
        return Reply::html(400, page).because(problem);
    }
    let mut form = String::new();
    for name in ["app_id", "scope", "redirect_uri", "state"] {
        let value = query.get(name).map(|value| escape(value)).unwrap_or_default();
        form.push_str(&format!("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">"));
    }
    let app = escape(query.get("app_id").map_or("", String::as_str));
    let scope = escape(query.get("scope").map_or("", String::as_str));
    let body = format!(
        "<p>Application {app} asks who you are ({scope}).</p>\
         <form method=\"post\" action=\"/_sim/consent\">{form}\
         <button name=\"answer\" value=\"yes\">Allow</button> \
         <button name=\"answer\" value=\"no\">Refuse</button></form>"
    );
    Reply::html(200, frame("Alipay (simulated): bind an account", &body))
}

fn check_consent(sim: &Sim, query: &BTreeMap<String, String>) -> Result<(), String> {
    let field = |name: &str| query.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let app = field("app_id").ok_or("app_id is missing")?;
    let account = sim.alipay.get(app).ok_or_else(|| format!("application {app} is unknown"))?;
    let scope = field("scope").ok_or("scope is missing")?;
    if !["auth_base", "auth_user"].contains(&scope) {
        return Err(format!("scope is {scope}"));
    }
    let state = field("state").unwrap_or_default();
    if state.len() > 100 {
        return Err("state is longer than 100".to_owned());
    }
    let uri = field("redirect_uri").ok_or("redirect_uri is missing")?;
    let parsed: hyper::Uri = uri.parse().map_err(|_| "redirect_uri is not an address")?;
    let registered = account
        .merchant
        .redirect_uris
        .iter()
        .any(|known| known == uri || known.ends_with('/') && uri.starts_with(known));
    if registered || parsed.host().is_some_and(is_loopback) {
        Ok(())
    } else {
        Err(format!("redirect_uri {uri} is not registered"))
    }
}

/// The person's answer on the consent page.
pub(crate) fn consent(sim: &Sim, request: &Request) -> Reply {
    let form = request.form();
    if let Err(problem) = check_consent(sim, &form) {
        return Reply::html(400, frame("Alipay (simulated): error", &escape(&problem)))
            .because(problem);
    }
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    if field("answer") != "yes" {
        return Reply::html(200, frame("Alipay (simulated)", "<p>Refused.</p>"));
    }
    let code = sim.grants.code(field("app_id"), field("scope"), sim.now());
    let Some(code) = code else {
        return Reply::html(503, frame("Alipay (simulated)", "<p>Too many codes.</p>"));
    };
    let answer = write_form([
        ("app_id", field("app_id")),
        ("source", "alipay_wallet"),
        ("scope", field("scope")),
        ("auth_code", &code),
        ("state", field("state")),
    ]);
    let uri = field("redirect_uri");
    let joint = if uri.contains('?') { '&' } else { '?' };
    Reply::redirect(format!("{uri}{joint}{answer}"))
}
