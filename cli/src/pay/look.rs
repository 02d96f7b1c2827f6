//! Bills as an operator looks at them: one, those with a refund that is held, and those that a
//! search finds.

use std::fmt::Write;

use schemas::{BillRecord, BillSn, Fen, bill::RefundState};
use store::BillSearch;

use super::read;
use crate::{
    accounts::owner,
    args::{ListBills, ShowBill},
    failure::Failure,
    output::{self, Form},
    place::Opened,
};

/// Bills in memory at a time.
const PAGE: usize = 100;

/// Prints the whole record of one bill.
///
/// # Errors
///
/// There is none of this number, or the store does not answer.
pub(super) async fn show(opened: &Opened, args: &ShowBill) -> Result<(), Failure> {
    let bill = read(opened, &args.sn).await?;
    match Form::chosen(args.place.json) {
        Form::Json => output::json(&bill)?,
        Form::Table => output::line(record(&bill))?,
    }
    Ok(())
}

/// Prints the bills that a search finds, newest first.
///
/// # Errors
///
/// The user is not known, or the store does not answer.
pub(super) async fn list(opened: &Opened, args: &ListBills) -> Result<(), Failure> {
    let search = BillSearch {
        owner: match &args.user {
            Some(user) => Some(owner(&opened.store, user).await?),
            None => None,
        },
        statuses: args.status.clone(),
        made_from: args.since.map(|when| when.0),
        made_before: args.until.map(|when| when.0),
    };
    let through = |bill: &BillRecord| {
        let asked = args.provider;
        asked.is_none_or(|one| bill.attempts.iter().any(|attempt| attempt.channel == one))
    };
    let form = Form::chosen(args.place.json);
    let most = if args.all { usize::MAX } else { args.limit };
    let (mut after, mut listed) = (None::<BillSn>, 0);
    let mut rows = header();
    while listed < most {
        let page = opened.store.bills.search(&search, after.as_ref(), PAGE).await?;
        let full = page.len() == PAGE;
        after = page.last().map(|bill| bill.id.clone());
        for bill in page.into_iter().filter(through).take(most - listed) {
            listed += 1;
            match form {
                Form::Json => output::json(&bill)?,
                Form::Table => add_row(&mut rows, &bill),
            }
        }
        if !full {
            break;
        }
    }
    if form == Form::Table {
        output::line(rows)?;
        output::line(output::counted(listed as u64, "bill"))?;
    }
    Ok(())
}

fn header() -> comfy_table::Table {
    output::table(["bill", "status", "amount", "through", "refunded", "owner", "made", "what for"])
}

fn add_row(rows: &mut comfy_table::Table, bill: &BillRecord) {
    let through = match (bill.payment(), bill.attempts.last()) {
        (Some(payment), _) => bill.attempt(payment.attempt),
        (None, last) => last,
    };
    let cells = [
        bill.id.to_string(),
        bill.status.name().to_owned(),
        bill.amount.to_yuan(),
        through.map(|attempt| attempt.channel.name().to_owned()).unwrap_or_default(),
        if bill.refunded() == 0 { String::new() } else { yuan(bill.refunded()) },
        bill.owner.to_string(),
        output::seconds(bill.created_at),
        bill.subject.clone(),
    ];
    output::add_line(rows, cells.into());
}

fn yuan(fen: i64) -> String {
    Fen::new(fen).map(Fen::to_yuan).unwrap_or_default()
}

/// Prints the bills with a refund that waits for approval, longest waiting first.
///
/// # Errors
///
/// The store does not answer.
pub(super) async fn held(opened: &Opened, form: Form) -> Result<(), Failure> {
    let mut after = None;
    let mut listed = 0;
    loop {
        let page = opened.store.bills.held(after, PAGE).await?;
        for bill in &page {
            listed += 1;
            if form == Form::Json {
                output::json(bill)?;
            }
        }
        if form == Form::Table && !page.is_empty() {
            output::line(held_rows(&page))?;
        }
        after = page.last().and_then(|bill| bill.held_since);
        if page.len() < PAGE {
            break;
        }
    }
    if form == Form::Table {
        output::line(output::counted(listed, "bill"))?;
    }
    Ok(())
}

fn held_rows(bills: &[BillRecord]) -> comfy_table::Table {
    let mut rows = output::table(["bill", "refund", "amount", "why", "since"]);
    for bill in bills {
        for refund in bill.refunds.iter().filter(|refund| refund.state == RefundState::Held) {
            rows.add_row([
                bill.id.to_string(),
                refund.number.to_string(),
                refund.amount.to_yuan(),
                refund.surplus.map(|why| why.name().to_owned()).unwrap_or_default(),
                output::seconds(refund.opened_at),
            ]);
        }
    }
    rows
}

/// The whole record, part by part.
fn record(bill: &BillRecord) -> String {
    let mut fields = output::table(["field", "value"]);
    let mut text = String::new();
    if let Ok(serde_json::Value::Object(members)) = serde_json::to_value(bill) {
        for (name, value) in members {
            match value {
                serde_json::Value::Array(items) => {
                    for item in items {
                        // Writing to a string does not fail.
                        let _ = write!(text, "\n{name}: {item}");
                    }
                }
                serde_json::Value::String(value) => drop(fields.add_row([name, value])),
                other => drop(fields.add_row([name, other.to_string()])),
            }
        }
    }
    format!("{fields}{text}")
}
