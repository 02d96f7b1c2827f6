//! Plain pages on which a person pays, says no, or lets the time run out. No scripts.

use std::fmt::Write;

use crate::{
    alipay,
    book::{Refused, State, Trade},
    clock::spaced,
    http::{Reply, Request, escape, yuan},
    ledger::Provider,
    sim::Sim,
    unionpay,
};

/// Trades that a list shows.
const SHOWN: usize = 200;

/// A whole page.
pub(crate) fn frame(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>body{{font:16px/1.5 sans-serif;max-width:44em;margin:2em auto;padding:0 1em}}\
         button{{font:inherit;padding:.4em 1em;margin:.2em}}td,th{{text-align:left;padding:.2em .8em}}\
         code{{word-break:break-all}}</style></head><body><h1>{title}</h1>{body}\
         <p><small>Nothing here moves real money.</small></p></body></html>"
    )
}

fn provider_name(provider: Provider) -> &'static str {
    match provider {
        Provider::Wechat => "WeChat Pay (simulated)",
        Provider::Alipay => "Alipay (simulated)",
        Provider::UnionPay => "UnionPay (simulated)",
    }
}

/// Which providers there are.
pub(crate) fn index() -> String {
    let mut body = "<ul>".to_owned();
    for provider in Provider::ALL {
        let (path, name) = (provider.name(), provider_name(provider));
        let _ = write!(body, "<li><a href=\"/_sim/pay/{path}\">{name}</a></li>");
    }
    body.push_str(
        "</ul><p><a href=\"/_sim/ledger\">Ledger</a> <a href=\"/_sim/trades\">Trades</a> \
        <a href=\"/_sim/notifies\">Notifications</a> <a href=\"/_sim/faults\">Faults</a></p>",
    );
    frame("Simulated providers", &body)
}

/// The provider's trades, the open ones first.
pub(crate) fn list(sim: &Sim, provider: Provider) -> String {
    let now = sim.now();
    let trades: Vec<Trade> = {
        let book = sim.book();
        let mine = book.trades().iter().rev().filter(|trade| trade.provider == provider);
        let (open, done): (Vec<_>, Vec<_>) =
            mine.take(SHOWN * 5).partition(|trade| trade.state(now) == State::Open);
        open.into_iter().chain(done).take(SHOWN).cloned().collect()
    };
    let mut body =
        "<table><tr><th>Number</th><th>What</th><th>Amount</th><th>State</th></tr>".to_owned();
    for trade in &trades {
        let (key, subject) = (escape(&trade.key), escape(&trade.subject));
        let (amount, state) = (yuan(trade.amount), state(trade, now));
        let id = trade.id;
        let _ = write!(
            body,
            "<tr><td><a href=\"/_sim/pay/{}/{id}\">{key}</a><br><code>{}</code></td>\
             <td>{subject}</td><td>¥{amount}</td><td>{state}</td></tr>",
            provider.name(),
            escape(&link(trade)),
        );
    }
    body.push_str("</table>");
    if trades.is_empty() {
        body.push_str("<p>No trades yet.</p>");
    }
    if provider == Provider::UnionPay {
        body.push_str(&unionpay::table_of_cards(sim));
    }
    frame(provider_name(provider), &body)
}

/// What is shown as a QR code, where there is one.
pub(crate) fn link(trade: &Trade) -> String {
    match (trade.provider, trade.product.as_str()) {
        (Provider::Wechat, "NATIVE") => format!("weixin://wxpay/bizpayurl?pr={}", trade.code()),
        _ => trade.code().to_owned(),
    }
}

fn state(trade: &Trade, now: chrono::DateTime<chrono::Utc>) -> String {
    match trade.state(now) {
        State::Open if trade.declined => "open, declined once".to_owned(),
        State::Open => "open".to_owned(),
        State::Closed(at) => match trade.refused {
            Some(code) => format!("refused with {code} {}", spaced(at)),
            None => format!("closed {}", spaced(at)),
        },
        State::Paid(at) if trade.refunds.is_empty() => format!("paid {}", spaced(at)),
        State::Paid(at) => {
            format!("paid {}, refunded ¥{}", spaced(at), yuan(trade.refunded()))
        }
    }
}

/// The page of one trade, with what a payer can do.
pub(crate) fn trade(sim: &Sim, trade: &Trade) -> String {
    let now = sim.now();
    let mut body = format!(
        "<p>{}</p><p><strong>¥{}</strong></p><p>Number <code>{}</code><br>State: {}</p>",
        escape(&trade.subject),
        yuan(trade.amount),
        escape(&trade.key),
        state(trade, now),
    );
    if trade.state(now) == State::Open {
        let _ = write!(
            body,
            "<form method=\"post\" action=\"/_sim/pay/{}/{}\">\
             <button name=\"answer\" value=\"approve\">Pay</button>\
             <button name=\"answer\" value=\"decline\">Decline</button>\
             <button name=\"answer\" value=\"expire\">Let it time out</button></form>",
            trade.provider.name(),
            trade.id,
        );
    } else if let Some(form) = way_back(sim, trade) {
        body.push_str(&form);
    }
    frame(provider_name(trade.provider), &body)
}

fn way_back(sim: &Sim, trade: &Trade) -> Option<String> {
    match trade.provider {
        Provider::UnionPay => unionpay::return_form(sim, trade),
        Provider::Alipay if trade.paid_at().is_some() => {
            let address = escape(&alipay::return_address(sim, trade)?);
            Some(format!("<p><a href=\"{address}\">Return to the shop</a></p>"))
        }
        Provider::Alipay => None,
        Provider::Wechat => {
            let address = escape(trade.return_url.as_deref()?);
            Some(format!("<p><a href=\"{address}\">Return to the shop</a></p>"))
        }
    }
}

/// What the payer chose on the page of a trade.
pub(crate) fn choose(sim: &Sim, request: &Request, id: u64) -> Reply {
    let answer = request.form().remove("answer").unwrap_or_default();
    let done = match answer.as_str() {
        "approve" => sim.pay(id, false).map(Some),
        "decline" => Ok(sim.decline(id)),
        "expire" => Ok(sim.expire(id)),
        _ => return Reply::html(400, frame("Simulated providers", "<p>Choose an answer.</p>")),
    };
    match done {
        Ok(Some(paid)) => {
            Reply::redirect(format!("/_sim/pay/{}/{}", paid.provider.name(), paid.id))
        }
        Ok(None) | Err(Refused::NotPaid) => {
            Reply::html(404, frame("Simulated providers", "<p>There is no such trade.</p>"))
        }
        Err(refused) => {
            let text = format!("<p>It cannot be paid: {refused:?}.</p>");
            Reply::html(409, frame("Simulated providers", &text))
        }
    }
}

/// WeChat's H5 page; the merchant may have appended where to go back to.
pub(crate) fn h5(sim: &Sim, request: &Request) -> Reply {
    let query = request.query_pairs();
    let prepay_id = query.get("prepay_id").map_or("", String::as_str);
    let found = {
        let mut book = sim.book();
        let id =
            book.by_code(prepay_id).filter(|trade| trade.product == "MWEB").map(|trade| trade.id);
        id.and_then(|id| book.get_mut(id)).map(|trade| {
            let url =
                query.get("redirect_url").filter(|url| crate::http::is_address(url, 2048, false));
            if let Some(url) = url {
                trade.return_url = Some(url.clone());
            }
            trade.clone()
        })
    };
    match found {
        Some(found) => Reply::html(200, trade(sim, &found)),
        None => Reply::html(404, frame("WeChat Pay (simulated)", "<p>商家参数格式有误</p>")),
    }
}
