//! The settlement file of a day.

use std::io::Write;

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{Datelike, NaiveDate, TimeDelta, Timelike};
use flate2::{Compression, write::ZlibEncoder};

use super::{Call, Done, message::Fail, refund::settlement_day};
use crate::{
    clock::beijing,
    fault::Act,
    ledger::Provider,
    statement::{self, Line},
    zip,
};

const READY_HOUR: u32 = 9;

/// The columns' widths in bytes; they are separated by one blank.
pub(super) const WIDTHS: [usize; 41] = [
    3, 11, 11, 6, 10, 19, 12, 4, 2, 21, 2, 32, 2, 6, 10, 13, 13, 4, 15, 2, 2, 6, 2, 4, 32, 1, 21,
    15, 1, 15, 32, 13, 13, 8, 32, 13, 13, 12, 2, 1, 131,
];

pub(super) fn settlement(call: &Call<'_>) -> Result<Done, Fail> {
    if !call.is("76", "01", &["000000"]) {
        return Err(Fail::new("14", "Invalid transaction type[txnType]"));
    }
    if call.required("fileType")? != "00" {
        return Err(Fail::field("fileType"));
    }
    let text = call.required("settleDate")?;
    let plain = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    let now = beijing(call.sim.now());
    let day = plain.then(|| day(text, now.date_naive())).flatten();
    let day = day.ok_or_else(|| Fail::field("settleDate"))?;
    let none = || Fail::new("98", "no settlement file[settleDate]");
    let yesterday = now.date_naive() - TimeDelta::days(1);
    let early = day >= now.date_naive() || (day == yesterday && now.hour() < READY_HOUR);
    if early || call.act == Some(&Act::BillNotReady) {
        return Err(none());
    }
    let rows = rows(call, day);
    if rows.is_empty() {
        return Err(none());
    }
    let mer_id = call.account.mer_id();
    let date = day.format("%y%m%d");
    let trades = rows.concat();
    let summary = format!("{mer_id} {} records\r\n", rows.len());
    let archive = zip::pack(&[
        (&format!("INN{date}88ZM_{mer_id}"), trades.as_slice()),
        (&format!("INN{date}88ZME_{mer_id}"), b""),
        (&format!("RD{date}_{mer_id}"), summary.as_bytes()),
    ]);
    let mut packer = ZlibEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail.
    let content = packer.write_all(&archive).and_then(|()| packer.finish()).unwrap_or_default();
    let fields = [
        ("fileType", "00".to_owned()),
        ("settleDate", text.to_owned()),
        ("fileName", format!("{mer_id}_{}.zip", day.format("%Y%m%d"))),
        ("fileContent", BASE64_STANDARD.encode(content)),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), value)).into();
    Ok(Done { fields, trade: None })
}

/// The day that `MMDD` means: this year's, or last year's when that is not over yet.
fn day(text: &str, today: NaiveDate) -> Option<NaiveDate> {
    let (month, day) = (text[..2].parse().ok()?, text[2..].parse().ok()?);
    let this_year = NaiveDate::from_ymd_opt(today.year(), month, day);
    let last_year = || NaiveDate::from_ymd_opt(today.year() - 1, month, day);
    this_year.filter(|day| *day <= today).or_else(last_year)
}

fn rows(call: &Call<'_>, day: NaiveDate) -> Vec<Vec<u8>> {
    let in_time = |at| settlement_day(at) == day;
    let merchant = call.account.mer_id();
    let lines = statement::lines(call.sim, Provider::UnionPay, merchant, in_time, call.act);
    lines.iter().map(row).collect()
}

fn row(line: &Line) -> Vec<u8> {
    let (trade, refund) = (&line.trade, line.refund.as_ref());
    let number = refund.map_or(&trade.number, |refund| &refund.id);
    let amount = refund.map_or(trade.amount, |refund| refund.amount);
    let fact = |name: &str| refund.map_or_else(|| trade.fact(name), |refund| refund.fact(name));
    let fee = amount * 6 / 1000 + line.fee_error / 1_000;
    // Money to the merchant is C, from the merchant D.
    let (towards, away) = if refund.is_some() { ('D', 'C') } else { ('C', 'D') };
    let tail = number.get(number.len().saturating_sub(6)..).unwrap_or_default();
    let mut cells: [String; 41] = std::array::from_fn(|_| String::new());
    let code = if refund.is_some() { "S23" } else { "S22" };
    let card = Some(trade.fact("accNo")).filter(|card| !card.is_empty());
    for (n, text) in [
        (0, code),
        (1, "00010000"),
        (2, "00010000"),
        (5, card.unwrap_or("6216***********0018")),
        (7, "5411"),
        (8, "07"),
        (12, "01"),
        (17, "1001"),
        (25, "0"),
    ] {
        text.clone_into(&mut cells[n]);
    }
    tail.clone_into(&mut cells[3]);
    cells[4] = beijing(line.at).format("%m%d%H%M%S").to_string();
    cells[6] = format!("{amount:012}");
    number.clone_into(&mut cells[9]);
    fact("orderId").clone_into(&mut cells[11]);
    cells[15] = format!("{away}{fee:012}");
    cells[16] = format!("{towards}{:012}", amount - fee);
    fact("txnType").clone_into(&mut cells[19]);
    fact("txnSubType").clone_into(&mut cells[20]);
    fact("bizType").clone_into(&mut cells[21]);
    if refund.is_some() {
        cells[26].clone_from(&trade.number);
    }
    cells[27].clone_from(&trade.merchant);
    render(&cells)
}

fn render(cells: &[String; 41]) -> Vec<u8> {
    let mut line = Vec::with_capacity(610);
    for (cell, width) in cells.iter().zip(WIDTHS) {
        if !line.is_empty() {
            line.push(b' ');
        }
        let mut bytes = encoding_rs::GBK.encode(cell).0.into_owned();
        bytes.resize(width, b' ');
        line.extend_from_slice(&bytes);
    }
    line.extend_from_slice(b"\r\n");
    line
}
